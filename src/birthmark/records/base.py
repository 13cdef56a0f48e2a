"""What all records share: strict fields, JSON out, JSON in."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from birthmark.errors import BirthmarkError

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
