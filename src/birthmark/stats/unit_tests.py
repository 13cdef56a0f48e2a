"""Comparison of two groups (difference, Cohen's d, Welch's test), and the one permutation test of families over units.

Every sign is that of the second group minus the first. The test over units is chosen by the design, not by the data. Two
families with one contrast per unit: Welch's t if both have at least three units, else the difference in means. Several
categories: the largest pooled |t| over them. More than two families: F. Its p always comes from permuting the units.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.permutation import exact_permutation, max_t, permutation_f

CONFIDENCE = 0.95


@dataclass(frozen=True)
class GroupDifference:
    """Group b compared with group a.

    difference: mean(b) − mean(a). cohens_d: difference / √(((n_a − 1) s_a² + (n_b − 1) s_b²) / (n_a + n_b − 2)).
    cohens_d_unweighted: difference / √((s_a² + s_b²) / 2). welch_t = difference / √(s_a²/n_a + s_b²/n_b), on welch_df
    by Welch and Satterthwaite, two-sided p.

    The unweighted d and Welch's test are null if a group has one value. If neither group varies, everything scaled by a
    standard deviation is null, and p is 1 if the difference is 0 too.
    """

    difference: float
    cohens_d: float | None
    cohens_d_unweighted: float | None
    welch_t: float | None
    welch_df: float | None
    welch_p: float | None


def compare_groups(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> GroupDifference:
    """Compare two samples a [n_a] and b [n_b]; the difference is in the units of the values.

    Raises `BirthmarkError` if a sample is empty or a value is not finite.
    """
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
    se, df = _welch(first, second)
    t = difference / se
    p = float(2 * scipy.stats.t.sf(abs(t), df))
    return GroupDifference(difference, difference / pooled, difference / unweighted, t, df, p)


def welch_interval(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """Welch's 95% interval for mean(b) − mean(a), in the units of the values: difference ± t(.975, df) SE.

    a: [n_a]; b: [n_b]. None if a group has one value or neither group varies.

    Raises `BirthmarkError` if a sample is empty or a value is not finite.
    """
    first, second = _sample(a), _sample(b)
    if min(len(first), len(second)) < 2 or not (_varies(first) or _varies(second)):
        return None
    se, df = _welch(first, second)
    difference, reach = second.mean() - first.mean(), scipy.stats.t.ppf((1 + CONFIDENCE) / 2, df) * se
    return float(difference - reach), float(difference + reach)


def _welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The standard error √(s_a²/n_a + s_b²/n_b) of a difference in means, and its df by Welch and Satterthwaite."""
    part_a, part_b = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    df = (part_a + part_b) ** 2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return float(np.sqrt(part_a + part_b)), float(df)


def adjust(p_values: Sequence[float | None], method: Literal["bonferroni", "holm", "fdr_bh"]) -> list[float | None]:
    """Adjusted p-values, in the order given. Nulls stay null and do not count as tests.

    Source: Holm (1979), Scandinavian Journal of Statistics 6; `fdr_bh`: Benjamini and Hochberg (1995), Journal of the Royal
    Statistical Society B 57.
    """
    known = [i for i, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    if known:
        corrected = _corrected(np.array([p_values[i] for i in known], dtype=float), method)
        for i, p in zip(known, corrected, strict=True):
            adjusted[i] = float(p)
    return adjusted


def _corrected(p: np.ndarray, method: Literal["bonferroni", "holm", "fdr_bh"]) -> np.ndarray:
    """`adjust` of m numbers: m · p; the running maximum of (m − i) · p₍ᵢ₎, i from 0, in rising order; or scipy's. At most 1."""
    if method == "fdr_bh":
        return scipy.stats.false_discovery_control(p, method="bh")
    if method == "bonferroni":
        return np.minimum(len(p) * p, 1.0)
    order, found = np.argsort(p, kind="stable"), np.empty_like(p)
    found[order] = np.minimum(np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]), 1.0)
    return found


def _sample(values: Sequence[float] | np.ndarray) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise BirthmarkError("a group to compare is empty or has missing or infinite values: remove or fix them")
    return sample


def _varies(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())


@dataclass(frozen=True)
class FamilyTest:
    """A permutation test over units. `estimate` and Welch's 95% interval are b − a, null if there is no single contrast.

    statistic: for one contrast `welch_t`, `difference` or (more than two families) `permutation_f`; for several contrasts
    `max_t` or (more than two families) `max_f`, with p of the largest. `p_exact_difference` is the exact p of the
    difference in means, whatever the statistic.
    """

    statistic: str
    n_units: dict[str, int]
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_exact: float
    count: int
    n_splits: int
    min_p: float
    p_exact_difference: float | None


def average_by_unit(
    values: np.ndarray, units: Sequence[str], families: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Means of the rows of each unit: values [rows, …] → [units, …], unit names and families, by family then name.

    units, families: [rows]. Raises `BirthmarkError` if a unit is in two families.
    """
    family_of: dict[str, str] = {}
    for unit, family in zip(map(str, units), map(str, families), strict=True):
        if family_of.setdefault(unit, family) != family:
            raise BirthmarkError(f"{unit} is in two families ({family_of[unit]}, {family}): give it one")
    names = sorted(family_of, key=lambda unit: (family_of[unit], unit))
    rows = np.asarray(units, dtype=str)
    return np.stack([values[rows == name].mean(axis=0) for name in names]), names, [family_of[name] for name in names]


def family_test(
    values: Sequence[float] | np.ndarray,
    families: Sequence[str],
    seed: int = 0,
) -> FamilyTest:
    """Test the difference between families over units; of two families, b is the alphabetically last.

    values: [units], or [units, categories] for several contrasts at once (framing contrasts that the caller has centred
    over categories); families: [units].

    Raises `BirthmarkError` if there is only one family or a value is not finite.
    """
    x = np.asarray(values, dtype=float)
    names = np.asarray(families, dtype=str)
    n_units = dict(sorted(Counter(names.tolist()).items()))
    if len(n_units) < 2:
        raise BirthmarkError("there is only one family: add models of a second family to compare it with")
    if x.ndim == 2:
        return _several_contrasts(x, names, n_units, seed)
    if len(n_units) > 2:
        test = permutation_f(x, names.tolist(), seed)
        return FamilyTest(
            "permutation_f", n_units, None, None, None, test.p, test.count, test.n_splits, test.min_p, None
        )
    is_b = names == max(n_units)
    difference = exact_permutation(x, is_b, "difference", seed=seed)
    use_welch = min(n_units.values()) >= 3
    test = exact_permutation(x, is_b, "welch_t", seed=seed) if use_welch else difference
    low, high = welch_interval(x[~is_b], x[is_b]) or (None, None)
    return FamilyTest(
        "welch_t" if use_welch else "difference",
        n_units,
        difference.observed,
        low,
        high,
        test.p,
        test.count,
        test.n_splits,
        test.min_p,
        difference.p,
    )


def _several_contrasts(x: np.ndarray, names: np.ndarray, n_units: dict[str, int], seed: int) -> FamilyTest:
    test = max_t(x, names, seed)
    statistic = "max_t" if len(n_units) == 2 else "max_f"
    return FamilyTest(
        statistic,
        n_units,
        None,
        None,
        None,
        test.count / test.n_splits,
        test.count,
        test.n_splits,
        test.min_p,
        None,
    )
