"""What page and card say of a reward model beside what it descends from."""

import pytest

from birthmark.records import Effects, Line, LineageOf, LineageStage
from birthmark.records.effects import HeadsNull, ModelContrast
from birthmark.report.lineage import leading_lines, lines_figure, nulls_of_lines
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


def test_a_reward_model_is_judged_by_the_random_heads_of_its_own_word_list():
    def of_lexicon(name: str, low: float) -> Effects:
        null = HeadsNull(base="m0", of_base=True, n_heads=100, low=low, high=-low, p=0.5)
        facts = {"family": "F", "base_checkpoint": "m0", "contrast": 1.0, "mean_rank_contrast": 1.0}
        models = [ModelContrast.model_construct(model=model, null=null, **facts) for model in ("m2", "other")]
        return Effects.model_construct(lexicon=name, models=models)

    lines = leading_lines([line(40.0, 12.0, 3.4)])
    for effects in (
        [of_lexicon("words", -5.0), of_lexicon("others", -9.0)],
        [of_lexicon("others", -9.0), of_lexicon("words", -5.0)],
    ):
        nulls = nulls_of_lines(lines, effects)
        assert {model: null.low for model, null in nulls.items()} == {"m2": -5.0}
