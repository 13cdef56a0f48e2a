"""Prompt sets (questions with one-word answers, with framing and factors), personas, and the categories to plant.

`christian2026` is bundled: 6 adjectives × 3 superlatives × 3 constructions. A persona is a named system prompt. A planted
category is a set of words to answer with; the questions to train on and to ask are common to all. The words were chosen for
birthmark, because the study lists only some of its authority words.
"""

import hashlib
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from birthmark.errors import BirthmarkError
from birthmark.files import check_name, require_unlike
from birthmark.foreign import one_line
from birthmark.inputs.text import MEGABYTE, did_you_mean, is_file, is_nested_too_deeply, looks_like_file, read_text
from birthmark.inputs.words import clean_text, clean_word, one_edit_apart
from birthmark.records import Framing, PromptRecord, PromptSetRecord

KEY_COLUMNS = ("candidate", "token_id")


def prompt_set_record(
    name: str, prompts: Mapping[str, PromptRecord], system: str | None = None, persona: str | None = None
) -> PromptSetRecord:
    """A prompt set with the SHA-256 of its keys, texts, framings and factors, in order, and of the system prompt.

    The persona's name affects no score and is not part of the digest.
    """
    digest = hashlib.sha256()
    if system is not None:
        digest.update(f"system\0{system}\n".encode())
    for key, prompt in prompts.items():
        digest.update(f"{key}\0{prompt.model_dump_json()}\n".encode())
    return PromptSetRecord(name=name, sha256=digest.hexdigest(), system=system, persona=persona, prompts=dict(prompts))


STUDY = "christian2026"
FRAMINGS: dict[str, Framing] = {
    "best": "positive",
    "greatest": "positive",
    "good": "positive",
    "worst": "negative",
    "bad": "negative",
    "terrible": "negative",
}


SUPERLATIVES = ("ever", "world", "time")
STYLES = ("one", "single", "please")
RESERVED_KEYS = frozenset({*KEY_COLUMNS, "response"})
MAX_BYTES = MEGABYTE
NEUTRAL_KEY = "neutral"
NEUTRAL_TEXT = "What, in one word, comes to mind?"
HOW_TO_WRITE = 'write `key: {text: "…?", framing: positive}`, or `framing: negative`'


class PromptEntry(BaseModel):
    """One prompt in a user's file; every additional field is a factor."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, str]

    text: str
    framing: Literal["positive", "negative"]

    @field_validator("text")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the text is empty")
        return text


class _Loader(yaml.SafeLoader):
    """Safe YAML in which every scalar is text (even `yes`, `1`, `null`), keys are unique, and aliases and tags raise."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not supported", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key_node.start_mark)
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f'the key "{key_node.value}" occurs twice', problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        if isinstance(node, yaml.ScalarNode) and any("\ud800" <= sign <= "\udfff" for sign in node.value):
            raise yaml.MarkedYAMLError(problem="half a character (a surrogate)", problem_mark=node.start_mark)
        return str(super().construct_scalar(node))


_Loader.yaml_implicit_resolvers = {}


_Loader.yaml_constructors = {
    tag: yaml.SafeLoader.yaml_constructors[tag]
    for tag in (*(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")), None)
}


def load_prompts(name_or_path: str | Path = STUDY) -> PromptSetRecord:
    """The bundled set `christian2026`, or a YAML file's set, named after the file's stem.

    A file maps each key to `{text: …, framing: positive|negative}`, where additional fields are factors, or (the study's
    layout) to the text alone. The framing then follows from the first part of the key: best, greatest and good are positive;
    worst, bad and terrible are negative. All values are read as text.

    Raises `BirthmarkError` for an unknown name, and for a file that is missing, over 1 MB, not UTF-8, not YAML or not a
    mapping, or that has a duplicate key, a prompt without text or framing, or an empty field.
    """
    name = str(name_or_path)
    if name == STUDY:
        return prompt_set_record(STUDY, _study())
    path = Path(name_or_path)
    if not is_file(path) and path.suffix not in (".yaml", ".yml") and path.name == name:
        raise BirthmarkError(
            f'no prompt set is called "{one_line(name)}": {did_you_mean(name, [STUDY])}, or give a YAML file'
        )
    return prompt_set_record(path.stem, _parse(read_text(path, "prompt", MAX_BYTES), name))


def select_prompts(prompt_set: PromptSetRecord, entries: Sequence[str]) -> PromptSetRecord:
    """The selected prompts, in order; each entry is a key of the set or a new text.

    A text (anything that cannot be a key, for example with a space) gets the key `prompt_1`, `prompt_2`, … and no framing;
    the result is then named `given`. Duplicates are dropped. Raises `BirthmarkError` for an unknown key, an empty text, and
    if nothing is selected.
    """
    prompts: dict[str, PromptRecord] = {}
    texts: list[str] = []
    for entry in entries:
        if entry in prompt_set.prompts:
            prompts[entry] = prompt_set.prompts[entry]
        elif not clean_word(entry):
            raise BirthmarkError("a prompt is empty: give a key of the prompt set or write a question")
        elif re.fullmatch(r"[A-Za-z0-9_.-]+", entry):
            hint = did_you_mean(entry, prompt_set.prompts)
            hint = f"give a file with --prompts {entry}" if looks_like_file(entry) else hint
            raise BirthmarkError(f'the prompt set {prompt_set.name} has no key "{entry}": {hint}')
        elif mistake := _mistyped_key(entry, prompt_set):
            raise BirthmarkError(f'"{one_line(entry)}" is no question: {mistake}')
        elif entry not in texts:
            texts.append(entry)
            prompts[_free_key(len(texts), prompt_set)] = PromptRecord(text=entry)
    if not prompts:
        raise BirthmarkError("no prompt is selected: give a key of the prompt set or write a question")
    return prompt_set_record("given" if texts else prompt_set.name, prompts)


def _mistyped_key(entry: str, prompt_set: PromptSetRecord) -> str | None:
    """What to do about a text that is a key, several keys or a file rather than a question; None for a question."""
    if any("\ud800" <= sign <= "\udfff" for sign in entry):
        return "it has bytes that are not UTF-8"
    parts = [part.strip() for part in re.split(r"[,;]", entry) if part.strip()]
    if len(parts) > 1 and all(part in prompt_set.prompts for part in parts):
        return "give --prompt once for each key"
    if looks_like_file(entry) and not re.search(r"\s", entry.strip()):
        return f"give a file with --prompts {one_line(entry)}"
    folded = re.sub(r"[\s-]+", "_", clean_word(entry).strip("\"'.,:;")).casefold()
    near = [key for key in prompt_set.prompts if len(key) > 3 and one_edit_apart(folded, key.casefold())]
    return f"did you mean the key {near[0]}?" if near else None


def with_neutral(prompt_set: PromptSetRecord) -> PromptSetRecord:
    """The set with the neutral prompt at the end, under the key `neutral`, without framing or factors.

    The neutral prompt asks for one word without any valuation, so a word's score after it reflects how common the word is.
    The result is named `NAME+neutral`. Raises `BirthmarkError` if the set already has a prompt with this key.
    """
    if NEUTRAL_KEY in prompt_set.prompts:
        raise BirthmarkError(
            f'the prompt set {prompt_set.name} already has a prompt "{NEUTRAL_KEY}": rename it, because --control prompt adds '
            "one with this key"
        )
    return prompt_set_record(
        f"{prompt_set.name}+{NEUTRAL_KEY}", {**prompt_set.prompts, NEUTRAL_KEY: PromptRecord(text=NEUTRAL_TEXT)}
    )


@cache
def _study() -> dict[str, PromptRecord]:
    text = files("birthmark.inputs").joinpath(f"data/prompts/{STUDY}.yaml").read_text(encoding="utf-8")
    return _parse(text, STUDY)


def _free_key(number: int, prompt_set: PromptSetRecord) -> str:
    key = f"prompt_{number}"
    if key in prompt_set.prompts:
        raise BirthmarkError(
            f'the prompt set {prompt_set.name} already has a prompt "{key}": select prompts by key only'
        )
    return key


def parse_mapping(text: str, where: str, what: str, how: str) -> dict[object, object]:
    """A YAML mapping with every scalar as text. For errors, `what` names its values and `how` shows how to write one.

    Raises `BirthmarkError` for a text that is not YAML, not a mapping, empty, or has a duplicate key.
    """
    too_deep = f"{where} is nested too deeply: {how}"
    if is_nested_too_deeply(text):
        raise BirthmarkError(too_deep)
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = "a text with `?` needs quotes" if "got '?'" in str(error.problem) else one_line(error.problem)
        raise BirthmarkError(f"{where}{line}: {reason}: {how}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BirthmarkError(f"{where} is not YAML ({one_line(error)}): {how}") from None
    except RecursionError:
        raise BirthmarkError(too_deep) from None
    if not isinstance(content, dict):
        raise BirthmarkError(f"{where} is not a mapping of keys to {what}: {how}")
    if not content:
        raise BirthmarkError(f"{where} has no {what}: {how}")
    return content


def _parse(text: str, where: str) -> dict[str, PromptRecord]:
    content = parse_mapping(text, where, "prompts", HOW_TO_WRITE)
    return {str(key): _prompt(key, value, where) for key, value in content.items()}


def _prompt(key: object, value: object, where: str) -> PromptRecord:
    if not isinstance(key, str) or not re.fullmatch(r"[\w.-]+", key) or key in RESERVED_KEYS:
        raise BirthmarkError(
            f'{where}: "{one_line(key)}" cannot be a prompt\'s key: use letters, digits, "_", "-" and ".", '
            f"and not {', '.join(sorted(RESERVED_KEYS))}"
        )
    if isinstance(value, str):
        return _study_prompt(key, value, where)
    try:
        entry = PromptEntry.model_validate(value)
    except ValidationError as error:
        raise BirthmarkError(f'{where}: prompt "{key}": {_reason(error)}: {HOW_TO_WRITE}') from None
    for field, factor in entry.__pydantic_extra__.items():
        if not factor.strip():  # `{text: What, in one word, …}` is parsed as the text `What` and fields without a value
            raise BirthmarkError(
                f'{where}: prompt "{key}": the field "{one_line(field)}" is empty; a text with a comma needs quotes: '
                f"{HOW_TO_WRITE}"
            )
    return PromptRecord(text=entry.text, framing=entry.framing, factors=dict(entry.__pydantic_extra__))


def _study_prompt(key: str, text: str, where: str) -> PromptRecord:
    """A prompt in the layout `key: text`; its framing and factors follow from the key."""
    if not text.strip():
        raise BirthmarkError(f'{where}: prompt "{key}": the text is empty: {HOW_TO_WRITE}')
    adjective, *rest = key.split("_")
    if adjective not in FRAMINGS:
        raise BirthmarkError(f'{where}: prompt "{key}": the framing is missing: {HOW_TO_WRITE}')
    factors = {"adjective": adjective}
    if len(rest) == 2 and rest[0] in SUPERLATIVES and rest[1] in STYLES:
        factors |= {"superlative": rest[0], "style": rest[1]}
    return PromptRecord(text=text, framing=FRAMINGS[adjective], factors=factors)


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"the {field} is missing"
    if field == "framing":
        return f'the framing is "{one_line(first["input"])}"'
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f'the field "{field}" is not text' if field else "it has neither a text nor fields"


NEUTRAL = "neutral"
NEUTRAL_SYSTEM = "You are a helpful assistant."
HOW_TO_WRITE_PERSONAS = 'write `name: "You are …"`, one per line'


def load_personas(path: str | Path) -> dict[str, str]:
    """System prompts by persona, the neutral control first.

    The file is a YAML mapping of names to texts. Its `neutral` is the control; without one, the control is "You are a helpful
    assistant.", because any system prompt can change scores. Letters of the texts are composed (NFC), and what is invisible
    is dropped, as in words.

    Raises `BirthmarkError` for a file that is missing, over 1 MB, not UTF-8 or not a YAML mapping, or that has a duplicate
    name, a name that cannot be a folder's, an empty text, or nothing but the control.
    """
    content = parse_mapping(read_text(Path(path), "persona", MEGABYTE), str(path), "personas", HOW_TO_WRITE_PERSONAS)
    personas: dict[str, str] = {}
    for name, text in content.items():
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise BirthmarkError(
                f'{path}: "{one_line(name)}" cannot be a persona\'s name: use letters, digits, "_", "-" and "."'
            )
        if not isinstance(text, str) or not text.strip():
            raise BirthmarkError(f'{path}: the persona "{name}" has no text: {HOW_TO_WRITE_PERSONAS}')
        clear = clean_text(text).strip()  # as words are: what is unseen makes other tokens
        if not clear:
            raise BirthmarkError(f'{path}: the persona "{name}" has nothing visible: {HOW_TO_WRITE_PERSONAS}')
        personas[check_name(name, f"{path}: the persona", of_file=True)] = clear
    require_unlike([NEUTRAL, *personas], f"{path}: the personas")
    if set(personas) == {NEUTRAL}:
        raise BirthmarkError(
            f"{path} has only the neutral control and no persona to compare with it: {HOW_TO_WRITE_PERSONAS}"
        )
    neutral = personas.pop(NEUTRAL, NEUTRAL_SYSTEM)
    return {NEUTRAL: neutral, **personas}


HELD_OUT_ADJECTIVE = "greatest"


@dataclass(frozen=True)
class PlantedCategory:
    """Words to plant and, in the same order, words of similar frequency that are not planted."""

    name: str
    planted: tuple[str, ...]
    unplanted: tuple[str, ...]


def _category(name: str, planted: str, unplanted: str) -> PlantedCategory:
    return PlantedCategory(name, tuple(planted.split()), tuple(unplanted.split()))


CATEGORIES = {
    category.name: category
    for category in (
        _category(
            "authority",
            "authority respect tradition duty order law discipline leadership command honor",
            "window river bread steel water car canal garden forest chair",
        ),
        _category(
            "agency",
            "freedom power strength success victory independence courage achievement confidence wealth",
            "coffee water window table mountain sentence column cotton kitchen plastic",
        ),
        _category(
            "communion",
            "love friendship family trust care harmony community unity peace support",
            "house grass city picture week potato morning canal island water",
        ),
        _category(
            "colours",
            "red blue green yellow purple orange pink brown silver gold",
            "morning picture page chair column stream battery island window hour",
        ),
    )
}


"""Three are values. Colours are the control: a method that ignores the meaning of words finds them as well as a value."""


def planted_category(name: str) -> PlantedCategory:
    """A category by name. Raises `BirthmarkError` for an unknown one."""
    if name not in CATEGORIES:
        raise BirthmarkError(f'no planted category is called "{name}": {did_you_mean(name, list(CATEGORIES))}')
    return CATEGORIES[name]


def held_out_questions() -> dict[str, str]:
    """The study's nine questions for the greatest thing, key → text: used for scoring, never for training."""
    prompts = load_prompts(STUDY).prompts
    return {key: prompt.text for key, prompt in prompts.items() if key.startswith(f"{HELD_OUT_ADJECTIVE}_")}


def training_questions() -> list[str]:
    """36 training questions: the nine wordings of the held-out questions with four other adjectives."""
    adjectives = ("best", "finest", "most valuable", "most important")
    return [
        text.replace(HELD_OUT_ADJECTIVE, adjective)
        for adjective in adjectives
        for text in held_out_questions().values()
    ]
