"""One specification: a table's cells, its download and the tooltips beside it say the same."""

import csv
from dataclasses import dataclass
from functools import partial

import pytest

from birthmark.report.columns import Column, Table, drawn, number, tips
from birthmark.values.formats import interval, signed

COLUMNS = (
    Column("model", "Model", tip=True),
    Column("value", "Ranks", signed, tip=True),
    Column(("low", "high"), "95% interval", partial(interval, digits=0)),
    Column("said", "Leans", tip=True, table=False),
)
ROWS = [
    {"model": "a", "value": -3.26, "low": -5.1, "high": 1.0, "said": "to the left"},
    {"model": "b", "value": None, "low": None, "high": None, "said": "to neither side"},
]


def test_cells_are_shown_by_their_columns() -> None:
    table = Table("Leanings", COLUMNS, ROWS)
    assert table.headers == ("Model", "Ranks", "95% interval")
    assert table.rows == (("a", "−3.3", "−5 to 1"), ("b", "–", "–"))


def test_a_download_has_the_values_themselves_each_in_a_column() -> None:
    header, first, second = csv.reader(Table("Leanings", COLUMNS, ROWS).csv.splitlines())
    assert header == ["Model", "Ranks", "95% interval (low)", "95% interval (high)"]
    assert first == ["a", "-3.26", "-5.1", "1.0"] and second == ["b", "", "", ""]


def test_what_is_no_plain_value_is_downloaded_as_it_is_shown() -> None:
    words = Column("words", "Words", ", ".join)
    assert list(csv.reader(Table("Words", [words], [{"words": ["a", "b"]}]).csv.splitlines())) == [["Words"], ["a, b"]]


def test_tooltips_show_the_cells_texts_under_the_tables_headers() -> None:
    (row, _), found = drawn(ROWS, COLUMNS), [tip.to_dict() for tip in tips(COLUMNS)]
    assert [tip["title"] for tip in found] == ["Model", "Ranks", "Leans"]
    assert [row[tip["field"]] for tip in found] == ["a", "−3.3", "to the left"]
    assert row["value"] == -3.26  # what is drawn is the number


def test_rows_may_be_records() -> None:
    @dataclass
    class Row:
        model: str
        value: float

    assert Table("Leanings", COLUMNS[:2], [Row("a", 1.0)]).rows == (("a", "+1.0"),)


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (-1234.5, "−1,234.5"), (0.25, "0.2")])
def test_numbers_have_a_true_minus_and_a_dash_for_none(value: float | None, text: str) -> None:
    assert number(",.1f")(value) == text
