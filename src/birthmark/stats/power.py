"""Power of the tests over units: closed forms, simulation, and batched tests that are fast for thousands of studies.

Units' contrasts are assumed to be normal, with one SD for all. The batched tests take the families' values as two arrays
[studies, units]. Each gives the same result as its counterpart for a single study.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
import scipy

from birthmark.stats.permutation import LIMIT as EXACT_LIMIT
from birthmark.stats.permutation import TIE, label_arrangements

LIMIT = 1_000  # a test with more splits draws this many: its level stays exact, and a simulation stays fast
CELLS = 4_000_000  # splits × studies in memory at once


@dataclass(frozen=True)
class BatchedWelch:
    """For each study [studies]: difference b − a, its standard error, Welch's df, two-sided p and 95% interval."""

    difference: np.ndarray
    se: np.ndarray
    df: np.ndarray
    p: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray

    def covers(self, target: float) -> np.ndarray:
        """Whether each interval contains the target: [studies]."""
        return np.asarray((self.ci_low <= target) & (target <= self.ci_high))


@dataclass(frozen=True)
class BatchedExact:
    """p of each study [studies], and the largest attainable level up to .05 (the smallest p, if that is larger)."""

    p: np.ndarray
    attainable: float


def welch(a: np.ndarray, b: np.ndarray) -> BatchedWelch:
    """Welch's test and 95% interval of each study, as in `unit_tests.welch_interval`.

    a, b: [studies, units], with two units or more each. If no unit varies, Welch's test is undefined: p is 1 and both ends
    of the interval are the difference.
    """
    part_a, part_b = a.var(axis=1, ddof=1) / a.shape[1], b.var(axis=1, ddof=1) / b.shape[1]
    return _welch(b.mean(axis=1) - a.mean(axis=1), part_a, part_b, a.shape[1], b.shape[1])


def _welch(difference: np.ndarray, part_a: np.ndarray, part_b: np.ndarray, n_a: int, n_b: int) -> BatchedWelch:
    varies = part_a + part_b > 0
    se = np.sqrt(part_a + part_b)
    spread = np.where(varies, part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1), 1.0)
    df = np.where(varies, (part_a + part_b) ** 2 / spread, n_a + n_b - 2)
    reach = scipy.stats.t.ppf(0.975, df) * se
    p = np.where(varies, 2 * scipy.stats.t.sf(np.abs(difference) / np.where(varies, se, 1.0), df), 1.0)
    return BatchedWelch(difference, se, df, p, difference - reach, difference + reach)


def headline_test(a: np.ndarray, b: np.ndarray) -> BatchedExact:
    """The exact permutation test of `unit_tests.family_test` for each study.

    a, b: [studies, units]. The statistic is Welch's t if both families have at least three units, else the difference in
    means. With more than `LIMIT` splits, `LIMIT − 1` are drawn and p = (b + 1) / (m + 1).
    """
    n_a, n_b = a.shape[1], b.shape[1]
    use_welch = min(n_a, n_b) >= 3
    splits, exact = label_arrangements(np.repeat([0, 1], [n_a, n_b]), limit=LIMIT)
    is_b = splits.astype(float)
    p = np.empty(len(a))
    chunk = max(1, CELLS // len(is_b))
    for start in range(0, len(a), chunk):
        part = slice(start, start + chunk)
        x = np.concatenate([a[part], b[part]], axis=1)
        p[part] = _permutation_p(x - x.mean(axis=1, keepdims=True), n_a, is_b, use_welch, exact)
    n_splits = len(is_b) + (not exact)
    return BatchedExact(p, attainable_level(n_splits, n_a == n_b and exact))


def attainable_level(n_splits: int, paired: bool) -> float:
    """The largest p up to .05 that an exact two-sided test can give, or its smallest p if that is larger.

    paired: both families have the same number of units, so that every split has a mirror image of the same size.
    """
    step = 2 if paired else 1
    count = int(np.floor(0.05 * n_splits / step + 1e-9)) * step
    return max(count, step) / n_splits


def _permutation_p(x: np.ndarray, n_a: int, is_b: np.ndarray, use_welch: bool, exact: bool) -> np.ndarray:
    """Centred values [studies, units], a's first → p [studies].

    With S the sum over b and Q₂ the sum of squares in b, t² = S² (1/n_a + 1/n_b)² / V, where V is linear in S² and Q₂.
    So t² ≥ t₀² if and only if S² ≥ α + β Q₂, where α and β depend only on the study. For the difference in means, or with
    equal numbers of units, β = 0.
    """
    n = x.shape[1]
    n_b = n - n_a
    sums = is_b @ x.T  # [splits, studies]
    squared = sums**2
    observed = x[:, n_a:].sum(axis=1) ** 2
    if use_welch and n_a != n_b:
        of_squares = x**2
        k_a, k_b = n_a * (n_a - 1), n_b * (n_b - 1)
        total, in_b = of_squares.sum(axis=1), of_squares[:, n_a:].sum(axis=1)
        linear, curve = 1 / k_b - 1 / k_a, 1 / (n_a * k_a) + 1 / (n_b * k_b)
        gain = (1 / n_a + 1 / n_b) ** 2
        t2 = gain * observed / (total / k_a + linear * in_b - curve * observed)
        scale = t2 / (gain + t2 * curve)  # S² ≥ scale (total / k_a + linear Q₂)
        threshold = (scale * total / k_a) + (is_b @ of_squares.T) * (scale * linear)
    else:
        threshold = observed[None, :]
    extreme = (squared >= threshold * (1 - 2 * TIE)).sum(axis=0)
    extra = 0 if exact else 1
    return np.asarray((extreme + extra) / (len(is_b) + extra))


def any_panel_bonferroni(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest Bonferroni-adjusted Welch p over panels, treating medians of models × prompts as independent.

    a, b: medians [studies, models, categories, prompts], the first half of the prompts positive. Returns p [studies].
    """
    smallest = np.ones(len(a))
    half, n_panels = a.shape[-1] // 2, 2 * a.shape[2]
    for category in range(a.shape[2]):
        for framing in (slice(None, half), slice(half, None)):
            of_a, of_b = (side[:, :, category, framing].reshape(len(side), -1) for side in (a, b))
            smallest = np.minimum(smallest, welch(of_a, of_b).p * n_panels)
    return np.minimum(smallest, 1.0)


def any_panel_max_t(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest adjusted p of `permutation.max_t` over all panels, with models as units: [studies].

    a, b: as in `any_panel_bonferroni`. A model's value in a panel is its mean over the framing's prompts.
    """
    half = a.shape[-1] // 2
    values = np.concatenate([a, b], axis=1)  # [studies, models, categories, prompts]
    panels = np.concatenate([values[..., :half].mean(axis=-1), values[..., half:].mean(axis=-1)], axis=2)
    return largest_t(panels, a.shape[1])


def largest_t(values: np.ndarray, n_a: int) -> np.ndarray:
    """The smallest adjusted p of `permutation.max_t`: values [studies, units, columns], family a first → p [studies]."""
    values = values - values.mean(axis=1, keepdims=True)
    n = values.shape[1]
    splits, exact = label_arrangements(np.repeat([0, 1], [n_a, n - n_a]), limit=LIMIT)
    # B / T increases with |t|; with S the sum over b of centred values, B = S² (1/n_a + 1/n_b)
    total = (values**2).sum(axis=1)  # [studies, columns]
    observed = (values[:, n_a:].sum(axis=1) ** 2 / total).max(axis=1)
    share = (np.tensordot(splits.astype(float), values, axes=(1, 1)) ** 2 / total).max(axis=2)  # [splits, studies]
    extra = 0 if exact else 1
    return np.asarray(((share >= observed * (1 - TIE)).sum(axis=0) + extra) / (len(splits) + extra))


def mixed_model_three_way(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """p of family × category × framing in `mixed.fit_mixed_model` by REML, for a balanced design: [studies].

    a, b: medians [studies, models, 2 categories, prompts]. The term varies within models, so its estimate is the difference
    of mean contrasts, and its variance is 4 σ² (1/n_a + 1/n_b) / (prompts per framing). σ² is the mean square within
    models, or the pooled mean square if models differ by less than that (REML's boundary, a model variance of zero).
    """
    half, n_models = a.shape[-1] // 2, a.shape[1] + b.shape[1]
    size = 4 * half  # medians per model
    within, between = np.zeros(len(a)), np.zeros(len(a))
    contrast = []
    for side in (a, b):
        cells = np.stack([side[..., :half], side[..., half:]], axis=3)  # [studies, models, 2, framing, prompts]
        of_model = cells.mean(axis=(2, 3, 4), keepdims=True)
        between += size * ((of_model - of_model.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2, 3, 4))
        residual = cells - of_model - (cells - of_model).mean(axis=(1, 4), keepdims=True)
        within += (residual**2).sum(axis=(1, 2, 3, 4))
        means = cells.mean(axis=4)
        by_model = means[:, :, 0, 0] - means[:, :, 1, 0] - means[:, :, 0, 1] + means[:, :, 1, 1]
        contrast.append(by_model.mean(axis=1))
    df_between, df_within = n_models - 2, n_models * size - n_models - 6
    pooled = (within + between) / (df_within + df_between)
    sigma2 = np.where(between / df_between <= within / df_within, pooled, within / df_within)
    variance = sigma2 * 4 / half * (1 / a.shape[1] + 1 / b.shape[1])
    return np.asarray(scipy.stats.f.sf((contrast[1] - contrast[0]) ** 2 / variance, 1, df_within))


TARGET_POWER = 0.8
STUDIES = 4_000
MAX_SHIFT = 30.0  # SDs of a unit: the largest difference that is searched


def mc_error(rate: float, studies: int) -> float:
    """Monte Carlo standard error of a simulated rate p over n studies: √(p (1 − p) / n)."""
    return float(np.sqrt(rate * (1 - rate) / studies))


def welch_power(shift: float, sd_a: float, sd_b: float, n_a: int, n_b: int, alpha: float = 0.05) -> float:
    """Power of the two-sided t-test with Welch's standard error for a true difference `shift`, by the noncentral t.

    SE² = sd_a²/n_a + sd_b²/n_b, df by Satterthwaite from the true SDs; shift and SDs are in the same units. With equal SDs
    and n this is exactly the power of the pooled t-test; otherwise it is an approximation, because a study estimates its
    df. If nothing varies, 1 for a nonzero shift and alpha for 0.
    """
    part_a, part_b = sd_a**2 / n_a, sd_b**2 / n_b
    if part_a + part_b == 0:
        return 1.0 if shift else alpha
    df = (part_a + part_b) ** 2 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    return _two_sided(df, abs(shift) / np.sqrt(part_a + part_b), alpha)


def paired_power(shift: float, sd_difference: float, n_pairs: int, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t-test for a mean difference `shift`, by the noncentral t.

    sd_difference: SD of the pairs' differences, in the units of `shift`. If the differences do not vary, 1 for a nonzero
    shift and alpha for 0.
    """
    if sd_difference == 0:
        return 1.0 if shift else alpha
    return _two_sided(n_pairs - 1, abs(shift) / sd_difference * np.sqrt(n_pairs), alpha)


def _two_sided(df: float, noncentrality: float, alpha: float) -> float:
    """P(|T| > critical) for a noncentral t; by quadrature over χ² if scipy's series fails, as it does far out."""
    critical = float(scipy.stats.t.ppf(1 - alpha / 2, df))
    power = float(scipy.stats.nct.sf(critical, df, noncentrality) + scipy.stats.nct.cdf(-critical, df, noncentrality))
    if np.isfinite(power):
        return power
    scale = np.sqrt(scipy.stats.chi2.ppf((np.arange(2_000) + 0.5) / 2_000, df) / df)
    upper, lower = (scipy.stats.norm.sf(critical * scale + sign * noncentrality) for sign in (-1, 1))
    return float((upper + lower).mean())


def splits(n_a: int, n_b: int) -> tuple[int, float]:
    """The exact test's number of splits (at most 100,000, because more are sampled) and its smallest attainable p."""
    n = comb(n_a + n_b, n_b)
    if n > EXACT_LIMIT:
        return EXACT_LIMIT, 1 / EXACT_LIMIT
    return n, (2 if n_a == n_b else 1) / n


@lru_cache(maxsize=256)
def exact_power(shift: float, n_a: int, n_b: int, alpha: float = 0.05, studies: int = STUDIES) -> float:
    """Power of the exact test of `unit_tests.family_test` at level alpha, by simulation; shift in SDs of a unit.

    The same studies are drawn for every shift, so that the estimated power increases with it.
    """
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((studies, n_a)), rng.standard_normal((studies, n_b))
    return float((headline_test(a, b + shift).p <= alpha + 1e-12).mean())


def detectable_exact(n_a: int, n_b: int, alpha: float = 0.05) -> float | None:
    """The minimum detectable difference of the exact test at 80% power, in SDs of a unit.

    By bisection over one set of simulated studies, to a hundredth of an SD. None if alpha is below the test's smallest
    attainable p, or if nothing up to `MAX_SHIFT` SDs is detectable.
    """
    if splits(n_a, n_b)[1] > alpha + 1e-12:
        return None
    low, high = 0.0, 1.0
    while exact_power(high, n_a, n_b, alpha=alpha, studies=2_000) < TARGET_POWER:
        low, high = high, 2 * high
        if high > MAX_SHIFT:
            return None
    while high - low > 0.01:
        middle = (low + high) / 2
        detectable = exact_power(middle, n_a, n_b, alpha=alpha, studies=2_000) >= TARGET_POWER
        low, high = (low, middle) if detectable else (middle, high)
    return high


@lru_cache(maxsize=64)
def paired_exact_power(shift: float, n_pairs: int, alpha: float = 0.05) -> float:
    """Power of the exact test that permutes labels within pairs, by simulation.

    shift: mean of the pairs' differences, in their SDs. All 2ⁿ signs of the differences are used for up to 10 pairs, and
    2¹⁰ − 1 random ones for more. With n pairs the smallest attainable p is 2 / 2ⁿ.
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
    """The minimum detectable difference in one category at 80% power, for the largest |t| over categories.

    It is in SDs of a unit's centred value. Values are normal with one SD, centred over the categories like the tested ones:
    the families differ in one category by the shift, and in each other category by −shift / (categories − 1). None if alpha
    is below the smallest attainable p, there is one category, or nothing up to `MAX_SHIFT` SDs is detectable.
    """
    if splits(n_a, n_b)[1] > alpha + 1e-12 or categories < 2:
        return None
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, n_a + n_b, categories, 1))
    x = (x - x.mean(axis=2, keepdims=True)) / np.sqrt(1 - 1 / categories)
    step = np.full((categories, 1), -1 / (categories - 1))
    step[0] = 1.0

    def detectable(shift: float) -> bool:
        moved = x[:, n_a:] + shift * step
        p = largest_t(np.concatenate([x[:, :n_a], moved], axis=1)[..., 0], n_a)
        return float((p <= alpha + 1e-12).mean()) >= TARGET_POWER

    low, high = 0.0, 1.0
    while not detectable(high):
        low, high = high, 2 * high
        if high > MAX_SHIFT:
            return None
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (low, middle) if detectable(middle) else (middle, high)
    return high


def confounded_rate(sd_difference: float, sd_a: float, sd_b: float, n_a: int, n_b: int, alpha: float = 0.05) -> float:
    """How often Welch's t rejects if families do not differ, but a confounder shifts one of them.

    The confounder's effect is normal with SD `sd_difference`, in the units of `sd_a` and `sd_b`. The rate is the mean of
    `welch_power` over its distribution.
    """
    shifts = sd_difference * scipy.stats.norm.ppf((np.arange(200) + 0.5) / 200)
    return float(np.mean([welch_power(float(shift), sd_a, sd_b, n_a, n_b, alpha) for shift in shifts[:100]]))
