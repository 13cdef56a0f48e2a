"""Answer templates: the bundled set, files, and what is refused in one line."""

from collections import Counter
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import load_answers


def test_words_have_no_templates_and_no_digest() -> None:
    assert (load_answers().templates, load_answers("words").sha256) == ({}, None)


def test_the_bundled_sentences_are_balanced_in_every_factor() -> None:
    templates = load_answers("sentences").templates.values()
    assert len(templates) == 12
    for factor, levels in {
        "position": {"early": 6, "late": 6},
        "person": {"first": 6, "impersonal": 6},
        "reason": {"given": 4, "none": 8},
        "length": {"short": 4, "long": 8},
    }.items():
        assert Counter(getattr(template, factor) for template in templates) == levels


def test_positions_are_as_the_bundled_set_says() -> None:
    for template in load_answers("sentences").templates.values():
        assert (template.before == "") == (template.position == "early")
        assert (len(template.text) < 30) == (template.length == "short")
        assert ("ecause" in template.text) == (template.reason == "given")
        assert (" I " in template.text or template.text.startswith("I ") or " my " in template.text) == (
            template.person == "first"
        )


@pytest.mark.parametrize("word", ["love", "Freedom", "{word}", r"\1", "a b", "自由"])
def test_a_word_is_inserted_exactly(tmp_path: Path, word: str) -> None:
    (tmp_path / "own.yaml").write_text('one: {text: "It is {word}, yes."}\n', encoding="utf-8")
    own = load_answers(tmp_path / "own.yaml")
    assert own.name == "own"
    assert own.templates["one"].fill(word) == f"It is {word}, yes."


def test_key_and_text_alone_are_read(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text('yes: "It is {word}."\n', encoding="utf-8")
    template = load_answers(tmp_path / "own.yaml").templates["yes"]
    assert (template.text, template.length) == ("It is {word}.", None)


def test_the_digest_sees_a_text_and_the_order(tmp_path: Path) -> None:
    digests = set()
    for text in ('a: "It is {word}."\nb: "{word}!"', 'b: "{word}!"\na: "It is {word}."', 'a: "It is {word}!"'):
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        digests.add(load_answers(tmp_path / "own.yaml").sha256)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a mapping"),
        ("{}", "has no answer templates"),
        ("- {word}", "not a mapping|plain text"),
        ('a: {text: "It is it."}', "once, not 0 times"),
        ('a: {text: "{word} and {word}"}', "once, not 2 times"),
        ('a: {text: "{Word} it is"}', "once, not 0 times"),
        ('a: {text: "{word} of {place}"}', "brace"),
        ('a: {text: "{{word}} it is"}', "brace"),
        ('a: {text: "{word}"}', "nothing stands beside"),
        ('a: {text: " {word}. "}', "nothing stands beside|space"),
        ('a: {text: " It is {word}."}', "begins or ends"),
        ('a: {text: "It is\\n{word}."}', "line break"),
        ('a: {text: "It is \\u202e{word}."}', "invisible"),
        (f'a: {{text: "{"x" * 3000} {{word}}"}}', "characters"),
        ('a: {text: "It is {word}.", lenght: short}', "lenght"),
        ('a: {text: "It is {word}.", length: middling}', "length"),
        ("a: {length: short}", "text"),
        ("a: [1, 2]", 'template "a"'),
        ('a: "It is {word}."\na: "{word}!"', "occurs twice"),
        ('a: "It is {word}."\nb: "It is {word}."', "same text"),
        ('"a b": "It is {word}."', "cannot be a template's key"),
        ('word: "It is {word}."', "the candidate alone"),
        ('a: &x {text: "{word}!"}\nb: *x', "aliases"),
        ('a: !!python/object/apply:os.system ["true"]', "constructor|tag"),
        ("a: {text: 'It is {word}.", "line"),
        ("a: It is {word}: yes", "line"),
        ("a: " + "[" * 400, "nested too deeply|line"),
        ('"a\x1b[31m": "It is {word}."', "."),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path is shortened
    path = Path("own.yaml")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BirthmarkError, match=said) as caught:
        load_answers(path)
    message = str(caught.value)
    assert "own.yaml" in message
    assert message.isprintable()  # one line, and no escape codes


@pytest.mark.parametrize("name", ["sentence", "absent.yaml", "no/such/file"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BirthmarkError, match="sentences|answer template|no such|not found|does not exist"):
        load_answers(name)
