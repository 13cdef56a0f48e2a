"""What page and card say of a reward model beside what it descends from."""

import pytest

from birthmark.records import Line, LineageOf, LineageStage
from birthmark.report.lineage import leading_lines, lines_figure
from birthmark.values.wording_lineage import line_finding

STAGES = ("pretrained", "instruct", "reward")


def line(*values: float | None, categories: tuple[str, ...] = ("Agency", "Communion")) -> Line:
    stages = [
        LineageStage(
            model=f"m{at}", stage=STAGES[at], kind="reward" if at == 2 else "logprob", frame="chat", n_candidates=900,
            cells=[], contrast=value, mean_rank_contrast=value,
        )
        for at, value in enumerate(values)
    ]  # fmt: skip
    item = LineageOf(lexicon="words", categories=list(categories), stages=stages, sentence="")
    return Line(reward_model="m2", models=[stage.model for stage in stages], lexicons=[item])


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ((40.0, 12.0, 3.4), "m2 leans to communion, as m0 does"),
        ((40.0, 12.0, -3.4), "m2 leans to agency, m0 to communion"),
        ((40.0, 12.0, 0.2), "m2 leans to neither side, m0 to communion"),
        ((0.1, 12.0, 3.4), "m2 leans to communion, m0 to neither side"),
        ((0.1, 12.0, -0.2), "m2 leans to neither side"),
    ],
)
def test_the_title_says_where_the_reward_model_leans_and_where_it_was_born(values, title):
    assert line_finding(leading_lines([line(*values)])[0][1]).title == title


def test_each_model_of_the_line_is_in_the_sentence():
    said = line_finding(leading_lines([line(40.0, -12.2, 0.2)])[0][1]).said
    assert "m0 (pretrained) leans to communion by 40.0 places" in said
    assert "m1 (instruction-tuned) leans to agency by 12.2 places and m2 (reward model) leans to neither side" in said


def test_the_figure_has_a_row_a_model_the_oldest_first():
    figure = lines_figure(leading_lines([line(40.0, 12.0, -3.4)]), {})
    assert [row[0] for row in figure.table.rows] == ["m0", "m1", "m2"] and figure.table.rows[2][-1] == "−3.4"
    assert figure.wide["layer"] and figure.narrow["layer"]


@pytest.mark.parametrize(
    "lines", [[], [line(1.0)], [line(1.0, None, 2.0)], [line(1.0, 2.0, categories=("A", "B", "C"))]]
)
def test_a_line_without_a_leaning_throughout_does_not_lead(lines):
    assert leading_lines(lines) == []
