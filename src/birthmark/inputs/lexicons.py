"""Lexicons: words mapped to categories, bundled, fetched by name or read from a person's file.

A lexicon says which words stand for which category. It knows nothing of tokens, models or scores; words are matched to
candidates as exact strings.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicon_files import Reading, read_lexicon_file
from birthmark.inputs.named_lexicons import NAMED, NamedLexicon
from birthmark.inputs.text import did_you_mean, is_file, one_line

MAX_WORD = 200


@dataclass(frozen=True)
class Lexicon:
    """Words with their categories, in file order; an entry that ends with `*` is a stem.

    `validated`: whether a publication reports that the words measure what their categories say.
    """

    name: str
    entries: Mapping[str, tuple[str, ...]]
    validated: bool
    citation: str | None
    licence: str | None
    source: str

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories in alphabetical order."""
        return tuple(sorted({category for categories in self.entries.values() for category in categories}))

    @property
    def words(self) -> tuple[str, ...]:
        """The entries that are whole words, in file order."""
        return tuple(entry for entry in self.entries if not entry.endswith("*"))

    @property
    def stems(self) -> tuple[str, ...]:
        """The entries that end with `*`, in file order, the `*` included."""
        return tuple(entry for entry in self.entries if entry.endswith("*"))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the entries and their categories, in order."""
        digest = hashlib.sha256()
        for entry, categories in self.entries.items():
            digest.update("\0".join((entry, *categories)).encode() + b"\n")
        return digest.hexdigest()

    def match(self, candidates: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The candidates that are in the lexicon, in their order, each with its categories.

        A word matches the candidate that is the same string (case and spaces count), a stem `lov*` every candidate that
        starts with `lov`. A candidate has the categories of all entries that match it, whole words' first.
        """
        stems = {stem[:-1]: self.entries[stem] for stem in self.stems}
        lengths = sorted({len(stem) for stem in stems})
        found: dict[str, tuple[str, ...]] = {}
        for candidate in candidates:
            categories = list(self.entries.get(candidate, ()) if not candidate.endswith("*") else ())
            for length in lengths:
                if length <= len(candidate):
                    categories += stems.get(candidate[:length], ())
            if categories:
                found[candidate] = tuple(dict.fromkeys(categories))
        return found

    def only(self, categories: Sequence[str]) -> "Lexicon":
        """The lexicon of some of its categories; words of none of them are left out. Raises for a category it lacks."""
        for category in categories:
            if category not in self.categories:
                hint = did_you_mean(category, self.categories)
                raise BirthmarkError(f'the lexicon {self.name} has no category "{category}": {hint}')
        kept = {entry: tuple(c for c in mine if c in categories) for entry, mine in self.entries.items()}
        return replace(self, entries={entry: mine for entry, mine in kept.items() if mine})

    def __repr__(self) -> str:
        sizes = ", ".join(f"{category} {size}" for category, size in self.sizes().items())
        return f"Lexicon({self.name}: {len(self.entries):,} entries; {sizes})"

    def sizes(self) -> dict[str, int]:
        """Number of entries a category, categories in alphabetical order."""
        sizes = dict.fromkeys(self.categories, 0)
        for categories in self.entries.values():
            for category in categories:
                sizes[category] += 1
        return sizes


def load_lexicons(asked: str | Path | Lexicon | Sequence[str | Path | Lexicon]) -> tuple[Lexicon, ...]:
    """One or several lexicons, each by name, from a file or as it is; raises what `load_lexicon` raises."""
    listed = (asked,) if isinstance(asked, str | Path | Lexicon) else asked
    return tuple(item if isinstance(item, Lexicon) else load_lexicon(item) for item in listed)


def load_lexicon(name_or_path: str | Path) -> Lexicon:
    """A lexicon by name (bundled, or fetched with a checksum and cached) or from a file, then named after its stem.

    Names: `starter`, `big-two-nouns`, `big-two`, `mfd2`, `general-inquirer`. Files: CSV with the header `word,category`,
    LIWC `.dic` and `.dicx`, and the layouts of the published Big Two files. A word in several categories keeps all of
    them.

    Raises `BirthmarkError` for an unknown name, a file that is no lexicon, has no words, refers to a category that it
    does not declare, has a word of over 200 characters or a `*` elsewhere than at an entry's end.
    """
    named = NAMED.get(str(name_or_path))
    if named is not None:
        reading = named.read()
        return _lexicon(named.name, reading, named, source=named.source)
    path = Path(name_or_path)
    if not is_file(path) and not path.suffix and path.name == str(name_or_path):
        hint = did_you_mean(str(name_or_path), NAMED)
        raise BirthmarkError(f'no lexicon is called "{one_line(name_or_path)}": {hint}, or name a file')
    reading = read_lexicon_file(path)
    _refuse_faults(reading, path)
    return _lexicon(path.stem, reading, None, source=str(path))


def fold_foundations(lexicon: Lexicon, columns: Sequence[str] | None = None) -> Lexicon:
    """The lexicon with virtue and vice folded into one category: `Care_Virtue` and `Care_Vice` become `Care`.

    `columns`, where given, are the categories that are folded, and words of the others are left out.
    """
    taken = lexicon if columns is None else lexicon.only(columns)
    folded = {
        entry: tuple(dict.fromkeys(category.rpartition("_")[0] or category for category in categories))
        for entry, categories in taken.entries.items()
    }
    return replace(taken, entries=folded)


def _lexicon(name: str, reading: Reading, named: NamedLexicon | None, source: str) -> Lexicon:
    entries: dict[str, tuple[str, ...]] = {}
    for row in reading.rows:
        mine = entries.get(row.word, ())
        if row.category not in mine:
            entries[row.word] = (*mine, row.category)
    if named is None:
        return Lexicon(name, entries, validated=False, citation=None, licence=None, source=source)
    return Lexicon(name, entries, named.validated, named.citation, named.licence, source)


def _refuse_faults(reading: Reading, path: Path) -> None:
    if reading.unknown_ids:
        row = reading.unknown_ids[0]
        raise BirthmarkError(
            f'{path}, line {row.line}: "{one_line(row.word)}" has the category id {row.category}, which the header does not '
            "declare: add it to the header or remove it"
        )
    for row in reading.rows:
        if len(row.word) > MAX_WORD:
            raise BirthmarkError(
                f'{path}, line {row.line}: "{one_line(row.word, 40)}" has {len(row.word)} characters, and a word may have '
                f"{MAX_WORD}: is it the right file?"
            )
        if "*" in row.word[:-1] or row.word == "*":
            raise BirthmarkError(
                f'{path}, line {row.line}: "{one_line(row.word)}" has a `*` that does not end a stem: write `lov*`, nothing else'
            )
    if not reading.rows:
        raise BirthmarkError(f"{path} has no words: add at least one word with its category")
