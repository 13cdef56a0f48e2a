"""How a record is built from a result, and what stands in it where a result does not apply."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import ValidationError

from birthmark.records.base import NotApplicable, ReasonIn, Record, known


class Found(Record):
    name: str
    value: float | None
    value_why: str | None
    names: list[str]
    names_why: str | None = None
    first: Annotated[int | None, ReasonIn("none_why")] = None
    last: Annotated[int | None, ReasonIn("none_why")] = None
    none_why: str | None = None
    alone: int | None = None


@dataclass(frozen=True)
class Result:
    value: float
    df: int


def test_a_record_takes_the_fields_of_a_result() -> None:
    found = Found.build(Result(1.5, 3), without=("df",), name="a", names=[])
    assert found == Found(name="a", value=1.5, value_why=None, names=[])


def test_a_field_of_the_result_without_a_place_is_an_error() -> None:
    with pytest.raises(ValidationError, match="df"):
        Found.build(Result(1.5, 3), name="a", names=[])
    with pytest.raises(TypeError, match="value"):
        Found.build(Result(1.5, 3), without=("df",), name="a", value=2.0)


def test_what_does_not_apply_is_null_with_its_reason() -> None:
    found = Found.build(name="a", value=NotApplicable("one family only"), names=[])
    assert (found.value, found.value_why) == (None, "one family only")
    assert Found.model_validate_json(found.model_dump_json()) == found


def test_rows_that_do_not_apply_are_an_empty_list() -> None:
    found = Found.build(name="a", value=1.0, names=NotApplicable("no prompt has a framing"))
    assert (found.names, found.names_why) == ([], "no prompt has a framing")


def test_fields_may_share_a_reason() -> None:
    nothing = NotApplicable("no step")
    assert Found.build(name="a", value=1.0, names=[], first=nothing, last=nothing).none_why == "no step"
    assert Found.build(name="a", value=1.0, names=[], first=0, last=2).none_why is None


def test_a_field_without_room_for_the_reason_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"Found\.alone .* no base"):
        Found.build(name="a", value=1.0, alone=NotApplicable("no base"))


def test_known_is_the_result_or_nothing() -> None:
    assert known(3) == 3
    assert known(NotApplicable("no base")) is None
