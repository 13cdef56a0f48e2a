"""The training runs' files: what is read from them, and the points of figures 4a and 4b."""

from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.paper.data import StudyData
from birthmark.paper.training import (
    figure_4b,
    gap,
    last_gap,
    leaning,
    pairs_of_steps,
    read_training_points,
    training_points,
)
from birthmark.records import TrainingPoint

HEADER = '"","model_id","Category","checkpoint","base_model","sum_value"\n'
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(rows: str) -> Path:
        path = tmp_path / "rank_results_uf_27.csv"
        path.write_text(HEADER + rows, encoding="utf-8")
        return path

    return to


def test_a_missing_base_model_is_read_off_the_model_id(write: Write) -> None:
    (point,) = read_training_points(write('"1","Qwen2.5-3B-Instruct","Agency",1000,NA,815.5\n'))
    assert (point.family, point.category, point.step, point.median_rank) == ("Qwen", "Agency", 1000, 815.5)


def test_a_given_base_model_is_believed_over_the_model_id(write: Write) -> None:
    (point,) = read_training_points(write('"1","google--gemma-2b-it","Agency",1000,"Llama",7\n'))
    assert point.family == "Llama"


def test_repeated_rows_count_once(write: Write) -> None:
    row = ',"gemma2b","Agency",1000,"Gemma",5\n'
    assert len(read_training_points(write('"1"' + row + '"2"' + row))) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('"1","gemma2b","Agency",1000,"Gemma",5\n"2","gemma2b","Agency",1000,"Gemma",6\n', "two values"),
        ('"1","phi","Agency",1000,NA,5\n', "of unknown family"),
        ('"1","gemma2b","Agency",first,"Gemma",5\n', "not a number"),
    ],
)
def test_what_cannot_be_read_is_a_one_line_error(write: Write, rows: str, message: str) -> None:
    with pytest.raises(BirthmarkError, match=message) as error:
        read_training_points(write(rows))
    assert "\n" not in str(error.value)


def test_a_file_without_the_columns_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "rank_results_uf_27.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BirthmarkError, match="no column model_id"):
        read_training_points(path)


def test_the_gap_is_the_difference_of_agency_minus_communion() -> None:
    def point(family: str, category: str, step: int, value: float) -> TrainingPoint:
        return TrainingPoint(file="f", model_id=family, family=family, category=category, step=step, median_rank=value)

    points = [
        point("Gemma", "Agency", 1, 10.0),
        point("Gemma", "Communion", 1, 4.0),
        point("Llama", "Agency", 1, 3.0),
        point("Llama", "Communion", 1, 9.0),
        point("Llama", "Agency", 2, 1.0),
    ]
    assert leaning(points, "Gemma") == {1: 6.0}
    assert gap(points, "Gemma", "Llama") == {1: 12.0}
    assert last_gap(points, "Gemma", "Llama") == 12.0
    assert last_gap(points, "Gemma", "Qwen") is None


def test_pairs_follow_from_the_last_step() -> None:
    assert pairs_of_steps(13_258) == pytest.approx(106.064)


def test_figure_4b_has_each_runs_last_step(study: StudyData) -> None:
    points = figure_4b(training_points(study))
    assert len(points) == 34
    found = {(p.pairs_thousands, p.source, p.loss, p.family, p.category): (p.final_step, p.median_rank) for p in points}
    assert found[77, "skywork", "BT", "Gemma", "Agency"] == (9578, 681.5)
    assert found[106, "uf", "BT", "Llama", "Communion"] == (13258, 757.0)
    assert found[106, "uf", "BT", "Qwen", "Agency"] == (13258, 806.5)
    assert found[53, "uf", "BT", "Qwen", "Communion"] == (6628, 647.5)
    assert found[550, "uf+skywork", "GRM", "Llama", "Communion"] == (1, 725.0)
    assert found[13, "uf", "BT", "Gemma", "Agency"] == found[27, "uf", "BT", "Gemma", "Agency"] == (3314, 742.5)
