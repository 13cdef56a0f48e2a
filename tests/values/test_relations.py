"""Likeness of models, the map and agreement with people: small tables with known answers, then the published scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from birthmark.errors import BirthmarkError
from birthmark.inputs.published import ELO_FILES, HumanRanking, read_human_ranking
from birthmark.records import Map
from birthmark.scoring.table import ScoreTable, read_elo_scores
from birthmark.values.relations import Facts, relate, shared_ranks

MakeTable = Callable[..., ScoreTable]
WORDS = ["love", "power", "care", "goal", "peace", "skill"]
PROMPT = ("best_1",)


def one_prompt(
    make_table: MakeTable, model: str, scores: list[float], words: list[str] = WORDS, **given: object
) -> ScoreTable:
    return make_table(model, words, np.array(scores)[:, None], prompts=PROMPT, **given)


def test_equal_and_opposite_rankings(make_table: MakeTable) -> None:
    up, down = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    found = relate(
        [one_prompt(make_table, "a", up), one_prompt(make_table, "b", up), one_prompt(make_table, "c", down)]
    )
    pairs = {(pair.a, pair.b): pair for pair in found.likeness}
    assert (pairs["a", "b"].kendall, pairs["a", "b"].spearman) == (pytest.approx(1.0), pytest.approx(1.0))
    assert pairs["a", "b"].rbo == pytest.approx(1.0)
    assert (pairs["a", "c"].kendall, pairs["b", "c"].spearman) == (pytest.approx(-1.0), pytest.approx(-1.0))


def test_correlations_are_means_over_prompts(make_table: MakeTable) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 2))
    found = relate([make_table("a", WORDS, a), make_table("b", WORDS, b)]).likeness[0]
    expected = np.mean([spearmanr(a[:, at].astype("f4"), b[:, at].astype("f4")).statistic for at in (0, 1)])
    assert found.spearman == pytest.approx(expected)


def test_alike_models_are_neighbours_on_the_map_and_in_the_order(make_table: MakeTable) -> None:
    rng = np.random.default_rng(1)
    words = [f"w{n}" for n in range(60)]
    centres = rng.normal(size=(2, 60))
    tables = [
        one_prompt(make_table, f"{family}{n}", centres[at] + rng.normal(0, 0.2, 60), words, family=family)
        for n in range(3)
        for at, family in enumerate("AB")
    ]
    found = relate(tables)
    order = sorted(found.places, key=lambda place: place.order)
    assert len({place.family for place in order[:3]}) == 1
    assert {place.x > 0 for place in found.places if place.family == "A"} != {
        place.x > 0 for place in found.places if place.family == "B"
    }
    (family,) = [row for row in found.predictors if row.predictor == "same family"]
    assert family.simple_p <= 0.2 and family.coefficient > 0.3


def test_what_is_not_shared_is_counted(make_table: MakeTable) -> None:
    tables = [
        one_prompt(make_table, "a", [1.0, 2.0, 3.0, 4.0], WORDS[:4]),
        one_prompt(make_table, "b", [4.0, 2.0, 3.0, 1.0], WORDS[1:5]),
    ]
    found = shared_ranks(tables)
    assert found.candidates == ("care", "goal", "power")
    assert found.n_left_out == 2
    assert found.ranks[0, 0].tolist() == [2.0, 1.0, 3.0]
    assert found.warnings == ("2 candidates are not in all tables and left out",)


def test_prompts_that_are_not_shared_are_told(make_table: MakeTable) -> None:
    scores = np.arange(12.0).reshape(6, 2)
    tables = [make_table("a", WORDS, scores), make_table("b", WORDS, scores, prompts=("best_1", "bad_1"))]
    assert relate(tables).warnings == ["2 prompts are not in all tables and left out: bad_1, worst_1"]


def test_one_key_for_two_questions_is_refused(make_table: MakeTable) -> None:
    first, second = (one_prompt(make_table, name, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) for name in "ab")
    asked = {"best_1": first.prompts["best_1"].model_copy(update={"text": "What is the best?"})}
    prompt_set = second.record.prompt_set.model_copy(update={"prompts": asked})
    other = ScoreTable(second.frame, second.record.model_copy(update={"prompt_set": prompt_set}))
    with pytest.raises(BirthmarkError, match="the prompt best_1 of b is not that of a"):
        relate([first, other])


@pytest.mark.parametrize(
    ("scores", "words", "message"),
    [
        ([1.0] * 6, WORDS, "assigns identical scores to all candidates"),
        ([1.0, 2.0], ["other", "words"], "fewer than three candidates"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, float("nan")], WORDS, "gives 'skill' the score nan"),
    ],
)
def test_what_cannot_be_mapped_is_a_one_line_error(
    make_table: MakeTable, scores: list[float], words: list[str], message: str
) -> None:
    tables = [one_prompt(make_table, "a", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), one_prompt(make_table, "b", scores, words)]
    with pytest.raises(BirthmarkError, match=message):
        relate(tables)


def test_one_model_and_mixed_kinds_are_refused(make_table: MakeTable) -> None:
    table = one_prompt(make_table, "a", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    with pytest.raises(BirthmarkError, match="two or more"):
        relate([table])
    with pytest.raises(BirthmarkError, match="never pooled"):
        relate([table, one_prompt(make_table, "b", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], kind="logprob")])


def test_few_models_have_no_regression_and_say_why(make_table: MakeTable) -> None:
    scores = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    found = relate([one_prompt(make_table, "a", scores), one_prompt(make_table, "b", scores[::-1])])
    assert found.predictors == []
    assert found.predictors_why is not None and "five models" in found.predictors_why


def test_given_facts_take_the_place_of_the_tables(make_table: MakeTable) -> None:
    rng = np.random.default_rng(2)
    tables = [one_prompt(make_table, name, rng.normal(size=6).tolist()) for name in "abcdef"]
    teams = {name: Facts("F", name, "one" if name < "d" else "two", 10 ** (9 + at)) for at, name in enumerate("abcdef")}
    found = relate(tables, facts=teams)
    assert [row.predictor for row in found.predictors] == ["same team", "nearness in size"]
    assert (
        found.predictors_why is not None
        and "the same for every two models: same base checkpoint" in found.predictors_why
    )


def test_a_predictor_that_is_not_known_of_all_models_is_said_to_be_left_out(make_table: MakeTable) -> None:
    rng = np.random.default_rng(2)
    tables = [one_prompt(make_table, name, rng.normal(size=6).tolist()) for name in "abcdef"]
    facts = {name: Facts("F" if name < "d" else "G", name, None if name == "a" else "one") for name in "abcdef"}
    why = relate(tables, facts=facts).predictors_why
    assert why is not None and "not known of all models: same team, nearness in size" in why


def test_agreement_with_people_is_over_the_things_that_both_rank(make_table: MakeTable) -> None:
    tables = [
        one_prompt(make_table, "a", [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
        one_prompt(make_table, "b", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ]
    people = HumanRanking("people", {"love": 1.0, "power": 2.0, "care": 3.0, "goal": 4.0, "joy": 5.0})
    found = relate(tables, human=people)
    means = {row.model: row for row in found.humans if row.prompt is None}
    assert found.n_human == 4
    assert (means["a"].kendall, means["b"].kendall) == (pytest.approx(1.0), pytest.approx(-1.0))
    assert (means["b"].overvalued[0].name, means["b"].undervalued[0].name) == ("goal", "love")
    assert means["b"].overvalued[0].difference == -3.0
    assert "1 of the 5 things" in found.warnings[0]


# ----------------------------------------------------------------------------------------- the published scores


@pytest.fixture(scope="module")
def published_map(shared: Path) -> Map:
    paths = [shared / "predecessor-data" / file.name for file in ELO_FILES]
    return relate(read_elo_scores(paths), human=read_human_ranking(paths[0]))


def test_models_of_one_base_checkpoint_are_the_most_alike(published_map: Map) -> None:
    base = {place.model: place.base_checkpoint for place in published_map.places}
    closest = sorted(published_map.likeness, key=lambda pair: -pair.kendall)[:6]
    assert all(base[pair.a] == base[pair.b] for pair in closest)
    by_name = {row.predictor: row for row in published_map.predictors}
    assert by_name["same base checkpoint"].p < 0.01
    assert by_name["same team"].p > 0.05


def test_all_ten_models_agree_with_people_a_little(published_map: Map) -> None:
    means = [row for row in published_map.humans if row.prompt is None]
    assert len(means) == 10
    assert published_map.n_human == 7530
    assert all(0.1 < row.kendall < 0.4 for row in means)
