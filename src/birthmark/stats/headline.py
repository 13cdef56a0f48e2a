"""One test of families over units, the same for base checkpoints and for models: which statistic, p, interval.

Fixed before looking: two families and one contrast a unit take Welch's t where both have at least three units, else the
difference in means; several categories take the largest pooled |t| over them; more than two families take F. Always a
permutation of the units. Knows nothing of how a unit's contrast comes about.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.stats.panels import welch_interval
from birthmark.stats.permutation import exact_permutation, max_t, permutation_f


@dataclass(frozen=True)
class LevelResult:
    """A permutation test over units; `estimate` and Welch's 95% interval are b − a, null where there is no one contrast.

    statistic: `welch_t`, `difference` or (more than two families) `permutation_f` of one contrast; `max_t` or (more than
    two families) `max_f` of several, with p of the largest. `p_exact_difference`: of the difference in means, whatever
    the statistic.
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
    """Means of rows that share a unit: values [rows, …] → [units, …], unit names and families, by family then name.

    Raises `BirthmarkError` where a unit is in two families.
    """
    family_of: dict[str, str] = {}
    for unit, family in zip(map(str, units), map(str, families), strict=True):
        if family_of.setdefault(unit, family) != family:
            raise BirthmarkError(f"{unit} is in two families ({family_of[unit]}, {family}): give it one")
    names = sorted(family_of, key=lambda unit: (family_of[unit], unit))
    rows = np.asarray(units, dtype=str)
    return np.stack([values[rows == name].mean(axis=0) for name in names]), names, [family_of[name] for name in names]


def level_test(
    values: Sequence[float] | np.ndarray,
    families: Sequence[str],
    seed: int = 0,
) -> LevelResult:
    """Test families over units, b the alphabetical last of two.

    values: [units], or [units, categories] for several contrasts at once (of framing contrasts, centred over categories
    by the caller); families: [units].

    Raises `BirthmarkError` where there is one family only.
    """
    x = np.asarray(values, dtype=float)
    names = np.asarray(families, dtype=str)
    n_units = dict(sorted(Counter(names.tolist()).items()))
    if len(n_units) < 2:
        raise BirthmarkError("one family only: bring models of a second family to compare it with")
    if x.ndim == 2:
        return _several_contrasts(x, names, n_units, seed)
    if len(n_units) > 2:
        test = permutation_f(x, names.tolist(), seed)
        return LevelResult(
            "permutation_f", n_units, None, None, None, test.p, test.count, test.n_splits, test.min_p, None
        )
    is_b = names == max(n_units)
    difference = exact_permutation(x, is_b, "difference", seed=seed)
    use_welch = min(n_units.values()) >= 3
    test = exact_permutation(x, is_b, "welch_t", seed=seed) if use_welch else difference
    low, high = welch_interval(x[~is_b], x[is_b]) or (None, None)
    return LevelResult(
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


def _several_contrasts(x: np.ndarray, names: np.ndarray, n_units: dict[str, int], seed: int) -> LevelResult:
    test = max_t(x, names, seed)
    statistic = "max_t" if len(n_units) == 2 else "max_f"
    return LevelResult(
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
