"""Plans against closed forms, and what they say in words."""

import pytest
from statsmodels.stats.power import TTestIndPower

from birthmark.errors import BirthmarkError
from birthmark.records import Plan
from birthmark.values.planning import plan


@pytest.fixture(scope="module")
def published() -> Plan:
    return plan((5, 5), 2, 16.6, 7.2, 20.0)


def test_a_unit_is_the_mean_of_the_rms_on_a_base_checkpoint(published: Plan) -> None:
    assert published.sd_unit == pytest.approx((16.6**2 + 7.2**2 / 2) ** 0.5)
    assert (published.n_splits, published.min_p) == (252, pytest.approx(2 / 252))


def test_welch_power_and_the_number_needed_equal_statsmodels(published: Plan) -> None:
    effect = 20 / published.sd_unit
    assert published.power_welch == pytest.approx(TTestIndPower().power(effect, 5, 0.05), abs=1e-9)
    needed = TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
    assert published.bases_needed_welch == int(needed) + 1
    assert abs(published.bases_needed - published.bases_needed_welch) <= 1


def test_exact_power_is_near_welchs_and_states_its_error(published: Plan) -> None:
    assert published.power == pytest.approx(published.power_welch, abs=0.04)
    assert published.mc_error == pytest.approx((published.power * (1 - published.power) / published.studies) ** 0.5)


def test_more_words_prompts_or_rms_barely_help_and_more_base_checkpoints_do(published: Plan) -> None:
    power = {row.design: row.power_welch for row in published.alternatives}
    now = power["as planned"]
    for little in ("twice the words", "twice the prompts", "twice the RMs on each base checkpoint"):
        assert now < power[little] < now + 0.07
    assert power["any number of RMs on each base checkpoint"] < now + 0.07
    assert power["twice the base checkpoints"] > now + 0.25
    assert any("More words, prompts or RMs per base checkpoint barely help" in text for text in published.sentences)


def test_rms_are_not_said_to_barely_help_where_they_do() -> None:
    found = plan((4, 4), 2, 3.0, 20.0, 20.0)
    assert any("More prompts barely help" in text for text in found.sentences)


def test_same_recipe_pairs_beat_teams_of_their_own(published: Plan) -> None:
    assert published.confounded > 0.1
    assert published.pairs[-1].power_welch > published.power_welch
    said = " ".join(published.sentences)
    assert "same-recipe pairs" in said
    assert "six pairs" in said or "6 pairs" in said


def test_the_sentence_says_what_is_found_four_times_in_five(published: Plan) -> None:
    assert f"Minimum detectable contrast at 80% power: {published.detectable:.0f} ranks." in published.sentence
    assert f"each family needs {published.bases_needed} base checkpoints" in published.sentence


def test_two_against_three_cannot_reach_05_and_the_plan_says_so() -> None:
    found = plan((2, 3))
    assert (found.power, found.detectable) == (None, None)
    assert "the smallest attainable p-value is .100" in (found.power_why or "")
    assert found.power_welch is not None
    assert plan((2, 3), alpha=0.1).power is not None


def test_one_base_checkpoint_of_each_family_cannot_be_planned_with(birthmark) -> None:
    with pytest.raises(BirthmarkError, match="nothing can be planned with one"):
        plan((1, 1))
    assert birthmark("calibrate", "plan", "--bases", "1,1").is_error("nothing can be planned", "--bases 3,4")


def test_a_family_of_one_base_checkpoint_says_nothing_of_families() -> None:
    found = plan((1, 2))
    assert (found.power, found.power_welch) == (None, None)


def test_a_negative_shift_is_as_easy_to_find() -> None:
    assert plan(shift=-20.0).power == plan(shift=20.0).power


def test_a_tiny_shift_needs_more_base_checkpoints_than_there_are() -> None:
    found = plan(shift=0.01)
    assert found.bases_needed is None
    assert "more than 200" in (found.bases_needed_why or "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bases": (0, 5)},
        {"rms_per_base": 0},
        {"sd_base": -1.0},
        {"sd_base": 0.0, "sd_rm": 0.0},
        {"sd_rm": float("nan")},
        {"shift": 0.0},
        {"shift": float("inf")},
        {"alpha": 1.0},
    ],
)
def test_plans_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BirthmarkError, match="--"):
        plan(**wrong)
