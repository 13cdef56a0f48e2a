"""Forecasts by regression over groups, with intervals that leave one group out at a time."""

from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError

FEWEST = 6
LEVEL = 0.95
ROUNDING = 1e-9


@dataclass(frozen=True)
class Forecasts:
    """For each new x: the line's value and the interval at `level`; [new] each. `level` is the one the groups allow."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    slope: float
    intercept: float


def attainable(groups: int, level: float = LEVEL) -> float:
    """The level of an interval from so many groups: `level`, or n / (n + 1) where that is less."""
    return min(level, groups / (groups + 1))


def jackknife_plus(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, new_x: np.ndarray, level: float = LEVEL
) -> Forecasts:
    """Forecast y at new values of x, each of a group that is not among these, by least squares over groups.

    x, y: [n], x the same within a group; groups: [n] labels; new_x: [new]. The line goes through the groups' means, so that
    each group counts once. Without group g it gives m_g(x) at any x, and its own members the residuals R = |y − m_g(x_g)|.
    The interval lies between the α-quantile of m_g(new) − R and the (1 − α)-quantile of m_g(new) + R, where each of the k
    groups has weight 1 / (k + 1), shared by its members, and the rest of the weight is at infinity. With one member a
    group this is the jackknife+: it holds a new y at least 1 − 2α of the time for exchangeable groups, whatever their
    distribution, and about 1 − α in practice; α = 1 / (k + 1) is the smallest that gives an end to both sides.

    Raises `BirthmarkError` for fewer than six groups, or x that does not vary once a group is left out.
    Sources: Barber, Candès, Ramdas and Tibshirani (2021), Annals of Statistics 49; for several members a group: Lee,
    Barber and Willett (2023), arXiv 2306.06342.
    """
    names, at = np.unique(groups, return_inverse=True)
    if len(names) < FEWEST:
        raise BirthmarkError(f"a forecast needs {FEWEST} base checkpoints or more, and there are {len(names)}")
    sizes = np.bincount(at)
    mean_x, mean_y = np.bincount(at, x) / sizes, np.bincount(at, y) / sizes
    slope, intercept = _lines(mean_x[None], mean_y[None], np.ones((1, len(names))))
    keep = 1.0 - np.eye(len(names))
    if min(np.ptp(mean_x[row > 0]) for row in keep) <= ROUNDING * max(1.0, float(np.abs(mean_x).max())):
        raise BirthmarkError("the base checkpoints' own contrasts are all alike: there is nothing to forecast from")
    slopes, intercepts = _lines(
        np.broadcast_to(mean_x, keep.shape), np.broadcast_to(mean_y, keep.shape), keep
    )  # [groups]
    residuals = np.abs(y - (intercepts[at] + slopes[at] * x))  # [n]
    left_out = intercepts[at][:, None] + slopes[at][:, None] * new_x[None]  # [n, new]
    used = attainable(len(names), level)
    weights = 1.0 / ((len(names) + 1) * sizes[at])
    high = _quantiles(left_out + residuals[:, None], weights, used)
    low = -_quantiles(-(left_out - residuals[:, None]), weights, used)
    return Forecasts(
        intercept[0] + slope[0] * new_x, low, high, used, slope=float(slope[0]), intercept=float(intercept[0])
    )


def _lines(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts of weighted least squares, one a row: [rows, n] each."""
    total = weights.sum(axis=1)
    mean_x, mean_y = ((weights * values).sum(axis=1) / total for values in (x, y))
    deviation = x - mean_x[:, None]
    spread = (weights * deviation**2).sum(axis=1)
    slope = (weights * deviation * (y - mean_y[:, None])).sum(axis=1) / np.where(spread > 0, spread, 1.0)
    return slope, mean_y - slope * mean_x


def _quantiles(values: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """In each column the smallest value below or at which `level` of the weight lies: values [n, new], weights [n]."""
    order = np.argsort(values, axis=0)
    held = np.cumsum(weights[order], axis=0)
    first = (held < level - ROUNDING).sum(axis=0)
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), first[None], axis=0)[0]
