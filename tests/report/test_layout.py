"""Pages of topics: what is long is folded up, what is text is escaped, and every table can be saved."""

import csv
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from birthmark.report.columns import Column, Table
from birthmark.report.layout import MOST_ROWS, Fold, Items, Page, Part, Text, Topic, Warnings, write_page

WORD = (Column("word", "Word"),)


def written(out: Path, *parts: Part) -> str:
    return write_page(out, Page("Title", [Text("Lead", "lead")], [Topic("a", "A", parts)])).read_text(encoding="utf-8")


@pytest.mark.parametrize(("rows", "folded"), [(MOST_ROWS, False), (MOST_ROWS + 1, True)])
def test_a_long_table_is_folded_up_and_says_how_long_it_is(tmp_path: Path, rows: int, folded: bool) -> None:
    table = Table("Words <b>", WORD, [{"word": f"word {at}"} for at in range(rows)])
    page = written(tmp_path, table)
    assert (f"<summary>Words &lt;b&gt;: {rows} rows</summary>" in page) is folded
    assert f"word {rows - 1}" in page


@pytest.mark.parametrize(
    "part",
    [
        "<b>",
        Text("<b>"),
        Items(["<b>"]),
        Warnings(["<b>"]),
        Fold("<b>", ["<b>"]),
        Table("<b>", WORD, [{"word": "<b>"}]),
    ],
)
def test_text_of_every_kind_is_escaped(tmp_path: Path, part: Part) -> None:
    page = written(tmp_path, part)
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_a_table_can_be_saved_as_it_is_in_the_data(tmp_path: Path) -> None:
    nasty = 'a "quoted" <word>, with a comma'
    page = written(tmp_path, Table("Words", WORD, [{"word": nasty}]))
    (link,) = re.findall(r'href="data:text/csv;charset=utf-8,([^"]*)"', page)
    assert list(csv.reader(unquote(link).splitlines())) == [["Word"], [nasty]]


def test_a_page_without_figures_has_no_drawing_library(tmp_path: Path) -> None:
    assert 'id="vega"' not in written(tmp_path, "nothing to draw")


def test_contents_call_a_topic_by_its_link_or_its_heading(tmp_path: Path) -> None:
    page = write_page(tmp_path, Page("Title", [], [Topic("a", "A long heading", link="Short"), Topic("b", "B")]))
    text = page.read_text(encoding="utf-8")
    assert '<a href="#a">Short</a>' in text and '<a href="#b">B</a>' in text and "<h2>A long heading</h2>" in text
