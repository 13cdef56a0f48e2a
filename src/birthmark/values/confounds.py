"""What else sets a lexicon's words apart: how common, how long, and how many tokens they are.

A category of rarer or longer words ranks lower for that alone. Here this is measured, word by word and category by
category; what to do about it is the business of `controls`.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import Confound, NotApplicable
from birthmark.scoring.measure import NO_FREQUENCY, has_frequency
from birthmark.scoring.table import ScoreTable
from birthmark.values.joined import Joined


def confounds(joined: Joined, tables: Sequence[ScoreTable]) -> list[Confound]:
    """Mean frequency, length and token count of each category's ranked words, categories in alphabetical order.

    What is not known is null with its reason: frequency without the extra `frequency`, token counts of a table that
    has none (a published one).
    """
    known = has_frequency()
    per_word = zipf_frequencies(joined.words) if known else None
    lengths = word_lengths(joined.words)
    tokens = {table.model: token_counts(table, joined.words) for table in tables}
    unknown = [model for model, counts in tokens.items() if counts is None]
    return [
        Confound.build(
            category=category,
            n_words=int(member.sum()),
            frequency=NotApplicable(NO_FREQUENCY) if per_word is None else float(per_word[member].mean()),
            frequency_source=f"Zipf, wordfreq {version('wordfreq')}, English" if known else None,
            length=float(lengths[member].mean()),
            tokens={
                model: None if counts is None else float(counts[member].mean()) for model, counts in tokens.items()
            },
            tokens_why=f"the tables of {', '.join(unknown)} do not say how words were tokenized" if unknown else None,
        )
        for category, member in zip(joined.categories, joined.member, strict=True)
    ]


def zipf_frequencies(words: Sequence[str]) -> np.ndarray:
    """Zipf frequency of English words, float64 [words]: log10 of occurrences in 10⁹ words; 0 for a word not listed.

    Case and spaces at the ends do not matter. Speer 2022, wordfreq; the scale is van Heuven et al. 2014. Raises
    `BirthmarkError` where wordfreq is not installed.
    """
    if not has_frequency():
        raise BirthmarkError(f"word frequency is not known: {NO_FREQUENCY}")
    from wordfreq import zipf_frequency

    return np.array([zipf_frequency(word.strip(), "en") for word in words], dtype=np.float64)


def word_lengths(words: Sequence[str]) -> np.ndarray:
    """Characters of each word, spaces at its ends not counted: float64 [words]."""
    return np.array([len(word.strip()) for word in words], dtype=np.float64)


def token_counts(table: ScoreTable, words: Sequence[str]) -> np.ndarray | None:
    """Tokens of each word in the table's model, float64 [words]; None where the table does not say.

    For a language model the longest of a word's forms; a word that had no row of its own and took its token's is one.
    """
    known = table.record.word_tokens
    if known is None:
        return None
    own_token = set(table.tokens["candidate"])
    counts = [known.get(word, 1 if word in own_token else None) for word in words]
    return None if None in counts else np.array(counts, dtype=np.float64)
