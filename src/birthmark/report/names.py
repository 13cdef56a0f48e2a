"""What models are called where people read: a folder by its name, with as much of its path as tells it from others.

Records keep a folder's whole path, which is what loads it again; a page to show, a card to paste and a terminal say less.
Knows nothing of what a record holds.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from birthmark.records import Record

R = TypeVar("R", bound=Record)


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Absolute paths among `models`, each with the shortest end of it that is no other model's; other names stay out.

    `/home/me/runs/a/final` and `/home/me/runs/b/final` are `a/final` and `b/final`.
    """
    listed = list(dict.fromkeys(models))
    return {model: _short(model, listed) for model in listed if PurePath(model).is_absolute()}


def _short(path: str, models: Iterable[str]) -> str:
    parts = PurePath(path).parts
    others = [PurePath(model).parts for model in models if model != path]
    for length in range(1, len(parts)):
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
    return re.sub(paths, lambda found: names[found[0]], text) if names else text
