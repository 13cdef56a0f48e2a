"""Score tables on disk: one Parquet file a model, with the JSON of its provenance beside it.

A table is candidates × prompts of float32 scores, higher is better. Reading one checks that the bytes are those that were
written, and that columns and JSON are a score table's: whoever wrote them, what uses a table need not ask again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import check_path, read_parquet, sha256_of, write_parquet, write_text
from birthmark.foreign import html, legible, one_line
from birthmark.inputs.prompts import KEY_COLUMNS
from birthmark.inputs.published import elo_scores, published_scores
from birthmark.inputs.stores import local_file
from birthmark.inputs.text import is_file
from birthmark.records import Kind, PromptRecord, ScoreRecord, read_record, to_json

PROMPT, VALUE = "\0prompt", "\0value"  # no column of a table


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

    def to_polars(self, *, wide: bool = False) -> pl.DataFrame:
        """A row a candidate and prompt: model, candidate, token_id, framing, prompt, value. `wide`: a column a prompt."""
        if wide:
            return self.frame
        framings = {key: self.prompts[key].framing for key in self.prompt_keys}
        long = self.frame.unpivot(on=self.prompt_keys, index=list(KEY_COLUMNS), variable_name=PROMPT, value_name=VALUE)
        return long.select(
            pl.lit(self.model).alias("model"),
            *KEY_COLUMNS,
            pl.col(PROMPT).replace_strict(framings, return_dtype=pl.String).alias("framing"),
            pl.col(PROMPT).alias("prompt"),
            pl.col(VALUE).alias("value"),
        )

    def to_pandas(self, *, wide: bool = False) -> object:
        """`to_polars` as pandas has it."""
        return self.to_polars(wide=wide).to_pandas()

    def __repr__(self) -> str:
        kind = "rewards" if self.record.kind == "reward" else "log-probabilities"
        prompts = f"{len(self.prompt_keys)} prompt{'s' if len(self.prompt_keys) != 1 else ''}"
        return legible(f"ScoreTable({self.model}: {kind}, {self.frame.height:,} candidates × {prompts})")

    def _repr_html_(self) -> str:
        return html("<p>{}</p>", repr(self)) + self.frame.head(10)._repr_html_()


def write_scores(table: ScoreTable, folder: Path) -> Path:
    """Write `<slug>.parquet` and `<slug>.json`; the same scores give the same Parquet bytes. Returns the Parquet's path."""
    path = folder / f"{table.record.slug}.parquet"
    sha256 = write_parquet(table.frame, path, statistics=False)
    write_record(table.record.model_copy(update={"sha256": sha256}), folder)
    return path


def write_record(record: ScoreRecord, folder: Path) -> None:
    """Write `<slug>.json`, the provenance of the table beside it."""
    write_text(folder / f"{record.slug}.json", to_json(record))


def read_scores(path: Path | str) -> ScoreTable:
    """Read a score table: a Parquet file that birthmark wrote, or a published CSV (`response`, then a column a prompt).

    Raises `BirthmarkError` where the file is missing, truncated, altered (its SHA-256 is not the JSON's) or not a score
    table: then with the column that is not what it must be.
    """
    path = local_file(path)
    check_path(path, "file", "that is a score table (.parquet) or a published score CSV")
    if path.suffix == ".csv":
        return ScoreTable(*published_scores(path))
    if path.suffix != ".parquet":
        raise BirthmarkError(f"{path} is neither a score table (.parquet) nor a published score CSV: name one of these")
    record = read_record(path.with_suffix(".json"), ScoreRecord)
    if sha256_of(path) != record.sha256:
        raise BirthmarkError(f"{path} was altered or cut short since it was written: score {record.model} again")
    return ScoreTable(_checked(read_parquet(path), record, path), record)


LARGEST = 1e15  # of a score: sums and squares of such are finite in float32
NO_MORE = 0.01  # of a log-probability: what rounding may add to 0


def _checked(frame: pl.DataFrame, record: ScoreRecord, path: Path) -> pl.DataFrame:
    """The table as `ScoreTable` has it; raises `BirthmarkError` that names the column which cannot be made so."""

    def refuse(column: str, problem: str) -> BirthmarkError:
        return BirthmarkError(f"{path}: the column {one_line(column)} {problem}: score {one_line(record.model)} again")

    for name in KEY_COLUMNS:
        if name not in frame.columns:
            raise refuse(name, "is missing")
    keys = [name for name in frame.columns if name not in KEY_COLUMNS]
    for name in [*(key for key in record.prompt_set.prompts if key not in keys), *(["…"] if not keys else [])]:
        raise refuse(name, "is missing, and the JSON beside the table names its prompt")
    for name in keys:
        if name not in record.prompt_set.prompts:
            raise refuse(name, "is no prompt of the JSON beside the table")
        if record.mass and name not in record.mass:
            raise BirthmarkError(f"{path.with_suffix('.json')}: mass lacks the prompt {one_line(name)}: score again")
    if not frame.height:
        raise BirthmarkError(f"{path} has no rows: score {one_line(record.model)} again")
    columns = [_texts(frame["candidate"], refuse), _ids(frame["token_id"], refuse)]
    found = pl.DataFrame([*columns, *(_scores(frame[name], record.kind, refuse) for name in keys)])
    _check_rows(found, record, refuse)
    return found.select(frame.columns)


Refuse = Callable[[str, str], BirthmarkError]


def _texts(column: pl.Series, refuse: Refuse) -> pl.Series:
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise refuse(column.name, f"is no text ({one_line(column.dtype)})")
    if column.has_nulls():
        raise refuse(column.name, "has an empty cell")
    return column.cast(pl.String)


def _ids(column: pl.Series, refuse: Refuse) -> pl.Series:
    if not (column.dtype.is_integer() or column.dtype == pl.Null):
        raise refuse(column.name, f"holds no whole numbers ({one_line(column.dtype)}), null for a word")
    ids = column.cast(pl.Int64, strict=False)
    if ids.null_count() > column.null_count() or (ids < 0).any():
        raise refuse(column.name, "has a number that is no token's")
    if ids.drop_nulls().is_duplicated().any():
        raise refuse(column.name, "has a token twice")
    return ids


def _scores(column: pl.Series, kind: Kind, refuse: Refuse) -> pl.Series:
    if not column.dtype.is_numeric():
        raise refuse(column.name, f"holds no numbers ({one_line(column.dtype)})")
    scores = column.cast(pl.Float32, strict=False)
    bad = ~(scores.is_finite() & (scores.abs() <= LARGEST)).fill_null(False)
    if bad.any():
        raise refuse(column.name, f"has no usable number in row {int(bad.arg_max() or 0) + 1}")
    if kind == "logprob" and (scores > NO_MORE).any():
        raise refuse(column.name, "has a log-probability above 0")
    return scores


def _check_rows(found: pl.DataFrame, record: ScoreRecord, refuse: Refuse) -> None:
    words = found.filter(pl.col("token_id").is_null())["candidate"]
    if words.is_duplicated().any():
        raise refuse("candidate", f'has the word "{one_line(words.filter(words.is_duplicated())[0])}" twice')
    counts = (found.height - len(words), len(words))
    if counts != (record.n_tokens, record.n_words):
        raise refuse(
            "token_id",
            f"counts {counts[0]} tokens and {counts[1]} words, the JSON {record.n_tokens} and {record.n_words}",
        )


def read_elo_scores(paths: Sequence[Path]) -> list[ScoreTable]:
    """The predecessor study's files as score tables, one a reward model; see `inputs.published.elo_scores`."""
    return [ScoreTable(frame, record) for frame, record in elo_scores(paths)]


def is_score_table(name: Path | str) -> bool:
    """Whether a name is that of a score table's file rather than of a model."""
    return Path(name).suffix in (".parquet", ".csv") and is_file(Path(name))


def warnings_of(records: Sequence[ScoreRecord]) -> list[str]:
    """What the models' records warn of, once each; the models behind it where it is not of all."""
    models: dict[str, list[str]] = {}
    for record in records:
        for text in dict.fromkeys(record.warnings):
            models.setdefault(text, []).append(record.model)
    return [text if len(of) == len(records) else f"{text} ({', '.join(of)})" for text, of in models.items()]
