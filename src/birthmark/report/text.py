"""Text that people brought, made fit to show: unseen characters as marks, models by short names."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from birthmark.foreign import UNSEEN, legible, mark
from birthmark.records import Record

MARKS = {" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
LONGEST = 32


@dataclass(frozen=True)
class Piece:
    """A stretch of a candidate: its own text, or (`mark`) a sign that stands for what cannot be seen."""

    text: str
    mark: bool = False


def pieces(candidate: str) -> list[Piece]:
    """Split a candidate into what is seen as it is and marks: ` love` becomes ␣ and `love`.

    Runs of one unseen character are counted (`␣×24`), control and format characters are named by their code point
    (except the joiners and selectors that make up an emoji), and a long text is cut with an ellipsis.
    """
    if not candidate:
        return [Piece("empty", mark=True)]
    result: list[Piece] = []
    plain = ""
    at = 0
    while at < len(candidate):
        sign = _mark(candidate, at)
        if sign is None:
            plain += candidate[at]
            at += 1
            continue
        if plain:
            result.append(Piece(_cut(plain)))
            plain = ""
        run = at
        while run < len(candidate) and candidate[run] == candidate[at]:
            run += 1
        times = run - at
        result.append(Piece(sign * times if times <= 3 else f"{sign}×{times}", mark=True))
        at = run
    if plain:
        result.append(Piece(_cut(plain)))
    return result if len(result) <= 12 else [*result[:12], Piece("…", mark=True)]


def visible(candidate: str) -> str:
    """The same as one plain string, for figures and Markdown."""
    return "".join(piece.text for piece in pieces(candidate))


def spoken(candidate: str) -> str:
    """What a screen reader should say instead of marks: `space love`."""
    names = {
        " ": " space ",
        "\n": " line break ",
        "\r": " carriage return ",
        "\t": " tab ",
        "\u00a0": " no-break space ",
    }
    said = "".join(names.get(character, character) for character in candidate[:LONGEST])
    return legible(" ".join(said.split())) or "empty"


def _mark(text: str, at: int) -> str | None:
    character = text[at]
    if character in MARKS:
        inside = character == " " and 0 < at < len(text) - 1 and text[at - 1] != " " and text[at + 1] != " "
        return None if inside else MARKS[character]
    unseen = UNSEEN.match(text, at) or unicodedata.category(character) in ("Zs", "Cn")
    return mark(character) if unseen else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


R = TypeVar("R", bound=Record)


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Paths among `models`, each with the shortest end of it that is no other model's; other names stay out.

    `/home/me/runs/a/final` and `/home/me/runs/b/final` are `a/final` and `b/final`, `./mine` is `mine`. A hub id is no path.
    """
    listed = list(dict.fromkeys(models))
    return {model: _short(model, listed) for model in listed if _is_path(model)}


def _is_path(model: str) -> bool:
    return PurePath(model).is_absolute() or model.startswith((".", "~")) or model.count("/") > 1


def _short(path: str, models: Iterable[str]) -> str:
    parts = PurePath(path).parts
    others = [PurePath(model).parts for model in models if model != path]
    for length in range(1, len(parts) + (not PurePath(path).is_absolute())):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return path


def renamed(record: R, names: Mapping[str, str]) -> R:
    """The record with `names` in place of the paths that they stand for, in every text and key of it."""
    return type(record).model_validate(_renamed(record.model_dump(), names)) if names else record


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return in_text(value, names)
    if isinstance(value, Mapping):
        return {_renamed(key, names): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list | tuple) else value


def in_text(text: str, names: Mapping[str, str]) -> str:
    """A text with the short names in it; of two paths that begin alike the longer goes first."""
    paths = "|".join(re.escape(path) for path in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{paths})", lambda found: names[found[0]], text) if names else text
