"""Readers of lexicon files: `word,category` CSV, LIWC `.dic` and `.dicx`, and the published Big Two and MFD layouts.

A reader turns a file's text into rows of word and category with their line numbers. `lexicon_check` checks their content.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.text import MEGABYTE, is_file, one_line, read_text

MAX_BYTES = 4 * MEGABYTE
PAIR_HEADERS = (("word", "category"), ("category", "word"), ("category", "token_decoded"))
LAYOUTS = "a CSV file with the header `word,category`, or a LIWC .dic or .dicx file"


@dataclass(frozen=True)
class Row:
    """One word in one category, and its line in the file."""

    line: int
    word: str
    category: str


@dataclass(frozen=True)
class Reading:
    """The content of a lexicon file: rows in file order, words without a category, references to undeclared categories."""

    rows: tuple[Row, ...]
    bare_words: tuple[str, ...] = ()
    unknown_ids: tuple[Row, ...] = ()


def read_lexicon_file(path: Path) -> Reading:
    """Read a lexicon file by its suffix (`.csv`, `.dic`, `.dicx`) and header.

    Surrounding white space is stripped from words and categories; case is kept. Raises `BirthmarkError`, with the line, if
    the file is missing, over 4 MB, not UTF-8 or in an unknown layout.
    """
    readers: dict[str, Callable[[str, Path], Reading]] = {".csv": _read_csv, ".dic": _read_dic, ".dicx": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None and is_file(path):
        raise BirthmarkError(f'{path} ends with "{one_line(path.suffix)}": a lexicon is {LAYOUTS}')
    text = read_text(path, "lexicon", MAX_BYTES)
    if "\0" in text:
        raise BirthmarkError(f"{path} has NUL bytes: a lexicon is {LAYOUTS}")
    if not text.strip():
        raise BirthmarkError(f"{path} is empty: a lexicon is {LAYOUTS}")
    assert reader is not None  # read_text raises for a missing file with another suffix
    return reader(text, path)


# --------------------------------------------------------------------------------------------------- CSV, dicx


def _read_csv(text: str, path: Path) -> Reading:
    lines = _csv_lines(text, path)
    _, cells = next(lines, (0, [""]))
    header = tuple(cells)
    lowered = tuple(cell.lower() for cell in header)
    if lowered in PAIR_HEADERS:
        return _read_pairs(lines, lowered.index("category"), path)
    if lowered[0] == "dicterm":
        return _read_table(lines, header, path)
    raise BirthmarkError(f"{path} has the header `{one_line(','.join(header))}`: a lexicon is {LAYOUTS}")


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that is not blank."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BirthmarkError(f"{path}, line {reader.line_num}: not CSV ({error}): fix the quotes") from None


def _read_pairs(lines: Iterator[tuple[int, list[str]]], category_at: int, path: Path) -> Reading:
    rows = []
    for line, cells in lines:
        if len(cells) != 2 or not all(cells):
            raise BirthmarkError(
                f"{path}, line {line}: `{one_line(','.join(cells))}` is not one word and one category: "
                "write one pair per row; a word with several categories takes several rows"
            )
        rows.append(Row(line, cells[1 - category_at], cells[category_at]))
    return Reading(tuple(rows))


def _read_table(lines: Iterator[tuple[int, list[str]]], header: tuple[str, ...], path: Path) -> Reading:
    """The layout `DicTerm,<category>,…`: X if the word has the category, else an empty cell (R writes NA)."""
    categories = header[1:]
    if not categories or not all(categories) or len(set(categories)) < len(categories):
        raise BirthmarkError(f"{path}: the header must name each category once: `DicTerm,<category>,<category>,…`")
    rows, bare_words = [], []
    for line, cells in lines:
        word, marks = cells[0], cells[1:]
        if len(marks) != len(categories) or not word:
            raise BirthmarkError(
                f"{path}, line {line}: needs a word and {len(categories)} cells, has {len(marks)}: "
                "write X where the word has the category, and leave the other cells empty"
            )
        wrong = [mark for mark in marks if mark not in ("X", "x", "", "NA")]
        if wrong:
            raise BirthmarkError(
                f'{path}, line {line}: "{one_line(wrong[0])}" in a cell: write X where the word has the category, '
                "and leave the other cells empty (weights are not supported)"
            )
        mine = [category for category, mark in zip(categories, marks, strict=True) if mark in ("X", "x")]
        rows += [Row(line, word, category) for category in mine]
        bare_words += [] if mine else [word]
    return Reading(tuple(rows), tuple(bare_words))


# --------------------------------------------------------------------------------------------------------- dic


def _read_dic(text: str, path: Path) -> Reading:
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    marks = [index for index, (_, line) in enumerate(lines) if line == "%"]
    if len(marks) < 2 or marks[0] != 0:
        raise BirthmarkError(
            f"{path} has no header: a .dic file starts with a line `%`, a line `1 Category` for each category, "
            "and a line `%`"
        )
    names = _dic_header(lines[1 : marks[1]], path)
    rows, bare_words, unknown = [], [], []
    for number, line in lines[marks[1] + 1 :]:
        word, ids = _dic_entry(line, names)
        if any(not part.isalnum() for part in ids):
            raise BirthmarkError(
                f"{path}, line {number}: `{one_line(line)}` is not a word and its category ids: "
                "write `word 1 2` (conditions and weights are not supported)"
            )
        rows += [Row(number, word, names[part]) for part in ids if part in names]
        unknown += [Row(number, word, part) for part in ids if part not in names]
        bare_words += [] if ids else [word]
    return Reading(tuple(rows), tuple(bare_words), tuple(unknown))


def _dic_header(lines: list[tuple[int, str]], path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    taken: set[str] = set()
    for number, line in lines:
        identity, _, rest = line.replace("\t", " ", 1).partition(" ")
        name = rest.strip().split("\t")[0].strip()
        if not name or not identity.isalnum():
            raise BirthmarkError(
                f"{path}, line {number}: `{one_line(line)}` is not a category: write its id and its name"
            )
        if identity in names or name in taken:
            raise BirthmarkError(f"{path}, line {number}: the category `{one_line(line)}` is declared twice: keep one")
        names[identity] = name
        taken.add(name)
    if not names:
        raise BirthmarkError(f"{path} declares no categories: write `1 Category` lines between the two `%`")
    return names


def _dic_entry(line: str, names: dict[str, str]) -> tuple[str, list[str]]:
    """A line's word (which may have spaces) and its ids: after the first tab or, without a tab, at the end of the line."""
    if "\t" in line:
        word, _, ids = line.partition("\t")
        return word.strip(), ids.split()
    parts = line.split()
    at = len(parts)
    while at > 1 and (parts[at - 1] in names or parts[at - 1].isdecimal()):
        at -= 1
    return " ".join(parts[:at]), parts[at:]
