"""Every report and card says what its own test could have found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.records import Effects, read_record
from birthmark.report.card import write_card


@pytest.mark.parametrize("out", ["two_models", "ten_models"])
def test_report_and_card_quote_the_power_of_the_leading_test(
    out: str, request: pytest.FixtureRequest, drawn: Callable[[str], Path]
) -> None:
    folder: Path = request.getfixturevalue(out)
    page, card = drawn(out).read_text(encoding="utf-8"), write_card(folder).read_text(encoding="utf-8")
    said = [
        item.power.sentence
        for path in (folder / "effects").glob("*.json")
        if (item := read_record(path, Effects)).power
    ]
    assert said
    for sentence in said:
        assert "80% power" in sentence
        assert sentence[1:40] in page
        assert sentence[1:40] in card


def test_a_study_of_ten_models_on_five_base_checkpoints_says_that_05_is_out_of_reach(ten_models: Path) -> None:
    effects = next(read_record(path, Effects) for path in (ten_models / "effects").glob("*.json"))
    assert effects.power is not None
    assert effects.power.alpha == 0.1
    assert effects.headline is not None
    assert effects.headline.power_sentence == effects.power.sentence
    assert "no difference can reach p = .05" in effects.power.sentence
