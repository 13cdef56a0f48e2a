"""Scores to ranks, and ranks to medians, means and contrasts of a lexicon's categories.

Rank 1 is the best candidate after a prompt; ranks are among the lexicon's words alone, so they depend on how many of
those a table holds. Nothing here knows of families, of tests, or of where scores come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Framing
from birthmark.scores import ScoreTable


@dataclass(frozen=True)
class LexiconScores:
    """One table's scores of a lexicon's words.

    `scores` is float32 [words, prompts], rows in the order of `categories`' keys (alphabetical), columns in the table's
    order. `from_tokens` are the words that had no word row and took their token's; `duplicates` those with several rows.
    """

    categories: Mapping[str, tuple[str, ...]]
    prompts: tuple[str, ...]
    scores: np.ndarray
    from_tokens: tuple[str, ...]
    duplicates: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.categories)


def rank(scores: np.ndarray) -> np.ndarray:
    """Ranks within each prompt: 1 for the highest score, ties averaged.

    `scores` [n, prompts] → float64 [n, prompts]; each column sums to n(n + 1)/2. Constant scores are all ties: each
    rank is (n + 1)/2. Raises `BirthmarkError` for NaN or infinite scores, which have no rank.
    """
    if not np.isfinite(scores).all():
        raise BirthmarkError("NaN or infinite scores have no rank: score the model again, in float32")
    return np.asarray(rankdata(-np.asarray(scores, dtype=np.float64), method="average", axis=0), dtype=np.float64)


def lexicon_scores(table: ScoreTable, lexicon: Lexicon) -> LexiconScores:
    """The rows of a table that are the lexicon's words: a word's own row, or the identical token's where it has none.

    Of several rows with the same text (a vocabulary can spell a text by two ids; published files repeat responses) the
    highest score after each prompt counts, that of the most probable. Raises `BirthmarkError` where no word is found, or
    where a score is NaN or infinite.
    """
    found = lexicon.match(table.frame["candidate"].unique().to_list())
    if not found:
        raise BirthmarkError(
            f"no word of the lexicon {lexicon.name} is among the candidates of {table.model}: score it with --lexicon"
        )
    rows = table.frame.filter(pl.col("candidate").is_in(list(found)))
    worded = set(rows.filter(pl.col("token_id").is_null())["candidate"])
    rows = rows.filter(pl.col("token_id").is_null() | ~pl.col("candidate").is_in(list(worded)))
    _check_finite(rows, table)
    # The key column `token_id` is free to hold the number of rows: no prompt can be called that.
    best = rows.group_by("candidate").agg(pl.len().alias("token_id"), pl.col(table.prompt_keys).max()).sort("candidate")
    words = best["candidate"].to_list()
    return LexiconScores(
        categories={word: tuple(sorted(found[word])) for word in words},
        prompts=tuple(table.prompt_keys),
        scores=best.select(table.prompt_keys).to_numpy(),
        from_tokens=tuple(word for word in words if word not in worded),
        duplicates=tuple(best.filter(pl.col("token_id") > 1)["candidate"]),
    )


def _check_finite(rows: pl.DataFrame, table: ScoreTable) -> None:
    for prompt in table.prompt_keys:
        wrong = rows.filter(~pl.col(prompt).is_finite().fill_null(False))
        if wrong.height:
            word, value = wrong["candidate"][0], wrong[prompt][0]
            raise BirthmarkError(
                f"{table.model} gives {word!r} the score {value} after {prompt}: score it again, in float32, or leave it out"
            )


def membership(categories: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> np.ndarray:
    """Which word is in which category: bool [categories, words]; a word may be in several."""
    return np.array([[name in of_word for of_word in categories.values()] for name in names], dtype=bool)


def category_medians(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Median rank of each category's words: ranks [..., words, prompts] → [..., categories, prompts]."""
    return np.stack([np.median(ranks[..., words, :], axis=-2) for words in member], axis=-2)


def category_means(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Mean rank of each category's words: ranks [..., words, prompts] → [..., categories, prompts]."""
    return np.stack([ranks[..., words, :].mean(axis=-2) for words in member], axis=-2)


def framing_means(values: np.ndarray, framings: Sequence[Framing | None], framing: Framing) -> np.ndarray:
    """Mean over the prompts of one framing: [..., prompts] → [...]."""
    return values[..., [given == framing for given in framings]].mean(axis=-1)


def framing_contrast(values: np.ndarray, framings: Sequence[Framing | None]) -> np.ndarray:
    """Mean over positive prompts minus mean over negative ones: [..., prompts] → [...]."""
    return framing_means(values, framings, "positive") - framing_means(values, framings, "negative")


def contrast(values: np.ndarray, framings: Sequence[Framing | None]) -> np.ndarray:
    """(first − second category, positive prompts) − (the same, negative prompts), of median or of mean ranks.

    `values` [..., 2 categories, prompts] → [...], in ranks. Since 1 is best, a negative contrast says that the first
    category is preferred where good things are asked for, beyond what it is where bad things are.
    """
    by_category = framing_contrast(values, framings)
    return by_category[..., 0] - by_category[..., 1]
