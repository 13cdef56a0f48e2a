"""The finding in plain sentences: right way round, no surer than the numbers."""

from dataclasses import replace
from pathlib import Path

import pytest

from birthmark.records import Effects, LevelTest, ScoreRecord, read_record
from birthmark.values.standings import sides_of
from birthmark.values.wording import contrast_sign, finding, key_numbers, sides, standing_sentences
from birthmark.values.wording_families import equivalence_sentence, level_sentence
from birthmark.values.wording_page import caveats, examples, mass_warning
from birthmark.values.wording_undercuts import undercuts


@pytest.fixture
def two(two_models: Path) -> Effects:
    """Two models whose difference nothing undercuts; of the record's own, little probability on the words does."""
    found = read_record(two_models / "effects" / "own.json", Effects)
    assert found.undercuts and finding(found).title.startswith("No stable difference between gemma-3-270m and")
    return found.model_copy(update={"undercuts": []})


@pytest.fixture
def ten(ten_models: Path) -> Effects:
    return read_record(ten_models / "effects" / "dict_big2_nouns.json", Effects)


def changed(effects: Effects, part: str, **fields: object) -> Effects:
    return effects.model_copy(update={part: getattr(effects, part).model_copy(update=fields)})


def test_a_negative_difference_means_that_the_second_side_leans_to_the_first_category(two: Effects) -> None:
    """b − a of (first − second) ranks, 1 best: below zero, b has the first category further ahead."""
    below = finding(changed(two, "models_fixed", estimate=-9.0, ci_low=-12.0, ci_high=-6.0, p_words=0.01))
    assert below.title == "smollm2-135m-instruct leans further to agency than gemma-3-270m"
    above = finding(changed(two, "models_fixed", estimate=9.0, ci_low=6.0, ci_high=12.0, p_words=0.01))
    assert above.title == "gemma-3-270m leans further to agency than smollm2-135m-instruct"


def test_swapping_the_signs_swaps_the_sides_over_base_checkpoints(ten: Effects) -> None:
    assert ten.headline is not None
    plus = finding(changed(ten, "headline", estimate=20.0, p_exact=0.01))
    minus = finding(changed(ten, "headline", estimate=-20.0, p_exact=0.01))
    assert plus.title == "Gemma models lean further to agency than Llama models"
    assert minus.title == "Llama models lean further to agency than Gemma models"


def test_nothing_clear_is_called_a_difference(two: Effects, ten: Effects) -> None:
    assert finding(changed(two, "models_fixed", p_words=0.2)).title.startswith("No clear difference")
    unsure = finding(changed(two, "models_fixed", ci_low=-0.4, ci_high=22.5, p_words=0.016))
    assert unsure.title.startswith("No clear difference")
    assert finding(changed(ten, "headline", p_exact=0.2)).title.startswith("No clear difference")


def test_the_p_over_words_is_said_to_be_of_whole_stems_and_where_they_are_few_how_often_it_errs(two: Effects) -> None:
    enough = finding(changed(two, "models_fixed", p_words=0.02, n_stems={"Agency": 9, "Communion": 4}))
    assert (
        "this large for its standard error occurs in about 20 of 1,000 random relabelings of whole word stems"
        in enough.sure
    )
    assert "true null" not in enough.text
    few = changed(two, "models_fixed", n_stems={"Agency": 3, "Communion": 9})
    assert (
        "With only 3 word stems in Agency, this test rejects 4% to 7% of true null hypotheses at .05."
        in finding(few).sure
    )
    assert "with 3 stems it rejects 4% to 7% of true nulls" in key_numbers(few)[2][2]


@pytest.mark.parametrize(("stems", "rate"), [(2, "2% to 13%"), (3, "2% to 8%"), (9, "1% to 7%")])
def test_where_stems_cannot_change_places_the_p_is_said_to_be_students_and_how_often_it_errs(two, stems, rate) -> None:
    within = changed(two, "models_fixed", p_words=0.02, permuted=False, n_stems={"Agency": stems, "Communion": 12})
    assert "about 20 of 1,000 draws of such words by Student's t (p = .020)" in finding(within).sure
    assert f"rejects {rate} of true null hypotheses at .05" in finding(within).sure
    assert (
        f"Student's t over word stems; with {stems} stems it rejects {rate} of true nulls" in key_numbers(within)[2][2]
    )


def test_the_best_that_few_units_allow_is_not_called_sure(ten: Effects) -> None:
    found = finding(changed(ten, "headline", p_exact=0.1, min_p=0.1))
    assert "too few to be sure" in found.title
    assert "the smallest attainable p-value is .100" in found.sure


def test_one_model_alone_is_not_compared(two: Effects) -> None:
    alone = two.model_copy(
        update={"models": two.models[:1], "families": two.families[:1], "models_fixed": None, "headline": None}
    )
    found = finding(alone)
    assert found.title == "How gemma-3-270m ranks agency and communion"
    assert "a difference takes a second one" in found.sure


def test_models_of_one_family_are_set_apart_and_not_tested(two: Effects) -> None:
    akin = two.model_copy(update={"families": ["Gemma"], "models_fixed": None, "headline": None})
    found = finding(akin)
    assert found.said.startswith("Asked for the best, ") and "From the worst to the best, " in found.said
    assert "All are of one family (Gemma), so there is no test" in found.sure


@pytest.mark.parametrize("estimate", [9.0, -9.0])
def test_the_interval_is_told_towards_the_side_that_leans(two: Effects, ten: Effects, estimate: float) -> None:
    """The size is without a sign, so its interval must not have one either."""
    low, high = sorted((estimate / 3, estimate * 2))
    for effects, part in ((two, "models_fixed"), (ten, "headline")):
        told = changed(effects, part, estimate=estimate, ci_low=low, ci_high=high)
        assert "3.0 to 18.0 places" in finding(told).sure
        assert key_numbers(told)[1][1] == "3.0 to 18.0"


def test_the_text_of_a_finding_is_the_records_sentence(two: Effects, ten: Effects) -> None:
    assert [finding(item).text for item in (two, ten)] == [two.sentence, ten.sentence]


def standing(effects: Effects, *gaps: tuple[float, float]) -> Effects:
    """The record with these gaps (asked for the best, for the worst) between its two categories, a side each."""
    ranks = {
        (side, category, framing): 50.0 + (gap if category == effects.categories[0] else 0.0)
        for side, both in zip(effects.families, gaps, strict=True)
        for framing, gap in zip(("positive", "negative"), both, strict=True)
        for category in effects.categories
    }
    cells = [
        cell.model_copy(update={"mean_rank": ranks[cell.family, cell.category, cell.framing]})
        for cell in effects.model_cells
    ]
    return effects.model_copy(update={"model_cells": cells})


def test_each_framing_is_said_first_then_the_change(two: Effects) -> None:
    """A gap is the first category's rank less the second's: above zero the second, communion, is ahead."""
    a, b = sides(two)
    said = standing_sentences(standing(two, (2.0, -3.0), (22.0, 10.0)))
    assert said == (
        f"Asked for the best, both rank communion words higher, {a} by 2.0 places and {b} by 22.0. Asked for the worst, "
        f"{a} ranks agency words higher by 3.0 places and {b} ranks communion words higher by 10.0 places. From the worst "
        f"to the best, both move towards communion, {a} by 5.0 places and {b} by 12.0: a difference of 7.0 places, in a "
        f"ranking of {two.n_candidates} words."
    )
    apart = standing_sentences(standing(two, (0.0, 4.0), (5.0, 5.0)))
    assert f"{a} ranks the two alike" in apart
    assert f"{a} moves 4.0 places towards agency and {b} does not move: a difference of 4.0 places" in apart


def test_the_sides_changes_are_the_contrasts_that_the_difference_is_of(two: Effects, ten: Effects) -> None:
    of_two, of_ten = sides_of(two), sides_of(ten)
    assert two.models_fixed is not None and ten.headline is not None
    assert of_two[1].change - of_two[0].change == pytest.approx(two.models_fixed.estimate)
    assert of_ten[1].change - of_ten[0].change == pytest.approx(ten.headline.estimate)
    assert [side.name for side in of_ten] == ["Gemma models", "Llama models"]


def test_the_sign_of_a_contrast_is_said_by_the_second_category() -> None:
    assert contrast_sign(["Agency", "Communion"]).startswith("Positive: communion words gain on agency words when good")


def test_one_sign_after_every_adjective_is_a_taste_for_the_words(two: Effects) -> None:
    assert two.models_fixed is not None
    alike = [item.model_copy(update={"estimate": 3.0}) for item in two.models_fixed.by_adjective]
    turned = [item.model_copy(update={"estimate": 3.0 if item.framing == "positive" else -3.0}) for item in alike]
    plain = two.model_copy(
        update={"sensitivity": None, "models": [m.model_copy(update={"mass": None}) for m in two.models]}
    )
    (line,) = undercuts(changed(plain, "models_fixed", by_adjective=alike))
    assert "a taste for the words" in line
    assert undercuts(changed(plain, "models_fixed", by_adjective=turned)) == []


def test_low_reliability_one_adjective_and_little_mass_undercut_a_finding(ten: Effects) -> None:
    assert ten.sensitivity is not None
    shaky = changed(ten, "sensitivity", spearman_brown=0.4, icc_prompts=0.9)
    assert "reliability is .40, below .7" in undercuts(shaky)[0]
    assert finding(shaky.model_copy(update={"undercuts": undercuts(shaky)})).title == (
        "No stable difference between Gemma and Llama models"
    )
    one, *rest = ten.sensitivity.without_adjective
    carried = changed(ten, "sensitivity", estimate=-20.0, without_adjective=[replace(one, estimate=4.0), *rest])
    assert f"without “{one.left_out}” the difference turns round from −20.0 to +4.0 places" in " ".join(
        undercuts(carried)
    )
    thin = ten.model_copy(update={"models": [ten.models[0].model_copy(update={"mass": 0.004})]})
    assert f"only 0.40% of {ten.models[0].model}'s next-token probability" in " ".join(undercuts(thin))


def test_of_many_categories_the_one_that_differs_most_is_named(side_by_side: Path) -> None:
    effects = read_record(side_by_side / "effects" / "six.logprob.json", Effects)
    found = finding(effects)
    rows = [row for row in effects.per_category if row.difference is not None]
    if rows:
        assert max(rows, key=lambda row: abs(row.difference or 0)).category in found.said
    assert found.said.endswith(".")
    assert found.sure.endswith(".")


def test_without_any_comparison_it_says_so(two: Effects) -> None:
    nothing = two.model_copy(
        update={"models_fixed": None, "headline": None, "sentence": None, "headline_why": "why not"}
    )
    assert finding(nothing).said == "There is nothing to compare by the word list own."
    assert finding(nothing).sure == "Why not."


def test_sides_are_models_or_families(two: Effects, ten: Effects) -> None:
    assert sides(two) == ("gemma-3-270m", "smollm2-135m-instruct")
    assert sides(ten) == ("the 4 Gemma models", "the 6 Llama models")


def test_examples_are_spread_over_the_list(two: Effects) -> None:
    shown = examples(two, "Agency", 4)
    assert len(shown) == 4
    assert set(shown) <= set(two.words["Agency"])


def test_caveats_name_the_unvalidated_list_and_the_missing_families(two: Effects) -> None:
    said = " ".join(caveats([two], []))
    assert "No validation with people is stated for the word list own" in said
    assert "do not generalize to model families" in said
    assert "alidat" not in " ".join(caveats([two.model_copy(update={"validated": True})], []))


def test_key_numbers_are_the_records(two: Effects, ten: Effects) -> None:
    assert two.models_fixed is not None
    assert ten.headline is not None
    assert key_numbers(two)[0][1] == f"{abs(two.models_fixed.estimate):.1f}"
    assert key_numbers(ten)[0][1] == f"{abs(ten.headline.estimate or 0):.1f}"
    assert key_numbers(two.model_copy(update={"models_fixed": None})) == []


def test_small_mass_is_said_once_for_all_models(two_models: Path) -> None:
    scores = [read_record(path, ScoreRecord) for path in sorted((two_models / "scores").glob("*.json"))]
    said = mass_warning(scores)
    assert said is not None
    assert "0.30% of gemma-3-270m's and 0.30% of smollm2-135m-instruct's" in said
    assert mass_warning([record.model_copy(update={"mass": None}) for record in scores]) is None


def test_verbs_agree_with_their_sides(ten: Effects) -> None:
    """Without a headline the words speak, of two sides of several models each."""
    assert ten.models_fixed is not None
    found = finding(
        changed(ten.model_copy(update={"headline": None}), "models_fixed", ci_low=6.0, ci_high=12.0, p_words=0.01)
    )
    assert found.title == "The 6 Llama models lean further to agency than the 4 Gemma models"
    assert "the 6 Llama models by" in found.said and "both move towards" in found.said


def level(**given) -> LevelTest:
    fields = {
        "unit": "base_checkpoint",
        "statistic": "welch_t",
        "contrast": "",
        "n_units": {"Gemma": 3, "Llama": 4},
        "estimate": -12.34,
        "ci_low": -20.0,
        "ci_high": -4.0,
        "p_exact": 1 / 35,
        "count": 1,
        "n_splits": 35,
        "min_p": 1 / 35,
        "p_exact_difference": 1 / 35,
        "sentence": "",
    }
    return LevelTest(**{**fields, **given})


def said(**given) -> str:
    return level_sentence(level(**given), ["Agency", "Communion"], 263)


def test_a_negative_difference_is_a_lean_of_the_second_family_to_the_first_category() -> None:
    assert (
        "Llama models move further from communion towards agency words than Gemma models do, by 12.3 places" in said()
    )
    assert "the 95% interval is 4.0 to 20.0 places" in said()


def test_a_positive_difference_is_a_lean_of_the_first_family() -> None:
    assert "Gemma models move further from communion towards agency words" in said(estimate=12.34)


def test_a_clear_difference_is_not_called_unclear() -> None:
    assert "no clear" not in said() and "smallest attainable" not in said()


def test_nothing_clear_is_said_first() -> None:
    assert said(p_exact=0.2).startswith("There is no clear difference between Gemma and Llama models.")


def test_groups_are_called_by_their_names() -> None:
    test = level(p_exact=0.2, estimate=None, n_units={"big": 2, "medium": 1, "small": 3})
    sentence = level_sentence(test, ["Agency", "Communion"], 263)
    assert sentence.startswith("There is no clear difference between big, medium and small models")
    assert "(2 big, 1 medium and 3 small)" in sentence


def test_units_that_cannot_reach_05_are_told() -> None:
    assert "the smallest attainable p-value is .100" in said(p_exact=0.1, min_p=0.1)


def test_the_model_level_says_what_is_wrong_with_it() -> None:
    assert "not independent" in said(unit="model") and "not independent" not in said()


def test_equivalence_names_the_margin() -> None:
    assert "A difference larger than 12.3 places is ruled out" in equivalence_sentence(12.34)
