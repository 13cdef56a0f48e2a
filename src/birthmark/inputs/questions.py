"""Open questions for a policy to answer: the bundled set `open-questions`, or a YAML file in its layout.

A question has a text and may have `about`, the group that it is shown in: of ours, half are about `values`, half
`everyday` ones where nobody asks about values.
"""

import re
from importlib.resources import files
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.prompts import MAX_BYTES, parse_mapping, prompt_set_record
from birthmark.inputs.text import did_you_mean, is_file, read_text
from birthmark.records import PromptRecord, PromptSetRecord

OPEN_QUESTIONS = "open-questions"
ABOUT = "about"
HOW_TO_WRITE = 'write `key: "…?"`, or `key: {text: "…?", about: values}`'


def load_questions(name_or_path: str | Path = OPEN_QUESTIONS) -> PromptSetRecord:
    """The bundled set, or a YAML file's, named after the file's stem; `about` is a factor of each prompt.

    A file maps each key to a text or to `{text: …, about: …}`; additional fields are kept as factors. A file of prompts with
    framings is read too. Raises `BirthmarkError` for an unknown name, and for a file that is missing, over 1 MB, not UTF-8,
    not YAML or not a mapping, or that has a duplicate key, a key that cannot be one, an empty field, or a text twice.
    """
    name = str(name_or_path)
    if name == OPEN_QUESTIONS:
        text = files("birthmark.inputs").joinpath(f"data/questions/{name}.yaml").read_text(encoding="utf-8")
        return prompt_set_record(name, _parse(text, name))
    path = Path(name_or_path)
    if not is_file(path) and path.suffix not in (".yaml", ".yml") and path.name == name:
        raise BirthmarkError(
            f'no set of questions is called "{one_line(name)}": {did_you_mean(name, [OPEN_QUESTIONS])}, or give a YAML file'
        )
    return prompt_set_record(path.stem, _parse(read_text(path, "question", MAX_BYTES), name))


def _parse(text: str, where: str) -> dict[str, PromptRecord]:
    content = parse_mapping(text, where, "questions", HOW_TO_WRITE)
    questions = {str(key): _question(key, value, where) for key, value in content.items()}
    keys: dict[str, str] = {}
    for key, question in questions.items():
        if question.text in keys:
            raise BirthmarkError(
                f'{where}: "{keys[question.text]}" and "{key}" are the same question: remove one of them'
            )
        keys[question.text] = key
    return questions


def _question(key: object, value: object, where: str) -> PromptRecord:
    if not isinstance(key, str) or not re.fullmatch(r"\w[\w.-]{0,63}", key):
        raise BirthmarkError(
            f'{where}: "{one_line(key)}" cannot be a question\'s key: use at most 64 letters, digits, "_", "-" and "."'
        )
    fields = {"text": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or "text" not in fields:
        raise BirthmarkError(f'{where}: question "{key}": the text is missing: {HOW_TO_WRITE}')
    for field, item in fields.items():
        if not isinstance(field, str) or not isinstance(item, str):
            raise BirthmarkError(
                f'{where}: question "{key}": the field "{one_line(field)}" is not text: {HOW_TO_WRITE}'
            )
        if not item.strip():  # `{text: What, if anything, …}` is parsed as the text `What` and fields without a value
            more = "" if field == "text" else "; a text with a comma needs quotes"
            raise BirthmarkError(
                f'{where}: question "{key}": the field "{one_line(field)}" is empty{more}: {HOW_TO_WRITE}'
            )
    return PromptRecord(text=fields["text"], factors={name: item for name, item in fields.items() if name != "text"})
