"""Open questions: the bundled set, files of one's own, and what is wrong with a file, in one line."""

from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.questions import load_questions


def test_half_of_the_bundled_questions_are_about_values() -> None:
    prompts = load_questions().prompts
    about = [item.factors["about"] for item in prompts.values()]
    assert (about.count("values"), about.count("everyday")) == (30, 30)
    assert len({item.text for item in prompts.values()}) == 60 and all("?" in item.text for item in prompts.values())


def test_a_file_has_texts_or_fields_and_prompts_with_framings_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        'one: What is good?\ntwo: {text: "And what, if anything, is bad?", about: values, framing: negative}\n'
    )
    found = load_questions(path)
    assert found.name == "mine"
    assert [item.text for item in found.prompts.values()] == ["What is good?", "And what, if anything, is bad?"]
    assert found.prompts["two"].factors == {"about": "values", "framing": "negative"}
    assert found.prompts["one"].framing is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("a: [one, two]", '"a": the text is missing'),
        ("a: {about: values}", '"a": the text is missing'),
        ('a: ""', 'the field "text" is empty'),
        ("a: {text: What, if anything, is good}", "a text with a comma needs quotes"),
        ("a: {text: Why, about: [x]}", 'the field "about" is not text'),
        ("a b: What?", "cannot be a question's key"),
        ("../x: What?", "cannot be a question's key"),
        ("a: What?\na: Why?", "occurs twice"),
        ("a: What?\nb: What?", '"a" and "b" are the same question'),
        (f"{'k' * 70}: What?", "at most 64"),
    ],
    ids=["empty", "list", "no-text", "blank", "comma", "factor", "space", "path", "key-twice", "text-twice", "long"],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BirthmarkError, match="bad.yaml") as raised:
        load_questions(path)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_an_unknown_name_and_a_missing_file_are_said() -> None:
    with pytest.raises(BirthmarkError, match="did you mean open-questions"):
        load_questions("open-question")
    with pytest.raises(BirthmarkError, match="none.yaml"):
        load_questions("none.yaml")
