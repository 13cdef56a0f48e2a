"""Answer templates: the sentences in which a candidate stands, with the factors that tell them apart.

`words` is the bare candidate; `sentences` is bundled: twelve templates, short or long, the word early or late, in the first
person or impersonal, with a reason or without. A template has neither an article before the word nor a verb that agrees
with it in number: candidates are inserted exactly as they are written.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.prompts import parse_mapping, prompt_set_record
from birthmark.inputs.text import MEGABYTE, did_you_mean, is_file, read_text
from birthmark.records import PromptRecord, PromptSetRecord

WORDS, SENTENCES = "words", "sentences"
WORD = "word"  # the format of an answer that is the candidate alone
PLACE = "{word}"
MOST_CHARACTERS = 2000
HOW_TO_WRITE = (
    'write `key: {text: "… {word} …", length: short|long, position: early|late, person: first|impersonal, '
    "reason: given|none}`"
)


class AnswerTemplate(BaseModel):
    """A sentence with one `{word}`, and its factors; a factor that is not stated is null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    text: str
    length: Literal["short", "long"] | None = None
    position: Literal["early", "late"] | None = None
    person: Literal["first", "impersonal"] | None = None
    reason: Literal["given", "none"] | None = None

    @property
    def before(self) -> str:
        return self.text.partition(PLACE)[0]

    @property
    def after(self) -> str:
        return self.text.partition(PLACE)[2]

    def fill(self, word: str) -> str:
        """The sentence with the word in its place, exactly as written."""
        return self.before + word + self.after


@dataclass(frozen=True)
class AnswerSet:
    """Templates by key; `words` has none."""

    name: str
    templates: Mapping[str, AnswerTemplate]

    @cached_property
    def sha256(self) -> str | None:
        """Of keys, texts and factors, in order; null for bare words."""
        if not self.templates:
            return None
        digest = hashlib.sha256()
        for key, template in self.templates.items():
            digest.update(f"{key}\0{template.model_dump_json()}\n".encode())
        return digest.hexdigest()


def load_answers(name_or_path: str | Path = WORDS) -> AnswerSet:
    """Bare words, the bundled `sentences`, or a YAML file's templates, named after the file's stem.

    Raises `BirthmarkError` for an unknown name, and for a file that is missing, over 1 MB, not UTF-8, not YAML or not a
    mapping, that has a duplicate key, or a template without exactly one `{word}`, with nothing beside it, with another brace,
    over one line or 2,000 characters, with an unknown factor or level, or with the text of another template.
    """
    name = str(name_or_path)
    if name == WORDS:
        return AnswerSet(WORDS, {})
    if name == SENTENCES:
        text = files("birthmark.inputs").joinpath(f"data/answers/{SENTENCES}.yaml").read_text(encoding="utf-8")
        return AnswerSet(SENTENCES, _parse(text, SENTENCES))
    path = Path(name_or_path)
    if not is_file(path) and path.suffix not in (".yaml", ".yml") and path.name == name:
        raise BirthmarkError(
            f'no answers are called "{one_line(name)}": {did_you_mean(name, [WORDS, SENTENCES])}, or give a YAML file'
        )
    return AnswerSet(path.stem, _parse(read_text(path, "answer template", MEGABYTE), one_line(name)))


@dataclass(frozen=True)
class InSentence:
    """A question, and the sentence in which its answers stand."""

    question: str
    template: AnswerTemplate


Asked = str | InSentence
"""What is asked: a question alone, where a candidate is the whole answer, or with the sentence in which it stands."""


def asked(prompt: PromptRecord) -> Asked:
    """What a model is asked under a prompt."""
    return prompt.text if prompt.answer is None else InSentence(prompt.text, AnswerTemplate(text=prompt.answer))


def question_of(given: Asked) -> str:
    return given if isinstance(given, str) else given.question


def template_of(given: Asked) -> AnswerTemplate | None:
    return None if isinstance(given, str) else given.template


def crossed(prompts: PromptSetRecord, answers: AnswerSet) -> PromptSetRecord:
    """Every prompt with the bare candidate (`KEY@word`) and with it in each template (`KEY@TEMPLATE`), format by format.

    Without templates, the prompts as they are.
    """
    if not answers.templates:
        return prompts
    texts: dict[str, str | None] = {WORD: None, **{key: item.text for key, item in answers.templates.items()}}
    cells = {
        f"{key}@{name}": prompt.model_copy(update={"answer": text})
        for name, text in texts.items()
        for key, prompt in prompts.prompts.items()
    }
    return prompt_set_record(f"{prompts.name}@{answers.name}", cells, prompts.system, prompts.persona)


def format_of(key: str) -> str:
    """The answer format of a crossed prompt, by its key."""
    return key.rpartition("@")[2]


def read_by_language_models(prompts: PromptSetRecord) -> tuple[PromptSetRecord, tuple[str, ...]]:
    """The prompts of a crossed set that a language model reads differently, and the formats that it does not.

    It reads what stands before the word alone: formats that begin alike have the same scores, and the first of them stands
    for all. One that begins with the word has those of the word itself.
    """
    begins: dict[str, str] = {}
    for key, prompt in prompts.prompts.items():
        before = prompt.answer.partition(PLACE)[0] if prompt.answer else ""
        begins.setdefault(format_of(key), before)
    first = {before: name for name, before in reversed(begins.items())}
    left_out = tuple(name for name, before in begins.items() if first[before] != name)
    if not left_out or all(prompt.answer is None for prompt in prompts.prompts.values()):
        return prompts, ()
    kept = {key: prompt for key, prompt in prompts.prompts.items() if format_of(key) not in left_out}
    return prompt_set_record(prompts.name, kept, prompts.system, prompts.persona), left_out


def _parse(text: str, where: str) -> dict[str, AnswerTemplate]:
    content = parse_mapping(text, where, "answer templates", HOW_TO_WRITE)
    templates: dict[str, AnswerTemplate] = {}
    texts: dict[str, str] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not re.fullmatch(r"[\w.-]+", key):
            raise BirthmarkError(
                f'{where}: "{one_line(key)}" cannot be a template\'s key: use letters, digits, "_", "-" and "."'
            )
        if key == WORD:
            raise BirthmarkError(f'{where}: "{WORD}" is the key of the candidate alone: give the template another one')
        template = _template(key, value, where)
        if (other := texts.setdefault(template.text, key)) != key:
            raise BirthmarkError(f'{where}: the templates "{other}" and "{key}" have the same text: remove one of them')
        templates[key] = template
    return templates


def _template(key: str, value: object, where: str) -> AnswerTemplate:
    here = f'{where}: template "{key}"'
    try:
        template = AnswerTemplate.model_validate({"text": value} if isinstance(value, str) else value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        reason = f"{one_line(field)}: {first['msg']}" if field else "not a text or a mapping"
        raise BirthmarkError(f"{here}: {one_line(reason)}: {HOW_TO_WRITE}") from None
    if problem := _problem(template):
        raise BirthmarkError(f"{here}: {problem}: {HOW_TO_WRITE}")
    return template


def _problem(template: AnswerTemplate) -> str | None:
    """What is wrong with a template's text; None for one that can be used."""
    text = template.text
    count = text.count(PLACE)
    if count != 1:
        return f"{PLACE} must stand in the text once, not {count} times"
    rest = template.before + template.after
    if "{" in rest or "}" in rest:
        return f"the text has a brace that is not part of {PLACE}"
    if not rest.strip():
        return f"nothing stands beside {PLACE}; --answers {WORDS} scores the word alone"
    if len(text) > MOST_CHARACTERS:
        return f"the text has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read"
    if any(not sign.isprintable() for sign in text):
        return "the text has a line break or an invisible character"
    if template.before != template.before.lstrip() or template.after != template.after.rstrip():
        return "the text begins or ends with a space"
    return None
