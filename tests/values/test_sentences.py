import pytest

from birthmark.records import LevelTest
from birthmark.values.sentences import equivalence_sentence, level_sentence, p_text


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
    assert "Llama ranks Agency words above Communion words by 12.3 ranks of 263 more than Gemma does" in said()


def test_a_positive_difference_is_a_lean_of_the_first_family() -> None:
    assert "Gemma ranks Agency words above Communion words" in said(estimate=12.34)


def test_a_clear_difference_is_not_called_unclear() -> None:
    assert "No clear" not in said() and "cannot reach" not in said()


def test_nothing_clear_is_said_first() -> None:
    assert said(p_exact=0.2).startswith("No clear difference between families.")


def test_other_groups_than_families_are_called_groups() -> None:
    test = level(p_exact=0.2, estimate=None, n_units={"big": 2, "medium": 1, "small": 3})
    sentence = level_sentence(test, ["Agency", "Communion"], 263, "groups")
    assert sentence.startswith("No clear difference between groups.")
    assert "(2 of big, 1 of medium and 3 of small)" in sentence


def test_units_that_cannot_reach_05_are_told() -> None:
    assert "cannot reach .05 with these units" in said(p_exact=0.1, min_p=0.1)


def test_the_model_level_says_what_is_wrong_with_it() -> None:
    assert "not independent" in said(unit="model") and "not independent" not in said()


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "< .001"), (0.0123, ".012"), (0.2, ".200"), (1.0, "1"), (None, "not known")]
)
def test_p_values_are_written_without_a_leading_zero(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_equivalence_names_the_margin() -> None:
    assert "No difference larger than 12.3 ranks" in equivalence_sentence(12.34)
