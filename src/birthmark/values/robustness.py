"""What a difference between two families owes to one unit, one wording or half of the words, and what its absence says.

Descriptive, never for selecting. `birthmark.stats.sensitivity` leaves out and correlates; here it is told what.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from birthmark.errors import BirthmarkError
from birthmark.records import Equivalence, LevelTest, Sensitivity, Without
from birthmark.stats.intervals import equivalence_bound
from birthmark.stats.panels import compare_groups
from birthmark.stats.sensitivity import half_of_each, leave_one_out, prompt_icc, split_half
from birthmark.values.fixed import why_no_difference
from birthmark.values.joined import Joined
from birthmark.values.levels import family_difference, units_of
from birthmark.values.ranks import framing_contrast
from birthmark.values.sentences import equivalence_sentence


def sensitivity(joined: Joined, headline: LevelTest | None, seed: int) -> tuple[Sensitivity | None, str | None]:
    """The families' difference of contrasts of median ranks without each of its parts, or why there is none."""
    why = why_no_difference(joined)
    if why is not None:
        return None, why
    at, categories = joined.places
    halves = split_half(framing_contrast(joined.ranks, joined.framings)[:, at], categories, seed=seed)
    icc = prompt_icc(_signed_by_framing(joined))
    adjectives = [adjective or "" for adjective in joined.adjectives]
    return Sensitivity(
        estimate=family_difference(joined),
        without_base_checkpoint=_without(
            joined.model_bases, lambda kept: family_difference(joined.subset(models=kept))
        ),
        without_model=_without(joined.models, lambda kept: family_difference(joined.subset(models=kept))),
        without_adjective=_without(adjectives, lambda kept: family_difference(joined.subset(prompts=kept)))
        if all(joined.adjectives)
        else [],
        half_lexicons=_halves(joined, seed),
        split_half=halves.half,
        spearman_brown=halves.spearman_brown,
        icc_prompt=icc.single,
        icc_prompts=icc.average,
        equivalence=_equivalence(joined, headline),
    ), None


def _without(labels: Sequence[str], estimate: Callable[[np.ndarray], float]) -> list[Without]:
    return [
        Without(left_out=found.left_out, estimate=found.estimate, why=found.why)
        for found in leave_one_out(labels, estimate)
    ]


def _halves(joined: Joined, seed: int) -> list[Without]:
    """The difference by either half of the words, split within categories."""
    of_word = [" + ".join(np.array(joined.categories)[inside]) for inside in joined.member.T]
    half = half_of_each(of_word, np.random.default_rng(seed))
    found = []
    for name, kept in (("second half", half), ("first half", ~half)):
        try:
            found.append(Without(left_out=name, estimate=family_difference(joined.subset(words=kept))))
        except BirthmarkError as error:
            found.append(Without(left_out=name, estimate=None, why=str(error)))
    return found


def _signed_by_framing(joined: Joined) -> np.ndarray:
    """First − second category of mean ranks, turned round after negative prompts: [models, framed prompts]."""
    leaning = joined.means[:, 0] - joined.means[:, 1]
    return leaning[:, joined.framed] * np.where([framing == "positive" for framing in joined.framed_labels], 1, -1)


def _equivalence(joined: Joined, headline: LevelTest | None) -> Equivalence | None:
    """What a headline that found nothing rules out; None where it found something or has no interval."""
    if headline is None or headline.estimate is None or headline.ci_low is None or headline.ci_high is None:
        return None
    if headline.p_exact is not None and headline.p_exact <= 0.05:
        return None
    units = units_of(joined, joined.contrasts, "base_checkpoint") if joined.contrasts is not None else None
    if units is None:
        return None
    is_b = np.array(units.families) == joined.families[1]
    df = compare_groups(units.values[~is_b], units.values[is_b]).welch_df
    if df is None:
        return None
    se = (headline.ci_high - headline.ci_low) / 2 / float(stats.t.ppf(0.975, df))
    margin = equivalence_bound(headline.estimate, se, df)
    return Equivalence(margin=margin, basis="base_checkpoint", sentence=equivalence_sentence(margin))
