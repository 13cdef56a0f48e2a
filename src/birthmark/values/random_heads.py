"""Random heads on a base, on disk: `random-heads/<base>.<lexicon>.parquet` with its JSON beside it.

A row a word, a column a head: the word's mean rank over positive prompts less that over negative ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import read_parquet, slug_of, write_parquet, write_text
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Effects, HeadsNull, ModelContrast, RandomHeads, read_record, to_json

FOLDER = "random-heads"
Nulls = dict[
    str, "list[tuple[tuple[RandomHeads, HeadWords], bool]] | str"
]  # model → heads on its base or not; or why none


@dataclass(frozen=True)
class HeadWords:
    """Random heads on one base: `values` is float32 [heads, words]."""

    base: str
    family: str
    words: tuple[str, ...]
    values: np.ndarray

    def of(self, words: Sequence[str]) -> np.ndarray | None:
        """Values of some words, float64 [heads, words]; None where one of them is not here.

        Ranks were among all words here; where fewer are asked for they shrink in proportion, (n + 1) / (N + 1).
        """
        if not set(words) <= set(self.words):
            return None
        at = {word: column for column, word in enumerate(self.words)}
        scale = (len(words) + 1) / (len(self.words) + 1)
        return self.values[:, [at[word] for word in words]].astype(np.float64) * scale

    def contrasts(self, lexicon: Lexicon, words: Sequence[str]) -> np.ndarray | None:
        """Mean over the first category's words less that over the second's, [heads]; None without two categories."""
        values = self.of(words)
        if values is None or len(lexicon.categories) != 2:
            return None
        of_word = lexicon.match(words)
        first, second = (np.array([name in of_word[word] for word in words]) for name in lexicon.categories)
        return np.asarray(values[:, first].mean(axis=1) - values[:, second].mean(axis=1))


def head_path(out: Path, base: str, lexicon: str) -> Path:
    return out / FOLDER / f"{slug_of(base.replace('/', '--'))}.{slug_of(lexicon)}.parquet"


def has_head_words(path: Path, key: str) -> bool:
    """Whether the heads of this key were written there."""
    beside = path.with_suffix(".json")
    return path.is_file() and beside.is_file() and read_record(beside, RandomHeads).key == key


def write_head_words(path: Path, record: RandomHeads, heads: HeadWords) -> None:
    columns = {f"head_{at:04d}": row for at, row in enumerate(heads.values)}
    write_parquet(pl.DataFrame({"word": list(heads.words), **columns}), path, statistics=False)
    write_text(path.with_suffix(".json"), to_json(record))


def read_head_words(out: Path, lexicon: str) -> list[HeadWords]:
    """The random heads that `birthmark track` left in `out` for a lexicon, a base each.

    Raises `BirthmarkError` where `out` is no folder.
    """
    if not out.is_dir():
        raise BirthmarkError(f"{out} is not a folder: name the --out of a track")
    found = []
    for path in sorted((out / FOLDER).glob("*.json")):
        record = read_record(path, RandomHeads)
        if record.lexicon == lexicon:
            frame = read_parquet(path.with_suffix(".parquet"))
            found.append(HeadWords(record.base, record.family, *_checked(frame, record, path)))
    return found


def read_heads(path: Path) -> tuple[RandomHeads, HeadWords]:
    """One base's random heads for one lexicon, with their record."""
    record = read_record(path.with_suffix(".json"), RandomHeads)
    return record, HeadWords(
        record.base, record.family, *_checked(read_parquet(path), record, path.with_suffix(".json"))
    )


def with_nulls(effects: Effects, lexicon: Lexicon, nulls: Nulls) -> Effects:
    """The record with what random heads give in place of each reward model's own head, in its `models`.

    Ranks are among the record's words; with more than two categories there is no contrast to compare.
    """
    words = [word for of_category in effects.words.values() for word in of_category]
    words = list(dict.fromkeys(words))
    return effects.model_copy(
        update={"models": [_with_null(item, lexicon, words, nulls.get(item.model)) for item in effects.models]}
    )


def _with_null(
    item: ModelContrast,
    lexicon: Lexicon,
    words: Sequence[str],
    found: "list[tuple[tuple[RandomHeads, HeadWords], bool]] | str | None",
) -> ModelContrast:
    if item.mean_rank_contrast is None or found is None:
        return item
    if isinstance(found, str):
        return item.model_copy(update={"null_why": found})
    for (record, heads), of_base in found:
        drawn = heads.contrasts(lexicon, words) if record.lexicon == lexicon.name else None
        if drawn is not None:
            low, high = np.quantile(drawn, [0.025, 0.975])
            extreme = int((np.abs(drawn) >= abs(item.mean_rank_contrast) * (1 - 1e-9)).sum())
            null = HeadsNull(
                base=heads.base,
                of_base=of_base,
                n_heads=len(drawn),
                low=float(low),
                high=float(high),
                p=(extreme + 1) / (len(drawn) + 1),
            )
            return item.model_copy(update={"null": null})
    return item.model_copy(update={"null_why": f"no random heads were scored on {lexicon.name}"})


def _checked(frame: pl.DataFrame, record: RandomHeads, path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The words and the heads' values; raises `BirthmarkError` for a table that `write_head_words` did not write."""
    heads = [name for name in frame.columns if name != "word"]
    whole = len(heads) == record.n_heads and all(frame[name].dtype.is_float() for name in heads)
    if not whole or "word" not in frame.columns or frame["word"].dtype != pl.String or frame["word"].has_nulls():
        raise BirthmarkError(
            f"{path.with_suffix('.parquet')} is not a table of {record.n_heads} random heads: track again"
        )
    values = frame.drop("word").to_numpy().T
    if not np.isfinite(values).all():
        raise BirthmarkError(f"{path.with_suffix('.parquet')} has a value that is not finite: track again")
    return tuple(frame["word"]), values
