"""Figures 1 and A1: the ten reward models on Big Two nouns and moral foundations; the tests on relabelled families."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import fold_foundations
from birthmark.paper.data import StudyData
from birthmark.records import Effects, LabelShuffle, NotApplicable, PromptMedians, Unit
from birthmark.stats.mixed import JointF, fit_grouped, fit_mixed_model, group_cross_products, joint_f
from birthmark.stats.permutation import exact_permutation, max_t
from birthmark.stats.unit_tests import adjust, average_by_unit, compare_groups
from birthmark.stats.variance import crossed_variance
from birthmark.values.effects import effects
from birthmark.values.joined import Joined, join_tables
from birthmark.values.units import adjust_across_lexicons

FIRST_COLUMN, LAST_COLUMN = "Care_Virtue", "Sanctity_Virtue"


FACTORS = ("base", "category", "framing")


@dataclass(frozen=True)
class Figures:
    """The effects of figures 1a and 1b, the medians of A1, and the joint F over all three-way terms of each."""

    figure_1a: Effects
    figure_1b_as_published: Effects
    figure_1b_all_columns: Effects
    figure_a1a: list[PromptMedians]
    figure_a1b: list[PromptMedians]
    three_way_1a: JointF
    three_way_1b_as_published: JointF
    three_way_1b_all_columns: JointF


def figures(study: StudyData, seed: int = 0) -> Figures:
    """Every number of figures 1 and A1; `p_holm` of a headline is adjusted over the two lexicons.

    Raises `BirthmarkError` if scores or lexicons are missing or do not match.
    """
    nouns, moral = study.lexicon("dict_big2_nouns"), study.lexicon("dict_MFD_20")
    published = fold_foundations(moral, published_columns(study.lexicon_file("dict_MFD_20")))
    every = fold_foundations(moral)
    joined = join_tables(study.big_two_tables, nouns)
    joined_published, joined_every = (join_tables(study.mfd2_tables, lexicon) for lexicon in (published, every))
    big_two = effects(study.big_two_tables, nouns, seed=seed, of="median")
    big_two, as_published = adjust_across_lexicons(
        [big_two, effects(study.mfd2_tables, published, seed=seed, of="median")]
    )
    _, all_columns = adjust_across_lexicons([big_two, effects(study.mfd2_tables, every, seed=seed, of="median")])
    return Figures(
        figure_1a=big_two,
        figure_1b_as_published=as_published,
        figure_1b_all_columns=all_columns,
        figure_a1a=prompt_medians(joined),
        figure_a1b=prompt_medians(joined_published),
        three_way_1a=three_way(joined),
        three_way_1b_as_published=three_way(joined_published),
        three_way_1b_all_columns=three_way(joined_every),
    )


def dictionary_columns(path: Path) -> list[str]:
    """The categories of a `.dicx` file in the order of its header."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file), [""])[1:]


def published_columns(path: Path) -> list[str]:
    """The columns that the published analysis uses: `Care_Virtue` to `Sanctity_Virtue`, in the file's order."""
    columns = dictionary_columns(path)
    for name in (FIRST_COLUMN, LAST_COLUMN):
        if name not in columns:
            raise BirthmarkError(
                f"{path} has no column {name}: the published analysis uses {FIRST_COLUMN} to {LAST_COLUMN}"
            )
    return columns[columns.index(FIRST_COLUMN) : columns.index(LAST_COLUMN) + 1]


def prompt_medians(joined: Joined) -> list[PromptMedians]:
    """Median ranks for each prompt, by model, category and framing."""
    return [
        PromptMedians(
            model=model,
            family=family,
            category=category,
            framing=framing,
            median_ranks=joined.medians[at, row, joined.prompts_of(framing)].tolist(),
        )
        for at, (model, family) in enumerate(zip(joined.models, joined.model_families, strict=True))
        for row, category in enumerate(joined.categories)
        for framing in joined.framings_present
    ]


def three_way(joined: Joined) -> JointF:
    """Wald F over all terms base × category × framing of the published mixed model, fitted by REML."""
    models, categories, prompts = joined.medians.shape
    at = np.indices((models, categories, prompts)).reshape(3, -1)

    def labels(names: Sequence[str | None], axis: int) -> list[str]:
        return [str(names[i]) for i in at[axis]]

    columns = (labels(joined.model_families, 0), labels(joined.categories, 1), labels(joined.framings, 2))
    fit = fit_mixed_model(
        joined.medians.reshape(-1),
        dict(zip(FACTORS, columns, strict=True)),
        labels(joined.models, 0),
        between=("base",),
        levels={"framing": ("positive", "negative")},
    )
    return joint_f(fit, FACTORS)


ALPHA = 0.05
SHUFFLE_FACTORS = ("family", "category", "framing")
NAMES = ("a", "b")
PUBLISHED = ("mixed_model_three_way", "any_panel_bonferroni")  # significant if p < alpha; exact tests if p ≤ alpha


class Relabelled(NamedTuple):
    """Values of units [units, …], and all ways to assign units to family a: bool [splits, units]."""

    values: np.ndarray
    splits: np.ndarray


def label_shuffle(study: StudyData) -> list[LabelShuffle]:
    """Every test on the Big Two nouns and on moral foundations, as published and with all columns."""
    moral = study.lexicon("dict_MFD_20")
    published = fold_foundations(moral, published_columns(study.lexicon_file("dict_MFD_20")))
    joined = {
        "big2": join_tables(study.big_two_tables, study.lexicon("dict_big2_nouns")),
        "mfd2_as_published": join_tables(study.mfd2_tables, published),
        "mfd2_all_columns": join_tables(study.mfd2_tables, fold_foundations(moral)),
    }
    return [row for lexicon, found in joined.items() for row in shuffle_rows(lexicon, found)]


def shuffle_rows(lexicon: str, joined: Joined) -> list[LabelShuffle]:
    """One row per test. Tests over models use all relabellings of the models; the headline, whose units are base
    checkpoints, uses all relabellings of the base checkpoints.
    """
    n_a = len(joined.models_of(joined.families[0]))
    splits = relabellings(len(joined.models), n_a)
    of_base = _base_values(joined)
    rows = [
        _row(lexicon, "mixed_model_three_way", "model", mixed_model_p(joined, splits)),
        _row(lexicon, "any_panel_bonferroni", "model", [panel_p(joined, is_a) for is_a in splits]),
        _row(lexicon, "any_panel_max_t", "model", permutation_p(Relabelled(_panel_values(joined), splits))),
        _row(lexicon, "model_level", "model", permutation_p(Relabelled(_contrasts(joined), splits))),
        _row(lexicon, "headline", "base_checkpoint", permutation_p(of_base)),
        _row(lexicon, "headline", "base_checkpoint", permutation_p(of_base), alpha=1 / len(of_base.splits)),
    ]
    if joined.contrasts is not None:
        return [*rows, _row(lexicon, "crossed", "model", crossed_p(joined, splits))]
    why = f"the test needs a single contrast, and the lexicon has {len(joined.categories)} categories"
    without = LabelShuffle.build(
        lexicon=lexicon,
        test="crossed",
        unit="model",
        alpha=ALPHA,
        significant=NotApplicable(why),
        splits=len(splits),
    )
    return [*rows, without]


def relabellings(n: int, n_a: int) -> np.ndarray:
    """All ways to choose n_a of n units, as rows of bool [splits, n]."""
    return np.array([np.isin(np.arange(n), chosen) for chosen in combinations(range(n), n_a)])


def mixed_model_p(joined: Joined, splits: np.ndarray) -> list[float]:
    """p of the joint F over all three-way terms of the published mixed model (REML), for each relabelling."""
    models, categories, prompts = joined.medians.shape
    at = np.indices((models, categories, prompts)).reshape(3, -1)
    within = {
        "category": np.array(joined.categories)[at[1]],
        "framing": np.array([str(framing) for framing in joined.framings])[at[2]],
    }
    names = np.array([f"{place:03d}" for place in range(models)])
    data = group_cross_products(
        joined.medians.reshape(-1), within, names[at[0]].tolist(), {"framing": ("positive", "negative")}
    )
    return [
        joint_f(fit_grouped(data, {"family": dict(zip(names.tolist(), _labels(is_a), strict=True))}), SHUFFLE_FACTORS).p
        for is_a in splits
    ]


def panel_p(joined: Joined, is_a: np.ndarray) -> float:
    """The smallest Bonferroni-adjusted Welch p over category × framing, treating medians of models × prompts as the sample."""
    p_values = []
    for row in range(len(joined.categories)):
        for framing in joined.framings_present:
            medians = joined.medians[:, row][:, joined.prompts_of(framing)]
            p_values.append(compare_groups(medians[is_a].ravel(), medians[~is_a].ravel()).welch_p)
    return min(p for p in adjust(p_values, "bonferroni") if p is not None)


def permutation_p(of: Relabelled) -> list[float]:
    """The exact test's p for each relabelling.

    The statistic is Welch's t of one contrast (the difference, if a family has fewer than three units), or the largest |t|
    over several contrasts.
    """
    values = of.values[:, 0] if of.values.shape[1] == 1 else of.values
    is_a = of.splits
    welch = min(is_a[0].sum(), (~is_a[0]).sum()) >= 3
    if values.ndim > 1:
        return [float(max_t(values, ~split).p_adjusted.min()) for split in is_a]
    return [exact_permutation(values, ~split, "welch_t" if welch else "difference").p for split in is_a]


def crossed_p(joined: Joined, splits: np.ndarray) -> list[float]:
    """p of the crossed variance's t-test for each relabelling."""
    at, categories = joined.places
    ranks = joined.ranks[:, at][:, :, joined.framed]
    return [crossed_variance(ranks, _labels(is_a), categories, joined.framed_labels).p for is_a in splits]


def _contrasts(joined: Joined) -> np.ndarray:
    """The values that the tests over units compare: one contrast per model, or one per category [models, …]."""
    of_medians = replace(joined, of="median")
    return of_medians.centred_framing_contrasts if joined.contrasts is None else joined.contrasts[:, None]


def _base_values(joined: Joined) -> Relabelled:
    values, _, families = average_by_unit(_contrasts(joined), joined.model_bases, joined.model_families)
    return Relabelled(values, relabellings(len(families), families.count(joined.families[0])))


def _panel_values(joined: Joined) -> np.ndarray:
    """Each model's value in each panel, the mean of its medians over the framing's prompts: [models, panels]."""
    return np.concatenate(
        [joined.medians[:, :, joined.prompts_of(framing)].mean(axis=2) for framing in joined.framings_present], axis=1
    )


def _labels(is_a: np.ndarray) -> list[str]:
    return [NAMES[0] if inside else NAMES[1] for inside in is_a]


def _row(lexicon: str, test: str, unit: Unit, p_values: Iterable[float], alpha: float = ALPHA) -> LabelShuffle:
    p = np.array(list(p_values))
    significant = int((p < alpha).sum()) if test in PUBLISHED else int((p <= alpha + 1e-12).sum())
    return LabelShuffle(lexicon=lexicon, test=test, unit=unit, alpha=alpha, significant=significant, splits=len(p))
