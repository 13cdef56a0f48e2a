"""Which words carry a difference between two families: each word's mean rank in the one less that in the other.

For looking at, not for testing: there are hundreds of words, and their intervals are not adjusted for that.
"""

import numpy as np

from birthmark.records import Framing, WordEffect
from birthmark.stats.headline import average_by_unit
from birthmark.stats.intervals import column_differences
from birthmark.values.joined import Joined
from birthmark.values.ranks import framing_contrast, framing_means


def word_effects(joined: Joined) -> tuple[list[WordEffect], str | None]:
    """Every ranked word's difference (b − a) over base checkpoints, largest contrast first, or why there is none.

    Models that share a base checkpoint are averaged first. The contrast is positive less negative prompts; with prompts
    of one framing it is null, and words are in the order of that framing's difference.
    """
    if len(joined.families) != 2:
        return [], f"a difference is between two families, and the tables are of {len(joined.families)}"
    if not joined.framings_present:
        return [], "no prompt has a framing, positive or negative"
    ranks, _, families = average_by_unit(joined.ranks, joined.model_bases, joined.model_families)
    is_b = np.array(families) == joined.families[1]
    by_framing = {framing: _difference(ranks, joined, framing, is_b) for framing in joined.framings_present}
    nothing = np.full(len(joined.words), np.nan)
    contrast = low = high = nothing
    if joined.is_contrastable:
        found = column_differences(framing_contrast(ranks, joined.framings), is_b)
        contrast, low, high = found.difference, found.ci_low, found.ci_high
    leading = contrast if joined.is_contrastable else next(iter(by_framing.values()))
    return [
        WordEffect(
            word=joined.words[at],
            categories=[joined.categories[row] for row in np.flatnonzero(joined.member[:, at])],
            positive=_known(by_framing.get("positive", nothing)[at]),
            negative=_known(by_framing.get("negative", nothing)[at]),
            contrast=_known(contrast[at]),
            ci_low=_known(low[at]),
            ci_high=_known(high[at]),
        )
        for at in np.argsort(-np.abs(leading), kind="stable")
    ], None


def _difference(ranks: np.ndarray, joined: Joined, framing: Framing, is_b: np.ndarray) -> np.ndarray:
    return column_differences(framing_means(ranks, joined.framings, framing), is_b).difference


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
