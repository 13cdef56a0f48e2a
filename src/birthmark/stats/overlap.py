"""Rank-biased overlap of two complete rankings with ties: how far their tops agree, deeper places counting ever less.

    RBO = (1 − p) Σ_d p^(d−1) A_d,   A_d = (1/d) Σ_items c1(d) c2(d)

c(d) is the chance that an item is among the first d when ties are broken at random: RBO is then its own mean over
independent tie-breaks of both lists. Both lists rank the same items. Knows nothing of what is ranked.

Source: Webber, Moffat and Zobel (2010), A similarity measure for indefinite rankings, ACM TOIS 28(4); ties: Corsi and
Urbano (2024), The treatment of ties in rank-biased overlap, SIGIR (the variant RBO^a).
"""

from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError

NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class OverlapProfile:
    """Chances of being among the first d: `items` [k] are those that have any, `chance` [k, depths]; `n` items in all."""

    items: np.ndarray
    chance: np.ndarray
    n: int
    p: float


def overlap_profile(ranks: np.ndarray, p: float) -> OverlapProfile:
    """Prepare one ranking. ranks: [n] average ranks, 1 is best; p: persistence, between 0 and 1 exclusive.

    Depths go to n or to where p^depth is negligible (1e-12). Raises `BirthmarkError` for another p.
    """
    if not 0 < p < 1:
        raise BirthmarkError(f"the persistence of rank-biased overlap is between 0 and 1, not {p:g}")
    n = len(ranks)
    depth = min(n, int(np.ceil(np.log(NEGLIGIBLE) / np.log(p))))
    _, inverse, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes  # items ahead of each tie group
    inside = before[inverse] < depth
    items = np.flatnonzero(inside)
    group = inverse[items]
    reached = np.arange(1, depth + 1)[None, :] - before[group][:, None]  # places of the group among the first d
    return OverlapProfile(items, np.clip(reached / sizes[group][:, None], 0.0, 1.0), n, p)


def rank_biased_overlap(a: OverlapProfile, b: OverlapProfile) -> float:
    """RBO of two prepared rankings of the same items: 1 for the same order without ties, near 0 for opposite tops.

    What lies below the last depth counts as agreeing as the last depth does (exactly 1 at depth n).
    Raises `BirthmarkError` where the rankings differ in length or p.
    """
    if (a.n, a.p) != (b.n, b.p):
        raise BirthmarkError("rank-biased overlap needs two rankings of the same things and one p")
    _, mine, theirs = np.intersect1d(a.items, b.items, assume_unique=True, return_indices=True)
    depth = a.chance.shape[1]
    agreement = (a.chance[mine] * b.chance[theirs]).sum(axis=0) / np.arange(1, depth + 1)
    weights = (1 - a.p) * a.p ** np.arange(depth)
    return float(weights @ agreement + a.p**depth * agreement[-1])
