"""Figures say in data, tooltip and table what their record says."""

import json
import re
from pathlib import Path

import pytest

from birthmark.records import Effects, read_record
from birthmark.report.figure import FILE_COLOURS, HUES, SHAPES, hue, in_file_colours, save_figure, shape
from birthmark.report.lexicon_figures import lexicon_figures
from birthmark.values.formats import signed
from birthmark.values.standings import sides_of
from birthmark.values.wording import contrast_sign

CSS = Path(__file__).parents[2] / "src" / "birthmark" / "report" / "templates" / "report.css"


@pytest.fixture
def effects(two_models: Path) -> Effects:
    return read_record(two_models / "effects" / "own.json", Effects)


@pytest.fixture
def ten(ten_models: Path) -> Effects:
    return read_record(ten_models / "effects" / "dict_big2_nouns.json", Effects)


def points(spec: dict) -> list[dict]:
    """All rows of data in a specification."""
    found = []
    if isinstance(spec, dict):
        found += spec.get("values", []) if isinstance(spec.get("values"), list) else []
        found += [row for value in spec.values() for row in points(value)]
    elif isinstance(spec, list):
        found += [row for value in spec for row in points(value)]
    return [row for row in found if isinstance(row, dict)]


def test_the_figure_that_shows_the_finding_leads(effects: Effects, ten: Effects) -> None:
    assert [figure.name.rsplit("-", 1)[1] for figure in lexicon_figures(effects)] == [
        "standings",
        "ranks",
        "adjectives",
        "words",
    ]
    assert [figure.name.rsplit("-", 1)[1] for figure in lexicon_figures(ten)] == [
        "standings",
        "ranks",
        "families",
        "evidence",
        "adjectives",
        "words",
    ]


def test_every_model_category_and_framing_is_a_point(effects: Effects) -> None:
    ranks = lexicon_figures(effects)[1]
    for spec in (ranks.wide, ranks.narrow):
        drawn = {(row["model"], row["group"], row["framing"]): row for row in points(spec) if "rank" in row}
        for cell in effects.model_cells:
            row = drawn[cell.model, cell.category, cell.framing]
            assert (row["rank"], row["low"], row["high"]) == (cell.mean_median_rank, cell.ci_low, cell.ci_high)


def test_ranks_run_backwards_so_that_better_is_to_the_right(effects: Effects) -> None:
    assert '"reverse": true' in json.dumps(lexicon_figures(effects)[1].wide)


def test_every_mark_names_itself(ten: Effects) -> None:
    for figure in lexicon_figures(ten):
        for width in (figure.wide, figure.narrow):
            text = json.dumps(width)
            assert text.count('"type": "point"') <= text.count('"tooltip": [')


def test_a_familys_point_is_the_mean_over_its_models_of_mean_ranks(ten: Effects) -> None:
    families = next(figure for figure in lexicon_figures(ten) if figure.name.endswith("families"))
    shown = {
        (row["category"], row["group"], row["framing"]): row["rank"]
        for row in points(families.wide)
        if "n_models" in row
    }
    assert len(shown) == len(ten.cells)
    for (category, family, framing), rank in shown.items():
        ranks = [
            cell.mean_rank
            for cell in ten.model_cells
            if (cell.category, cell.family, cell.framing) == (category, family, framing)
        ]
        assert len(ranks) == {"Gemma": 4, "Llama": 6}[family]
        assert rank == pytest.approx(sum(ranks) / len(ranks))
    assert "*" not in json.dumps(families.wide)  # no stars of tests that take prompts for models


def test_tables_hold_every_number_that_is_drawn(effects: Effects) -> None:
    leading = lexicon_figures(effects)[0]
    assert [row[-1] for row in leading.table.rows] == [
        signed(model.mean_rank_contrast) for model in sorted(effects.models, key=lambda model: model.family)
    ]


def test_the_leading_figure_draws_the_gaps_that_the_finding_names(effects: Effects, ten: Effects) -> None:
    for record in (effects, ten):
        (leading, *_), sides = lexicon_figures(record), sides_of(record)
        drawn = {(row["row"], row["framing"]): row["gap"] for row in points(leading.wide) if "gap" in row}
        for side in sides:
            assert drawn[side.name, "Asked for the best"] == side.best
            assert drawn[side.name, "Asked for the worst"] == side.worst
        assert contrast_sign(record.categories) in leading.note


def test_files_hold_no_variables_of_the_page(effects: Effects, tmp_path: Path) -> None:
    figure = lexicon_figures(effects)[0]
    save_figure(figure, tmp_path)
    drawn = (tmp_path / f"{figure.name}.svg").read_text(encoding="utf-8")
    assert "var(" not in drawn
    assert drawn.startswith("<svg")
    assert (tmp_path / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".png", ".svg"]


def test_file_colours_are_the_light_pages() -> None:
    light = CSS.read_text(encoding="utf-8").split("@media")[0]
    for name, colour in FILE_COLOURS.items():
        assert re.search(rf"--{name}: {colour};", light), name


def test_no_two_of_many_groups_share_colour_and_shape() -> None:
    assert len({(hue(n), shape(n)) for n in range(40)}) == 40
    assert len(set(HUES)) == len(set(SHAPES)) == 8
    assert "var(" not in json.dumps(in_file_colours({"colours": list(HUES)}))


def test_figures_show_themselves_in_a_notebook(effects: Effects) -> None:
    assert lexicon_figures(effects)[0]._repr_mimebundle_()


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(None, 1, "–"), (-3.25, 1, "−3.2"), (0.0, 1, "0.0"), (0.00002, 2, "+0.000020")]
)
def test_differences_are_signed(value: float | None, digits: int, text: str) -> None:
    assert signed(value, digits) == text
