"""Two sides of language models, every one of the first against every one of the second, and two words through all pairs.

Models on one base checkpoint are not independent: units are base checkpoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import polars as pl
import scipy

from birthmark.errors import BirthmarkError
from birthmark.records import GridSide, PairTest, Unit, WordGap, WordPair
from birthmark.scoring.table import ScoreTable
from birthmark.stats.permutation import pair_permutation
from birthmark.values.implicit import Duplicates, token_texts
from birthmark.values.metrics import LEADING_METRIC, METRICS, RELATIVE
from birthmark.values.ranks import folded
from birthmark.values.wording_pairs import word_gap_sentence


@dataclass(frozen=True)
class Sides:
    """`first` and `second` hold the score tables of language models, none of them twice."""

    first: tuple[ScoreTable, ...]
    second: tuple[ScoreTable, ...]

    @property
    def tables(self) -> tuple[ScoreTable, ...]:
        return (*self.first, *self.second)

    @cached_property
    def is_b(self) -> np.ndarray:
        """bool [models]: who is on the second side."""
        return np.arange(len(self.tables)) >= len(self.first)

    @cached_property
    def names(self) -> tuple[str, str]:
        """The two families where each side is of one, else `A` and `B`."""
        families = [{table.record.family for table in side} for side in (self.first, self.second)]
        if all(len(found) == 1 and None not in found for found in families) and families[0] != families[1]:
            return str(*families[0]), str(*families[1])
        return "A", "B"

    @cached_property
    def records(self) -> tuple[GridSide, GridSide]:
        first, second = (
            GridSide(
                name=name,
                models=[table.model for table in side],
                base_checkpoints=[table.record.base_checkpoint or table.model for table in side],
            )
            for name, side in zip(self.names, (self.first, self.second), strict=True)
        )
        return first, second

    @cached_property
    def unit(self) -> Unit:
        bases = [{table.record.base_checkpoint for table in side} for side in (self.first, self.second)]
        known = None not in bases[0] | bases[1]
        return "base_checkpoint" if known and not bases[0] & bases[1] else "model"

    @cached_property
    def membership(self) -> np.ndarray:
        """float [units, models]: each row sums to one, so that `membership @ values` are means over a unit's models."""
        labels = [
            str(table.record.base_checkpoint) if self.unit == "base_checkpoint" else table.model
            for table in self.tables
        ]
        units = list(dict.fromkeys(labels))
        rows = np.array([[label == unit for label in labels] for unit in units], dtype=float)
        return rows / rows.sum(axis=1, keepdims=True)

    @cached_property
    def unit_is_b(self) -> np.ndarray:
        """bool [units]."""
        return (self.membership @ self.is_b) > 0.5

    @property
    def n_units(self) -> dict[str, int]:
        n_b = int(self.unit_is_b.sum())
        return dict(zip(self.names, (len(self.unit_is_b) - n_b, n_b), strict=True))

    def unit_pairs(self, values: np.ndarray) -> np.ndarray:
        """Values of ordered pairs of models [models, models] → means over ordered pairs of units [units, units]."""
        return np.asarray(self.membership @ values @ self.membership.T)


def make_sides(first: Sequence[ScoreTable], second: Sequence[ScoreTable]) -> Sides:
    """Raises `BirthmarkError` for an empty side, a table of rewards, or a model that is there twice."""
    if not first or not second:
        raise BirthmarkError("a grid takes models on both sides: birthmark implicit --grid A… -- B…")
    seen: set[str] = set()
    for table in (*first, *second):
        if table.record.kind != "logprob":
            raise BirthmarkError(f"{table.model} gives rewards: an implicit reward is between two language models")
        if table.record.slug in seen:
            raise BirthmarkError(f"{table.model} is in the grid twice: name each model once, on one side")
        seen.add(table.record.slug)
    return Sides(tuple(first), tuple(second))


def word_gap(sides: Sides, prompt: str, words: Sequence[str], duplicates: Duplicates = "max", seed: int = 0) -> WordGap:
    """The two `words` after one prompt in all pairs, and the tests of their gap, a metric at a time.

    Raises `BirthmarkError` where they are not two different words, or are not in all tables.
    """
    if len({word.lower() for word in words}) != 2 or len(words) != 2:
        raise BirthmarkError(f"--words takes two different words, such as love,freedom, not {','.join(words)}")
    texts, scores, source = _shared(sides.tables, prompt, words, duplicates)
    rows = [_rows(texts, word, source) for word in words]
    gaps = {name: _gaps(scores, rows, name) for name in METRICS}
    tests = [_test(sides, name, of_models, seed) for name, (_, of_models) in gaps.items()]
    values = gaps[LEADING_METRIC][0]
    n_a = len(sides.first)
    pairs = [
        WordPair(
            a=sides.tables[i].model,
            b=sides.tables[j].model,
            first=float(values[0, i, j]),
            second=float(values[1, i, j]),
            gap=float(values[1, i, j] - values[0, i, j]),
        )
        for i in range(n_a)
        for j in range(n_a, len(sides.tables))
    ]
    lead = next(test for test in tests if test.metric == LEADING_METRIC)
    return WordGap(
        first=words[0],
        second=words[1],
        source="words" if source == "words" else "tokens",
        variants={word: [texts[row] for row in found] for word, found in zip(words, rows, strict=True)},
        n_shared=len(texts),
        pairs=pairs,
        tests=tests,
        sentence=word_gap_sentence(sides.names, words, lead, tests),
    )


def _shared(
    tables: Sequence[ScoreTable], prompt: str, words: Sequence[str], duplicates: Duplicates
) -> tuple[list[str], np.ndarray, str]:
    """Texts that all tables have and all models find possible, their log-probabilities [models, texts], and their source."""
    tried = []
    for source in ("tokens", "words"):
        sides = [table.tokens if source == "tokens" else table.words for table in tables]
        texts = [token_texts(side, [prompt], duplicates).rename({prompt: f"p{at}"}) for at, side in enumerate(sides)]
        joined = reduce(lambda left, right: left.join(right, on="candidate"), texts).sort("candidate")
        joined = joined.filter(pl.all_horizontal(pl.exclude("candidate").is_finite()))
        candidates = joined["candidate"].to_list()
        if all(_rows(candidates, word, source) for word in words):
            return candidates, joined.drop("candidate").to_numpy().T.copy(), source
        tried.append(candidates)
    missing = [word for word in words if not any(_rows(found, word, "tokens") for found in tried)] or list(words)
    raise BirthmarkError(
        f"not all models have {' and '.join(repr(word) for word in missing)} as a token, or as a word that was scored: name "
        "other words with --words, or a --lexicon that holds them"
    )


def _rows(texts: Sequence[str], word: str, source: str) -> list[int]:
    """Where the variants of a word stand among tokens, or the word itself among words."""
    if source == "words":
        return [at for at, text in enumerate(texts) if text == word]
    wanted = pl.select(folded(pl.lit(word))).item()
    return (
        pl.Series(texts, dtype=pl.String)
        .to_frame("t")
        .select(folded(pl.col("t")) == wanted)
        .to_series()
        .arg_true()
        .to_list()
    )


def _gaps(scores: np.ndarray, rows: Sequence[Sequence[int]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Each word's mean in every ordered pair of models, [2, models, models], and the second's less the first's."""
    n = len(scores)
    chosen = [*rows[0], *rows[1]]
    ends = [slice(0, len(rows[0])), slice(len(rows[0]), len(chosen))]
    values = np.zeros((2, n, n))
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            if name in RELATIVE:
                found = METRICS[name](scores[i], scores[j])[chosen]
            else:
                found = METRICS[name](scores[i, chosen], scores[j, chosen])
            values[:, i, j] = [found[end].mean() for end in ends]
    return values, values[1] - values[0]


def _test(sides: Sides, metric: str, gaps: np.ndarray, seed: int) -> PairTest:
    """`gaps` [models, models] of ordered pairs."""
    across = gaps[np.ix_(~sides.is_b, sides.is_b)]
    of_units = sides.unit_pairs(gaps)
    mean = pair_permutation(of_units, sides.unit_is_b, seed)
    sign = pair_permutation(np.sign(of_units), sides.unit_is_b, seed)
    positive, decided = int((across > 0).sum()), int((across != 0).sum())
    return PairTest(
        metric=metric,
        mean_gap=float(across.mean()),
        positive=positive,
        n_pairs=across.size,
        unit=sides.unit,
        n_units=sides.n_units,
        p_exact=mean.p,
        count=mean.count,
        n_splits=mean.n_splits,
        min_p=mean.min_p,
        p_exact_positive=sign.p,
        p_if_independent=float(scipy.stats.binomtest(positive, decided).pvalue) if decided else 1.0,
    )
