"""The implicit reward between two language models: their score tables joined on text, and every metric of the pair.

Positive says that the second model, b, prefers the candidate. It knows nothing of families or frames; that
the log-probabilities are those of probabilities it checks.
"""

from collections.abc import Sequence
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
    frames, records, warnings, set_aside = [], [], list[str](), 0
    for key in keys:
        for table in (table_a, table_b):
            warnings += _check_probabilities(table, key)
        joined, zeros = _join(*(_texts(side, key, duplicates) for side in sides))
        set_aside += zeros
        if not joined.height:
            raise BirthmarkError(
                f"{table_a.model} and {table_b.model} share no candidate: score both with the same --candidates"
            )
        frame = _measured(joined).sort(["mwlr", "candidate"], descending=[True, False])
        frames.append(frame.select(pl.lit(key).alias("prompt"), pl.all()))
        records.append(_summary(frame, key, shown, _category_means(table_a, table_b, key, lexicons)))
    texts_a, texts_b = (set(side["candidate"].unique()) for side in sides)
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
        n_only_a=len(texts_a - texts_b),
        n_only_b=len(texts_b - texts_a),
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


def _texts(side: pl.DataFrame, key: str, duplicates: Duplicates) -> pl.DataFrame:
    """One row a text: `candidate`, float64 `logprob`."""
    rows = side.select("candidate", pl.col(key).cast(pl.Float64).alias("logprob"))
    if duplicates == "max":
        one = pl.col("logprob").max()
    else:
        top = pl.col("logprob").max()
        summed = top + (pl.col("logprob") - top).exp().sum().log()
        one = pl.when(top == -np.inf).then(-np.inf).otherwise(summed).alias("logprob")
    return rows.group_by("candidate").agg(one)


def _join(texts_a: pl.DataFrame, texts_b: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    joined = (
        texts_a.rename({"logprob": "logprob_a"})
        .join(texts_b.rename({"logprob": "logprob_b"}), on="candidate")
        .sort("candidate")
    )
    possible = joined.filter(pl.col("logprob_a").is_finite() & pl.col("logprob_b").is_finite())
    return possible, joined.height - possible.height


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


def _category_means(
    table_a: ScoreTable, table_b: ScoreTable, key: str, lexicons: Sequence[Lexicon]
) -> dict[str, dict[str, dict[str, float]]]:
    """Lexicon → category → metric → mean over the lexicon's words that both tables have (forms summed where they are)."""
    means = {}
    for lexicon in lexicons:
        found_a, found_b = (lexicon_scores(_one_prompt(table, key), lexicon) for table in (table_a, table_b))
        words = [word for word in found_a.words if word in found_b.categories]
        if not words:
            continue
        log_p, log_q = (
            np.array([scores.scores[scores.words.index(word), 0] for word in words], dtype=np.float64)
            for scores in (found_a, found_b)
        )
        values = {name: metric(log_p, log_q) for name, metric in METRICS.items()}
        names = sorted({name for word in words for name in found_a.categories[word]})
        members = {name: np.array([name in found_a.categories[word] for word in words]) for name in names}
        means[lexicon.name] = {
            name: {metric: float(of_words[member].mean()) for metric, of_words in values.items()}
            for name, member in members.items()
        }
    return means


def _one_prompt(table: ScoreTable, key: str) -> ScoreTable:
    return ScoreTable(table.frame.select("candidate", "token_id", key), table.record)
