"""The implicit reward between two language models: their score tables joined on text, and every metric of the pair.

Positive says that the second model, b, prefers the candidate. It knows nothing of families or frames; that
the log-probabilities are those of probabilities it checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import CandidateReward, Implicit, ImplicitPrompt
from birthmark.scores import ScoreTable
from birthmark.values.metrics import METRICS
from birthmark.values.ranks import lexicon_scores

Duplicates = Literal["max", "sum"]
SHOWN = 20
SMALL_MASS = 0.5
B = "\0b"  # marks the second of two columns of one name: no prompt key ends so


def implicit_rewards(
    table_a: ScoreTable,
    table_b: ScoreTable,
    prompts: Sequence[str] | None = None,
    *,
    duplicates: Duplicates = "max",
    lexicons: Sequence[Lexicon] = (),
    shown: int = SHOWN,
) -> tuple[pl.DataFrame, Implicit]:
    """The reward that would turn model a into model b, for every candidate that both have, after each prompt.

    Candidates are the token rows' decoded texts, joined exactly (case and leading space kept); where a table has word
    rows only, the words. Rows of one text count as the most probable (`max`) or as their summed probability (`sum`).
    `prompts` are keys, by default all that the tables share; `shown` is how many top and bottom candidates the record
    lists, by `mwlr`. Candidates with probability zero in either model have no ratio: they are set aside and counted.

    Returns the frame (`prompt`, `candidate`, float64 `logprob_a`, `logprob_b`, then a column a metric of
    `birthmark.values.metrics`; best first within a prompt) and its record. Raises `BirthmarkError` for tables of
    rewards, without a shared prompt or candidate, with NaN, or whose probabilities sum to more than one.
    """
    _check_kinds(table_a, table_b)
    keys = _shared_keys(table_a, table_b, prompts)
    sides, both_tokens = _sides(table_a, table_b)
    warnings = [text for table in (table_a, table_b) for key in keys for text in _check_probabilities(table, key)]
    texts_a, texts_b = (_texts(side, keys, duplicates) for side in sides)
    joined = texts_a.join(texts_b, on="candidate", suffix=B).sort("candidate")
    if not joined.height:
        raise BirthmarkError(
            f"{table_a.model} and {table_b.model} share no candidate: score both with the same --candidates"
        )
    words = [_shared_words(table_a, table_b, keys, lexicon) for lexicon in lexicons]
    frames, records, set_aside = [], [], 0
    for key in keys:
        pair = joined.select("candidate", pl.col(key).alias("logprob_a"), pl.col(key + B).alias("logprob_b"))
        possible = pair.filter(pl.col("logprob_a").is_finite() & pl.col("logprob_b").is_finite())
        set_aside += pair.height - possible.height
        frame = _measured(possible).sort(["mwlr", "candidate"], descending=[True, False])
        frames.append(frame.select(pl.lit(key).alias("prompt"), pl.all()))
        means = {found.lexicon: found.means(key) for found in words if found.members}
        records.append(_summary(frame, key, shown, means))
    if set_aside:
        warnings.append(f"{set_aside} candidates have probability zero in one of the models and no ratio: set aside")
    if not both_tokens:
        warnings.append("one of the tables has words only, so the candidates are words, not the vocabulary")
    small = [record.prompt for record in records if min(record.mass_a, record.mass_b) < SMALL_MASS]
    if small:
        warnings.append(
            f"the shared candidates hold less than half of a model's probability after {len(small)} of {len(keys)} prompts"
        )
    record = Implicit(
        a=table_a.model,
        b=table_b.model,
        frame_a=table_a.record.frame,
        frame_b=table_b.record.frame,
        metrics=list(METRICS),
        duplicates=duplicates,
        prompts=records,
        n_only_a=texts_a.height - joined.height,
        n_only_b=texts_b.height - joined.height,
        set_aside=set_aside,
        warnings=warnings,
    )
    return pl.concat(frames), record


def _check_kinds(table_a: ScoreTable, table_b: ScoreTable) -> None:
    for table in (table_a, table_b):
        if table.record.kind != "logprob":
            raise BirthmarkError(f"{table.model} gives rewards: an implicit reward is between two language models")


def _shared_keys(table_a: ScoreTable, table_b: ScoreTable, prompts: Sequence[str] | None) -> list[str]:
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


def _check_probabilities(table: ScoreTable, key: str) -> list[str]:
    """NaN and a sum above one are errors; a sum that does not come to one with what was left out is a warning."""
    column = table.frame[key].cast(pl.Float64)
    if column.is_nan().any() or column.is_null().any() or (column == np.inf).any():
        raise BirthmarkError(f"{table.model} has scores after {key} that are not numbers: score it again, in float32")
    total = float(np.exp(table.tokens[key].cast(pl.Float64).to_numpy()).sum())
    if total > 1.01:
        raise BirthmarkError(
            f"the log-probabilities of {table.model} after {key} sum to a probability of {total:.3f}: score it again"
        )
    mass = (table.record.mass or {}).get(key)
    if mass is not None and table.tokens.height and abs(total + mass.left_out - 1) > 1e-3:
        return [f"the probabilities of {table.model} after {key} sum to {total + mass.left_out:.4f}"]
    return []


def _texts(side: pl.DataFrame, keys: Sequence[str], duplicates: Duplicates) -> pl.DataFrame:
    """One row a text: `candidate`, then a float64 column of log-probabilities a prompt."""
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


def _summary(
    frame: pl.DataFrame, key: str, shown: int, category_means: dict[str, dict[str, dict[str, float]]]
) -> ImplicitPrompt:
    fields = ("candidate", "logprob_a", "logprob_b", "log_ratio", "mwlr")
    rows = frame.select(fields)
    return ImplicitPrompt(
        prompt=key,
        n_shared=frame.height,
        mass_a=float(np.exp(frame["logprob_a"].to_numpy()).sum()),
        mass_b=float(np.exp(frame["logprob_b"].to_numpy()).sum()),
        top=[CandidateReward(**row) for row in rows.head(shown).iter_rows(named=True)],
        bottom=[CandidateReward(**row) for row in rows.tail(shown).reverse().iter_rows(named=True)],
        category_means=category_means,
    )


@dataclass(frozen=True)
class _SharedWords:
    """A lexicon's words that both tables have: `members` are the rows of each category, `scores` is [2, words, keys]."""

    lexicon: str
    keys: tuple[str, ...]
    members: dict[str, list[int]]
    scores: np.ndarray

    def means(self, key: str) -> dict[str, dict[str, float]]:
        """Category → metric → mean over its words (a word's forms are summed where its row sums them)."""
        log_p, log_q = self.scores[:, :, self.keys.index(key)]
        values = {name: metric(log_p, log_q) for name, metric in METRICS.items()}
        return {
            category: {name: float(of_words[rows].mean()) for name, of_words in values.items()}
            for category, rows in self.members.items()
        }


def _shared_words(table_a: ScoreTable, table_b: ScoreTable, keys: Sequence[str], lexicon: Lexicon) -> _SharedWords:
    found_a, found_b = (
        lexicon_scores(ScoreTable(table.frame.select("candidate", "token_id", *keys), table.record), lexicon)
        for table in (table_a, table_b)
    )
    words = [word for word in found_a.words if word in found_b.categories]
    members: dict[str, list[int]] = {}
    for row, word in enumerate(words):
        for category in found_a.categories[word]:
            members.setdefault(category, []).append(row)
    scores = [found.scores[[found.words.index(word) for word in words]] for found in (found_a, found_b)]
    return _SharedWords(lexicon.name, tuple(keys), dict(sorted(members.items())), np.stack(scores).astype(np.float64))
