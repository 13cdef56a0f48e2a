"""Candidates: the one-word answers that are scored. The scorer lists the vocabulary; this module reads the words."""

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.lexicon_files import looks_like_lexicon
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.text import MEGABYTE, is_file, looks_like_file, read_words
from birthmark.inputs.words import Cleaner, clean_text, clean_word, one_edit_apart
from birthmark.records import Kind

MAX_BYTES = 16 * MEGABYTE
KEYWORDS = ("lexicon", "vocabulary")
_TABLES = (".csv", ".tsv", ".tab")
_OTHER_FILES = re.compile(r"\.(dicx?|jsonl?|ya?ml|toml|parquet|xlsx?|ods|docx?|pdf|gz|zip|safetensors)", re.IGNORECASE)
_ENDING = re.compile(r"[\w-]+(\.[\w-]+)*\.[a-z]{2,8}")  # of a lone word: any file's, `words.tx` and `cands.cvs` too
_HEADS = ("word", "words", "candidate", "candidates", "response", "term", "token")
HOW = "write one candidate a line, without a header"

CandidateSpec = str | tuple[str, ...] | None
"""What `--candidates` or `candidates=` says: a keyword, a file's name or words joined by commas; or words one by one."""


@dataclass(frozen=True)
class Candidates:
    """Whether the whole vocabulary is scored, and which words are scored: each once, in order of first appearance.

    `notes`: what reading the words changed, such as invisible characters that were dropped.
    """

    vocabulary: bool
    words: tuple[str, ...]
    name: str
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of what is scored, in order; independent of the name."""
        digest = hashlib.sha256(b"vocabulary\0" if self.vocabulary else b"words\0")
        for word in self.words:
            digest.update(word.encode() + b"\0")
        return digest.hexdigest()


def candidate_spec(given: object) -> CandidateSpec:
    """What a person gives in Python, as `load_candidates` takes it: text, a path, or words one by one.

    Raises `BirthmarkError` for a word that is not text.
    """
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        return _require_file(Path(given))
    words = tuple(given) if isinstance(given, Iterable) and not isinstance(given, bytes | dict) else (given,)
    for word in words:
        if not isinstance(word, str):
            raise BirthmarkError(f"a candidate is text, not {one_line(repr(word), 40)}: give a list of words")
    return words


def load_candidates(spec: str | Sequence[str] | None, lexicons: Sequence[Lexicon], kind: Kind) -> Candidates:
    """The candidates that `--candidates` names, for a reward model or a language model.

    `None`: the lexicons' words and, for a language model, the vocabulary. `lexicon`: the lexicons' words. `vocabulary`:
    the vocabulary and, for a language model, the lexicons' words. A file that exists: one candidate per line, no header;
    only line ends (`\\n`, `\\r\\n`, `\\r`) and a byte order mark are stripped, a keyboard's spaces count, and empty lines are
    skipped. Other text: words separated by commas, with surrounding spaces stripped. A list: its elements as they are,
    commas and spaces included. Lexicon stems (`lov*`) are not candidates. Everywhere letters are composed (NFC), and
    invisible characters and unusual spaces at the ends are dropped, which `notes` tells.

    Raises `BirthmarkError` for a file that is missing, over 16 MB, in an encoding that cannot be told or a table, for a
    single word that looks like a file or is close to a keyword, and if there is nothing to score.
    """
    lexicon_words = _once(word for lexicon in lexicons for word in lexicon.words)
    if spec is None or (isinstance(spec, str) and spec in KEYWORDS):
        notes = tuple(dict.fromkeys(note for lexicon in lexicons for note in lexicon.notes))
        if spec == "vocabulary":
            named = (lexicon_words, notes) if kind == "logprob" else ((), ())
            return Candidates(True, named[0], "vocabulary", named[1])
        vocabulary = spec is None and kind == "logprob"
        if not lexicon_words and not vocabulary:
            raise BirthmarkError("the lexicons have only stems, no words to score: give candidates with --candidates")
        return Candidates(vocabulary, lexicon_words, "lexicon" if not vocabulary else "vocabulary", notes)
    path = Path(spec) if isinstance(spec, str) else None
    if path is not None and is_file(path):
        return _from_file(path)
    clean = Cleaner("candidate", clean_word if isinstance(spec, str) else clean_text)
    words = _once(filter(None, map(clean, spec.split(",") if isinstance(spec, str) else spec)))
    if not words:
        raise BirthmarkError("--candidates names no words: write lexicon, vocabulary, a file, or word,word")
    if isinstance(spec, str):
        _check_words(spec, words)
    for word in words:
        if re.fullmatch(r"\w+\*", word):
            raise BirthmarkError(f'"{one_line(word)}" is a stem, not a candidate: write out the words')
    return Candidates(False, words, "words", tuple(map(str, clean.notices())))


# --------------------------------------------------------------------------------------------------------- a file


def _from_file(path: Path) -> Candidates:
    if _OTHER_FILES.fullmatch(path.suffix):
        give = f"give it as --lexicon {path}" if path.suffix.lower().startswith(".dic") else HOW
        raise BirthmarkError(f'{path} ends with "{path.suffix}", which is no list of candidates: {give}')
    text, assumed = read_words(path, "candidates", MAX_BYTES)
    lines = re.split(r"\r\n|\r|\n", text)
    lines = [line for line in lines if line]
    if not lines:
        raise BirthmarkError(f"{path} has no candidates: write one per line")
    if looks_like_lexicon(lines[0]) or lines[0].strip() == "%":
        raise BirthmarkError(f"{path} is a lexicon, not a list of candidates: give it as --lexicon {path}, or {HOW}")
    if path.suffix.lower() in _TABLES:
        lines = _one_column(text, path)
    elif all(re.search(r"\S[,;\t](?=[^\s\d])", line) for line in lines):
        raise BirthmarkError(f"{path} is a table, as its first line `{one_line(lines[0], 40)}` shows: {HOW}")
    clean = Cleaner("candidate", clean_text)
    words = _once(filter(None, map(clean, lines)))
    if not words:
        raise BirthmarkError(f"{path} has no candidates: write one per line")
    said = ((assumed,) if assumed else ()) + tuple(map(str, clean.notices()))
    return Candidates(False, words, path.stem, tuple(f"{path.name}: {note}" for note in said))


def _one_column(text: str, path: Path) -> list[str]:
    """The cells of a CSV of one column, without its header where that is a usual one."""
    mark = "\t" if path.suffix.lower() != ".csv" else ","
    try:
        rows = [cells for cells in csv.reader(StringIO(text, newline=""), delimiter=mark, strict=True) if any(cells)]
    except csv.Error as error:
        raise BirthmarkError(f"{path} is not CSV ({error}): {HOW}") from None
    if any(len(cells) > 1 or ";" in cells[0] for cells in rows):
        shown = one_line(mark.join(next(cells for cells in rows if len(cells) > 1 or ";" in cells[0])), 40)
        raise BirthmarkError(f"{path} has several columns, as in `{shown}`: {HOW}")
    first = 1 if rows and clean_word(rows[0][0]).lower() in _HEADS else 0
    return [cells[0] for cells in rows[first:]]


# ------------------------------------------------------------------------------------------------ words or a mistake


def _check_words(spec: str, words: Sequence[str]) -> None:
    """Raise for words that are probably files or keywords, mistyped or joined; among other words each is a word."""
    if all(map(looks_like_file, words)) or (len(words) == 1 and _ENDING.fullmatch(words[0])):
        if len(words) == 1:
            _require_file(Path(words[0] if words[0] in spec else spec))
        raise BirthmarkError(f"--candidates {one_line(spec)} names several files: give one, with a candidate a line")
    meant = [_keyword(word) for word in words]
    if all(meant):
        raise BirthmarkError(
            f"--candidates {one_line(spec)}: did you mean {meant[0]}? As a word, it is scored in a list of several, "
            "such as word,word"
        )


def _keyword(word: str) -> str | None:
    """The keyword that a word is close to: by one edit, by its beginning, or as another form of it."""
    folded = word.casefold()
    for keyword in KEYWORDS:
        begun = len(folded) >= 5 and keyword.startswith(folded)
        if begun or one_edit_apart(folded, keyword) or SequenceMatcher(None, folded, keyword).ratio() >= 0.8:
            return keyword
    return None


def _require_file(path: Path) -> str:
    """The path of a file that must be there; `read_words` says what is wrong with one that is not."""
    if not is_file(path):
        read_words(path, "candidates", MAX_BYTES)
    return str(path)


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
