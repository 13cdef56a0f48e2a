"""`birthmark implicit A B`, and `--grid A… -- B…`: the words of a command whose `--` separates two sides."""

from collections.abc import Sequence
from typing import Any

from birthmark.cli.build import Words
from birthmark.errors import BirthmarkError

BETWEEN = "--"
STANDS_FOR_BETWEEN = "\0between"  # no name of a model


class TwoSides(Words):
    """A command whose `--` separates the models of one side from those of the other; options may stand on both sides.

    The parser would take `--` for the end of the options and drop it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = [STANDS_FOR_BETWEEN if word == BETWEEN else word for word in args]
        return super().parse_args(ctx, args)


def pair(models: Sequence[str]) -> list[str]:
    """The two models A and B."""
    named = [model for model in models if model != STANDS_FOR_BETWEEN]
    if len(named) != 2:
        raise BirthmarkError(f"name two models, A and B, not {len(named)}; more models take --grid A… -- B…")
    return named


def two_sides(models: Sequence[str]) -> list[list[str]]:
    """The models before and after `--`."""
    if models.count(STANDS_FOR_BETWEEN) != 1:
        raise BirthmarkError("a grid's two sides are separated by --: birthmark implicit --grid A… -- B…")
    at = list(models).index(STANDS_FOR_BETWEEN)
    return [list(models[:at]), list(models[at + 1 :])]
