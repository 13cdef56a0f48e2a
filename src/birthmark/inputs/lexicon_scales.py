"""Lexicons in numbers: 0 and 1 (NRC EmoLex), probabilities (eMFD), ratings (NRC VAD): which words are in which category.

A column of 0 and 1 marks its words. Another column is a scale: the third of its words with the highest values is in its
category. A scale with two ends, such as valence, has a category at either end.
"""

import re
from collections.abc import Sequence

import numpy as np

from birthmark.inputs.words import Notice

YES, NO = ("x", "1", "1.0"), ("", "na", "nan", "0", "0.0")
_NUMBER = re.compile(r"[-+]?(?:\d{1,15}(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d{1,2})?", re.ASCII | re.IGNORECASE)
_TWO_ENDS = re.compile(r"valence|arousal|dominance|pleasure|polarity|sentiment|concreteness", re.IGNORECASE)
_PROBABILITY = re.compile(r"(.+?)[_. ](?:p|prob|probability)", re.IGNORECASE)
_SENTIMENT = re.compile(r"(.+?)[_. ]sent(?:iment)?", re.IGNORECASE)

Cell = tuple[int, str, str]
"""Line, word, and what is written for the word."""


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
