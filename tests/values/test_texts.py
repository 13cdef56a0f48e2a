import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.ranks import folded, parse_sorts, sort_of


def sort(text: str) -> str | None:
    return pl.select(sort_of(pl.lit(text))).item()


@pytest.mark.parametrize(
    "text", ["**", " **", "**:", "##", " #", "__", "`", "```\n", "~~", "|", " |\n", "-", "---", "> ", "- ", "=="]
)
def test_markdown_is_marks_without_a_word(text: str) -> None:
    assert sort(text) == "markdown"


@pytest.mark.parametrize("text", [".", ", ", "!", "“", "”,", "。", "…", "—", "$", "()", "?!\n", "-."])
def test_punctuation_is_signs_without_a_word(text: str) -> None:
    assert sort(text) == "punctuation"


@pytest.mark.parametrize("text", ["", " ", "\n", "\n\n", "\t ", "\u00a0"])
def test_white_space_is_white_space(text: str) -> None:
    assert sort(text) == "whitespace"


@pytest.mark.parametrize("text", [" love", "**Love", "1.", "C++", "é", "爱", "ा", "❤️", "©", "°C", "#1", "a-b"])
def test_a_text_with_anything_of_a_word_stays(text: str) -> None:
    assert sort(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Love", "love"),
        ("LOVE", "love"),
        ("  love", "love"),
        ("love ", "love "),
        (" ", " "),
        ("  ", "  "),
        (" \n", " \n"),
    ],
)
def test_folding_is_over_case_and_leading_spaces(text: str, expected: str) -> None:
    assert pl.select(folded(pl.lit(text))).item() == expected


def test_sorts_are_named_in_one_order_each_once() -> None:
    assert parse_sorts(["punctuation,markdown", "markdown"]) == ("markdown", "punctuation")
    assert parse_sorts(()) == parse_sorts("") == ()


def test_an_unknown_sort_is_one_line() -> None:
    with pytest.raises(BirthmarkError, match=r'"punctation".*punctuation'):
        parse_sorts("punctation")
