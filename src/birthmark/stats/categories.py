"""Many categories of words, each against all other words, with word stems as the sample: intervals, and the largest |t|."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from birthmark.stats.permutation import TIE

DRAWS = 1_999


@dataclass(frozen=True)
class AgainstOthers:
    """A category's mean less that of all other words, with Welch's 95% interval; NaN where it has none."""

    estimate: float
    ci_low: float
    ci_high: float
    p_max_t: float


def against_others(
    values: np.ndarray, member: np.ndarray, stems: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> list[AgainstOthers]:
    """Each category's stems against those that are not in it.

    values: [words]; member: bool [categories, words]; stems: [words]. Words of one stem are one observation, their mean,
    which is in every category that one of them is in. The interval is Welch's. The p is adjusted for all categories: with
    m permutations of the observations over all stems, p_c = (1 + #{max_k |t_k| ≥ |t_c|}) / (m + 1), Welch's t, the
    single-step max-T of Westfall and Young (1993). A category of every stem has no estimate; one with fewer than two
    stems in it or outside has no interval and no p.
    """
    names, code = np.unique(np.asarray(stems, dtype=str), return_inverse=True)
    counts = np.bincount(code)
    x = np.bincount(code, weights=np.asarray(values, dtype=float)) / counts
    centred = x - x.mean()
    inside = np.stack([np.bincount(code, weights=row) > 0 for row in member.astype(float)]).astype(float)
    n_in = inside.sum(axis=1)
    tested = (n_in >= 2) & (len(names) - n_in >= 2)
    found = np.full((4, len(member)), np.nan)
    some = (n_in > 0) & (n_in < len(names))
    found[0, some] = inside[some] @ x / n_in[some] - (1 - inside[some]) @ x / (len(names) - n_in[some])
    if tested.any() and np.ptp(x) > 0:
        difference, variances, df = _welch(centred[None, :], inside[tested])
        se = np.sqrt(variances[0])
        reach = scipy.stats.t.ppf(0.975, df[0]) * se
        found[1, tested], found[2, tested] = difference[0] - reach, difference[0] + reach
        shuffled = np.random.default_rng(seed).permuted(np.tile(centred, (draws, 1)), axis=1)
        drawn, drawn_variances, _ = _welch(shuffled, inside[tested])
        largest = _t(drawn, drawn_variances).max(axis=1)
        extreme = (largest[:, None] >= _t(difference, variances)[0] * (1 - TIE)).sum(axis=0)
        found[3, tested] = (1 + extreme) / (draws + 1)
    return [AgainstOthers(*column) for column in found.T.tolist()]


def _t(difference: np.ndarray, variances: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(difference) / np.sqrt(np.where(variances > 0, variances, np.inf)))


def _welch(x: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of means, its squared standard error and df, each [rows, categories]; x [rows, stems], inside [categories, stems]."""
    n_in = inside.sum(axis=1)
    n_out = inside.shape[1] - n_in
    sums, squares = x @ inside.T, (x * x) @ inside.T
    means = sums / n_in, (x.sum(axis=1, keepdims=True) - sums) / n_out
    all_squares = (x * x).sum(axis=1, keepdims=True)
    in_part = np.maximum(squares / n_in - means[0] ** 2, 0) / (n_in - 1)
    out_part = np.maximum((all_squares - squares) / n_out - means[1] ** 2, 0) / (n_out - 1)
    total = in_part + out_part
    below = in_part**2 / (n_in - 1) + out_part**2 / (n_out - 1)
    df = np.where(below > 0, total**2 / np.where(below > 0, below, 1.0), 1.0)
    return means[0] - means[1], total, df
