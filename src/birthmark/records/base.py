"""What all records share (strict fields, JSON out, JSON in, display in terminals and notebooks), and `study.json`."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from birthmark.errors import BirthmarkError

if TYPE_CHECKING:
    import pandas
    import polars

R = TypeVar("R", bound="Record")
Kind = Literal["reward", "logprob"]
Framing = Literal["positive", "negative"]
Unit = Literal["base_checkpoint", "model"]


class Record(BaseModel):
    """Base of all records: unknown keys are an error, NaN and infinity are written as null."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", protected_namespaces=())


def to_json(record: Record) -> str:
    """The record as indented JSON that ends with a line break; non-finite numbers become null."""
    return record.model_dump_json(indent=2) + "\n"


def read_record(path: Path, record_type: type[R]) -> R:
    """Read one of the files above; raises `BirthmarkError` where it is missing or of another layout."""
    try:
        return record_type.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BirthmarkError(f"{path} is missing: run the command that writes it again") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BirthmarkError(f"{path} is not a {record_type.__name__} file: {where}: {first['msg']}") from None


SHOWN_ROWS = 60
Row = dict[str, object]


class Shown:
    """A result with a sentence (`summary`) and rows of the same columns (`rows`)."""

    def summary(self) -> str:
        """One or a few sentences."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """What `to_polars` gives, a row a dict."""
        raise NotImplementedError

    def to_polars(self) -> "polars.DataFrame":
        import polars

        return polars.DataFrame(self.rows(), infer_schema_length=None)

    def to_pandas(self) -> "pandas.DataFrame":
        return self.to_polars().to_pandas()

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.summary()}"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        rows = self.rows()
        more = f"<p>… and {len(rows) - SHOWN_ROWS:,} more rows: .to_polars()</p>" if len(rows) > SHOWN_ROWS else ""
        return f"<p>{escape(self.summary())}</p>{_table(rows[:SHOWN_ROWS])}{more}"


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    header = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td style="text-align:right">{value:.4g}</td>'
    return f"<td>{'–' if value is None else escape(str(value))}</td>"


class InputRecord(Record):
    """Something that was read: a model, prompt set, lexicon, score table or published file."""

    role: str
    name: str
    sha256: str
    path: str | None = None


class StudyRecord(Record):
    """`study.json` of an OUT folder. `asked` must agree for an OUT to take further models.

    `page` names the page that is drawn, where a command has several: `personas`, `stages`, `grid`.
    """

    command: str
    page: str | None = None
    command_line: str | None = None
    asked: dict[str, object]
    inputs: list[InputRecord]
    versions: dict[str, str]
    durations: dict[str, float]
    warnings: list[str] = []
