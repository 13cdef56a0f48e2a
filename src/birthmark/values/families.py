"""What models differ by as they are run, the study's analysis of families, and crossed random effects.

With models fixed, words are the sample: the one comparison that two models allow. The study's mixed model and panels
take prompts and models that share a base checkpoint for independent; they stand beside the test over units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import AdjectiveEffect, Crossed, Framing, MixedModel, ModelsFixed, NotApplicable, Panel
from birthmark.stats.mixed import fit_mixed_model
from birthmark.stats.permutation import exact_permutation, max_t
from birthmark.stats.unit_tests import adjust, compare_groups
from birthmark.stats.variance import CrossedVariance, crossed_variance
from birthmark.stats.words import compare_words, word_contrasts
from birthmark.values.joined import Joined
from birthmark.values.ranks import category_means, category_medians, contrast, framing_means, membership, stems


def models_fixed(joined: Joined, seed: int) -> ModelsFixed | NotApplicable:
    """The difference of mean-rank contrasts between two families' models (b − a), or why there is none.

    Per word: its rank in b's models less that in a's, positive less negative prompts, each a mean. The estimate is the
    first category's mean of these less the second's: b's mean of `mean_rank_contrast` less a's. The interval and `p_words`
    are of one test, which permutes whole word stems between the categories and compares studentized differences: see
    `compare_words`. `p_words` is below .05 exactly where the interval leaves out 0.
    """
    why = why_no_difference(joined)
    if why is not None:
        return NotApplicable(why)
    at, categories = joined.places
    values = word_contrasts(joined.place_values[:, :, joined.framed], joined.model_families, joined.framed_labels)
    try:
        found = compare_words(values, categories, stems(joined.words[word] for word in at), seed=seed)
    except BirthmarkError as error:
        return NotApplicable(str(error))
    return ModelsFixed.build(
        found,
        without=("p", "n_stems"),
        p_words=found.p,
        n_stems=dict(zip(joined.categories, found.n_stems, strict=True)),
        by_adjective=by_adjective(joined),
    )


def by_adjective(joined: Joined) -> list[AdjectiveEffect]:
    """The difference (b − a) of first − second category's mean rank over each adjective's prompts, in the prompts' order."""
    a, b = (joined.means[joined.models_of(family)].mean(axis=0) for family in joined.families)
    by_prompt = (b - a)[0] - (b - a)[1]  # [prompts]
    found = []
    for adjective in dict.fromkeys(joined.adjectives):
        at = np.flatnonzero([given == adjective for given in joined.adjectives])
        framing = joined.framings[at[0]]
        if adjective is None or framing is None:
            continue
        found.append(AdjectiveEffect(adjective=adjective, framing=framing, estimate=float(by_prompt[at].mean())))
    return found


def why_no_difference(joined: Joined) -> str | None:
    """Why there is no one difference of contrasts between two families; None where there is."""
    if joined.no_contrast_why is not None:
        return joined.no_contrast_why
    if len(joined.families) != 2:
        return f"a difference is between two families, and the tables are of {len(joined.families)}"
    return None


def mixed_model(joined: Joined, method: Literal["REML", "ML"]) -> MixedModel | NotApplicable:
    """Median rank ~ family × category × framing with a random intercept for model, or why it cannot be estimated.

    One observation a model × category × prompt. A factor with a single level (one category, one framing) leaves the
    formula; with one family, or no more models than families, there is no model to fit.
    """
    if len(joined.families) < 2:
        return NotApplicable("there is one family only")
    if not joined.framings_present:
        return NotApplicable("no prompt has a framing, positive or negative")
    medians = joined.medians[:, :, joined.framed]
    at_model, at_category, at_prompt = (index.ravel() for index in np.indices(medians.shape))
    labels: dict[str, list[str]] = {
        "family": [joined.model_families[at] for at in at_model],
        "category": [joined.categories[at] for at in at_category],
        "framing": [joined.framed_labels[at] for at in at_prompt],
    }
    levels: dict[str, Sequence[str]] = {
        "family": joined.families,
        "category": joined.categories,
        "framing": joined.framings_present,
    }
    factors = {name: values for name, values in labels.items() if len(levels[name]) > 1}
    try:
        fit = fit_mixed_model(
            medians.ravel(), factors, [joined.models[at] for at in at_model], ["family"], method, levels
        )
    except BirthmarkError as error:
        return NotApplicable(str(error))
    formula = f"median_rank ~ {' * '.join(factors)} + (1 | model)"
    return MixedModel.build(fit, without=("n_groups", "factors", "covariance"), formula=formula)


def panels(joined: Joined, seed: int) -> list[Panel] | NotApplicable:
    """A comparison of each pair of families in each category and framing (b − a), or why there is none.

    Welch's test and Cohen's d are over model × prompt medians, as published; Bonferroni and Holm over all panels of the
    lexicon. `model_exact_p` and `p_max_t` are over models, whose value is the mean of their medians over the framing's
    prompts; `p_max_t` takes the largest |t| over the panels of the same pair of families.
    """
    if len(joined.families) < 2:
        return NotApplicable("there is one family only")
    if not joined.framings_present:
        return NotApplicable("no prompt has a framing, positive or negative")
    found = [
        panel
        for family_a, family_b in combinations(joined.families, 2)
        for panel in _pair(joined, family_a, family_b, seed)
    ]
    p_values = [panel.welch_p for panel in found]
    adjusted = zip(found, adjust(p_values, "bonferroni"), adjust(p_values, "holm"), strict=True)
    return [
        panel.model_copy(update={"p_bonferroni": bonferroni, "p_holm": holm}) for panel, bonferroni, holm in adjusted
    ]


def _pair(joined: Joined, family_a: str, family_b: str, seed: int) -> list[Panel]:
    a, b = joined.models_of(family_a), joined.models_of(family_b)
    models = np.concatenate([a, b])
    is_b = np.arange(len(models)) >= len(a)
    places: list[tuple[int, Framing]] = [
        (row, framing) for row in range(len(joined.categories)) for framing in joined.framings_present
    ]
    values = np.stack(
        [joined.medians[models, row][:, joined.prompts_of(framing)].mean(axis=1) for row, framing in places],
        axis=1,
    )  # [models, panels]
    joint = max_t(values, is_b, seed=seed)
    found = []
    for at, (row, framing) in enumerate(places):
        medians = joined.medians[:, row, joined.prompts_of(framing)]
        difference = compare_groups(medians[a].ravel(), medians[b].ravel())
        exact = exact_permutation(values[:, at], is_b, "difference", seed=seed)
        found.append(
            Panel.build(
                difference,
                category=joined.categories[row],
                framing=framing,
                family_a=family_a,
                family_b=family_b,
                p_bonferroni=None,
                model_exact_p=exact.p,
                model_exact_splits=exact.n_splits,
                p_max_t=float(joint.p_adjusted[at]),
                why=_panel_why(difference.welch_t, medians[a].size, medians[b].size),
            )
        )
    return found


def _panel_why(welch_t: float | None, n_a: int, n_b: int) -> str | None:
    if welch_t is not None:
        return None
    return "a family has a single median" if min(n_a, n_b) < 2 else "the medians do not vary"


def crossed(joined: Joined) -> Crossed | NotApplicable:
    """The difference (b − a) of mean-rank contrasts with its crossed standard error, or why there is none.

    `clustered_by_stem`, `…_adjective`, `…_base`: standard error, df, p and interval of the same estimate where word
    stems, the prompts' adjectives or base checkpoints are what was drawn; null where a group has fewer than two.
    """
    why = why_no_difference(joined)
    if why is not None:
        return NotApplicable(why)
    at, categories = joined.places
    ranks = joined.ranks[:, at][:, :, joined.framed]  # [models, places, framed prompts]

    layout = (ranks, joined.model_families, categories, joined.framed_labels)
    try:
        single = crossed_variance(*layout)
    except BirthmarkError as error:
        return NotApplicable(str(error))
    of_word = stems(joined.words[word] for word in at)
    adjectives = [joined.adjectives[prompt] or "" for prompt in joined.framed]
    return Crossed.build(
        single,
        clustered_by_stem=_clustered(lambda: crossed_variance(*layout, word_clusters=of_word)),
        clustered_by_adjective=_clustered(lambda: crossed_variance(*layout, prompt_clusters=adjectives)),
        clustered_by_base=_clustered(lambda: crossed_variance(*layout, model_clusters=joined.model_bases)),
    )


def _clustered(variance: Callable[[], CrossedVariance]) -> dict[str, float] | None:
    try:
        found = variance()
    except BirthmarkError:
        return None
    names = ("se", "df", "t", "p", "ci_low", "ci_high")
    return {name: getattr(found, name) for name in names}


DRAWS = 999


@dataclass(frozen=True)
class Leaning:
    """One model's contrast in ranks, and the mean over a framing's prompts of each category's median rank.

    `contrast` (of median ranks), its 95% interval over words and `mean_rank_contrast` are None unless there are two
    categories and prompts of both framings; the interval also where a category has one stem only.
    """

    contrast: float | None
    ci_low: float | None
    ci_high: float | None
    mean_rank_contrast: float | None
    medians: Mapping[tuple[str, Framing], float]


def leaning(
    ranks: np.ndarray, categories: Mapping[str, tuple[str, ...]], framings: Sequence[Framing | None], seed: int = 0
) -> Leaning:
    """The leaning of a model with these ranks, float [words, prompts], 1 is best.

    `categories`: word → its categories, in the order of the rows; `framings`: of each prompt. The interval is the
    percentile bootstrap of word stems within categories, with prompts and ranks fixed: Efron and Tibshirani (1993).
    """
    names = sorted({name for of_word in categories.values() for name in of_word})
    member = membership(categories, names)
    medians = category_medians(ranks, member)
    present: list[Framing] = [framing for framing in ("positive", "negative") if framing in framings]
    cells = {
        (name, framing): float(framing_means(medians, framings, framing)[row])
        for framing in present
        for row, name in enumerate(names)
    }
    if len(names) != 2 or len(present) != 2:
        return Leaning(None, None, None, None, cells)
    low, high = _interval(ranks, member, framings, stems(categories), seed)
    return Leaning(
        contrast=float(contrast(medians, framings)),
        ci_low=low,
        ci_high=high,
        mean_rank_contrast=float(contrast(category_means(ranks, member), framings)),
        medians=cells,
    )


def _interval(
    ranks: np.ndarray, member: np.ndarray, framings: Sequence[Framing | None], of_word: Sequence[str], seed: int
) -> tuple[float | None, float | None]:
    clusters = np.asarray(of_word, dtype=str)
    drawn = [
        _drawn_medians(ranks[row], clusters[row], np.random.default_rng([seed, at])) for at, row in enumerate(member)
    ]
    if any(medians is None for medians in drawn):
        return None, None
    values = contrast(np.stack([medians for medians in drawn if medians is not None], axis=-2), framings)  # [draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _drawn_medians(ranks: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Medians [draws, prompts] of one category's ranks [words, prompts] over redrawn clusters; None for a single one."""
    _, code = np.unique(clusters, return_inverse=True)
    n = int(code.max()) + 1
    if n < 2:
        return None
    counts = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, code]  # [draws, words]
    return np.stack([np.median(np.repeat(ranks, times, axis=0), axis=0) for times in counts])
