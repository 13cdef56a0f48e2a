"""Candidates: the one-word answers that are scored. The scorer lists the vocabulary; this module reads the words."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.text import MEGABYTE, is_file, one_line, read_text
from birthmark.records import Kind

MAX_BYTES = 16 * MEGABYTE


@dataclass(frozen=True)
class Candidates:
    """Whether the whole vocabulary is scored, and which words are scored: each once, in order of first appearance."""

    vocabulary: bool
    words: tuple[str, ...]
    name: str

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of what is scored, in order; independent of the name."""
        digest = hashlib.sha256(b"vocabulary\0" if self.vocabulary else b"words\0")
        for word in self.words:
            digest.update(word.encode() + b"\0")
        return digest.hexdigest()


def load_candidates(spec: str | None, lexicons: Sequence[Lexicon], kind: Kind) -> Candidates:
    """The candidates that `--candidates` names, for a reward model or a language model.

    `None`: the lexicons' words and, for a language model, the vocabulary. `lexicon`: the lexicons' words. `vocabulary`:
    the vocabulary and, for a language model, the lexicons' words. A file (one that exists, or a name that ends with
    `.txt` or has a slash): UTF-8, one candidate per line, no header. Only line ends (`\\n`, `\\r\\n`) and a byte order mark
    are stripped, spaces count, and empty lines are skipped. Anything else: words separated by commas, with surrounding
    spaces stripped. Lexicon stems (`lov*`) are not candidates.

    Raises `BirthmarkError` for a file that is missing, over 16 MB or not UTF-8, and if there is nothing to score.
    """
    lexicon_words = _once(word for lexicon in lexicons for word in lexicon.words)
    if spec is None or spec == "lexicon":
        vocabulary = spec is None and kind == "logprob"
        if not lexicon_words and not vocabulary:
            raise BirthmarkError("the lexicons have only stems, no words to score: give candidates with --candidates")
        return Candidates(vocabulary, lexicon_words, "lexicon" if not vocabulary else "vocabulary")
    if spec == "vocabulary":
        return Candidates(True, lexicon_words if kind == "logprob" else (), "vocabulary")
    path = Path(spec)
    if is_file(path) or spec.endswith(".txt") or "/" in spec:
        return Candidates(False, _file_words(path), path.stem)
    return Candidates(False, _given_words(spec), "words")


def _file_words(path: Path) -> tuple[str, ...]:
    lines = (line.removesuffix("\r") for line in read_text(path, "candidates", MAX_BYTES).split("\n"))
    words = _once(line for line in lines if line)
    if not words:
        raise BirthmarkError(f"{path} has no candidates: write one per line")
    return words


def _given_words(spec: str) -> tuple[str, ...]:
    words = _once(word.strip() for word in spec.split(",") if word.strip())
    if not words:
        raise BirthmarkError("--candidates names no words: write lexicon, vocabulary, a file, or word,word")
    for word in words:
        if re.fullmatch(r"\w+\*", word):
            raise BirthmarkError(f'"{one_line(word)}" is a stem, not a candidate: write out the words')
    return words


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
