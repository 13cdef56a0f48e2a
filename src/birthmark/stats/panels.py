"""Two groups of numbers against each other: difference, Cohen's d in two forms, Welch's test, and corrections.

Every sign is that of the second group minus the first. Knows nothing of what the numbers are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from birthmark.errors import BirthmarkError

LEVEL = 0.95


@dataclass(frozen=True)
class GroupDifference:
    """Group b against group a.

    difference: mean(b) − mean(a). cohens_d: difference / √(((n_a − 1) s_a² + (n_b − 1) s_b²) / (n_a + n_b − 2)).
    cohens_d_unweighted: difference / √((s_a² + s_b²) / 2). welch_t = difference / √(s_a²/n_a + s_b²/n_b), on welch_df
    by Welch and Satterthwaite, two-sided p.

    Null: the unweighted d and Welch's test where a group has one value; all that is scaled by a standard deviation
    where no value varies (p is 1 then if the difference is 0 too).
    """

    difference: float
    cohens_d: float | None
    cohens_d_unweighted: float | None
    welch_t: float | None
    welch_df: float | None
    welch_p: float | None


def compare_groups(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> GroupDifference:
    """Compare two samples, in the units of the values; raises `BirthmarkError` where one is empty or not finite."""
    first, second = _sample(a), _sample(b)
    difference = float(second.mean() - first.mean())
    n_a, n_b = len(first), len(second)
    if not _varies(first) and not _varies(second):
        same = abs(difference) <= 1e-12 * max(abs(first[0]), abs(second[0]))
        return GroupDifference(0.0 if same else difference, None, None, None, None, 1.0 if same else None)
    squares_a, squares_b = ((x - x.mean()) @ (x - x.mean()) for x in (first, second))
    pooled = float(np.sqrt((squares_a + squares_b) / (n_a + n_b - 2)))
    if min(n_a, n_b) < 2:
        return GroupDifference(difference, difference / pooled, None, None, None, None)
    unweighted = float(np.sqrt((squares_a / (n_a - 1) + squares_b / (n_b - 1)) / 2))
    t, p, df = _compare(first, second).ttest_ind(usevar="unequal")
    return GroupDifference(difference, difference / pooled, difference / unweighted, float(t), float(df), float(p))


def welch_interval(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """Welch's 95% interval for mean(b) − mean(a); None where a group has one value or nothing varies."""
    first, second = _sample(a), _sample(b)
    if min(len(first), len(second)) < 2 or not (_varies(first) or _varies(second)):
        return None
    low, high = _compare(first, second).tconfint_diff(alpha=1 - LEVEL, usevar="unequal")
    return float(low), float(high)


def adjust(p_values: Sequence[float | None], method: Literal["bonferroni", "holm", "fdr_bh"]) -> list[float | None]:
    """Adjusted p values, in place; nulls stay null and do not count as tests. `fdr_bh`: Benjamini and Hochberg 1995."""
    known = [i for i, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    if known:
        corrected = multipletests([p_values[i] for i in known], method=method)[1]
        for i, p in zip(known, corrected, strict=True):
            adjusted[i] = float(p)
    return adjusted


def _compare(a: np.ndarray, b: np.ndarray) -> CompareMeans:
    return CompareMeans(DescrStatsW(b), DescrStatsW(a))


def _sample(values: Sequence[float] | np.ndarray) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise BirthmarkError("a group to compare is empty or has missing or infinite values: drop or mend them")
    return sample


def _varies(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())
