"""What all records share (strict fields, JSON out, JSON in, display in terminals and notebooks), and `study.json`."""

from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from birthmark.errors import BirthmarkError
from birthmark.files import is_slug
from birthmark.foreign import legible, one_line

if TYPE_CHECKING:
    import pandas
    import polars

R = TypeVar("R", bound="Record")
X = TypeVar("X")
Kind = Literal["reward", "logprob"]
Framing = Literal["positive", "negative"]
Unit = Literal["base_checkpoint", "model"]


def _require_slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError("cannot be a file's name")
    return text


Slug = Annotated[str, AfterValidator(_require_slug)]  # what a file is called by: never a way out of its folder


@dataclass(frozen=True)
class NotApplicable:
    """Stands in for a result that does not apply, with the reason."""

    why: str


@dataclass(frozen=True)
class ReasonIn:
    """Annotates a field whose reason is not in `<field>_why` but in the field `name`."""

    name: str


def known(result: X | NotApplicable) -> X | None:
    """The result, or None where it does not apply."""
    return None if isinstance(result, NotApplicable) else result


class Record(BaseModel):
    """Base of all records: unknown keys are an error, NaN and infinity are written as null."""

    model_config = ConfigDict(defer_build=True, extra="forbid", ser_json_inf_nan="null", protected_namespaces=())

    @classmethod
    def build(cls, result: object = None, *, without: Collection[str] = (), **more: object) -> Self:
        """A record of the fields of `result` (a dataclass of `stats/`, or a record) and `more`, by name.

        Fields of `result` that are not in `without` must have a place in the record: none is lost unnoticed.
        A `NotApplicable` becomes null, or an empty list, with its reason in the neighbouring `…_why` field.
        """
        taken = {} if result is None else {name: value for name, value in vars(result).items() if name not in without}
        return cls.model_validate(cls.with_reasons(**taken, **more))

    @classmethod
    def with_reasons(cls, **fields: object) -> dict[str, object]:
        """These fields with each `NotApplicable` as null (or an empty list) and its reason in a field of its own."""
        found = {reason: None for name in fields if (reason := cls._reason_field(name))} | fields
        for name, value in fields.items():
            if isinstance(value, NotApplicable):
                reason = cls._reason_field(name)
                if reason is None:
                    raise TypeError(f"{cls.__name__}.{name} has no field for the reason: {value.why}")
                found |= {
                    name: [] if get_origin(cls.model_fields[name].annotation) is list else None,
                    reason: value.why,
                }
        return found

    @classmethod
    def _reason_field(cls, name: str) -> str | None:
        marked = [
            item.name for item in getattr(cls.model_fields.get(name), "metadata", ()) if isinstance(item, ReasonIn)
        ]
        return next((reason for reason in (*marked, f"{name}_why") if reason in cls.model_fields), None)


def to_json(record: Record) -> str:
    """The record as indented JSON that ends with a line break; non-finite numbers become null."""
    return record.model_dump_json(indent=2) + "\n"


def read_record(path: Path, record_type: type[R]) -> R:
    """Read one of the files above; raises `BirthmarkError` where it is missing, not a regular file or of another layout."""
    try:
        if path.exists() and not path.is_file():  # a pipe or a device would never end
            raise BirthmarkError(f"{path} is not a file: run the command that writes it again")
        data = path.read_bytes()
        record = record_type.model_validate_json(data)
        if not _is_finite(from_json(data)):
            raise BirthmarkError(f"{path} has a number that is not finite: run the command that writes it again")
        return record
    except FileNotFoundError:
        raise BirthmarkError(
            f"{path} is missing: copy it from beside the table, or run the command that writes both again"
        ) from None
    except OSError as error:
        raise BirthmarkError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = one_line(".".join(str(part) for part in first["loc"])) or "the file"
        problem = one_line(first["msg"], 160)
        raise BirthmarkError(f"{path} is not a {record_type.__name__} file: {where}: {problem}") from None


def _is_finite(value: object) -> bool:
    """Whether all numbers of a JSON document are finite; no file is written with others."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, float) and not isfinite(item):
            return False
        left += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return True


SHOWN_ROWS = 60
Row = dict[str, object]


class Shown:
    """A result with a sentence (`summary`), rows to look at (`rows`), and rows to compute with (`long_rows`)."""

    def summary(self) -> str:
        """One or a few sentences."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """What a notebook shows, a row a dict, all of the same columns."""
        raise NotImplementedError

    def long_rows(self) -> list[Row]:
        """What `to_polars` gives: one value a row where there are several of a kind, else `rows`."""
        return self.rows()

    def to_polars(self, *, wide: bool = False) -> "polars.DataFrame":
        """The result as a tidy frame, a value a row; `wide`: the table that a notebook shows."""
        import polars

        return polars.DataFrame(self.rows() if wide else self.long_rows(), infer_schema_length=None)

    def to_pandas(self, *, wide: bool = False) -> "pandas.DataFrame":
        """`to_polars` as pandas has it."""
        return self.to_polars(wide=wide).to_pandas()

    def __repr__(self) -> str:
        return legible(f"{type(self).__name__}: {self.summary()}", keep="\n")

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        rows = self.rows()
        more = f"<p>… and {len(rows) - SHOWN_ROWS:,} more rows: .to_polars()</p>" if len(rows) > SHOWN_ROWS else ""
        return f"<p>{escape(legible(self.summary()))}</p>{_table(rows[:SHOWN_ROWS])}{more}"


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    header = "".join(f"<th>{escape(legible(name.replace('_', ' ')))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td style="text-align:right">{value:.4g}</td>'
    return f"<td>{'–' if value is None else escape(legible(str(value)))}</td>"


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
