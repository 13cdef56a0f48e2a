"""Candidates as a reader can see them: spaces, line breaks and invisible characters get a mark.

Knows nothing of HTML; what it returns still needs escaping.
"""

import unicodedata
from dataclasses import dataclass

MARKS = {" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
LONGEST = 32


@dataclass(frozen=True)
class Piece:
    """A stretch of a candidate: its own text, or (`mark`) a sign that stands for what cannot be seen."""

    text: str
    mark: bool = False


def pieces(candidate: str) -> list[Piece]:
    """Split a candidate into what is seen as it is and marks: ` love` becomes ␣ and `love`.

    Runs of one unseen character are counted (`␣×24`), control and format characters are named by their code point
    (except the joiners and selectors that make up an emoji), and a long text is cut with an ellipsis.
    """
    if not candidate:
        return [Piece("empty", mark=True)]
    result: list[Piece] = []
    plain = ""
    at = 0
    while at < len(candidate):
        sign = _mark(candidate, at)
        if sign is None:
            plain += candidate[at]
            at += 1
            continue
        if plain:
            result.append(Piece(_cut(plain)))
            plain = ""
        run = at
        while run < len(candidate) and candidate[run] == candidate[at]:
            run += 1
        times = run - at
        result.append(Piece(sign * times if times <= 3 else f"{sign}×{times}", mark=True))
        at = run
    if plain:
        result.append(Piece(_cut(plain)))
    return result if len(result) <= 12 else [*result[:12], Piece("…", mark=True)]


def visible(candidate: str) -> str:
    """The same as one plain string, for figures and Markdown."""
    return "".join(piece.text for piece in pieces(candidate))


def spoken(candidate: str) -> str:
    """What a screen reader should say instead of marks: `space love`."""
    names = {
        " ": " space ",
        "\n": " line break ",
        "\r": " carriage return ",
        "\t": " tab ",
        "\u00a0": " no-break space ",
    }
    return " ".join("".join(names.get(character, character) for character in candidate[:LONGEST]).split()) or "empty"


def _mark(text: str, at: int) -> str | None:
    character = text[at]
    if character in MARKS:
        inside = character == " " and 0 < at < len(text) - 1 and text[at - 1] != " " and text[at + 1] != " "
        return None if inside else MARKS[character]
    joins = character in "\u200d\u200c\ufe0f\ufe0e" and 0 < at
    category = unicodedata.category(character)
    if not joins and (category[0] == "C" or category in ("Zs", "Zl", "Zp")):
        return f"U+{ord(character):04X}"
    return None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
