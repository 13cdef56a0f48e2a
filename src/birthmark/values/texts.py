"""What a candidate's text is: Markdown, punctuation or white space alone, and how texts fold over case and space.

Knows nothing of scores.
"""

from typing import Literal, get_args

import polars as pl

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
