"""How much a result owes to one unit, one half of the words, or one wording: descriptive, never for selecting.

Knows nothing of what is left out; it is handed arrays, labels and, for leave-one-out, what to compute.

Sources: Spearman (1910) and Brown (1910); McGraw and Wong (1996) for ICC(C, 1) and ICC(C, k).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError


@dataclass(frozen=True)
class LeftOut:
    """What remains without one level; `estimate` is null where it cannot be computed, and `why` says so then."""

    left_out: str
    estimate: float | None
    why: str | None = None


@dataclass(frozen=True)
class SplitHalf:
    """Correlation over models between halves of the words (mean over splits), and of the whole by Spearman–Brown."""

    half: float | None
    spearman_brown: float | None
    n_splits: int


@dataclass(frozen=True)
class PromptIcc:
    """Consistency of rows over columns: of `single` columns and of the mean of all (`average`)."""

    single: float | None
    average: float | None


def leave_one_out(labels: Sequence[str], estimate: Callable[[np.ndarray], float]) -> list[LeftOut]:
    """`estimate` of the rows that stay, with each distinct label left out in turn, in alphabetical order.

    `estimate` gets a boolean mask over the labels; a `BirthmarkError` that it raises becomes `why`.
    """
    names = np.asarray(labels, dtype=str)
    results = []
    for name in sorted(set(names.tolist())):
        try:
            results.append(LeftOut(name, float(estimate(names != name))))
        except BirthmarkError as error:
            results.append(LeftOut(name, None, str(error)))
    return results


def half_of_each(categories: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """A random boolean half of the words, within each category (the odd word falls to the other half)."""
    labels = np.asarray(categories, dtype=str)
    chosen = np.zeros(len(labels), dtype=bool)
    for category in sorted(set(labels.tolist())):
        members = np.flatnonzero(labels == category)
        chosen[rng.permutation(members)[: len(members) // 2]] = True
    return chosen


def split_half(word_values: np.ndarray, categories: Sequence[str], splits: int = 1_000, seed: int = 0) -> SplitHalf:
    """Reliability of the models' contrasts over words.

    word_values: [models, words], (positive − negative) mean ranks; categories: [words], two values; a model's contrast
    is mean(first category) − mean(second). Null with fewer than three models, a category of one word, or models that
    do not differ. Spearman–Brown is 2 r / (1 + r) of the mean r.
    """
    values, labels = np.asarray(word_values, dtype=float), np.asarray(categories, dtype=str)
    names = sorted(set(labels.tolist()))
    if len(names) != 2:
        raise BirthmarkError(f"split-half reliability is of two categories; there are {len(names)}")
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
    """Intraclass correlation (two-way, consistency) of [models, prompts].

    With MS_r of rows and MS_e of the residual, k columns: single (MS_r − MS_e) / (MS_r + (k − 1) MS_e), average
    (MS_r − MS_e) / MS_r. Null where there are fewer than two rows or columns, or rows do not differ.
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
