"""Figures 1 and A1 again: the ten reward models on the Big Two nouns and on moral foundations, with every statistic.

Moral foundations come twice: as published, from the columns `Care_Virtue` to `Sanctity_Virtue` in the file's order, and
from all ten columns; virtue and vice are folded into one foundation both times.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import fold_foundations
from birthmark.paper.data import StudyData
from birthmark.records import Effects, PromptMedians
from birthmark.stats.mixed import JointF, fit_mixed_model, joint_f
from birthmark.values.effects import effects
from birthmark.values.joined import Joined, join_tables
from birthmark.values.levels import adjust_across_lexicons

FIRST_COLUMN, LAST_COLUMN = "Care_Virtue", "Sanctity_Virtue"
FACTORS = ("base", "category", "framing")


@dataclass(frozen=True)
class Figures:
    """The effects behind figures 1a and 1b, the medians of A1, and the joint F over all three-way terms of each."""

    figure_1a: Effects
    figure_1b_as_published: Effects
    figure_1b_all_columns: Effects
    figure_a1a: list[PromptMedians]
    figure_a1b: list[PromptMedians]
    three_way_1a: JointF
    three_way_1b_as_published: JointF
    three_way_1b_all_columns: JointF


def figures(study: StudyData, seed: int = 0) -> Figures:
    """Every number of figures 1 and A1; `p_holm` of a headline is over the two lexicons.

    Raises `BirthmarkError` where scores or lexicons are absent or don't match.
    """
    nouns, moral = study.lexicon("dict_big2_nouns"), study.lexicon("dict_MFD_20")
    published = fold_foundations(moral, published_columns(study.lexicon_file("dict_MFD_20")))
    every = fold_foundations(moral)
    joined = join_tables(study.big_two_tables, nouns)
    joined_published, joined_every = (join_tables(study.mfd2_tables, lexicon) for lexicon in (published, every))
    big_two = effects(study.big_two_tables, nouns, seed=seed)
    big_two, as_published = adjust_across_lexicons([big_two, effects(study.mfd2_tables, published, seed=seed)])
    _, all_columns = adjust_across_lexicons([big_two, effects(study.mfd2_tables, every, seed=seed)])
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
    """The columns that the published analysis takes: `Care_Virtue` to `Sanctity_Virtue` in the file's order."""
    columns = dictionary_columns(path)
    for name in (FIRST_COLUMN, LAST_COLUMN):
        if name not in columns:
            raise BirthmarkError(
                f"{path} has no column {name}: the published analysis takes {FIRST_COLUMN} to {LAST_COLUMN}"
            )
    return columns[columns.index(FIRST_COLUMN) : columns.index(LAST_COLUMN) + 1]


def prompt_medians(joined: Joined) -> list[PromptMedians]:
    """Median ranks prompt by prompt, by model, category and framing."""
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
