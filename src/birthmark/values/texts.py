"""What a candidate's text is: Markdown, punctuation or white space alone, and how texts fold over case and space.

Knows nothing of scores.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.text import did_you_mean

Sort = Literal["markdown", "punctuation", "whitespace"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_NO_WORD = r"^[\s\p{P}\p{Sm}\p{Sc}\p{Sk}]*$"  # no letter, digit, emoji or mark of a script
_BLANK = r"^\s*$"
_MARKS = r"[*_#`~|]"  # Markdown wherever they stand
_LINE_STARTS = r"^[\s\-+=>]+$"  # Markdown where nothing else stands with them: lists, quotes, rules, underlines


def sort_of(text: pl.Expr) -> pl.Expr:
    """`markdown`, `punctuation`, `whitespace`, or null for a text with a letter, a digit or another sign in it.

    Markdown is a text without any of those that holds `*`, `_`, `#`, a backquote, `~` or `|`, or that is made of `-`, `+`,
    `=`, `>` (and white space) only: `**`, ` ##`, `**:`, `-`. Other texts of punctuation and symbols are punctuation.
    """
    bare = text.str.contains(_NO_WORD)
    return (
        pl.when(text.str.contains(_BLANK))
        .then(pl.lit("whitespace"))
        .when(bare & (text.str.contains(_MARKS) | text.str.contains(_LINE_STARTS)))
        .then(pl.lit("markdown"))
        .when(bare)
        .then(pl.lit("punctuation"))
    )


def folded(text: pl.Expr) -> pl.Expr:
    """Lower case, without the spaces it begins with; a text of spaces alone, or of a space and a line break, stays."""
    return text.str.to_lowercase().str.replace(r"^ +(\S)", "${1}")


def parse_sorts(given: str | Sequence[str]) -> tuple[Sort, ...]:
    """Names of sorts, each once, several joined by commas; raises `BirthmarkError` for another name."""
    parts = [part.strip() for text in ([given] if isinstance(given, str) else given) for part in text.split(",")]
    names = [name for name in dict.fromkeys(parts) if name]
    for name in names:
        if name not in SORTS:
            raise BirthmarkError(f'no candidates of the sort "{name}" can be set aside: {did_you_mean(name, SORTS)}')
    return tuple(sort for sort in SORTS if sort in names)
