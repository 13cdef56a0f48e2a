"""Intervals of single words over models; leave-one-out, split-half reliability and prompt ICC.

Leave-one-out and split-half results are descriptive. Do not select words, prompts or models by them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.results import Without

LEVEL = 0.95


@dataclass(frozen=True)
class ColumnDifferences:
    """For each column (a word) [columns]: mean(b) − mean(a) over rows (models) and Welch's interval; NaN if undefined."""

    difference: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray


def column_differences(values: np.ndarray, is_b: np.ndarray) -> ColumnDifferences:
    """Mean difference b − a of each column, with Welch's 95% interval over rows, in the units of the values.

    values: [rows, columns]; is_b: [rows], which rows are in group b. The interval is
    (b − a) ± t(.975, df) √(s_a²/n_a + s_b²/n_b), df by Welch and Satterthwaite. It is NaN if a group has one row or a
    column does not vary within groups.
    """
    is_b = np.asarray(is_b, dtype=bool)
    a, b = np.asarray(values, dtype=float)[~is_b], np.asarray(values, dtype=float)[is_b]
    difference = b.mean(axis=0) - a.mean(axis=0)
    if min(len(a), len(b)) < 2:
        nothing = np.full(difference.shape, np.nan)
        return ColumnDifferences(difference, nothing, nothing)
    part_a, part_b = a.var(axis=0, ddof=1) / len(a), b.var(axis=0, ddof=1) / len(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (part_a + part_b) ** 2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
        reach = scipy.stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(part_a + part_b)
    return ColumnDifferences(difference, difference - reach, difference + reach)


def equivalence_bound(estimate: float, se: float, df: float) -> float:
    """The smallest margin m at which two one-sided tests at .05 (TOST) conclude |difference| < m, in the estimate's units.

    m = |estimate| + t(.95, df) · se. It supports the statement "no difference larger than m" when no difference is found.
    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680.
    """
    return abs(estimate) + float(scipy.stats.t.ppf(0.95, df)) * se


@dataclass(frozen=True)
class SplitHalf:
    """Correlation over models between two halves of the words (mean over splits), and its Spearman–Brown correction."""

    half: float | None
    spearman_brown: float | None
    n_splits: int


@dataclass(frozen=True)
class PromptIcc:
    """Intraclass correlation (consistency) of a single column, `single`, and of the mean of all columns, `average`."""

    single: float | None
    average: float | None


def leave_one_out(labels: Sequence[str], estimate: Callable[[np.ndarray], float]) -> list[Without]:
    """Recompute `estimate` leaving out each distinct label in turn, in alphabetical order.

    labels: [n]; estimate: a function of a boolean mask [n] of the rows that are kept. If it raises a `BirthmarkError`,
    the message becomes `why`.
    """
    names = np.asarray(labels, dtype=str)
    results = []
    for name in sorted(set(names.tolist())):
        try:
            results.append(Without(name, float(estimate(names != name))))
        except BirthmarkError as error:
            results.append(Without(name, None, str(error)))
    return results


def half_of_each(categories: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """A random half of the words of each category, as a boolean mask [words]; an odd word goes to the other half."""
    labels = np.asarray(categories, dtype=str)
    chosen = np.zeros(len(labels), dtype=bool)
    for category in sorted(set(labels.tolist())):
        members = np.flatnonzero(labels == category)
        chosen[rng.permutation(members)[: len(members) // 2]] = True
    return chosen


def split_half(word_values: np.ndarray, categories: Sequence[str], splits: int = 1_000, seed: int = 0) -> SplitHalf:
    """Split-half reliability of the models' contrasts over words.

    word_values: [models, words], differences (positive − negative) of mean ranks; categories: [words], two values. A
    model's contrast is mean(first category) − mean(second). Spearman–Brown: 2 r / (1 + r), with r the mean correlation
    over splits. Null with fewer than three models, a category of one word, or models that do not differ.

    Raises `BirthmarkError` unless there are exactly two categories. Source: Spearman (1910), Brown (1910), British Journal
    of Psychology 3.
    """
    values, labels = np.asarray(word_values, dtype=float), np.asarray(categories, dtype=str)
    names = sorted(set(labels.tolist()))
    if len(names) != 2:
        raise BirthmarkError(f"split-half reliability needs exactly two categories; there are {len(names)}")
    if len(values) < 3 or min((labels == name).sum() for name in names) < 2:
        return SplitHalf(None, None, 0)
    rng = np.random.default_rng(seed)
    correlations = []
    for _ in range(splits):
        half = half_of_each(labels.tolist(), rng)
        first, second = (_contrasts(values, labels, names, chosen) for chosen in (half, ~half))
        if min(np.ptp(first), np.ptp(second)) <= 1e-12 * np.abs(values).max():
            return SplitHalf(None, None, 0)
        correlations.append(float(np.corrcoef(first, second)[0, 1]))
    r = float(np.mean(correlations))
    return SplitHalf(r, 2 * r / (1 + r) if r > -1 else None, splits)


def prompt_icc(table: np.ndarray) -> PromptIcc:
    """Intraclass correlation (two-way, consistency) of a table [models, prompts].

    With row mean square MS_r, residual mean square MS_e and k columns:
    single = (MS_r − MS_e) / (MS_r + (k − 1) MS_e), average = (MS_r − MS_e) / MS_r.
    Null with fewer than two rows or columns, or if rows do not differ.
    Source: McGraw and Wong (1996), Psychological Methods 1, 30–46: ICC(C, 1) and ICC(C, k).
    """
    x = np.asarray(table, dtype=float)
    n, k = x.shape
    if min(n, k) < 2:
        return PromptIcc(None, None)
    rows = x.mean(axis=1, keepdims=True) - x.mean()
    residual = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0, keepdims=True) + x.mean()
    ms_rows = k * float((rows**2).sum()) / (n - 1)
    ms_error = float((residual**2).sum()) / ((n - 1) * (k - 1))
    if ms_rows <= 1e-24 * np.abs(x).max() ** 2:
        return PromptIcc(None, None)
    return PromptIcc((ms_rows - ms_error) / (ms_rows + (k - 1) * ms_error), (ms_rows - ms_error) / ms_rows)


def _contrasts(values: np.ndarray, labels: np.ndarray, names: Sequence[str], chosen: np.ndarray) -> np.ndarray:
    first, second = (values[:, chosen & (labels == name)].mean(axis=1) for name in names)
    return first - second
