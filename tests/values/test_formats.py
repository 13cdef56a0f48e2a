"""How numbers and lists are written."""

import pytest

from birthmark.values.formats import (
    decimal,
    interval,
    listed,
    minutes,
    p_number,
    p_words,
    plural,
    signed,
    small,
    times,
)


@pytest.mark.parametrize(
    ("p", "text"), [(None, "p unknown"), (0.0004, "p < .001"), (0.0123, "p = .012"), (0.5, "p = .500"), (1.0, "p = 1")]
)
def test_p_values_read_as_in_papers(p: float | None, text: str) -> None:
    assert p_words(p) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "fewer than 1 of 1,000"), (0.012, "about 12 of 1,000"), (0.31, "about 31 of 100")]
)
def test_p_values_read_as_counts(p: float, text: str) -> None:
    assert times(p) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "< .001"), (0.0123, ".012"), (0.2, ".200"), (1.0, "1"), (None, "not known")]
)
def test_p_values_are_written_without_a_leading_zero(p: float | None, text: str) -> None:
    assert p_number(p) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.846, 2, ".85"), (-0.12, 2, "-.12"), (1.0, 2, "1.00"), (0.05, None, ".05"), (0.0, None, "0")],
)
def test_shares_are_written_without_a_leading_zero(value: float, digits: int | None, text: str) -> None:
    assert decimal(value, digits) == text


def test_differences_carry_their_sign() -> None:
    assert [signed(value) for value in (1.25, -1.25, 0.0, -0.001, None)] == ["+1.2", "−1.2", "0.0", "0.0", "–"]
    assert interval(-1200.0, 3.0) == "−1,200.0 to 3.0"
    assert (interval(22.1, 22.4, 0), interval(22.0, 22.0, 0)) == ("22.1 to 22.4", "–")


def test_no_number_is_written_in_powers_of_ten() -> None:
    assert [small(value) for value in (0.0, 3.14e-5, 0.0499, 0.25, 1e-12)] == [
        "0",
        "0.000031",
        "0.050",
        "0.25",
        "less than 0.000000001",
    ]
    assert (signed(-3.14e-5, 4), signed(3.14e-4, 4), signed(-0.04)) == ("−0.000031", "+0.0003", "0.0")
    assert interval(None, 3.0) == "–"


def test_lists_and_numbers_of_things() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert listed(["a", "b"], "or") == "a or b"
    assert [plural(n, "prompt") for n in (1, 54)] == ["1 prompt", "54 prompts"]


def test_minutes_are_never_none_at_all() -> None:
    assert [minutes(value) for value in (None, 1.0, 366.0)] == [None, "0.1", "6.1"]
