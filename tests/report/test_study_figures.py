"""The study's figures draw what the record holds, for a desk and for a phone, and become files."""

from pathlib import Path
from typing import Any

import pytest

from birthmark.commands.replicate import replicate_study
from birthmark.records import LogprobMedian, MwlrPair, Replication, WordMove
from birthmark.report.figure import Figure, save_figure
from birthmark.report.replication import study_figures


@pytest.fixture(scope="module")
def replication(shared: Path) -> Replication:
    return replicate_study(shared / "paper-data")


@pytest.fixture(scope="module")
def drawn(replication: Replication) -> dict[str, Figure]:
    return {figure.name: figure for figure in study_figures(replication)}


def values(node: Any) -> list[dict[str, Any]]:
    """Every row of inline data in a specification."""
    if isinstance(node, dict):
        own = node["values"] if isinstance(node.get("values"), list) else []
        return [*own, *(row for name, child in node.items() if name != "values" for row in values(child))]
    if isinstance(node, list):
        return [row for child in node for row in values(child)]
    return []


def test_all_figures_that_the_files_support_are_drawn(drawn: dict[str, Figure]) -> None:
    assert list(drawn) == [
        "figure-1a",
        "figure-1b",
        "figure-1b-all",
        "figure-A1a",
        "figure-A1b",
        "figure-4a",
        "figure-4b",
        "figure-A5b",
    ]


def test_figure_1a_has_a_point_a_model_and_panel_and_the_studys_stars(
    drawn: dict[str, Figure], replication: Replication
) -> None:
    rows = values(drawn["figure-1a"].wide)
    assert len([row for row in rows if "model" in row]) == 10 * 4
    assert {row["panel"] for row in rows} == {
        *(f"{name}, the best **" for name in ("Agency", "Communion")),
        *(f"{name}, the worst ***" for name in ("Agency", "Communion")),
    }
    drawn_ranks = sorted(row["rank"] for row in rows if "model" in row)
    assert drawn_ranks == sorted(cell.mean_median_rank for cell in replication.figure_1a.model_cells)


def test_one_panel_of_1b_has_no_star(drawn: dict[str, Figure]) -> None:
    panels = {row["panel"] for row in values(drawn["figure-1b"].wide)}
    assert {panel for panel in panels if "n.s." in panel} == {"Fairness, the worst n.s."}


def test_a1_has_a_tick_a_model_prompt_and_category(drawn: dict[str, Figure]) -> None:
    assert len(values(drawn["figure-A1a"].wide)) == 10 * 54 * 2
    assert len(values(drawn["figure-A1b"].wide)) == 10 * 54 * 5


def test_4b_leaves_qwen_out_and_a5b_the_grm_points(drawn: dict[str, Figure]) -> None:
    rows = values(drawn["figure-4b"].wide)
    assert {row["family"] for row in rows} == {"Gemma", "Llama"}
    assert "550k GRM" in {row["pairs"] for row in rows}
    rows = values(drawn["figure-A5b"].wide)
    assert {row["family"] for row in rows} == {"Gemma", "Llama", "Qwen"}
    assert {row["loss"] for row in rows} == {"BT"}


def test_better_ranks_are_drawn_higher(drawn: dict[str, Figure]) -> None:
    assert '"reverse": true' in str(drawn["figure-4a"].wide).replace("'", '"').replace("True", "true")


def test_every_figure_has_its_numbers_as_a_table(drawn: dict[str, Figure]) -> None:
    for figure in drawn.values():
        assert figure.table.rows
        assert all(len(row) == len(figure.table.headers) for row in figure.table.rows)


def test_every_figure_stands_on_a_phone_too(drawn: dict[str, Figure]) -> None:
    for figure in drawn.values():
        assert figure.narrow["description"] == figure.description


def test_a_figure_becomes_files(drawn: dict[str, Figure], tmp_path: Path) -> None:
    save_figure(drawn["figure-4b"], tmp_path)
    assert "<svg" in (tmp_path / "figure-4b.svg").read_text(encoding="utf-8")
    assert (tmp_path / "figure-4b.png").read_bytes().startswith(b"\x89PNG")


def test_figures_whose_data_are_large_are_drawn_where_they_are_there(replication: Replication) -> None:
    medians = [
        LogprobMedian(
            model=family,
            family=family,
            stage="instruct",
            category=category,
            framing="positive",
            prompt="best_ever_one",
            median_rank=3.0,
        )
        for family in ("Gemma", "Llama")
        for category in ("Agency", "Communion")
    ]
    pairs = [MwlrPair(gemma="google/gemma-2-2b-it", llama="meta-llama/Llama-3.2-3B-Instruct", freedom=0.1, love=-0.2)]
    moves = [
        WordMove(family="Qwen", word=word, category="Agency", first_rank=first, last_rank=4 - first)
        for word, first in (("goal", 1.0), ("power", 2.0), ("skill", 3.0))
    ]
    record = replication.model_copy(update={"figure_2": medians, "figure_3": pairs, "figure_5": moves})
    drawn = {figure.name: figure for figure in study_figures(record)}
    assert len(values(drawn["figure-2"].wide)) == 4
    assert {row["mwlr"] for row in values(drawn["figure-3"].wide)} == {0.1, -0.2}
    assert {row["word"]: row["change"] for row in values(drawn["figure-A6-qwen"].wide)} == {
        "goal": -2.0,
        "power": 0.0,
        "skill": 2.0,
    }


def test_agency_and_communion_share_one_scale_side_by_side(drawn: dict[str, Figure]) -> None:
    for name in ("figure-4a", "figure-4b", "figure-A5b"):
        spec = drawn[name].wide
        assert len(spec["hconcat"]) == 2 and spec["resolve"]["scale"]["y"] == "shared"
