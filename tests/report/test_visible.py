"""Candidates made visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birthmark.foreign import script_json
from birthmark.report.layout import token
from birthmark.report.text import pieces, spoken, visible
from report_outs import NASTY


@pytest.mark.parametrize(
    ("candidate", "shown"),
    [
        ("love", "love"),
        (" love", "␣love"),
        ("love ", "love␣"),
        ("ice cream", "ice cream"),
        ("ice  cream", "ice␣␣cream"),
        ("\n\n", "⏎⏎"),
        (" " * 24, "␣×24"),
        ("\t", "⇥"),
        ("", "empty"),
        ("\u200b", "U+200B"),
        ("\u202etcelfer", "U+202Etcelfer"),
        ("\u00a0love", "⍽love"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("❤️", "❤️"),
        ("مرحبا", "مرحبا"),
        ("x" * 90, "x" * 31 + "…"),
    ],
)
def test_unseen_characters_get_a_mark(candidate: str, shown: str) -> None:
    assert visible(candidate) == shown


@given(st.text(max_size=60))
def test_no_candidate_is_invisible_or_breaks_the_line(candidate: str) -> None:
    shown = visible(candidate)
    assert shown.strip()
    assert not set(shown) & set("\n\r\t\u202e\u200b\u2028")
    assert len(pieces(candidate)) <= 13


@given(st.text(max_size=60))
def test_candidates_with_marks_can_be_spoken(candidate: str) -> None:
    assert spoken(candidate).strip()


@pytest.mark.parametrize("candidate", NASTY)
def test_html_of_a_candidate_holds_only_our_elements(candidate: str) -> None:
    html = str(token(candidate))
    rest = html
    for ours in ("<bdi ", "</bdi>", "<span ", "</span>"):
        rest = rest.replace(ours, "")
    assert "<" not in rest


@given(st.text())
def test_embedded_json_cannot_end_its_script(text: str) -> None:
    assert "<" not in script_json([text])
