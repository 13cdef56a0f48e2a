"""The tests of one study, done for thousands of simulated studies at once; each equals its namesake in this room.

Families' values come as two arrays, a [studies, units of a] and b [studies, units of b]; differences are b − a. Knows
nothing of how studies are drawn.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from birthmark.stats.permutation import TIE, label_arrangements

LIMIT = 1_000  # where a test has more splits, so many are drawn: its level stays exact, a simulation stays quick
CELLS = 4_000_000  # splits × studies held at once


@dataclass(frozen=True)
class BatchedWelch:
    """Per study [studies]: difference b − a, its standard error, Welch's df, two-sided p and interval."""

    difference: np.ndarray
    se: np.ndarray
    df: np.ndarray
    p: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray

    def covers(self, target: float) -> np.ndarray:
        """Whether each interval holds the target."""
        return np.asarray((self.ci_low <= target) & (target <= self.ci_high))


@dataclass(frozen=True)
class BatchedExact:
    """p per study [studies], and the largest level up to .05 that such a test can have, or its smallest p if larger."""

    p: np.ndarray
    attainable: float


def welch(a: np.ndarray, b: np.ndarray) -> BatchedWelch:
    """Welch's test and interval of every study, as `panels.welch_interval`; a and b [studies, two units or more].

    Where no unit varies, which has no test, p is 1 and the interval is the difference alone.
    """
    part_a, part_b = a.var(axis=1, ddof=1) / a.shape[1], b.var(axis=1, ddof=1) / b.shape[1]
    return _welch(b.mean(axis=1) - a.mean(axis=1), part_a, part_b, a.shape[1], b.shape[1])


def _welch(difference: np.ndarray, part_a: np.ndarray, part_b: np.ndarray, n_a: int, n_b: int) -> BatchedWelch:
    varies = part_a + part_b > 0
    se = np.sqrt(part_a + part_b)
    spread = np.where(varies, part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1), 1.0)
    df = np.where(varies, (part_a + part_b) ** 2 / spread, n_a + n_b - 2)
    reach = stats.t.ppf(0.975, df) * se
    p = np.where(varies, 2 * stats.t.sf(np.abs(difference) / np.where(varies, se, 1.0), df), 1.0)
    return BatchedWelch(difference, se, df, p, difference - reach, difference + reach)


def headline_test(a: np.ndarray, b: np.ndarray) -> BatchedExact:
    """The exact permutation test of `headline.level_test`: Welch's t where both families have three units, else the
    difference in means; more than `LIMIT` splits are drawn, with (b + 1) / (m + 1).
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
    """The largest p up to .05 that an exact two-sided test can give, or its smallest p where that is larger.

    paired: two families of equally many units, where every split has a mirror image of the same size.
    """
    step = 2 if paired else 1
    count = int(np.floor(0.05 * n_splits / step + 1e-9)) * step
    return max(count, step) / n_splits


def _permutation_p(x: np.ndarray, n_a: int, is_b: np.ndarray, use_welch: bool, exact: bool) -> np.ndarray:
    """Centred values [studies, units], a's first → p [studies].

    With S the sum over b and Q₂ the sum of squares in b, t² = S² (1/n_a + 1/n_b)² / V, where V is linear in S² and Q₂;
    so t² ≥ t₀² where S² ≥ α + β Q₂, with α and β of the study alone. Without Welch, or with equally many units, β = 0.
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
    """The smallest Bonferroni-adjusted Welch p over panels, medians over models and prompts taken for independent.

    a and b: medians [studies, models, categories, prompts], the first half of the prompts positive → p [studies].
    """
    smallest = np.ones(len(a))
    half, n_panels = a.shape[-1] // 2, 2 * a.shape[2]
    for category in range(a.shape[2]):
        for framing in (slice(None, half), slice(half, None)):
            of_a, of_b = (side[:, :, category, framing].reshape(len(side), -1) for side in (a, b))
            smallest = np.minimum(smallest, welch(of_a, of_b).p * n_panels)
    return np.minimum(smallest, 1.0)


def any_panel_max_t(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest adjusted p of `permutation.max_t` over models' values in all panels: [studies]."""
    half = a.shape[-1] // 2
    values = np.concatenate([a, b], axis=1)  # [studies, models, categories, prompts]
    panels = np.concatenate([values[..., :half].mean(axis=-1), values[..., half:].mean(axis=-1)], axis=2)
    return largest_t(panels, a.shape[1])


def largest_t(values: np.ndarray, n_a: int) -> np.ndarray:
    """The smallest adjusted p of `permutation.max_t`: values [studies, units, columns], a's units first → p [studies]."""
    values = values - values.mean(axis=1, keepdims=True)
    n = values.shape[1]
    splits, exact = label_arrangements(np.repeat([0, 1], [n_a, n - n_a]), limit=LIMIT)
    # B / T grows with |t|; with S the sum over b of centred values, B = S² (1/n_a + 1/n_b)
    total = (values**2).sum(axis=1)  # [studies, columns]
    observed = (values[:, n_a:].sum(axis=1) ** 2 / total).max(axis=1)
    share = (np.tensordot(splits.astype(float), values, axes=(1, 1)) ** 2 / total).max(axis=2)  # [splits, studies]
    extra = 0 if exact else 1
    return np.asarray(((share >= observed * (1 - TIE)).sum(axis=0) + extra) / (len(splits) + extra))


def mixed_model_three_way(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """p of family × category × framing in `mixed.fit_mixed_model` by REML, two balanced categories: [studies].

    a and b: medians [studies, models, 2, prompts]. The term is within models, so that its estimate is the difference of
    mean contrasts and its variance 4 σ² (1/n_a + 1/n_b) / (prompts a framing); σ² is the mean square within models, or
    the pooled one where models differ by less than that (REML's boundary, a variance of zero).
    """
    half, n_models = a.shape[-1] // 2, a.shape[1] + b.shape[1]
    size = 4 * half  # medians a model
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
    return np.asarray(stats.f.sf((contrast[1] - contrast[0]) ** 2 / variance, 1, df_within))
