"""Where two categories stand for each side of a comparison, in each framing: what the leading sentence and figure show.

A gap is the first category's mean rank less the second's, so that it is positive where the second ranks higher. The
contrast is the gap when asked for the best less the gap when asked for the worst.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from birthmark.records import Effects, Framing


@dataclass(frozen=True)
class Side:
    """A model or a family's models: the gap asked for the best and for the worst, in places; `several` models or one."""

    name: str
    family: str
    best: float
    worst: float
    several: bool = False

    @property
    def change(self) -> float:
        """The contrast of mean ranks."""
        return self.best - self.worst

    def verb(self, plural: str) -> str:
        return plural if self.several else {"do": "does"}.get(plural, f"{plural}s")


def model_sides(effects: Effects) -> list[Side]:
    """Every model; empty unless there are two categories and both framings, with mean ranks (older records have none)."""
    if len(effects.categories) != 2:
        return []
    ranks = {(cell.model, cell.category, cell.framing): cell.mean_rank for cell in effects.model_cells}
    found = []
    for item in effects.models:
        best, worst = (_gap(ranks, item.model, effects.categories, framing) for framing in ("positive", "negative"))
        if best is None or worst is None:
            return []
        found.append(Side(item.model, item.family, best, worst))
    return found


def _gap(
    ranks: dict[tuple[str, str, Framing], float | None], model: str, categories: Sequence[str], framing: Framing
) -> float | None:
    first, second = (ranks.get((model, name, framing)) for name in categories)
    return None if first is None or second is None else first - second


def sides_of(effects: Effects) -> list[Side]:
    """The two families, or one or two models of one family: what the finding speaks of. Empty where it speaks of more.

    A family's gaps are means over its base checkpoints where families are tested over these, else over its models.
    """
    models = model_sides(effects)
    if len(effects.families) == 1:
        return models if len(models) <= 2 else []
    if len(effects.families) != 2 or not models:
        return []
    return [_family(effects, models, family) for family in effects.families]


def _family(effects: Effects, models: Sequence[Side], family: str) -> Side:
    base_of = {item.model: item.base_checkpoint for item in effects.models}
    members = [side for side in models if side.family == family]
    if len(members) == 1:
        return members[0]
    units: dict[str, list[Side]] = {}
    for side in members:
        units.setdefault(base_of[side.name] if effects.headline is not None else side.name, []).append(side)
    best, worst = (
        fmean(fmean(getattr(side, framing) for side in unit) for unit in units.values())
        for framing in ("best", "worst")
    )
    name = f"{family} models" if effects.headline is not None else f"the {len(members)} {family} models"
    return Side(name, family, best, worst, several=True)
