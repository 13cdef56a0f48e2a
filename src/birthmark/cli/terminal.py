"""Standard output: all that a command says goes through here, so that no text of others reaches a terminal as it is."""

import math
import re
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from birthmark.files import with_urls
from birthmark.foreign import json_text, legible, middle_out, shortened

LONGEST_NAME, LONGEST_CELL = 80, 1_000
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def say(text: str = "", *, bold: bool = False) -> None:
    """Print a sentence, wrapped to the terminal's width."""
    console.print(Text(shortened(legible(with_urls(text))), style="bold" if bold else ""))


def print_text(text: str, *, end: str = "\n") -> None:
    """Print lines as they are, neither wrapped nor cut, for other programs and for texts whose lines matter."""
    print(legible(with_urls(text), keep="\n"), end=end)


def print_json(value: object) -> None:
    """Indented JSON on standard output, numbers that are not finite as null."""
    print(with_urls(json_text(_finite(value), indent=2, default=str)))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_rows(header: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """A plain table; numbers to the right."""
    shown = None if title is None else _text(title, LONGEST_CELL)
    table = Table(title=shown, title_justify="left", box=None, pad_edge=False, header_style="bold")
    numeric = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    for column, (name, right) in enumerate(zip(header, numeric, strict=True)):
        table.add_column(
            _text(name, LONGEST_NAME), justify="right" if right else "left", overflow="fold", no_wrap=column == 0
        )
    for row in rows:
        limits = (LONGEST_NAME, *[LONGEST_CELL] * (len(row) - 1))
        table.add_row(*(_text(_cell(value), limit) for value, limit in zip(row, limits, strict=True)))
    console.print(table)


def _text(text: str, limit: int) -> Text:
    return Text(middle_out(legible(text), limit))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or value in (None, "–") or bool(re.fullmatch(r"[-+]?\d+\.\d+", str(value)))


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2g}" if 0 < abs(value) < 0.001 else f"{value:.3f}"
    return str(value)


def print_fields(facts: Mapping[str, object]) -> None:
    """One fact a line; of a list each item is cut to its own length."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("fact", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in facts.items():
        table.add_row(_text(name.replace("_", " "), LONGEST_NAME), Text(_flat(value)))
    console.print(table)


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_flat(key)} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    return middle_out(legible(_cell(value)), LONGEST_CELL)
