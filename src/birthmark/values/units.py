"""Families tested over units (base checkpoints first, models second), over matched teams, and what such a test can find.

A unit's contrast is the mean of its models' contrasts. A team that built reward models on both families is a block:
labels are exchanged within teams only.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import find_entry, load_catalog
from birthmark.records import (
    Blocks,
    CategoryTest,
    Clustering,
    Effects,
    LevelTest,
    ModelsFixed,
    NotApplicable,
    Pair,
    Power,
    Unit,
    known,
)
from birthmark.stats import power
from birthmark.stats.permutation import exact_permutation, max_t, permutation_f
from birthmark.stats.unit_tests import adjust, average_by_unit, family_test
from birthmark.stats.variance import effective_number, nested_variance
from birthmark.values.families import why_no_difference
from birthmark.values.joined import Joined
from birthmark.values.planning import SD_BASE, SD_RM
from birthmark.values.wording_families import blocks_sentence, level_sentence, worth_sentence
from birthmark.values.wording_power import detectable_over_units, detectable_over_words

CONTRAST = "(first − second category, positive − negative prompts) of mean-over-prompt {} ranks"
CENTRED_CONTRAST = "(positive − negative prompts) of mean-over-prompt {} ranks a category, centred over categories"


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
    """Difference (b − a) of the mean contrast over base checkpoints, in ranks: of mean or of median ranks, see `Joined.of`.

    Raises `BirthmarkError` where there are not two families, two categories and both framings.
    """
    why = why_no_difference(joined)
    if why is not None or joined.leading_contrasts is None:
        raise BirthmarkError(why or "there is no contrast")
    units = units_of(joined, joined.leading_contrasts, "base_checkpoint")
    is_b = np.array(units.families) == joined.families[1]
    return float(units.values[is_b].mean() - units.values[~is_b].mean())


def families_over(joined: Joined, unit: Unit, seed: int) -> LevelTest | NotApplicable:
    """The test of families over units of one kind, or why there is none.

    Two categories: the contrast of mean or of median ranks (see `Joined.of`); two families give its difference b − a with Welch's interval. More
    categories: the largest |t| over framing contrasts centred over categories, without one estimate.
    """
    why = _why_not(joined, unit)
    if why is not None:
        return NotApplicable(why)
    two_categories = joined.leading_contrasts is not None
    values = joined.centred_framing_contrasts if joined.leading_contrasts is None else joined.leading_contrasts
    units = units_of(joined, values, unit)
    result = family_test(units.values, units.families, seed=seed)
    what = (CONTRAST if two_categories else CENTRED_CONTRAST).format(joined.of)
    test = LevelTest.build(result, unit=unit, contrast=what, sentence="")
    said = level_sentence(test, joined.categories, len(joined.words))
    worth = worth_sentence(known(clustering(joined)), len(joined.models)) if unit == "model" else ""
    return test.model_copy(update={"sentence": said + worth})


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


def p_permutation_f(joined: Joined, seed: int) -> float | NotApplicable:
    """Permutation F of families over base checkpoints, all categories' centred framing contrasts at once."""
    why = _why_not(joined, "base_checkpoint")
    if why is not None:
        return NotApplicable(why)
    units = units_of(joined, joined.centred_framing_contrasts, "base_checkpoint")
    return permutation_f(units.values, units.families, seed=seed).p


def clustering(joined: Joined) -> Clustering | NotApplicable:
    """How much models that share a base checkpoint resemble each other in `contrast`: base nested in family."""
    if joined.contrasts is None:
        return NotApplicable(joined.no_contrast_why or "there is no contrast")
    nested = nested_variance(joined.contrasts, joined.model_bases, joined.model_families)
    if nested.sd_rm is None:
        return NotApplicable("no base checkpoint has two models")
    worth = None if nested.icc is None else effective_number(joined.model_bases, joined.model_families, nested.icc)
    return Clustering.build(nested, without=("df_base", "df_rm"), n_effective=worth)


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
        return f"with one {what} per family, nothing can be concluded about families"
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


def matched_teams(joined: Joined, seed: int, teams: Mapping[str, str] | None = None) -> Blocks | NotApplicable:
    """The test within teams and its pairs, or why there is none. `teams` maps models to what the catalog does not say.

    Statistic: the difference in means (b − a) of the headline's contrast over the models of teams that have both families; labels are
    exchanged within teams, in all ways. A pair are two models of a team and of different families, unless the catalog says
    that they were trained on different data.
    """
    why = why_no_difference(joined)
    if why is not None or joined.leading_contrasts is None:
        return NotApplicable(why or "there is no contrast")
    catalog = load_catalog()
    entries = [find_entry(catalog, model) for model in joined.models]
    given = teams or {}
    team_of = [
        given.get(model) or (entry.team if entry else None) for model, entry in zip(joined.models, entries, strict=True)
    ]
    in_team = {
        team: [at for at, other in enumerate(team_of) if other == team] for team in sorted({t for t in team_of if t})
    }
    both = {team: at for team, at in in_team.items() if len({joined.model_families[model] for model in at}) == 2}
    if not both:
        return NotApplicable("no team is known to have built on both families")
    models = np.array([model for at in both.values() for model in at])
    is_b = np.array([joined.model_families[model] == joined.families[1] for model in models])
    test = exact_permutation(
        joined.leading_contrasts[models], is_b, "difference", [team_of[model] or "" for model in models], seed
    )
    data = [entry.data if entry else None for entry in entries]
    found = Blocks(
        teams=list(both),
        n_models={family: int((is_b == (family == joined.families[1])).sum()) for family in joined.families},
        statistic="difference",
        estimate=test.observed,
        p_exact=test.p,
        count=test.count,
        n_splits=test.n_splits,
        min_p=test.min_p,
        pairs=[pair for team, at in both.items() for pair in _pairs(joined, team, at, data)],
        sentence="",
    )
    return found.model_copy(update={"sentence": blocks_sentence(found, joined.categories)})


def _pairs(joined: Joined, team: str, models: list[int], data: list[str | None]) -> list[Pair]:
    contrasts, whole = joined.leading_contrasts, family_difference(joined)
    if contrasts is None:
        return []
    found = []
    for one, other in combinations(sorted(models, key=lambda at: (joined.model_families[at], joined.models[at])), 2):
        unlike_data = data[one] is not None and data[other] is not None and data[one] != data[other]
        if joined.model_families[one] == joined.model_families[other] or unlike_data:
            continue
        difference = float(contrasts[other] - contrasts[one])
        found.append(
            Pair(
                team=team,
                data=data[one] if data[one] == data[other] else None,
                model_a=joined.models[one],
                model_b=joined.models[other],
                family_a=joined.model_families[one],
                family_b=joined.model_families[other],
                difference=difference,
                agrees=bool(np.sign(difference) == np.sign(whole)),
            )
        )
    return found


ALPHA = 0.05
ENOUGH_DF = 3  # with fewer degrees of freedom within families the published SDs are taken
PUBLISHED_WORDS = 263


def detectable(
    joined: Joined, headline: LevelTest | NotApplicable, fixed: ModelsFixed | NotApplicable
) -> Power | NotApplicable:
    """The difference that is detected with 80% power, or why there is none.

    The SD of a unit is pooled within families over this study's base checkpoints where that leaves three degrees of
    freedom, else the published study's for as many RMs a base checkpoint, in proportion to the number of words. Where .05
    is out of reach, alpha is the smallest p. Several categories: the difference in one of them that max-|t| finds.
    """
    if isinstance(headline, NotApplicable):
        return headline if isinstance(fixed, NotApplicable) else _over_words(fixed, len(joined.models), headline.why)
    if len(headline.n_units) != 2:
        return NotApplicable(f"power is computed for two families, and there are {len(headline.n_units)}")
    return _over_units(joined, headline)


def _over_units(joined: Joined, headline: LevelTest) -> Power | NotApplicable:
    n_a, n_b = headline.n_units.values()
    n_splits, min_p = power.splits(n_a, n_b)
    alpha = max(ALPHA, min_p)
    several = joined.leading_contrasts is None
    sd, source = _sd(joined)
    in_sds = (
        power.detectable_max_t(n_a, n_b, len(joined.categories), alpha)
        if several
        else power.detectable_exact(n_a, n_b, alpha)
    )
    if sd == 0:
        return NotApplicable("the units do not vary")
    if in_sds is None:
        return NotApplicable("no difference of any size can be found with these units")
    found = in_sds * sd
    said = detectable_over_units((n_a, n_b), n_splits, min_p, found, sd, source, several=several)
    return Power(
        unit="base_checkpoint",
        alpha=alpha,
        wanted=power.TARGET_POWER,
        detectable=found,
        sd=sd,
        sd_source=source,
        sentence=said,
    )


def _sd(joined: Joined) -> tuple[float, str]:
    """SD of a unit's value within its family, and whose it is."""
    leading = joined.leading_contrasts
    values = joined.centred_framing_contrasts if leading is None else leading[:, None]
    units = units_of(joined, values, "base_checkpoint")
    families = np.array(units.families)
    df = len(families) - len(joined.families)
    squares = sum(
        float(((part - part.mean(axis=0)) ** 2).sum())
        for family in joined.families
        for part in [units.values[families == family]]
    )
    if df >= ENOUGH_DF:
        return float(np.sqrt(squares / df / values.shape[1])), "as estimated in this study"
    rms_a_base = len(joined.models) / len(families)
    published = float(np.hypot(SD_BASE, SD_RM / np.sqrt(rms_a_base))) * len(joined.words) / PUBLISHED_WORDS
    return published, "as in the published reward models, scaled to the number of words"


def _over_words(fixed: ModelsFixed, n_models: int, why: str) -> Power:
    """Half the interval, which a difference must exceed to be significant, and as many standard errors as 80% power needs."""
    half = (fixed.ci_high - fixed.ci_low) / 2
    se = half / float(scipy.stats.norm.ppf(0.975)) if fixed.se is None else fixed.se
    found = half + float(scipy.stats.norm.ppf(power.TARGET_POWER)) * se
    return Power(
        unit="word",
        alpha=ALPHA,
        wanted=power.TARGET_POWER,
        detectable=found,
        sd=se,
        sd_source="the interval over words",
        sentence=detectable_over_words(found, n_models, why),
    )
