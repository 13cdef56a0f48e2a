"""How well a score brings known words to the top: AUROC, precision at k, reciprocal rank, exact where scores tie.

Ties stand in random order, and each number is its mean over those orders. Knows nothing of what was planted or where.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from birthmark.errors import BirthmarkError


@dataclass(frozen=True)
class Recovery:
    """`auroc` .5 is chance and 1 perfect; `precision_at_k` and `mrr` lie between 0 and 1, and are near 0 by chance."""

    auroc: float
    precision_at_k: float
    mrr: float


def recovery(scores: np.ndarray, wanted: np.ndarray) -> Recovery:
    """How the wanted candidates stand among all by a score, higher being better.

    `scores` [candidates], `wanted` bool [candidates]; k is the number of wanted ones.

    - AUROC: the probability that a wanted candidate scores above another, ties counting half (Hanley & McNeil 1982).
    - Precision at k: the share of wanted ones among the k best.
    - Reciprocal rank: 1 ÷ the rank of the best wanted candidate; its mean over questions is MRR (Voorhees 1999).

    For tied scores the last two are expectations over their random order (McSherry & Najork 2008). Raises
    `BirthmarkError` for a score that is NaN, and where none or all of the candidates are wanted.
    """
    scores, wanted = np.asarray(scores, dtype=np.float64), np.asarray(wanted, dtype=bool)
    k, n = int(wanted.sum()), len(scores)
    if not 0 < k < n:
        raise BirthmarkError(f"{k} of {n} candidates are to be found: there must be some, and others beside them")
    if np.isnan(scores).any():
        raise BirthmarkError("a candidate's score is not a number, so candidates cannot be ranked")
    found = scores[wanted]
    above = np.array([(scores > score).sum() for score in found])  # [k], of all candidates
    tied = np.array([(scores == score).sum() for score in found])  # [k], itself included
    wanted_above = (found[None, :] > found[:, None]).sum(axis=1)
    wanted_tied = (found[None, :] == found[:, None]).sum(axis=1)
    others_above = (above - wanted_above) + 0.5 * (tied - wanted_tied)
    first = int(found.argmax())
    return Recovery(
        auroc=float(1 - others_above.mean() / (n - k)),
        precision_at_k=float(np.clip((k - above) / tied, 0, 1).mean()),
        mrr=_expected_reciprocal_rank(int(above[first]), int(tied[first]), int(wanted_tied[first])),
    )


def _expected_reciprocal_rank(above: int, tied: int, wanted: int) -> float:
    """E[1 ÷ (above + J)], J the place of the first of `wanted` among `tied` in random order.

    P(J = j) = C(tied − j, wanted − 1) ÷ C(tied, wanted).
    """
    places = np.arange(1, tied - wanted + 2)
    log_p = _log_choose(tied - places, wanted - 1) - _log_choose(np.array(tied), wanted)
    return float((np.exp(log_p) / (above + places)).sum())


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
