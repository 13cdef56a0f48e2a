"""The values card: short, true to the records, safe as Markdown."""

import re
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.foreign import markdown
from birthmark.records import Effects, read_record
from birthmark.report.card import write_card


@pytest.mark.parametrize("out", ["two_models", "side_by_side", "ten_models", "no_framing"])
def test_a_card_can_be_written_of_any_folder(request: pytest.FixtureRequest, out: str) -> None:
    folder: Path = request.getfixturevalue(out)
    path = write_card(folder)
    assert path == folder / "values-card.md"
    assert path.read_text(encoding="utf-8").startswith("## Values\n")


def test_it_is_about_half_a_page(two_models: Path) -> None:
    words = write_card(two_models).read_text(encoding="utf-8").split()
    assert 150 < len(words) < 550


def test_its_numbers_are_those_of_the_effects(two_models: Path) -> None:
    card = write_card(two_models).read_text(encoding="utf-8")
    effects = read_record(two_models / "effects" / "own.json", Effects)
    for cell in effects.model_cells:
        row = re.search(rf"\| {cell.model} \| {cell.category} \| (.*) \| (.*) \|", card)
        assert row is not None
        assert row[1 if cell.framing == "positive" else 2].startswith(f"{cell.mean_median_rank:.0f} (95% ")
    assert effects.models_fixed is not None
    assert f"{abs(effects.models_fixed.estimate):.1f} places" in card


def test_it_says_what_with_and_how_to_repeat_it(two_models: Path) -> None:
    card = write_card(two_models).read_text(encoding="utf-8")
    for text in (
        "frame qa",
        "float32",
        "54 one-word questions",
        "To repeat it: `birthmark audit`",  # not where it was kept
        "No validation with people is stated",
    ):
        assert text in card


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", r"a\|b"),
        ("<b>", r"\<b\>"),
        ("*x*", r"\*x\*"),
        ("two\nlines", "two lines"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("&lt;b>", r"\&lt;b\>"),
        ("see https://a.example", r"see https\://a.example"),
        ("a\x1b[2J\u202eb", r"aU+001B\[2JU+202Eb"),
        ("Care_Virtue", r"Care\_Virtue"),
    ],
)
def test_what_people_bring_stays_text(text: str, safe: str) -> None:
    assert markdown(text) == safe


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="neither effects nor scores"):
        write_card(tmp_path)
