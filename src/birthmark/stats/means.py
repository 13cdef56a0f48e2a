"""Means of small samples with their intervals: shares, means over a few seeds, differences of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.power import TARGET_POWER, paired_power

LEVEL = 0.95
MOST = 1_000_000


@dataclass(frozen=True)
class Mean:
    """A mean with its 95% t interval, the two-sided p of a mean of 0, and the sample's SD; n values."""

    estimate: float
    ci_low: float
    ci_high: float
    p: float
    sd: float
    n: int


def wilson(share: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share of n: the values whose normal test does not reject the share at 1 − level.

    (share + z²/2n ± z √(share (1 − share) / n + z²/4n²)) / (1 + z²/n). Where each of the n is itself a mean of several 0s
    and 1s, the interval is too wide rather than too narrow: the variance of values in [0, 1] is at most that of 0s and 1s
    with the same mean.

    Raises `BirthmarkError` unless 0 ≤ share ≤ 1 and n ≥ 1.
    Sources: Wilson (1927), Journal of the American Statistical Association 22; Bhatia and Davis (2000), American
    Mathematical Monthly 107.
    """
    if not (0 <= share <= 1 and n >= 1):
        raise BirthmarkError(f"{share} of {n} is not a share of a sample")
    z = float(scipy.stats.norm.ppf((1 + level) / 2))
    middle, reach = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)
    return max(0.0, float(low)), min(1.0, float(high))


def mean_of(values: Sequence[float] | np.ndarray) -> Mean | None:
    """The mean with Student's interval: mean ± t(.975, n − 1) SD / √n. None for fewer than two values or values all alike.

    Values that are all alike have an interval of no width, which would be surer than so small a sample can be.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2 or np.ptp(sample) <= 1e-12 * max(1.0, float(np.abs(sample).max())):
        return None
    found = scipy.stats.ttest_1samp(sample, 0.0)
    low, high = found.confidence_interval(LEVEL)
    return Mean(
        float(sample.mean()), float(low), float(high), float(found.pvalue), float(sample.std(ddof=1)), len(sample)
    )


def needed(shift: float, sd: float, most: int = MOST, alpha: float = 0.05) -> int | None:
    """The smallest n ≥ 2 for which a paired t test of n differences with this SD finds `shift` with 80% power.

    None where not even `most` are enough, or the shift is 0.
    """
    if shift == 0 or paired_power(shift, sd, most, alpha) < TARGET_POWER:
        return None
    low, high = 1, most  # the power at `low` is too small, at `high` enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if paired_power(shift, sd, middle, alpha) >= TARGET_POWER else (middle, high)
    return high


def detectable(sd: float, n: int, alpha: float = 0.05) -> float:
    """The smallest mean difference that a paired t test of n differences with this SD finds with 80% power.

    Raises `BirthmarkError` for fewer than two differences.
    """
    if n < 2:
        raise BirthmarkError("a smallest detectable difference needs two values or more")
    if sd == 0:
        return 0.0
    reach = 1.0
    while paired_power(reach, 1.0, n, alpha) < TARGET_POWER:
        reach *= 2
    found = scipy.optimize.brentq(lambda shift: paired_power(shift, 1.0, n, alpha) - TARGET_POWER, 1e-9, reach)
    return float(found) * sd
