"""Families tested over units: base checkpoints (the headline) and, second to it, models.

A unit's contrast is the mean of its models' contrasts. The tests themselves are `birthmark.stats.headline`'s; what is
decided here is which numbers go in, and in which words the answer is given.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import CategoryTest, Clustering, Effects, LevelTest, Unit
from birthmark.stats.clustering import effective_number, nested_variance
from birthmark.stats.headline import average_by_unit, level_test
from birthmark.stats.panels import adjust
from birthmark.stats.permutation import max_t, permutation_f
from birthmark.values.fixed import why_no_difference
from birthmark.values.joined import Joined
from birthmark.values.sentences import level_sentence

MEDIAN_CONTRAST = "(first − second category, positive − negative prompts) of mean-over-prompt median ranks"
CENTRED_CONTRAST = "(positive − negative prompts) of mean-over-prompt median ranks a category, centred over categories"


class Units(NamedTuple):
    """Units' values by family then name: one contrast each [units], or one a category [units, categories]."""

    values: np.ndarray
    names: list[str]
    families: list[str]


def units_of(joined: Joined, values: np.ndarray, unit: Unit) -> Units:
    """Models' values [models, …] averaged over those that share a unit."""
    of_models = joined.model_bases if unit == "base_checkpoint" else joined.models
    return Units(*average_by_unit(values, of_models, joined.model_families))


def family_difference(joined: Joined) -> float:
    """Difference (b − a) of the mean contrast of median ranks over base checkpoints, in ranks.

    Raises `BirthmarkError` where there are not two families, two categories and both framings.
    """
    why = why_no_difference(joined)
    if why is not None or joined.contrasts is None:
        raise BirthmarkError(why or "there is no contrast")
    units = units_of(joined, joined.contrasts, "base_checkpoint")
    is_b = np.array(units.families) == joined.families[1]
    return float(units.values[is_b].mean() - units.values[~is_b].mean())


def families_over(joined: Joined, unit: Unit, seed: int) -> tuple[LevelTest | None, str | None]:
    """The test of families over units of one kind, or why there is none.

    Two categories: the contrast of median ranks; two families give its difference b − a with Welch's interval. More
    categories: the largest |t| over framing contrasts centred over categories, without one estimate.
    """
    why = _why_not(joined, unit)
    if why is not None:
        return None, why
    two_categories = joined.contrasts is not None
    values = joined.contrasts if joined.contrasts is not None else joined.centred_framing_contrasts
    units = units_of(joined, values, unit)
    result = level_test(units.values, units.families, seed=seed)
    test = LevelTest(
        unit=unit,
        statistic=result.statistic,
        contrast=MEDIAN_CONTRAST if two_categories else CENTRED_CONTRAST,
        n_units=result.n_units,
        estimate=result.estimate,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        p_exact=result.p_exact,
        count=result.count,
        n_splits=result.n_splits,
        min_p=result.min_p,
        p_exact_difference=result.p_exact_difference,
        sentence="",
    )
    said = level_sentence(test, joined.categories, len(joined.words), joined.groups)
    return test.model_copy(update={"sentence": said + (_worth(joined) if unit == "model" else "")}), None


def _worth(joined: Joined) -> str:
    """What the clustering by base checkpoint leaves of the number of models."""
    found, _ = clustering(joined)
    if found is None or found.icc is None or found.n_effective is None:
        return ""
    icc = f"{found.icc:.2f}".removeprefix("0")
    return (
        f" Their intraclass correlation by base checkpoint is {icc}: these {len(joined.models)} models tell about as much as "
        f"{found.n_effective:.1f} independent ones would."
    )


def per_category(joined: Joined, seed: int) -> list[CategoryTest]:
    """A row a category and unit: difference (b − a) of the centred framing contrast, its p alone and by max-|t|.

    Without two families the difference is null, without a test over these units the p values are.
    """
    if not joined.is_contrastable or len(joined.categories) < 2:
        return []
    rows = []
    kinds: tuple[Unit, ...] = ("base_checkpoint", "model")
    for unit in kinds:
        units = units_of(joined, joined.centred_framing_contrasts, unit)
        tested = None if _why_not(joined, unit) else max_t(units.values, units.families, seed=seed)
        means = [units.values[np.array(units.families) == family].mean(axis=0) for family in joined.families]
        for at, category in enumerate(joined.categories):
            rows.append(
                CategoryTest(
                    category=category,
                    unit=unit,
                    difference=float(means[1][at] - means[0][at]) if len(means) == 2 else None,
                    p=float(tested.p[at]) if tested else None,
                    p_max_t=float(tested.p_adjusted[at]) if tested else None,
                )
            )
    return rows


def p_permutation_f(joined: Joined, seed: int) -> tuple[float | None, str | None]:
    """Permutation F of families over base checkpoints, all categories' centred framing contrasts at once."""
    why = _why_not(joined, "base_checkpoint")
    if why is not None:
        return None, why
    units = units_of(joined, joined.centred_framing_contrasts, "base_checkpoint")
    return permutation_f(units.values, units.families, seed=seed).p, None


def clustering(joined: Joined) -> tuple[Clustering | None, str | None]:
    """How much models that share a base checkpoint resemble each other in `contrast`: base nested in family."""
    if joined.contrasts is None:
        return None, joined.no_contrast_why
    nested = nested_variance(joined.contrasts, joined.model_bases, joined.model_families)
    if nested.sd_rm is None:
        return None, "no base checkpoint has two models"
    why = None if nested.f is not None else "no family has two base checkpoints, or no contrast varies"
    worth = None if nested.icc is None else effective_number(joined.model_bases, joined.model_families, nested.icc)
    return Clustering(
        sd_base=nested.sd_base, sd_rm=nested.sd_rm, icc=nested.icc, f=nested.f, p=nested.p, n_effective=worth
    ), why


def _why_not(joined: Joined, unit: Unit) -> str | None:
    if len(joined.families) < 2:
        return "there is one family only, and nothing to compare it with"
    if not joined.is_contrastable:
        return joined.no_contrast_why
    if len(joined.categories) < 2:
        return "the lexicon has one category only, and a contrast is between categories"
    names = joined.model_bases if unit == "base_checkpoint" else joined.models
    if len(set(names)) == len(joined.families):
        what = "base checkpoint" if unit == "base_checkpoint" else "model"
        return f"with one {what} a family nothing can be concluded about families"
    return None


def adjust_across_lexicons(records: Sequence[Effects]) -> list[Effects]:
    """The same records with `p_holm` of their headlines: Holm over the lexicons that have one, of one kind of score."""
    adjusted = list(records)
    for kind in {record.kind for record in records}:
        tests = [(at, record.headline) for at, record in enumerate(records) if record.kind == kind and record.headline]
        for (at, test), p_holm in zip(tests, adjust([test.p_exact for _, test in tests], "holm"), strict=True):
            headline = test.model_copy(update={"p_holm": p_holm})
            adjusted[at] = records[at].model_copy(update={"headline": headline})
    return adjusted
