"""`birthmark card`: a section of a model page that is inserted once, replaced after, and pushed only when asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from birthmark.commands.card import BEGIN, END, put_section
from birthmark.errors import BirthmarkError
from report_outs import table, write_out

Run = Callable[..., Any]
FRONT = "---\nlicense: apache-2.0  # a comment\nbase_model: google/gemma-2-2b-it\ntags:\n- reward-model\n---\n"
PAGE = FRONT + "\n# My reward model\n\nText.\n"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_out(tmp_path_factory.mktemp("card"), [table("rm", "Qwen", "Qwen2.5-3B", kind="reward", tokens=False)])


def test_the_section_goes_into_a_page_once_and_the_rest_stays(birthmark: Run, out: Path, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE, encoding="utf-8")
    first = birthmark("card", out, "--model-card", page)
    assert first.code == 0 and "a section was added" in first.out
    text = page.read_text(encoding="utf-8")
    assert text.startswith(PAGE.rstrip())
    assert "## Values" in text.partition(BEGIN)[2].partition(END)[0]
    assert ModelCard(text).data.base_model == "google/gemma-2-2b-it"
    changed = page.stat().st_mtime_ns
    again = birthmark("card", out, "--model-card", page)
    assert "nothing to change" in again.out
    assert (page.read_text(encoding="utf-8"), page.stat().st_mtime_ns) == (text, changed)


def test_without_a_page_the_card_is_printed(birthmark: Run, out: Path) -> None:
    ran = birthmark("card", out)
    assert ran.out == (out / "values-card.md").read_text(encoding="utf-8") and "## Values" in ran.out


def test_a_section_is_replaced_where_it_stands(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"{FRONT}before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert put_section(page, "## Values\n\nnew\n") == "replaced"
    assert page.read_text(encoding="utf-8") == f"{FRONT}before\n{BEGIN}\n## Values\n\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("start", ["", FRONT, "# No front matter\n", PAGE.replace("\n", "\r\n"), "---\nnot closed\n"])
def test_any_page_takes_the_section_and_then_stays(tmp_path: Path, start: str) -> None:
    page = tmp_path / "README.md"
    if start:
        page.write_bytes(start.encode())
    assert put_section(page, "## Values\n") == "inserted"
    written = page.read_bytes().decode()
    assert written.startswith(start.rstrip())
    assert ("\r\n" in written) == ("\r\n" in start) and written.replace("\r\n", "").count("\r") == 0
    assert put_section(page, "## Values\n") == "unchanged"
    assert page.read_bytes().decode() == written


@pytest.mark.parametrize("text", [f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}{END}{BEGIN}{END}"])
def test_half_a_section_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(BirthmarkError, match="exactly one pair"):
        put_section(page, "## Values\n")
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("content", [b"\xff\xfe", b"---\n- a list\n---\n", b"---\n[\n---\n"])
def test_a_page_that_cannot_be_read_is_one_line_and_stays(
    birthmark: Run, out: Path, tmp_path: Path, content: bytes
) -> None:
    page = tmp_path / "README.md"
    page.write_bytes(content)
    assert birthmark("card", out, "--model-card", page).is_error("README.md")
    assert page.read_bytes() == content


def test_pushing_takes_a_page_and_says_in_one_line_what_the_hub_does(
    birthmark: Run, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert birthmark("card", out, "--push", "me/model").is_error("--model-card")
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # as the variable would, had it been set before
    page = tmp_path / "README.md"
    assert birthmark("card", out, "--model-card", page, "--push", "me/model").is_error("me/model", "hf auth login")
    assert BEGIN in page.read_text(encoding="utf-8")


def test_a_folder_without_results_is_one_line(birthmark: Run, tmp_path: Path) -> None:
    assert birthmark("card", tmp_path).is_error("neither effects nor scores")
