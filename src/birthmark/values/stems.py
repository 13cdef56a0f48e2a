"""Words grouped by stem: inflections of one word (`cares`, `cared`, `caring`) are not independent draws from a language.

English inflections only, by rule and without a dictionary: plural and third person, past, participle, adverb. Knows
nothing of what words mean: `care` and `careful` stay apart, `universe` and `universal` too.
"""

import re
from collections.abc import Iterable

# Tried in this order; what is left must have a vowel and three letters or more.
SUFFIXES = (("'s", ""), ("iness", "y"), ("ness", ""), ("ily", "y"), ("ly", ""), ("ies", "y"), ("ied", "y"))
INFLECTIONS = ("ings", "ing", "edly", "ed", "es", "s")
DOUBLED = re.compile(r"([bdgmnprt])\1$")
VOWEL = re.compile(r"[aeiouy]")


def stem(word: str) -> str:
    """The stem of an English word, lower-case: `stem("caring") == stem("Cares") == stem("care") == "car"`.

    A stem is a label to group by, not a word. Endings come off in two rounds (adverb or noun of quality, then
    inflection), a doubled consonant becomes single, a final e goes.
    """
    label = word.lower().strip()
    for ending, instead in SUFFIXES:
        label = _without(label, ending, instead)
    for ending in INFLECTIONS:
        if ending == "s" and label.endswith(("ss", "us", "is")):
            continue
        shorter = _without(label, ending, "")
        if shorter != label:
            label = DOUBLED.sub(r"\1", shorter)
            break
    return _without(label, "e", "")


def stems(words: Iterable[str]) -> list[str]:
    """Each word's stem, in order."""
    return [stem(word) for word in words]


def _without(word: str, ending: str, instead: str) -> str:
    rest = word.removesuffix(ending)
    return rest + instead if rest != word and len(rest) >= 3 and VOWEL.search(rest) else word
