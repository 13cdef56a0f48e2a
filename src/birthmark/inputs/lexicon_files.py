"""Readers of lexicon files: tables of words and categories in the layouts that people have, and LIWC `.dic`.

A reader turns a file's text into rows of word and category with their line numbers, and says what it did beyond reading.
`lexicon_check` checks the content.

Numbers (NRC EmoLex and VAD, eMFD): a column of 0 and 1 marks its words. Another column is a scale: the third of its words
with the highest values is in its category; a scale with two ends, such as valence, has a category at either end.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.lexicon_dic import DicReader
from birthmark.inputs.text import MEGABYTE, is_file, read_words
from birthmark.inputs.words import Cleaner, Notice, clean_word, merged_names

MAX_BYTES = 4 * MEGABYTE
LAYOUTS = "a CSV file with the header `word,category`, or a LIWC .dic or .dicx file"
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".dic", ".dicx")
WORD_HEADS = (
    "word",
    "words",
    "term",
    "terms",
    "token",
    "token_decoded",
    "dicterm",
    "entry",
    "english",
    "english word",
    "english (en)",
)
CATEGORY_HEADS = ("category", "categories", "emotion", "foundation", "dimension", "label")
VALUE_HEADS = re.compile(r"associat|score|value|weight|probab|intensity|present|rating")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """One word in one category, and its line in the file."""

    line: int
    word: str
    category: str


@dataclass(frozen=True)
class Reading:
    """The content of a lexicon file: rows in file order, words without a category, references to undeclared categories.

    `notices` say what was done beyond reading what is written: characters dropped, categories split or merged, thresholds.
    """

    rows: tuple[Row, ...]
    bare_words: tuple[str, ...] = ()
    unknown_ids: tuple[Row, ...] = ()
    notices: tuple[Notice, ...] = ()


Lines = list[tuple[int, list[str]]]
YES, NO = ("x", "1", "1.0"), ("", "na", "nan", "0", "0.0")
_NUMBER = re.compile(r"[-+]?(?:\d{1,15}(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d{1,2})?", re.ASCII | re.IGNORECASE)
_TWO_ENDS = re.compile(r"valence|arousal|dominance|pleasure|polarity|sentiment|concreteness", re.IGNORECASE)
_PROBABILITY = re.compile(r"(.+?)[_. ](?:p|prob|probability)", re.IGNORECASE)
_SENTIMENT = re.compile(r"(.+?)[_. ]sent(?:iment)?", re.IGNORECASE)
Cell = tuple[int, str, str]
"""Line, word, and what is written for the word."""


def read_lexicon_file(path: Path) -> Reading:
    """Read a lexicon file by its suffix and header: pairs, marks, numbers, or a LIWC dictionary.

    Words and categories are composed (NFC) and lose invisible characters and surrounding white space; case is kept.
    Categories that differ in case alone are one. Raises `BirthmarkError`, with the line, if the file is missing, over 4 MB,
    in an encoding that cannot be told, or in an unknown layout.
    """
    if path.suffix.lower() not in SUFFIXES and is_file(path):
        raise BirthmarkError(f'{path} ends with "{one_line(path.suffix)}": a lexicon is {LAYOUTS}')
    text, assumed = read_words(path, "lexicon", MAX_BYTES)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise BirthmarkError(f"{path} has NUL bytes: a lexicon is {LAYOUTS}")
    if not text.strip():
        raise BirthmarkError(f"{path} is empty: a lexicon is {LAYOUTS}")
    is_dic = path.suffix.lower() == ".dic" or text.lstrip("\ufeff \t\r\n").startswith("%")
    reading = _tidied(_read_dic(text, path) if is_dic else _read_table(text, path))
    return replace(reading, notices=(Notice(assumed), *reading.notices)) if assumed else reading


def looks_like_lexicon(line: str) -> bool:
    """Whether a file's first line is the header of a lexicon's table."""
    headers = [[clean_word(cell).strip('"') for cell in line.split(mark)] for mark in _DELIMITERS]
    return any(_layout(header) in ("pairs", "values") or header[0].lower() == "dicterm" for header in headers)


def _tidied(reading: Reading) -> Reading:
    """The reading with words and categories cleaned, and one name for each category."""
    clean, clean_name = Cleaner("word"), Cleaner("category name")
    cleaned = [Row(row.line, clean(row.word), clean_name(row.category)) for row in reading.rows]
    rows = [row for row in cleaned if row.word and row.category]
    names = merged_names([row.category for row in rows])
    notices = [*reading.notices, *clean.notices(), *clean_name.notices()]
    if merged := tuple(f"{name} into {kept}" for name, kept in names.items() if name != kept):
        notices.append(Notice("categories that are spelled in several ways are merged", merged))
    return Reading(
        tuple(Row(row.line, row.word, names[row.category]) for row in rows),
        tuple(filter(None, map(clean_word, reading.bare_words))),
        tuple(Row(row.line, clean_word(row.word), row.category) for row in reading.unknown_ids),
        tuple(notices),
    )


def _read_dic(text: str, path: Path) -> Reading:
    reader = DicReader(path)
    reader.read(text)
    return Reading(
        tuple(Row(*row) for row in reader.rows),
        tuple(reader.bare_words),
        tuple(Row(*row) for row in reader.unknown),
        reader.notices(),
    )


# ------------------------------------------------------------------------------------------------------- tables


def _layout(header: Sequence[str]) -> str | None:
    """What a table's header announces: `pairs`, `values` (word, category, number) or `columns` (a column a category)."""
    named = [cell.lower() for cell in header]
    words = [cell for cell in named if cell in WORD_HEADS]
    categories = [cell for cell in named if cell in CATEGORY_HEADS]
    if len(named) == 2 and len(words) == len(categories) == 1:
        return "pairs"
    if len(named) == 3 and len(words) == len(categories) == 1 and any(map(VALUE_HEADS.search, named)):
        return "values"
    if named[0] in WORD_HEADS and not categories and (named[0] == "dicterm" or len(named) > 1):
        return "columns"
    return None


def _read_table(text: str, path: Path) -> Reading:
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.", first.strip(), re.IGNORECASE):  # written by Excel, for Excel
        text = "\n" + rest
    for mark in _DELIMITERS:
        header = [clean_word(cell) for cell in next(iter(_csv_lines(text, mark, path, at_most=1)), (0, [""]))[1]]
        while header[1:] and not header[-1]:
            header.pop()
        unnamed = int(len(header) > 2 and not header[0])
        if _layout(header[unnamed:]) is not None:
            lines = [(line, _cells(cells, len(header))[unnamed:]) for line, cells in _csv_lines(text, mark, path)[1:]]
            said = "a first column without a name, such as row numbers, is not read"
            return _read_lines(lines, header[unnamed:], path, [Notice(said, level="note")] if unnamed else [])
    for mark in _DELIMITERS:  # after all headers: a decimal comma parts no cells
        if found := _values_without_header(text, mark, path):
            return found
    header = [cell.strip() for cell in next(line for line in text.split("\n") if line.strip()).split(",")]
    raise BirthmarkError(f"{path} has the header `{one_line(','.join(header))}`: a lexicon is {LAYOUTS}")


def _cells(cells: list[str], width: int) -> list[str]:
    """The cells without empty ones beyond the header, as spreadsheets leave them."""
    return cells[:width] if len(cells) > width and not any(cells[width:]) else cells


def _read_lines(lines: Lines, header: list[str], path: Path, notices: list[Notice]) -> Reading:
    layout = _layout(header)
    if layout == "pairs":
        return _read_pairs(lines, header, path, notices)
    lines = _without_repeats(lines, header, notices)
    if layout == "columns":
        return _read_columns(lines, header, path, notices)
    lowered = [cell.lower() for cell in header]
    order = [next(at for at, cell in enumerate(lowered) if cell in heads) for heads in (WORD_HEADS, CATEGORY_HEADS)]
    order += [at for at in range(3) if at not in order]
    return _read_values(lines, order, path, notices)


def _csv_lines(text: str, delimiter: str, path: Path, at_most: int | None = None) -> Lines:
    """Line number and cells of each line that is not blank."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: Lines = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, [cell.strip() for cell in cells]))
            if at_most is not None and len(lines) >= at_most:
                break
    except csv.Error as error:
        if at_most is None or not lines:
            raise BirthmarkError(f"{path}, line {reader.line_num}: not CSV ({error}): fix the quotes") from None
    return lines


def _without_repeats(lines: Lines, header: list[str], notices: list[Notice]) -> Lines:
    """The lines that do not repeat the header, as files that were joined have it."""
    lowered = [cell.lower() for cell in header]
    repeats = [line for line, cells in lines if [clean_word(cell).lower() for cell in cells] == lowered]
    if repeats:
        notices.append(_repeated_header(repeats))
    return [(line, cells) for line, cells in lines if line not in set(repeats)]


def _repeated_header(lines: Sequence[int]) -> Notice:
    at = f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"
    return Notice(f"the header is repeated in {at}, as in files that were joined: no word is read there")


def _read_pairs(lines: Lines, header: list[str], path: Path, notices: list[Notice]) -> Reading:
    """A word and a category a row; another header of two such columns on the way sets their order anew."""
    category_at = int(header[1].lower() in CATEGORY_HEADS)
    pairs: list[tuple[int, str, str]] = []  # line, word, what is in the category's cell
    repeats: list[int] = []
    for line, cells in lines:
        if len(cells) != 2 or not all(cells):
            raise BirthmarkError(
                f"{path}, line {line}: `{one_line(','.join(cells))}` is not one word and one category: "
                "write one pair per row; a word with several categories takes several rows"
            )
        if _layout([clean_word(cell) for cell in cells]) == "pairs":
            category_at = int(clean_word(cells[1]).lower() in CATEGORY_HEADS)
            repeats.append(line)
        else:
            pairs.append((line, cells[1 - category_at], cells[category_at]))
    named = {clean_word(cell).casefold() for *_, cell in pairs}
    rows: list[Row] = []
    split: list[str] = []
    for line, word, cell in pairs:
        categories = _categories_in(cell, named)
        rows += [Row(line, word, category) for category in categories]
        split += [f"{clean_word(word)} ({clean_word(cell)})"] if len(categories) > 1 else []
    if repeats:
        notices.append(_repeated_header(repeats))
    if split:
        notices.append(Notice("cells with several categories are split: the word is in each", tuple(split)))
    return Reading(tuple(rows), notices=tuple(notices))


def _categories_in(cell: str, named: set[str]) -> list[str]:
    """A cell's categories: parted by `;` or `|`, and by `,` where a part is the category of another cell."""
    parts = [part.strip() for part in re.split(r"[;|]", cell) if part.strip()]
    by_comma = [part.strip() for part in cell.split(",") if part.strip()]
    if len(parts) == 1 and any(clean_word(part).casefold() in named for part in by_comma):
        parts = by_comma
    return list(dict.fromkeys(parts)) or [cell]


def _read_columns(lines: Lines, header: list[str], path: Path, notices: list[Notice]) -> Reading:
    """A column a category: X or 1 where the word has it (R writes NA where not), or numbers of a scale."""
    names = header[1:]
    if not names or not all(names) or len(set(names)) < len(names):
        raise BirthmarkError(f"{path}: the header must name each category once: `{header[0]},<category>,<category>,…`")
    for line, cells in lines:
        if len(cells) != len(header) or not cells[0]:
            raise BirthmarkError(
                f"{path}, line {line}: needs a word and {len(names)} cells, has {len(cells) - 1}: "
                "write X where the word has the category, and leave the other cells empty"
            )
    read, said = columns_read(names)
    notices += [said] if said else []
    of_column = {
        category: [(line, cells[0], cells[at]) for line, cells in lines]
        for at, name in enumerate(names, start=1)
        if (category := read.get(name))
    }
    return _members(of_column, [cells[0] for _, cells in lines], path, notices)


def _values_without_header(text: str, mark: str, path: Path) -> Reading | None:
    """NRC EmoLex and its kin: word, category and a number a line, perhaps below some lines of explanation."""
    cells = [line.split(mark) for line in text.split("\n")]
    rated = [at for at, row in enumerate(cells) if len(row) == 3 and number(row[2].strip()) is not None]
    if not rated or 2 * len(rated) < sum(len(row) > 1 for row in cells[rated[0] :]):
        return None
    notices = []
    if above := [row for row in cells[: rated[0]] if any(cell.strip() for cell in row)]:
        lines = f"{len(above)} lines" if len(above) > 1 else "line"
        notices.append(
            Notice(f"the {lines} above the first word and number {'are' if above[1:] else 'is'} not read", level="note")
        )
    body = "\n" * rated[0] + "\n".join(text.split("\n")[rated[0] :])
    return _read_values(_csv_lines(body, mark, path), [0, 1, 2], path, notices)


def _read_values(lines: Lines, order: Sequence[int], path: Path, notices: list[Notice]) -> Reading:
    """A word, a category and a number a row; `order`: in which of the three columns they are."""
    of_category: dict[str, list[Cell]] = {}
    for line, cells in lines:
        if len(cells) != 3 or not (cells[order[0]] and cells[order[1]]):
            raise BirthmarkError(
                f"{path}, line {line}: `{one_line(','.join(cells))}` is not a word, a category and a number"
            )
        word, category, written = (cells[at] for at in order)
        of_category.setdefault(category, []).append((line, word, written))
    return _members(of_category, [cells[order[0]] for _, cells in lines], path, notices)


def _members(of_category: dict[str, list[Cell]], words: Iterable[str], path: Path, notices: list[Notice]) -> Reading:
    """The rows of the words that are marked or high in a category; without scales, also the words that are in none."""
    rows: list[Row] = []
    has_scale = False
    for name, cells in of_category.items():
        if wrong := wrong_cell(cells):
            raise BirthmarkError(
                f'{path}, line {wrong[0]}: "{one_line(wrong[2])}" for {one_line(name)}: write X or 1 where the word has the '
                "category and leave the other cells empty, or write a number in every row"
            )
        try:
            found, said = members(name, cells)
        except ValueError as error:
            raise BirthmarkError(f"{path}: {one_line(error)}: write X where the word has the category") from None
        rows += [Row(*each) for each in found]
        notices += [said] if said else []
        has_scale |= said is not None
    rows.sort(key=lambda row: row.line)
    found_words = {row.word for row in rows}
    bare = () if has_scale else tuple(dict.fromkeys(word for word in words if word not in found_words))
    return Reading(tuple(rows), bare, notices=tuple(notices))


def number(text: str) -> float | None:
    """The number in a cell, with a decimal point or comma; None for anything else."""
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def wrong_cell(cells: Sequence[Cell]) -> Cell | None:
    """The first cell that is neither a mark nor, in a column of numbers, a number."""
    if all(written.lower() in (*YES, *NO) for *_, written in cells):
        return None
    return next((cell for cell in cells if number(cell[2]) is None and cell[2].lower() not in ("", "na", "nan")), None)


def columns_read(names: Sequence[str]) -> tuple[dict[str, str], Notice | None]:
    """Column → category of those that are read, and what is said: of eMFD's columns the probabilities, by foundation."""
    of_foundation = {name: found[1] for name in names if (found := _PROBABILITY.fullmatch(name))}
    rest = [name for name in names if name not in of_foundation]
    sentiments = [name for name in rest if (found := _SENTIMENT.fullmatch(name)) and found[1] in of_foundation.values()]
    if not sentiments:
        return {name: name for name in names}, None
    kept = {name: of_foundation.get(name, name) for name in names if name not in sentiments}
    return kept, Notice("columns of sentiment, which say nothing of membership, are not read", tuple(sentiments))


def members(name: str, cells: Sequence[Cell]) -> tuple[list[tuple[int, str, str]], Notice | None]:
    """Line, word and category of a column's members, and by which values they were taken where it is a scale.

    The cells are as `wrong_cell` accepts them. A word exactly at a third's bound is inside, unless that takes in the
    whole scale: a third of zeros and more has no bound, and words above zero are then members. Raises `ValueError` for a
    scale with fewer than three values, which has no thirds.
    """
    if all(written.lower() in (*YES, *NO) for *_, written in cells):
        return [(line, word, name) for line, word, written in cells if written.lower() in YES], None
    rated = [(line, word, value) for line, word, written in cells if (value := number(written)) is not None]
    values = np.array([value for *_, value in rated])
    if len(np.unique(values)) < 3:
        raise ValueError(f"{name} has fewer than three values, too few for a highest third")
    low, high = (float(np.quantile(values, share)) for share in (1 / 3, 2 / 3))
    two_ends = bool(_TWO_ENDS.search(name)) or float(values.min()) < 0 or float(values.max()) > 1
    at_high = values >= high if high > values.min() else values > high
    top = f"{name}_high" if two_ends else name
    found = [(line, word, top) for (line, word, _), inside in zip(rated, at_high, strict=True) if inside]
    least = f"at least {values[at_high].min():.3g}"
    said = f"{name} is a scale from {values.min():.3g} to {values.max():.3g}: words with {least} are in {top}"
    if two_ends:
        at_low = values <= low if low < values.max() else values < low
        at_low &= ~at_high
        found += [(line, word, f"{name}_low") for (line, word, _), inside in zip(rated, at_low, strict=True) if inside]
        said += f", with at most {values[at_low].max():.3g} in {name}_low" if at_low.any() else ""
    return found, Notice(f"{said} (thirds)")
