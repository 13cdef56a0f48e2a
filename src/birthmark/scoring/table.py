"""Score tables on disk: one Parquet file a model, with the JSON of its provenance beside it.

A table is candidates × prompts of float32 scores, higher is better. Reading one checks that the bytes
are those that were written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path, sha256_of, write_text
from birthmark.foreign import html, legible
from birthmark.inputs.prompts import KEY_COLUMNS
from birthmark.inputs.published import elo_scores, published_scores
from birthmark.records import PromptRecord, ScoreRecord, read_record, to_json


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one model: `frame` has `candidate`, `token_id` (null for words), then a float32 column a prompt key."""

    frame: pl.DataFrame
    record: ScoreRecord

    @property
    def prompt_keys(self) -> list[str]:
        return [name for name in self.frame.columns if name not in KEY_COLUMNS]

    @property
    def prompts(self) -> Mapping[str, PromptRecord]:
        return self.record.prompt_set.prompts

    @property
    def model(self) -> str:
        return self.record.model

    @cached_property
    def words(self) -> pl.DataFrame:
        """The word rows."""
        return self.frame.filter(pl.col("token_id").is_null())

    @cached_property
    def tokens(self) -> pl.DataFrame:
        """The vocabulary rows."""
        return self.frame.filter(pl.col("token_id").is_not_null())

    def matrix(self) -> np.ndarray:
        """Scores as float32 [candidates, prompts], columns in `prompt_keys` order."""
        return self.frame.select(self.prompt_keys).to_numpy()

    def best(self, n: int) -> pl.DataFrame:
        """The `n` rows with the highest mean over the prompts, best first, that mean in the column `mean`."""
        mean = pl.mean_horizontal(self.prompt_keys)
        return self.frame.with_columns(mean=mean).sort("mean", descending=True, maintain_order=True).head(n)

    def to_polars(self) -> pl.DataFrame:
        return self.frame

    def to_pandas(self) -> object:
        return self.frame.to_pandas()

    def __repr__(self) -> str:
        kind = "rewards" if self.record.kind == "reward" else "log-probabilities"
        prompts = f"{len(self.prompt_keys)} prompt{'s' if len(self.prompt_keys) != 1 else ''}"
        return legible(f"ScoreTable({self.model}: {kind}, {self.frame.height:,} candidates × {prompts})")

    def _repr_html_(self) -> str:
        return html("<p>{}</p>", repr(self)) + self.frame.head(10)._repr_html_()


def write_scores(table: ScoreTable, folder: Path) -> Path:
    """Write `<slug>.parquet` and `<slug>.json`; the same scores give the same Parquet bytes. Returns the Parquet's path."""
    path = folder / f"{table.record.slug}.parquet"
    with atomic_path(path) as temporary:
        table.frame.write_parquet(temporary, compression="zstd", statistics=False)
        sha256 = sha256_of(temporary)
    write_record(table.record.model_copy(update={"sha256": sha256}), folder)
    return path


def write_record(record: ScoreRecord, folder: Path) -> None:
    """Write `<slug>.json`, the provenance of the table beside it."""
    write_text(folder / f"{record.slug}.json", to_json(record))


def read_scores(path: Path | str) -> ScoreTable:
    """Read a score table: a Parquet file that birthmark wrote, or a published CSV (`response`, then a column a prompt).

    Raises `BirthmarkError` where the file is missing, truncated, altered (its SHA-256 is not the JSON's) or not a score
    table.
    """
    path = Path(path)
    if not path.is_file():
        raise BirthmarkError(f"{path} is not a file: name a score table (.parquet) or a published score CSV")
    if path.suffix == ".csv":
        return ScoreTable(*published_scores(path))
    if path.suffix != ".parquet":
        raise BirthmarkError(f"{path} is neither a score table (.parquet) nor a published score CSV: name one of these")
    record = read_record(path.with_suffix(".json"), ScoreRecord)
    if sha256_of(path) != record.sha256:
        raise BirthmarkError(f"{path} was altered or cut short since it was written: score {record.model} again")
    return ScoreTable(pl.read_parquet(path), record)


def read_elo_scores(paths: Sequence[Path]) -> list[ScoreTable]:
    """The predecessor study's files as score tables, one a reward model; see `inputs.published.elo_scores`."""
    return [ScoreTable(frame, record) for frame, record in elo_scores(paths)]


def is_score_table(name: Path | str) -> bool:
    """Whether a name is that of a score table's file rather than of a model."""
    return Path(name).suffix in (".parquet", ".csv") and Path(name).is_file()


def warnings_of(records: Sequence[ScoreRecord]) -> list[str]:
    """What the models' records warn of, once each; the models behind it where it is not of all."""
    models: dict[str, list[str]] = {}
    for record in records:
        for text in dict.fromkeys(record.warnings):
            models.setdefault(text, []).append(record.model)
    return [text if len(of) == len(records) else f"{text} ({', '.join(of)})" for text, of in models.items()]
