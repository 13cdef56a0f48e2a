"""Two sides of language models, every one of the first against every one of the second, and the units that they are.

Models on one base checkpoint are not independent, so the unit is the base checkpoint where all are known and none is on
both sides, else the model. Knows nothing of what is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import GridSide, Unit
from birthmark.scores import ScoreTable


@dataclass(frozen=True)
class Sides:
    """`first` and `second` hold the score tables of language models, none of them twice."""

    first: tuple[ScoreTable, ...]
    second: tuple[ScoreTable, ...]

    @property
    def tables(self) -> tuple[ScoreTable, ...]:
        return (*self.first, *self.second)

    @cached_property
    def is_b(self) -> np.ndarray:
        """bool [models]: who is on the second side."""
        return np.arange(len(self.tables)) >= len(self.first)

    @cached_property
    def names(self) -> tuple[str, str]:
        """The two families where each side is of one, else `A` and `B`."""
        families = [{table.record.family for table in side} for side in (self.first, self.second)]
        if all(len(found) == 1 and None not in found for found in families) and families[0] != families[1]:
            return str(*families[0]), str(*families[1])
        return "A", "B"

    @cached_property
    def records(self) -> tuple[GridSide, GridSide]:
        first, second = (
            GridSide(
                name=name,
                models=[table.model for table in side],
                base_checkpoints=[table.record.base_checkpoint or table.model for table in side],
            )
            for name, side in zip(self.names, (self.first, self.second), strict=True)
        )
        return first, second

    @cached_property
    def unit(self) -> Unit:
        bases = [{table.record.base_checkpoint for table in side} for side in (self.first, self.second)]
        known = None not in bases[0] | bases[1]
        return "base_checkpoint" if known and not bases[0] & bases[1] else "model"

    @cached_property
    def membership(self) -> np.ndarray:
        """float [units, models]: each row sums to one, so that `membership @ values` are means over a unit's models."""
        labels = [
            str(table.record.base_checkpoint) if self.unit == "base_checkpoint" else table.model
            for table in self.tables
        ]
        units = list(dict.fromkeys(labels))
        rows = np.array([[label == unit for label in labels] for unit in units], dtype=float)
        return rows / rows.sum(axis=1, keepdims=True)

    @cached_property
    def unit_is_b(self) -> np.ndarray:
        """bool [units]."""
        return (self.membership @ self.is_b) > 0.5

    @property
    def n_units(self) -> dict[str, int]:
        n_b = int(self.unit_is_b.sum())
        return dict(zip(self.names, (len(self.unit_is_b) - n_b, n_b), strict=True))

    def unit_pairs(self, values: np.ndarray) -> np.ndarray:
        """Values of ordered pairs of models [models, models] → means over ordered pairs of units [units, units]."""
        return np.asarray(self.membership @ values @ self.membership.T)


def make_sides(first: Sequence[ScoreTable], second: Sequence[ScoreTable]) -> Sides:
    """Raises `BirthmarkError` for an empty side, a table of rewards, or a model that is there twice."""
    if not first or not second:
        raise BirthmarkError("a grid takes models on both sides: birthmark implicit --grid A… -- B…")
    seen: set[str] = set()
    for table in (*first, *second):
        if table.record.kind != "logprob":
            raise BirthmarkError(f"{table.model} gives rewards: an implicit reward is between two language models")
        if table.record.slug in seen:
            raise BirthmarkError(f"{table.model} is in the grid twice: name each model once, on one side")
        seen.add(table.record.slug)
    return Sides(tuple(first), tuple(second))
