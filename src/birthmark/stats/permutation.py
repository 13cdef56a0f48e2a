"""Exact permutation tests: group labels are permuted over units, in every possible way or in a seeded random sample.

The null hypothesis is that the units' values are exchangeable between groups (within blocks, if there are any). The
observed arrangement is always counted, so p = count / n_splits is never 0. With more than `LIMIT` arrangements,
`LIMIT − 1` are drawn at random and the observed one is added: p = (b + 1) / (m + 1).

Sources: Phipson and Smyth (2010) for (b + 1) / (m + 1); Westfall and Young (1993) for max-|t|.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial, prod
from typing import Literal

import numpy as np

from birthmark.errors import BirthmarkError

LIMIT = 100_000
TIE = 1e-9  # statistics closer than this, relative to the observed one, count as equal

Statistic = Literal["difference", "welch_t"]


@dataclass(frozen=True)
class ExactTest:
    """p = count / n_splits; `min_p` is the smallest attainable p for these units; `observed` is signed (b − a).

    `exact` is False if splits were sampled; then n_splits is draws + 1 and `min_p` is 1 / n_splits.
    """

    p: float
    count: int
    n_splits: int
    min_p: float
    observed: float
    exact: bool = True


@dataclass(frozen=True)
class MaxTTest:
    """For each panel [panels], in column order: `p` of its own |t|, and `p_adjusted` by the largest |t| over panels."""

    p: np.ndarray
    p_adjusted: np.ndarray
    n_splits: int
    min_p: float
    count: int
    exact: bool = True


def exact_permutation(
    values: Sequence[float] | np.ndarray,
    is_b: Sequence[bool] | np.ndarray,
    statistic: Statistic = "difference",
    blocks: Sequence[str] | None = None,
    seed: int = 0,
) -> ExactTest:
    """Two-sided test of two groups: p is the share of splits whose |statistic| is at least the observed |statistic|.

    values: [units]; is_b: [units], which units are in the second group; statistic: `difference` of means (b − a) or
    `welch_t`; blocks: [units] labels within which group labels are permuted. Constant values give p = 1.

    Raises `BirthmarkError` if a group is empty, a value is not finite, or a group has one unit and the statistic is
    Welch's t.
    """
    x = _centred(np.asarray(values, dtype=float)[:, None])[:, 0]
    labels = np.asarray(is_b, dtype=bool).astype(np.int8)
    n_b = int(labels.sum())
    n_a = len(labels) - n_b
    if min(n_a, n_b) < (2 if statistic == "welch_t" else 1):
        raise BirthmarkError(f"a permutation test needs units in both groups; there are {n_a} and {n_b}")
    arrangements, exact = label_arrangements(labels, blocks, seed)
    observed, split = (_two_group(x, chosen, statistic) for chosen in (labels[None, :], arrangements))
    return _tail(float(observed[0]), split, exact)


def pair_permutation(rewards: np.ndarray, is_b: Sequence[bool] | np.ndarray, seed: int = 0) -> ExactTest:
    """Two-sided test of the mean of a value of ordered pairs of units, over the pairs across two groups.

    rewards: [n, n], at [i, j] the value with unit i in the first group and j in the second (the diagonal is not used);
    is_b: [n], which units are in the second group. The statistic is the mean over all pairs across the groups. These pairs
    are not independent, because a unit is part of many. So the units' labels are permuted, and for each split the mean is
    taken over the pairs across that split. With m and n units there are (m + n)! / (m! n!) splits.

    Raises `BirthmarkError` if a group is empty or a value is not finite.
    """
    labels = np.asarray(is_b, dtype=bool).astype(np.int8)
    values = np.where(np.eye(len(labels), dtype=bool), 0.0, np.asarray(rewards, dtype=float))
    if not np.isfinite(values).all():
        raise BirthmarkError("a value of a pair is missing or infinite: remove or fix it")
    n_b = int(labels.sum())
    n_a = len(labels) - n_b
    if not n_a or not n_b:
        raise BirthmarkError(f"a permutation test needs units in both groups; there are {n_a} and {n_b}")
    arrangements, exact = label_arrangements(labels, None, seed)
    observed, split = (
        (((1.0 - chosen) @ values) * chosen).sum(axis=1) / (n_a * n_b)
        for chosen in (labels[None, :].astype(float), arrangements.astype(float))
    )
    return _tail(float(observed[0]), split, exact)


def permutation_f(
    values: Sequence[float] | np.ndarray,
    labels: Sequence[str],
    seed: int = 0,
) -> ExactTest:
    """Permutation F test of two or more groups, over the distinct arrangements of their labels.

    values: [units] or [units, columns]; labels: [units]. With g groups of n units in all,
    F = [SS between / (g − 1)] / [SS within / (n − g)], with sums of squares added over columns. `observed` is F: infinite
    if nothing varies within groups, and 0 with p = 1 for constant values.

    Raises `BirthmarkError` if there is only one group or a value is not finite.
    """
    x = np.asarray(values, dtype=float)
    x = _centred(x[:, None] if x.ndim == 1 else x)
    codes, groups = _codes(labels)
    arrangements, exact = label_arrangements(codes, seed=seed)
    total = float((x**2).sum())
    if total == 0:
        return ExactTest(1.0, len(arrangements) + (not exact), len(arrangements) + (not exact), 1.0, 0.0, exact)
    share, observed = (_between(x, chosen, groups).sum(axis=1) / total for chosen in (arrangements, codes[None, :]))
    r2, n, g = float(observed[0]), len(codes), len(groups)
    f = (r2 / (g - 1)) / ((1 - r2) / (n - g)) if n > g and r2 < 1 - 1e-12 else float("inf")
    test = _tail(r2, share, exact)
    return ExactTest(test.p, test.count, test.n_splits, test.min_p, f, exact)


def max_t(
    values: np.ndarray,
    labels: Sequence[bool] | Sequence[str] | np.ndarray,
    seed: int = 0,
) -> MaxTTest:
    """Single-step Westfall–Young: p of each panel against the largest pooled-variance |t| over all panels.

    values: [units, panels]; labels: [units], boolean or group names (with more than two groups, F replaces t²).
    A panel's total sum of squares T is fixed, so t² = (n − 2) B / (T − B) increases with B / T, where B is the sum of
    squares between groups. B / T is compared because it is finite where t is not. A constant panel has p = 1.

    Raises `BirthmarkError` if there is only one group or a value is not finite. Source: Westfall and Young (1993).
    """
    x = _centred(np.asarray(values, dtype=float))
    codes, groups = _codes([str(label) for label in labels])
    arrangements, exact = label_arrangements(codes, seed=seed)
    total = (x**2).sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    split = _between(x, arrangements, groups) / safe  # [splits, panels]
    observed = (_between(x, codes[None, :], groups) / safe)[0]
    largest = split.max(axis=1)
    extra = 0 if exact else 1
    n_splits = len(arrangements) + extra
    own = (split >= observed * (1 - TIE)).sum(axis=0) + extra
    joint = (largest[:, None] >= observed * (1 - TIE)).sum(axis=0) + extra
    own, joint = (np.where(total > 0, counts, n_splits) for counts in (own, joint))
    count = int(joint[np.argmax(observed)])
    return MaxTTest(own / n_splits, joint / n_splits, n_splits, _min_p(largest, exact, n_splits), count, exact)


def label_arrangements(
    codes: np.ndarray, blocks: Sequence[str] | None = None, seed: int = 0, limit: int = LIMIT
) -> tuple[np.ndarray, bool]:
    """All distinct arrangements of integer labels over units, within blocks, and whether the list is complete.

    codes: [units]; blocks: [units] labels. Returns [arrangements, units] int8 and True; with more than `limit`
    arrangements, `limit − 1` random ones and False (the observed one is not added).
    """
    codes = np.asarray(codes, dtype=np.int8)
    members = _members(blocks, len(codes))
    if prod(_n_arrangements(codes[member]) for member in members) > limit:
        rng = np.random.default_rng(seed)
        drawn = np.tile(codes, (limit - 1, 1))
        for member in members:
            drawn[:, member] = rng.permuted(drawn[:, member], axis=1)
        return drawn, False
    arranged = codes[None, :].copy()
    for member in members:
        inner = _all_arrangements(codes[member])
        arranged = np.repeat(arranged, len(inner), axis=0)
        arranged[:, member] = np.tile(inner, (len(arranged) // len(inner), 1))
    return arranged, True


def _all_arrangements(codes: np.ndarray) -> np.ndarray:
    """Distinct arrangements of a multiset of labels: each placement of the last label, times those of the others."""
    n = len(codes)
    groups, counts = np.unique(codes, return_counts=True)
    if len(groups) <= 1:
        return codes[None, :].copy()
    taken = np.array(list(combinations(range(n), int(counts[-1]))))
    rest = _all_arrangements(np.sort(codes)[: n - counts[-1]])
    is_open = np.ones((len(taken), n), dtype=bool)
    np.put_along_axis(is_open, taken, False, axis=1)
    open_places = np.nonzero(is_open)[1].reshape(len(taken), 1, -1)  # [taken, 1, n − last]
    arranged = np.full((len(taken), len(rest), n), groups[-1], dtype=np.int8)
    places = np.broadcast_to(open_places, (len(taken), *rest.shape))
    np.put_along_axis(arranged, places, np.broadcast_to(rest, places.shape), axis=2)
    return arranged.reshape(-1, n)


def _n_arrangements(codes: np.ndarray) -> int:
    counts = np.unique(codes, return_counts=True)[1].tolist()
    return factorial(sum(counts)) // prod(factorial(count) for count in counts)


def _members(blocks: Sequence[str] | None, n: int) -> list[np.ndarray]:
    if blocks is None:
        return [np.arange(n)]
    names = np.asarray(blocks, dtype=str)
    return [np.flatnonzero(names == name) for name in sorted(set(names.tolist()))]


def _codes(labels: Sequence[str] | Sequence[bool]) -> tuple[np.ndarray, list[str]]:
    names = [str(label) for label in labels]
    groups = sorted(set(names))
    if len(groups) < 2:
        raise BirthmarkError("a permutation test needs at least two groups of units")
    return np.array([groups.index(name) for name in names], dtype=np.int8), groups


def _centred(x: np.ndarray) -> np.ndarray:
    """Columns minus their means; a column that is constant up to rounding becomes exactly zero."""
    if not np.isfinite(x).all():
        raise BirthmarkError("a permutation test has missing or infinite values: remove or fix those units")
    constant = np.ptp(x, axis=0) <= 1e-12 * np.abs(x).max(axis=0, initial=0)
    return np.where(constant, 0.0, x - x.mean(axis=0))


def _between(x: np.ndarray, arrangements: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Sum of squares between groups of centred columns: [arrangements, columns]."""
    total = np.zeros((len(arrangements), x.shape[1]))
    for code in range(len(groups)):
        member = (arrangements == code).astype(float)
        total += (member @ x) ** 2 / member[0].sum()
    return total


def _two_group(x: np.ndarray, is_b: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The statistic (b − a) of each row of group labels [splits, units]."""
    b = is_b.astype(float)
    n, n_b = len(x), float(b[0].sum())
    n_a = n - n_b
    sum_b = b @ x
    mean_a, mean_b = (x.sum() - sum_b) / n_a, sum_b / n_b
    difference = mean_b - mean_a
    if statistic == "difference":
        return difference
    squares_b = b @ x**2
    ss_b = squares_b - n_b * mean_b**2
    ss_a = (x @ x) - squares_b - n_a * mean_a**2
    floor = 1e-14 * (x @ x)  # smaller sums of squares are rounding errors
    ss_a, ss_b = (np.where(ss < floor, 0.0, ss) for ss in (ss_a, ss_b))
    variance = ss_a / (n_a - 1) / n_a + ss_b / (n_b - 1) / n_b
    with np.errstate(divide="ignore", invalid="ignore"):
        t = difference / np.sqrt(variance)
    return np.where((variance == 0) & (np.abs(difference) <= np.sqrt(floor)), 0.0, t)


def _tail(observed: float, split: np.ndarray, exact: bool) -> ExactTest:
    extra = 0 if exact else 1
    size = np.abs(split)
    finite = size[np.isfinite(size)]
    slack = 1e-13 * float(finite.max(initial=0.0))  # so that an observed 0 ties with rounding errors
    threshold = abs(observed) * (1 - TIE) - slack if np.isfinite(observed) else np.inf
    count = int((size >= threshold).sum()) + extra
    n_splits = len(split) + extra
    return ExactTest(count / n_splits, count, n_splits, _min_p(size, exact, n_splits), observed, exact)


def _min_p(size: np.ndarray, exact: bool, n_splits: int) -> float:
    """The share of splits that tie with the most extreme one; 1 / n_splits if splits were sampled."""
    if not exact:
        return 1 / n_splits
    largest = float(size.max())
    return float((size >= (largest * (1 - TIE) if np.isfinite(largest) else largest)).sum()) / n_splits
