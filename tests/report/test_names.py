"""Models' names where people read: no path of the machine, and no two models alike."""

from pathlib import Path

import pytest

from birthmark.report.audit import write_report
from birthmark.report.card import write_card
from birthmark.report.text import in_text, short_names
from report_outs import WORDS, lexicon_file, table, write_out


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["/home/me/my-rm"], {"/home/me/my-rm": "my-rm"}),
        (["/runs/a/final", "/runs/b/final"], {"/runs/a/final": "a/final", "/runs/b/final": "b/final"}),
        (["gemma-3-270m", "/x/gemma-3-270m"], {"/x/gemma-3-270m": "x/gemma-3-270m"}),
        (["gemma-3-270m", "owner/name"], {}),
        (["./mine", "../other/mine", "."], {"./mine": "./mine", "../other/mine": "other/mine", ".": "."}),
        (["./runs/a/final"], {"./runs/a/final": "final"}),
    ],
)
def test_a_folder_is_called_by_the_end_of_its_path_that_is_no_others(models: list[str], names: dict[str, str]) -> None:
    assert short_names(models) == names


def test_a_path_within_a_longer_one_is_left_to_the_longer() -> None:
    names = short_names(["/m/rm", "/m/rm-2"])
    assert in_text("/m/rm-2 leads /m/rm", names) == "rm-2 leads rm"
    assert in_text("./rm leads ../rm.", short_names(["./rm"])) == "rm leads ../rm."


def test_page_and_card_call_a_folder_by_its_name_throughout(tmp_path: Path) -> None:
    made = table("my-rm-0123abcd", "Llama", "Llama-3.1-8B", kind="reward", tokens=False)
    made.record.model = "/home/me/models/my-rm"
    other = table("gemma", "Gemma", "gemma-2-2b", kind="reward", tokens=False, seed=1)
    out = write_out(tmp_path / "out", [made, other], [lexicon_file(tmp_path / "own.csv", WORDS)])
    page, card = (path.read_text(encoding="utf-8") for path in (write_report(out), write_card(out)))
    assert "<h3>my-rm</h3>" in page
    assert "| my-rm | Agency |" in card
    assert "/home/me" not in page + card
