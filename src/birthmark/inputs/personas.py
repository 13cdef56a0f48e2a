"""Personas: system prompts by name, under each of which the same questions are asked again, beside a neutral control.

Knows nothing of models or of chat templates.
"""

import re
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import parse_mapping
from birthmark.inputs.text import MEGABYTE, one_line, read_text

NEUTRAL = "neutral"
NEUTRAL_SYSTEM = "You are a helpful assistant."
HOW_TO_WRITE = 'write `name: "You are …"`, one a line'


def load_personas(path: str | Path) -> dict[str, str]:
    """System prompts by persona, the neutral control first.

    The file is YAML, a name and a text each. Its own `neutral` is the control; where it has none, the control is
    "You are a helpful assistant.", since any system prompt at all can move a score.
    Raises `BirthmarkError` for a file that is missing, over 1 MB, not UTF-8, not a YAML mapping, that has a name twice or
    one that cannot be a folder's, or a text that is empty or nothing but the control.
    """
    content = parse_mapping(read_text(Path(path), "persona", MEGABYTE), str(path), "personas", HOW_TO_WRITE)
    personas: dict[str, str] = {}
    for name, text in content.items():
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise BirthmarkError(
                f'{path}: "{one_line(name)}" cannot be a persona\'s name: use letters, digits, "_", "-" and "."'
            )
        if not isinstance(text, str) or not text.strip():
            raise BirthmarkError(f'{path}: the persona "{name}" has no text: {HOW_TO_WRITE}')
        personas[name] = text.strip()
    if set(personas) == {NEUTRAL}:
        raise BirthmarkError(f"{path} has the neutral control only, and nothing to hold against it: {HOW_TO_WRITE}")
    neutral = personas.pop(NEUTRAL, NEUTRAL_SYSTEM)
    return {NEUTRAL: neutral, **personas}
