"""The data behind the page's search box: where every shared candidate and lexicon word stands in every model.

Columns are model × framing. Words rank among words, vocabulary tokens among the vocabulary. Where all of it would make
the page heavy, lexicon words stay, then tokens that look like words, best first; what is left out is counted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from birthmark.values.extremes import QUANTILE_SHARES, Standings, best_of_each, shared_candidates

BUDGET = 2_400_000
BYTES_A_RANK = 7
BYTES_A_TOKEN = 12
WORD_LIKE = re.compile(r" ?[A-Za-z][A-Za-z'-]+")


@dataclass(frozen=True)
class SearchData:
    """`data` is the JSON; `n_shared` tokens are in every vocabulary, `n_kept` of them can be looked up."""

    data: dict[str, Any]
    n_words: int
    n_shared: int
    n_kept: int


def search_data(tokens: Sequence[Standings], words: Sequence[Standings], *, budget: int = BUDGET) -> SearchData:
    """Everything that the search box knows; `tokens` and `words` are the standings of all models and framings.

    Tokens are those that all vocabularies share as text, of duplicates the best; words are those of any model.
    """
    shared = shared_candidates([item.frame for item in tokens])
    ranks = [best_of_each(item.frame, shared) for item in tokens]
    kept = _kept(shared, ranks, budget)
    all_words = sorted({word for item in words for word in item.frame["candidate"]})
    data = {
        "shares": [round(float(share), 7) for share in QUANTILE_SHARES],
        "tokens": _part(tokens, [shared[at] for at in kept], [column[kept] for column in ranks]),
        "words": _part(words, all_words, [best_of_each(item.frame, all_words) for item in words]),
    }
    return SearchData(data, n_words=len(all_words), n_shared=len(shared), n_kept=len(kept))


def _part(items: Sequence[Standings], texts: list[str], ranks: Sequence[np.ndarray]) -> dict[str, Any]:
    columns = [
        {
            "model": item.model,
            "framing": item.framing,
            "n": item.frame.height,
            "quantiles": [_short(value) for value in item.quantiles()],
        }
        for item in items
    ]
    return {"columns": columns, "texts": texts, "ranks": [[_short(value) for value in column] for column in ranks]}


def _kept(shared: Sequence[str], ranks: Sequence[np.ndarray], budget: int) -> np.ndarray:
    """Positions in `shared` of the tokens that fit the budget: word-like ones first, by their best rank anywhere."""
    if not shared:
        return np.array([], dtype=int)
    room = budget // (BYTES_A_RANK * len(ranks) + BYTES_A_TOKEN)
    best = np.min([column for column in ranks], axis=0)
    word_like = np.array([WORD_LIKE.fullmatch(text) is not None for text in shared])
    order = np.lexsort((best, ~word_like))
    return np.sort(order[:room])


def _short(value: float) -> float | int | None:
    """A rank as JSON: whole above 1,000, one decimal below, null for none."""
    if np.isnan(value):
        return None
    rounded = round(float(value), 1) if value < 1000 else round(float(value))
    return int(rounded) if rounded == int(rounded) else rounded
