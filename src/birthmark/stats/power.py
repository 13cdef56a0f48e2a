"""Power before data: closed forms for Welch's t, simulation for the exact permutation test, the error of a simulated rate.

Units' contrasts are normal here, with one SD a family. Knows nothing of models, words or ranks.

Source: Cohen (1988), Statistical Power Analysis; Satterthwaite (1946) for the degrees of freedom.
"""

from functools import lru_cache
from math import comb

import numpy as np
from scipy import stats

from birthmark.stats.batched import headline_test, largest_t
from birthmark.stats.permutation import LIMIT as EXACT_LIMIT

WANTED = 0.8
STUDIES = 4_000
FURTHEST = 30.0  # SDs of a unit: no difference beyond is looked for


def mc_error(rate: float, studies: int) -> float:
    """Standard error of a simulated rate, √(p (1 − p) / n)."""
    return float(np.sqrt(rate * (1 - rate) / studies))


def welch_power(shift: float, sd_a: float, sd_b: float, n_a: int, n_b: int, alpha: float = 0.05) -> float:
    """Power of the two-sided t-test with Welch's standard error for a difference `shift`, by the noncentral t.

    SE² = sd_a²/n_a + sd_b²/n_b, df by Satterthwaite from the true SDs. With equal SDs and n it is the pooled t-test's
    power exactly; else an approximation, since the df of a study is estimated. 1 where nothing varies.
    """
    part_a, part_b = sd_a**2 / n_a, sd_b**2 / n_b
    if part_a + part_b == 0:
        return 1.0 if shift else alpha
    df = (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    return _two_sided(df, abs(shift) / np.sqrt(part_a + part_b), alpha)


def paired_power(shift: float, sd_difference: float, n_pairs: int, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t-test, by the noncentral t; 1 where pairs' differences don't vary."""
    if sd_difference == 0:
        return 1.0 if shift else alpha
    return _two_sided(n_pairs - 1, abs(shift) / sd_difference * np.sqrt(n_pairs), alpha)


def _two_sided(df: float, away: float, alpha: float) -> float:
    """P(|T| > critical) for a noncentral t; by quadrature over χ² where scipy's series gives up, far out."""
    critical = float(stats.t.ppf(1 - alpha / 2, df))
    found = float(stats.nct.sf(critical, df, away) + stats.nct.cdf(-critical, df, away))
    if np.isfinite(found):
        return found
    scale = np.sqrt(stats.chi2.ppf((np.arange(2_000) + 0.5) / 2_000, df) / df)
    return float((stats.norm.sf(critical * scale - away) + stats.norm.sf(critical * scale + away)).mean())


def splits(n_a: int, n_b: int) -> tuple[int, float]:
    """The exact test's number of splits (100,000 where more would be drawn from) and its smallest p."""
    n = comb(n_a + n_b, n_b)
    if n > EXACT_LIMIT:
        return EXACT_LIMIT, 1 / EXACT_LIMIT
    return n, (2 if n_a == n_b else 1) / n


@lru_cache(maxsize=256)
def exact_power(shift: float, n_a: int, n_b: int, alpha: float = 0.05, studies: int = STUDIES) -> float:
    """Power of the exact test of `headline.level_test` at alpha, by simulated studies; shift in SDs of a's units.

    The same studies are drawn whatever the shift, so that power grows with it.
    """
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((studies, n_a)), rng.standard_normal((studies, n_b))
    return float((headline_test(a, b + shift).p <= alpha + 1e-12).mean())


def detectable_exact(n_a: int, n_b: int, alpha: float = 0.05) -> float | None:
    """The difference, in SDs of a unit, that the exact test finds four times in five; None where alpha is below its
    smallest p. To a hundredth of an SD, by bisection over one set of simulated studies.
    """
    if splits(n_a, n_b)[1] > alpha + 1e-12:
        return None
    low, high = 0.0, 1.0
    while exact_power(high, n_a, n_b, alpha=alpha, studies=2_000) < WANTED:
        low, high = high, 2 * high
        if high > FURTHEST:
            return None
    while high - low > 0.01:
        middle = (low + high) / 2
        reached = exact_power(middle, n_a, n_b, alpha=alpha, studies=2_000) >= WANTED
        low, high = (low, middle) if reached else (middle, high)
    return high


@lru_cache(maxsize=64)
def paired_exact_power(shift: float, n_pairs: int, alpha: float = 0.05) -> float:
    """Power of the exact test that exchanges labels within pairs (all 2ⁿ signs of the differences, up to 2¹⁰ drawn).

    shift: mean of the pairs' differences in their SDs. With n pairs no p is below 2 / 2ⁿ.
    """
    rng = np.random.default_rng(0)
    differences = rng.standard_normal((STUDIES, n_pairs)) + shift
    exact = n_pairs <= 10
    signs = (
        1.0 - 2 * ((np.arange(2**n_pairs)[:, None] >> np.arange(n_pairs)) & 1)
        if exact
        else rng.choice([-1.0, 1.0], size=(2**10 - 1, n_pairs))
    )
    observed = np.abs(differences.sum(axis=1))
    extreme = (np.abs(signs @ differences.T) >= observed * (1 - 1e-9)).sum(axis=0)
    extra = 0 if exact else 1
    return float(((extreme + extra) / (len(signs) + extra) <= alpha + 1e-12).mean())


@lru_cache(maxsize=64)
def detectable_max_t(n_a: int, n_b: int, categories: int, alpha: float) -> float | None:
    """The difference in one category, in SDs of a unit's centred value, that the largest |t| over categories finds four
    times in five; None where alpha is below the smallest p or nothing up to `FURTHEST` SDs is found.

    Values are normal, centred over the categories like the tested ones, of one SD; the families differ in one category
    by the shift, so that each of the others moves the other way by shift / (categories − 1).
    """
    if splits(n_a, n_b)[1] > alpha + 1e-12 or categories < 2:
        return None
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, n_a + n_b, categories, 1))
    x = (x - x.mean(axis=2, keepdims=True)) / np.sqrt(1 - 1 / categories)
    step = np.full((categories, 1), -1 / (categories - 1))
    step[0] = 1.0

    def found(shift: float) -> bool:
        moved = x[:, n_a:] + shift * step
        p = largest_t(np.concatenate([x[:, :n_a], moved], axis=1)[..., 0], n_a)
        return float((p <= alpha + 1e-12).mean()) >= WANTED

    low, high = 0.0, 1.0
    while not found(high):
        low, high = high, 2 * high
        if high > FURTHEST:
            return None
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def confounded_rate(sd_difference: float, sd_a: float, sd_b: float, n_a: int, n_b: int, alpha: float = 0.05) -> float:
    """How often Welch's t rejects where families are alike but something that differs between them, normal with this SD,
    shifts one of them: the mean of `welch_power` over its distribution.
    """
    shifts = sd_difference * stats.norm.ppf((np.arange(200) + 0.5) / 200)
    return float(np.mean([welch_power(float(shift), sd_a, sd_b, n_a, n_b, alpha) for shift in shifts[:100]]))
