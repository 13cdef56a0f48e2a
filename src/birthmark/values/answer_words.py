"""Which words of a policy's answers are a lexicon's, and answers that say little: empty, cut off, repeated, going in circles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.inputs.lexicons import Lexicon
from birthmark.values.ranks import stems

WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
RUN = 4  # words
CIRCLES = 0.5


def words_in(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters, which an apostrophe or a hyphen may join."""
    return [word.replace("’", "'") for word in WORD.findall(text.casefold())]


def goes_in_circles(words: Sequence[str]) -> bool:
    """Whether over half of a text's runs of four words stand earlier in it already."""
    runs = [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]
    return bool(runs) and 1 - len(set(runs)) / len(runs) > CIRCLES


@dataclass(frozen=True)
class AnswerWords:
    """The words of answers [questions][n], and the number of words of each, float64 [questions, n]."""

    words: list[list[list[str]]]
    totals: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> "AnswerWords":
        words = [[words_in(text) for text in group] for group in texts]
        return cls(words, np.array([[float(len(answer)) for answer in group] for group in words]))

    @property
    def vocabulary(self) -> list[str]:
        """Every word once, in alphabetical order."""
        return sorted({word for group in self.words for answer in group for word in answer})

    def counts(self, chosen: Sequence[frozenset[str]]) -> np.ndarray:
        """How many words of each answer are in each set: float64 [sets, questions, n]."""
        found = np.zeros((len(chosen), *self.totals.shape))
        for question, group in enumerate(self.words):
            for at, answer in enumerate(group):
                for row, members in enumerate(chosen):
                    found[row, question, at] = sum(word in members for word in answer)
        return found


def category_words(lexicon: Lexicon, vocabulary: Sequence[str]) -> dict[str, frozenset[str]]:
    """Of each category, the words of a vocabulary that are its own: by stem, so that `caring` is one of `care`.

    A word is a category's where its stem (English, Snowball) is that of one of the category's words, or where it begins with
    one of its entries `lov*`. Entries of several words are nobody's here.
    """
    whole = [entry for entry in lexicon.words if " " not in entry.strip()]
    of_stem: dict[str, set[str]] = {}
    for entry, stem in zip(whole, stems(whole), strict=True):
        of_stem.setdefault(stem, set()).update(lexicon.entries[entry])
    beginnings = {entry[:-1].casefold(): lexicon.entries[entry] for entry in lexicon.stems}
    found: dict[str, set[str]] = {category: set() for category in lexicon.categories}
    for word, stem in zip(vocabulary, stems(vocabulary), strict=True):
        mine = {*of_stem.get(stem, ())}
        for beginning, categories in beginnings.items():
            if word.startswith(beginning):
                mine.update(categories)
        for category in mine:
            found[category].add(word)
    return {category: frozenset(words) for category, words in found.items()}


def entries_of_several_words(lexicon: Lexicon) -> int:
    """How many entries of a lexicon are phrases."""
    return sum(" " in entry.strip() for entry in lexicon.entries)
