"""The implicit reward between two language models: score tables joined on text, and every metric of the pair.

Positive says that the second model, b, prefers the candidate. Word rows hold whole words of any number of tokens, by
the chain rule; token rows hold the vocabulary.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import CandidateReward, Implicit, ImplicitPrompt
from birthmark.scoring.table import ScoreTable
from birthmark.values.metrics import LEADING_METRIC, METRICS
from birthmark.values.ranks import Sort, folded, lexicon_scores, sort_of


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


Duplicates = Literal["max", "sum"]
SHOWN = 20
SMALL_MASS = 0.5


MASS_ERROR, MASS_WARNING = 0.01, 0.001


B = "\0b"  # marks the second of two columns of one name: no prompt key ends so


@dataclass(frozen=True)
class Joining:
    """How candidates of two vocabularies are joined: see `implicit_rewards`."""

    duplicates: Duplicates = "max"
    fold: bool = False
    set_aside: tuple[Sort, ...] = ()


def implicit_rewards(
    table_a: ScoreTable,
    table_b: ScoreTable,
    prompts: Sequence[str] | None = None,
    *,
    duplicates: Duplicates = "max",
    fold: bool = False,
    set_aside: Collection[Sort] = (),
    lexicons: Sequence[Lexicon] = (),
    shown: int = SHOWN,
) -> tuple[pl.DataFrame, Implicit]:
    """The reward that would turn model a into model b, for every candidate that both have, after each prompt.

    Candidates are the token rows' decoded texts, joined exactly (case and leading space kept); where a table has word
    rows only, the words. Rows of one text count as the most probable (`max`) or as their summed probability (`sum`).
    `prompts` are keys, by default all that the tables share; `shown` is how many top and bottom candidates the record
    lists, by `mwlr`. Candidates with probability zero in either model have no ratio: they are set aside and counted,
    and so are, of the shared candidates, those of the sorts of `birthmark.values.ranks` that `set_aside` names.

    `fold` makes one row of all texts that are the same but for case and leading spaces (" Love", "love"): the mean over
    these variants of each column, log-probabilities and metrics, as in figure 3 of Christian et al. 2026; a column
    `variants` counts them. `log_ratio` is still `logprob_b − logprob_a`; the other metrics are not those of the mean.
    The probability masses in the record are sums over the candidates before folding.

    Returns the frame (`prompt`, `candidate`, float64 `logprob_a`, `logprob_b`, then a column a metric of
    `birthmark.values.metrics`; best first within a prompt) and its record. Raises `BirthmarkError` for tables of
    rewards, without a shared prompt or candidate, with NaN, or whose probabilities do not sum to one.
    """
    _check_kinds(table_a, table_b)
    keys = shared_keys(table_a, table_b, prompts)
    sides, both_tokens = _sides(table_a, table_b)
    warnings = [text for table in (table_a, table_b) for key in keys for text in check_probabilities(table, key)]
    texts_a, texts_b = (token_texts(side, keys, duplicates) for side in sides)
    joined = (
        texts_a.join(texts_b, on="candidate", suffix=B)
        .sort("candidate")
        .with_columns(sort=sort_of(pl.col("candidate")))
    )
    if not joined.height:
        raise BirthmarkError(
            f"{table_a.model} and {table_b.model} share no candidate: score both with the same --candidates"
        )
    words = [found for lexicon in lexicons if (found := word_rewards(table_a, table_b, keys, lexicon))]
    kept = joined.filter(~pl.col("sort").is_in(list(set_aside)).fill_null(False))
    frames, records, impossible = [], [], 0
    for key in keys:
        pair, of_all = (
            rows.select("candidate", pl.col(key).alias("logprob_a"), pl.col(key + B).alias("logprob_b"))
            for rows in (kept, joined)
        )
        possible = pair.filter(pl.col("logprob_a").is_finite() & pl.col("logprob_b").is_finite())
        impossible += pair.height - possible.height
        measured = _measured(possible)
        frame = (_folded(measured) if fold else measured).sort([LEADING_METRIC, "candidate"], descending=[True, False])
        frames.append(frame.select(pl.lit(key).alias("prompt"), pl.all()))
        records.append(_summary(frame, key, shown, words, possible, of_all))
    record = Implicit(
        a=table_a.model,
        b=table_b.model,
        slug_a=table_a.record.slug,
        slug_b=table_b.record.slug,
        frame_a=table_a.record.frame,
        frame_b=table_b.record.frame,
        metrics=list(METRICS),
        duplicates=duplicates,
        folded=fold,
        prompts=records,
        n_only_a=texts_a.height - joined.height,
        n_only_b=texts_b.height - joined.height,
        set_aside=impossible,
        set_aside_texts={sort: joined.filter(pl.col("sort") == sort).height for sort in sorted(set_aside)},
        identical=all((frame["log_ratio"] == 0).all() for frame in frames),
        warnings=warnings,
    )
    record.warnings += _remarks(record, both_tokens)
    return pl.concat(frames), record


def _remarks(record: Implicit, both_tokens: bool) -> list[str]:
    """What a reader must know of a pair before believing its numbers."""
    remarks = []
    if record.identical:
        remarks.append(
            f"{record.a} and {record.b} give every candidate the same probability: the implicit reward is zero throughout"
        )
    if record.set_aside:
        remarks.append(
            f"{record.set_aside} candidates have probability zero in one of the models and no ratio: set aside"
        )
    if not both_tokens:
        remarks.append("one of the tables has words only, so the candidates are words, not the vocabulary")
    empty = [item.prompt for item in record.prompts if not item.n_shared]
    if empty:
        remarks.append(f"no candidate is left to compare after {len(empty)} of {len(record.prompts)} prompts")
    small = [item.prompt for item in record.prompts if min(item.mass_a, item.mass_b) < SMALL_MASS]
    if small:
        remarks.append(
            "the candidates compared hold less than half of a model's probability after "
            f"{len(small)} of {len(record.prompts)} prompts"
        )
    return remarks


def _check_kinds(table_a: ScoreTable, table_b: ScoreTable) -> None:
    for table in (table_a, table_b):
        if table.record.kind != "logprob":
            raise BirthmarkError(f"{table.model} gives rewards: an implicit reward is between two language models")


def shared_keys(table_a: ScoreTable, table_b: ScoreTable, prompts: Sequence[str] | None) -> list[str]:
    """The prompts asked for, by default all that are in both; `BirthmarkError` where one is not, or has another text."""
    shared = [key for key in table_a.prompt_keys if key in table_b.prompt_keys]
    keys = shared if prompts is None else list(prompts)
    for key in keys:
        for table in (table_a, table_b):
            if key not in table.prompt_keys:
                raise BirthmarkError(f"{table.model} has no scores after the prompt {key}: score it with that prompt")
        if table_a.prompts[key].text != table_b.prompts[key].text:
            raise BirthmarkError(
                f"the prompt {key} has another text in {table_b.model}: score both with the same --prompts"
            )
    if not keys:
        raise BirthmarkError(
            f"{table_a.model} and {table_b.model} have no prompt in common: score both with the same one"
        )
    return keys


def _sides(table_a: ScoreTable, table_b: ScoreTable) -> tuple[tuple[pl.DataFrame, pl.DataFrame], bool]:
    """The rows to join, and whether they are the vocabularies' (else the words)."""
    if table_a.tokens.height and table_b.tokens.height:
        return (table_a.tokens, table_b.tokens), True
    words = (table_a.words, table_b.words)
    for table, side in zip((table_a, table_b), words, strict=True):
        if not side.height:
            raise BirthmarkError(f"{table.model} has no rows of words as the other table has: score both the same way")
    return words, False


def check_probabilities(table: ScoreTable, key: str) -> list[str]:
    """A score that is no log-probability, or a sum that is not one, is an error; a sum that is off by rounding a warning.

    The sum is that of the token rows and of what the record says was left out; without such a record it may be below one.
    """
    column = table.frame[key].cast(pl.Float64)
    if column.is_nan().any() or column.is_null().any() or (column == np.inf).any():
        raise BirthmarkError(f"{table.model} has scores after {key} that are not numbers: score it again, in float32")
    largest = float(np.exp(column.max() if column.len() else -np.inf))  # type: ignore[arg-type]
    mass = (table.record.mass or {}).get(key)
    total = float(np.exp(table.tokens[key].cast(pl.Float64).to_numpy()).sum()) + (mass.left_out if mass else 0.0)
    too_low = mass is not None and table.tokens.height and total < 1 - MASS_ERROR
    if max(largest, total) > 1 + MASS_ERROR or too_low:
        raise BirthmarkError(
            f"the log-probabilities of {table.model} after {key} sum to a probability of {max(largest, total):.3f}, not to "
            "one: score it again, in float32"
        )
    if mass is not None and table.tokens.height and abs(total - 1) > MASS_WARNING:
        return [f"the probabilities of {table.model} after {key} sum to {total:.4f}"]
    return []


def token_texts(side: pl.DataFrame, keys: Sequence[str], duplicates: Duplicates) -> pl.DataFrame:
    """Rows of one text joined (`duplicates`): `candidate`, then a float64 column of log-probabilities a prompt."""
    rows = side.select("candidate", pl.col(keys).cast(pl.Float64))
    top = pl.col(keys).max()
    if duplicates == "max":
        return rows.group_by("candidate").agg(top)
    # log Σ exp, from the largest down; where all are −∞ so is the sum
    tops = rows.select("candidate", (pl.col(keys) - top.over("candidate")).exp().fill_nan(0.0))
    summed = tops.group_by("candidate").agg(pl.col(keys).sum().log())
    largest = rows.group_by("candidate").agg(top)
    both = largest.join(summed, on="candidate", suffix=B)
    return both.select("candidate", *(pl.col(key) + pl.col(key + B) for key in keys))


def _measured(joined: pl.DataFrame) -> pl.DataFrame:
    log_p, log_q = joined["logprob_a"].to_numpy(), joined["logprob_b"].to_numpy()
    return joined.with_columns(pl.Series(name, metric(log_p, log_q)) for name, metric in METRICS.items())


def _folded(measured: pl.DataFrame) -> pl.DataFrame:
    """One row a text folded over case and leading space: the mean of every column, and how many `variants` there were."""
    return (
        measured.with_columns(candidate=folded(pl.col("candidate")))
        .group_by("candidate")
        .agg(pl.all().mean(), variants=pl.len().cast(pl.Int64))
        .sort("candidate")
    )


def _summary(
    frame: pl.DataFrame,
    key: str,
    shown: int,
    words: Sequence[WordRewards],
    possible: pl.DataFrame,
    of_all: pl.DataFrame,
) -> ImplicitPrompt:
    """`possible` are the candidates compared, before folding; `of_all` all that the models share."""
    mass_a, mass_b = (_mass(possible, side) for side in ("logprob_a", "logprob_b"))
    top, bottom = _ends(frame, shown)
    texts = frame.filter(sort_of(pl.col("candidate")).is_null() & ~pl.col("candidate").str.contains(r"[\n\r]"))
    text_top, text_bottom = _ends(texts, shown)
    of_words = pl.concat([found.frame(key) for found in words]) if words else frame.clear()
    words_top, words_bottom = _ends(of_words.unique("candidate", maintain_order=True), shown)
    return ImplicitPrompt(
        prompt=key,
        n_shared=possible.height,
        mass_a=mass_a,
        mass_b=mass_b,
        set_aside_mass_a=max(0.0, _mass(of_all, "logprob_a") - mass_a),
        set_aside_mass_b=max(0.0, _mass(of_all, "logprob_b") - mass_b),
        top=top,
        bottom=bottom,
        text_top=text_top,
        text_bottom=text_bottom,
        n_signs=frame.height - texts.height,
        words_top=words_top,
        words_bottom=words_bottom,
        category_means={found.lexicon: found.means(key) for found in words},
    )


def _mass(rows: pl.DataFrame, side: str) -> float:
    return float(np.exp(rows[side].to_numpy()).sum())


def _ends(frame: pl.DataFrame, shown: int) -> tuple[list[CandidateReward], list[CandidateReward]]:
    """The first and the last by `mwlr`, each from the end inwards."""
    rows = frame.select("candidate", "logprob_a", "logprob_b", "log_ratio", "mwlr").sort(
        [LEADING_METRIC, "candidate"], descending=[True, False]
    )
    top, bottom = rows.head(shown), rows.tail(shown).reverse()
    return tuple([CandidateReward(**row) for row in end.iter_rows(named=True)] for end in (top, bottom))  # type: ignore[return-value]
