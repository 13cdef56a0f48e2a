"""LIWC `.dic` files of all versions: a header between two `%`, then a word and its category ids a line.

Numbers that belong to a phrase, ids with leading zeros, conditions (LIWC 2007) and several dictionaries in one file are
told apart from the rest, and said.
"""

import re
from collections import Counter
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.words import Notice

_CONDITION = re.compile(r"(?:\([^()]*\)|<[^<>]*>)\s*(\w+)(?:/(\w+))?")
_CONDITIONS_FOLLOW = re.compile(r"\s(?=[(<][^()<>]*[)>]\s*\w+(?:/\w+)?(?:\s|$))")
Line = tuple[int, str]


class DicReader:
    """Reads one file; the results are the attributes: rows are (line, word, category), unknown ones (line, word, id)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[tuple[int, str, str]] = []
        self.unknown: list[tuple[int, str, str]] = []
        self.bare_words: list[str] = []
        self._phrases: dict[str, str] = {}  # the phrases with a number → their lines' text
        self._several: list[str] = []
        self._conditional: list[str] = []
        self._joined = 0

    def read(self, text: str) -> None:
        """Raises `BirthmarkError`, with the line, for a file without a header, or a line that is no entry."""
        lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        marks = [index for index, (_, line) in enumerate(lines) if line == "%"]
        if len(marks) < 2 or marks[0] != 0:
            raise BirthmarkError(
                f"{self._path} has no header: a .dic file starts with a line `%`, a line `1 Category` for each category, "
                "and a line `%`"
            )
        if len(marks) % 2:
            raise BirthmarkError(
                f"{self._path}, line {lines[marks[-1]][0]}: a header begins and does not end: close it with a line `%`"
            )
        self._joined = len(marks) // 2
        ends = [*marks[2::2], len(lines)]
        for opens, closes, end in zip(marks[::2], marks[1::2], ends, strict=True):
            names = self._header(lines[opens + 1 : closes])
            entries = lines[closes + 1 : end]
            falling = _falling_pairs(entries, names)
            for number, line in entries:
                self._entry(number, line, names, falling)

    def notices(self) -> tuple[Notice, ...]:
        """What was read otherwise than it may seem."""
        found = []
        if self._joined > 1:
            found.append(
                Notice(f"{self._joined} dictionaries are joined in the file: each is read under its own header")
            )
        if self._phrases:
            lines = tuple(f'"{phrase}" of `{line}`' for phrase, line in self._phrases.items())
            found.append(
                Notice("a number before the category ids is part of the phrase (put a tab before the ids)", lines)
            )
        if self._conditional:
            said = "conditional categories are those of the word by itself, with nothing before or after it"
            found.append(Notice(said, tuple(dict.fromkeys(self._conditional))))
        if self._several:
            said = "words with several numbers and no tab: all numbers are category ids"
            found.append(Notice(said, tuple(dict.fromkeys(self._several)), "note"))
        return tuple(found)

    def _header(self, lines: list[Line]) -> dict[str, str]:
        names: dict[str, str] = {}
        for number, line in lines:
            identity, _, rest = line.replace("\t", " ", 1).partition(" ")
            name = rest.strip().split("\t")[0].strip()
            if not name or not identity.isalnum():
                raise BirthmarkError(
                    f"{self._path}, line {number}: `{one_line(line)}` is not a category: write its id and its name"
                )
            if _plain_id(identity) in names or name in names.values():
                raise BirthmarkError(
                    f"{self._path}, line {number}: the category `{one_line(line)}` is declared twice: keep one"
                )
            names[_plain_id(identity)] = name
        if not names:
            raise BirthmarkError(f"{self._path} declares no categories: write `1 Category` lines between the two `%`")
        return names

    def _entry(self, number: int, line: str, names: dict[str, str], falling: set[tuple[str, ...]]) -> None:
        word, ids = self._word_and_ids(line, names, falling)
        if any(not part.isalnum() for part in ids):
            raise BirthmarkError(
                f"{self._path}, line {number}: `{one_line(line)}` is not a word and its category ids: write `word 1 2` "
                "(weights are not supported)"
            )
        plain = [_plain_id(part) for part in ids]
        self.rows += [(number, word, names[part]) for part in plain if part in names]
        self.unknown += [(number, word, part) for part in plain if part not in names]
        self.bare_words += [] if ids else [word]

    def _word_and_ids(self, line: str, names: dict[str, str], falling: set[tuple[str, ...]]) -> tuple[str, list[str]]:
        """A line's word (which may have spaces) and ids: after the first tab, else after a condition, else at the end."""
        separator = re.search(r"\t", line) or _CONDITIONS_FOLLOW.search(line)
        if separator is None:
            return self._by_spaces(line, names, falling)
        word, rest = line[: separator.start()].strip(), line[separator.end() :]
        if _CONDITION.search(rest):
            self._conditional.append(word)
            rest = _CONDITION.sub(lambda found: f" {found[2] or ''} ", rest)
        return word, rest.split()

    def _by_spaces(self, line: str, names: dict[str, str], falling: set[tuple[str, ...]]) -> tuple[str, list[str]]:
        """Ids are the declared numbers that end the line in rising order, as LIWC writes them; one before is the phrase's."""
        parts = line.split()
        ids = _last_ids(parts, names)
        if not ids and len(parts) > 1 and _is_number(parts[-1]):
            ids = _last_ids(parts, None)  # no header declares the last of them
            return " ".join(parts[: len(parts) - len(ids)]), ids
        taken = ids if tuple(ids) in falling else _rising_end(ids)
        gaps = re.split(r"\s{2,}", line)
        if len(gaps) == 2 and 0 < len(gaps[1].split()) <= len(ids):
            taken = gaps[1].split()
        before = parts[: len(parts) - len(taken)]
        if len(before) > 1 and _is_number(before[-1]) and taken:
            self._phrases[" ".join(before)] = line
        elif len(taken) > 1:
            self._several.append(" ".join(before))
        return " ".join(before), taken


def _last_ids(parts: list[str], names: dict[str, str] | None) -> list[str]:
    """The ids that end a line, declared ones or any numbers; the first part is always the word's."""
    at = len(parts)
    while at > 1 and (_is_number(parts[at - 1]) if names is None else _plain_id(parts[at - 1]) in names):
        at -= 1
    return parts[at:]


def _rising_end(ids: list[str]) -> list[str]:
    at = max(len(ids) - 1, 0)
    while at > 0 and _order(ids[at - 1]) <= _order(ids[at]):
        at -= 1
    return ids[at:]


def _falling_pairs(entries: list[Line], names: dict[str, str]) -> set[tuple[str, ...]]:
    """Ids that follow several words in an order that is not rising: no phrases, for no two end with the same number."""
    ends = Counter(tuple(_last_ids(line.split(), names)) for _, line in entries if "\t" not in line)
    return {ids for ids, times in ends.items() if times > 1 and len(_rising_end(list(ids))) < len(ids)}


def _order(identity: str) -> tuple[int, str]:
    return (int(identity), "") if _is_number(identity) else (0, identity)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _plain_id(identity: str) -> str:
    """LIWC 2001 declares `1` and refers to it as `01`."""
    return identity.lstrip("0") or "0" if _is_number(identity) else identity
