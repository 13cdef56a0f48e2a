"""The paper's analysis of families: the mixed model over medians, and a panel for each category and framing.

Both take prompts and models that share a base checkpoint for independent, which they are not; they stand beside the
headline (`levels`), not in its place. Statistics come from `birthmark.stats`; here they get their data and their names.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import Framing, MixedModel, Panel, Term
from birthmark.stats.mixed import fit_mixed_model
from birthmark.stats.panels import adjust, compare_groups
from birthmark.stats.permutation import exact_permutation, max_t
from birthmark.values.joined import Joined


def mixed_model(joined: Joined, method: Literal["REML", "ML"]) -> tuple[MixedModel | None, str | None]:
    """Median rank ~ family × category × framing with a random intercept for model, or why it cannot be estimated.

    One observation a model × category × prompt. A factor with a single level (one category, one framing) leaves the
    formula; with one family, or no more models than families, there is no model to fit.
    """
    if len(joined.families) < 2:
        return None, "there is one family only"
    if not joined.framings_present:
        return None, "no prompt has a framing, positive or negative"
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
        return None, str(error)
    return MixedModel(
        formula=f"median_rank ~ {' * '.join(factors)} + (1 | model)",
        method=method,
        n_obs=fit.n_obs,
        terms=[
            Term(term=term.name, estimate=term.estimate, se=term.se, df=term.df, t=term.t, p=term.p)
            for term in fit.terms
        ],
        sd_model=fit.sd_model,
        sd_residual=fit.sd_residual,
        loglik=fit.loglik,
    ), None


def panels(joined: Joined, seed: int) -> tuple[list[Panel], str | None]:
    """A comparison of each pair of families in each category and framing (b − a), or why there is none.

    Welch's test and Cohen's d are over model × prompt medians, as published; Bonferroni and Holm over all panels of the
    lexicon. `model_exact_p` and `p_max_t` are over models, whose value is the mean of their medians over the framing's
    prompts; `p_max_t` takes the largest |t| over the panels of the same pair of families.
    """
    if len(joined.families) < 2:
        return [], "there is one family only"
    if not joined.framings_present:
        return [], "no prompt has a framing, positive or negative"
    found = [
        panel
        for family_a, family_b in combinations(joined.families, 2)
        for panel in _pair(joined, family_a, family_b, seed)
    ]
    p_values = [panel.welch_p for panel in found]
    adjusted = zip(found, adjust(p_values, "bonferroni"), adjust(p_values, "holm"), strict=True)
    return [
        panel.model_copy(update={"p_bonferroni": bonferroni, "p_holm": holm}) for panel, bonferroni, holm in adjusted
    ], None


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
            Panel(
                category=joined.categories[row],
                framing=framing,
                family_a=family_a,
                family_b=family_b,
                difference=difference.difference,
                cohens_d=difference.cohens_d,
                cohens_d_unweighted=difference.cohens_d_unweighted,
                welch_t=difference.welch_t,
                welch_df=difference.welch_df,
                welch_p=difference.welch_p,
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
