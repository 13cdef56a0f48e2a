"""`--control`: what is refused, and what a study with a neutral prompt holds."""

import json
from pathlib import Path
from typing import Any

import pytest

PROMPTS = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "small.csv"
    rows = ["love,Communion", "kindness,Communion", "care,Communion", "power,Agency", "skill,Agency", "success,Agency"]
    file.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("control", "word"), [("lenght", "length"), ("tokens,nothing", "nothing"), (",", "names nothing")]
)
def test_a_control_that_does_not_exist_is_refused_before_anything_is_scored(
    control: str, word: str, birthmark: Any, tiny_lm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert birthmark("audit", tiny_lm, "--control", control, "--out", out).is_error(word)
    assert not out.exists()


def test_compare_with_prompt_control_needs_tables_with_the_neutral_prompt(
    birthmark: Any, tiny_lm: Path, words: Path, tmp_path: Path
) -> None:
    asked = (*PROMPTS, "--lexicon", words, "--candidates", "lexicon", "--quiet")
    for folder, control in (("without", ()), ("with", ("--control", "prompt"))):
        assert birthmark("score", tiny_lm, *asked, *control, "--out", tmp_path / folder).code == 0
    compared = ("--lexicon", words, "--control", "prompt", "--json")
    (without,) = (tmp_path / "without" / "scores").glob("*.parquet")
    assert birthmark("compare", without, *compared, "--out", tmp_path / "a").is_error(
        "score it again", "--control prompt"
    )
    (with_it,) = (tmp_path / "with" / "scores").glob("*.parquet")
    answer = birthmark("compare", with_it, *compared, "--out", tmp_path / "b")
    assert json.loads(answer.out)[0]["controlled"][0]["control"] == "prompt"


def test_an_out_without_the_neutral_prompt_takes_no_model_with_it(
    birthmark: Any, tiny_lm: Path, words: Path, tmp_path: Path
) -> None:
    asked = (*PROMPTS, "--lexicon", words, "--candidates", "lexicon", "--quiet", "--out", tmp_path / "out")
    assert birthmark("score", tiny_lm, *asked).code == 0
    assert birthmark("score", tiny_lm, *asked, "--control", "prompt").is_error("christian2026+neutral")
