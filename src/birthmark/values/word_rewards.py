"""The implicit reward of a lexicon's words: of any number of tokens, as the tables' word rows have them.

A word row is the probability of the whole word, its tokens by the chain rule and its forms summed; a word without a row of
its own takes the identical token's. Knows nothing of vocabularies and how they are joined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from birthmark.inputs.lexicons import Lexicon
from birthmark.scores import ScoreTable
from birthmark.values.metrics import LEADING_METRIC, METRICS
from birthmark.values.ranks import lexicon_scores


@dataclass(frozen=True)
class WordRewards:
    """A lexicon's words that both tables have and that both models find possible after every prompt.

    `categories`: word → its categories; `scores` [2, words, keys] of log-probabilities, rows in the order of `categories`;
    `tokens` [2, words]: the most tokens that a form of the word takes in each model, null where the table does not say.
    """

    lexicon: str
    keys: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    scores: np.ndarray
    tokens: tuple[tuple[int | None, ...], tuple[int | None, ...]]

    def metrics(self, key: str) -> dict[str, np.ndarray]:
        """Metric → [words] after one prompt; rank differences are among these words."""
        log_p, log_q = self.scores[:, :, self.keys.index(key)]
        return {name: metric(log_p, log_q) for name, metric in METRICS.items()}

    def means(self, key: str) -> dict[str, dict[str, float]]:
        """Category → metric → mean over its words."""
        values = self.metrics(key)
        rows: dict[str, list[int]] = {}
        for row, names in enumerate(self.categories.values()):
            for name in names:
                rows.setdefault(name, []).append(row)
        return {
            category: {name: float(of_words[chosen].mean()) for name, of_words in values.items()}
            for category, chosen in sorted(rows.items())
        }

    def frame(self, key: str) -> pl.DataFrame:
        """`prompt`, `lexicon`, `candidate`, `categories`, `tokens_a`, `tokens_b`, `logprob_a`, `logprob_b`, the metrics."""
        log_p, log_q = self.scores[:, :, self.keys.index(key)]
        return pl.DataFrame(
            {
                "prompt": [key] * len(self.categories),
                "lexicon": [self.lexicon] * len(self.categories),
                "candidate": list(self.categories),
                "categories": ["+".join(names) for names in self.categories.values()],
                "tokens_a": pl.Series(self.tokens[0], dtype=pl.Int64),
                "tokens_b": pl.Series(self.tokens[1], dtype=pl.Int64),
                "logprob_a": log_p,
                "logprob_b": log_q,
                **self.metrics(key),
            }
        ).sort([LEADING_METRIC, "candidate"], descending=[True, False])


def word_rewards(table_a: ScoreTable, table_b: ScoreTable, keys: Sequence[str], lexicon: Lexicon) -> WordRewards | None:
    """The lexicon's words after the prompts `keys`, which both tables have; None where they share no word of it.

    Raises `BirthmarkError` for a score that is not a number.
    """
    tables = [possible_rows(table, keys) for table in (table_a, table_b)]
    if not all(lexicon.match(table.frame["candidate"].unique().to_list()) for table in tables):
        return None
    found = [lexicon_scores(table, lexicon) for table in tables]
    words = [word for word in found[0].words if word in found[1].categories]
    if not words:
        return None
    places = [{word: row for row, word in enumerate(side.words)} for side in found]
    scores = np.stack(
        [side.scores[[place[word] for word in words]] for side, place in zip(found, places, strict=True)]
    ).astype(np.float64)
    tokens_a, tokens_b = (_n_tokens(table, side.from_tokens, words) for table, side in zip(tables, found, strict=True))
    return WordRewards(
        lexicon.name, tuple(keys), {word: found[0].categories[word] for word in words}, scores, (tokens_a, tokens_b)
    )


def possible_rows(table: ScoreTable, keys: Sequence[str]) -> ScoreTable:
    """The table of the prompts `keys`, without rows whose probability is zero after one of them."""
    rows = table.frame.select("candidate", "token_id", *keys)
    impossible = pl.any_horizontal((pl.col(key) == -np.inf).fill_null(False) for key in keys)
    return ScoreTable(rows.filter(~impossible), table.record)


def _n_tokens(table: ScoreTable, from_tokens: Sequence[str], words: Sequence[str]) -> tuple[int | None, ...]:
    known = {**(table.record.word_tokens or {}), **dict.fromkeys(from_tokens, 1)}
    return tuple(known.get(word) for word in words)
