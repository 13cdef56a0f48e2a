"""What one model leans to: the contrast of a lexicon's two categories, with its interval over words, prompts fixed.

It takes ranks and knows nothing of tables, of families, or of when in a training the model was looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.records import Framing
from birthmark.values.ranks import category_means, category_medians, contrast, framing_means, membership
from birthmark.values.stems import stems

DRAWS = 999


@dataclass(frozen=True)
class Leaning:
    """One model's contrast in ranks, and the mean over a framing's prompts of each category's median rank.

    `contrast` (of median ranks), its 95% interval over words and `mean_rank_contrast` are None unless there are two
    categories and prompts of both framings; the interval also where a category has one stem only.
    """

    contrast: float | None
    ci_low: float | None
    ci_high: float | None
    mean_rank_contrast: float | None
    medians: Mapping[tuple[str, Framing], float]


def leaning(
    ranks: np.ndarray, categories: Mapping[str, tuple[str, ...]], framings: Sequence[Framing | None], seed: int = 0
) -> Leaning:
    """The leaning of a model with these ranks, float [words, prompts], 1 is best.

    `categories`: word → its categories, in the order of the rows; `framings`: of each prompt. The interval is the
    percentile bootstrap of word stems within categories, with prompts and ranks fixed: Efron and Tibshirani (1993).
    """
    names = sorted({name for of_word in categories.values() for name in of_word})
    member = membership(categories, names)
    medians = category_medians(ranks, member)
    present: list[Framing] = [framing for framing in ("positive", "negative") if framing in framings]
    cells = {
        (name, framing): float(framing_means(medians, framings, framing)[row])
        for framing in present
        for row, name in enumerate(names)
    }
    if len(names) != 2 or len(present) != 2:
        return Leaning(None, None, None, None, cells)
    low, high = _interval(ranks, member, framings, stems(categories), seed)
    return Leaning(
        contrast=float(contrast(medians, framings)),
        ci_low=low,
        ci_high=high,
        mean_rank_contrast=float(contrast(category_means(ranks, member), framings)),
        medians=cells,
    )


def _interval(
    ranks: np.ndarray, member: np.ndarray, framings: Sequence[Framing | None], of_word: Sequence[str], seed: int
) -> tuple[float | None, float | None]:
    clusters = np.asarray(of_word, dtype=str)
    drawn = [
        _drawn_medians(ranks[row], clusters[row], np.random.default_rng([seed, at])) for at, row in enumerate(member)
    ]
    if any(medians is None for medians in drawn):
        return None, None
    values = contrast(np.stack([medians for medians in drawn if medians is not None], axis=-2), framings)  # [draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _drawn_medians(ranks: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Medians [draws, prompts] of one category's ranks [words, prompts] over redrawn clusters; None for a single one."""
    _, code = np.unique(clusters, return_inverse=True)
    n = int(code.max()) + 1
    if n < 2:
        return None
    counts = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, code]  # [draws, words]
    return np.stack([np.median(np.repeat(ranks, times, axis=0), axis=0) for times in counts])
