"""The figures, tables and page of a grid and of a pair, from small tables; nothing in them escapes its place."""

from pathlib import Path

import pytest

from birthmark.commands.implicit import implicit, implicit_grid
from birthmark.records import ImplicitGrid, read_record
from birthmark.report.implicit_grid import (
    anova_table,
    cell_table,
    table_1_text,
    violin_figure,
    word_figure,
    word_tests_table,
)
from birthmark.scoring.table import ScoreTable
from report_outs import WORDS, lexicon_file, table

NASTY = "org/<script>alert(1)</script>"


def language_models() -> list[ScoreTable]:
    """Two Gemmas and two Llamas, one of an awkward name."""
    a, b = (table(f"gemma-{n}", "Gemma", f"gemma-{n}", lean=0.5, seed=n) for n in (1, 2))
    c = table("llama-3", "Llama", "llama-3", lean=-0.4, seed=3)
    d = table("llama-4", "Llama", "llama-4", lean=-0.4, seed=4)
    return [a, b, c, ScoreTable(d.frame, d.record.model_copy(update={"model": NASTY}))]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    models = language_models()
    words = lexicon_file(folder / "own.csv", WORDS)
    found = next(iter(WORDS.values()))[:2]
    implicit_grid(models[:2], models[2:], lexicons=[words], out=folder / "out", words=found)
    return folder / "out"


@pytest.fixture
def grid(out: Path) -> ImplicitGrid:
    return read_record(out / "grid.json", ImplicitGrid)


def test_the_word_figure_has_a_row_a_pair_and_a_dot_a_word(grid: ImplicitGrid) -> None:
    assert grid.words
    figure = word_figure(grid, grid.words)
    dots = figure.wide["layer"][1]["data"]["values"]
    assert len(dots) == 2 * 4
    assert {row["word"] for row in dots} == {grid.words.first, grid.words.second}
    assert len(figure.table.rows) == 4


def test_the_violins_have_a_panel_a_category_and_framing(grid: ImplicitGrid) -> None:
    lexicon = grid.lexicons[0]
    figure = violin_figure(lexicon, (grid.a.name, grid.b.name))
    assert len(figure.wide["concat"]) == 2 * len(lexicon.categories)
    assert len(figure.narrow["concat"]) == len(figure.wide["concat"])
    drawn = [layer["data"]["values"] for panel in figure.wide["concat"] for layer in panel["layer"][::2]]
    assert sum(map(len, drawn)) == len(lexicon.medians)


def test_tables_have_a_row_a_term_a_cell_and_a_metric(grid: ImplicitGrid) -> None:
    lexicon = grid.lexicons[0]
    anova = anova_table(lexicon)
    assert anova and len(anova.rows) == 8 and anova.rows[-1][0] == "Residual"
    assert len(cell_table(lexicon, ("Gemma", "Llama")).rows) == 2 * len(lexicon.categories)
    assert grid.words and len(word_tests_table(grid.words).rows) == 9


def test_the_text_of_table_1_shows_what_cannot_be_seen(grid: ImplicitGrid, out: Path) -> None:
    text = table_1_text(grid)
    assert text == (out / "implicit" / "table_1.txt").read_text(encoding="utf-8")
    assert f"gemma-1 → {NASTY}" in text and "␣" in text


def test_the_page_shows_everything_and_runs_nothing_that_people_brought(grid: ImplicitGrid, out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "From Gemma to Llama" in page and "Type II analysis of variance" in page
    assert "<script>alert" not in page
    assert {path.suffix for path in (out / "figures").iterdir()} == {".svg", ".png"}


def test_the_page_of_a_pair_has_its_figure_under_its_slugs(tmp_path: Path) -> None:
    models = language_models()
    implicit(models[0], models[3], prompt=["all"], out=tmp_path / "out", set_aside=("markdown",))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "Set aside on request" in page
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {
        "implicit-gemma-1..llama-4.svg",
        "implicit-gemma-1..llama-4.png",
    }
