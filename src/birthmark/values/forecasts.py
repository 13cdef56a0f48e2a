"""A reward model's lean forecast from its base's, by what other bases and the reward models built on them show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import NotApplicable
from birthmark.records.choice import ChoiceLean, Forecast
from birthmark.scoring.table import ScoreTable
from birthmark.stats.forecast import FEWEST, jackknife_plus
from birthmark.values.joined import join_tables


@dataclass(frozen=True)
class History:
    """Score tables of base checkpoints as language models, and of reward models on them: `base_of` is one a reward model."""

    bases: dict[str, ScoreTable]
    reward_models: list[ScoreTable]
    base_of: list[str]

    @classmethod
    def of(cls, tables: Sequence[ScoreTable], frame: str) -> "History":
        """Each reward model with its base's table, by base checkpoint; tables of another frame and reward models whose
        base has no table are left out."""
        bases: dict[str, ScoreTable] = {}
        names: dict[str, str] = {}
        for table in tables:
            record = table.record
            if record.kind == "logprob" and record.frame == frame:
                name = record.base_checkpoint or record.model
                bases.setdefault(name, table)
                for other in (name, record.model, PurePath(record.model).name, record.slug):
                    names.setdefault(other, name)
        on = [
            (table, names.get(table.record.base_checkpoint or "")) for table in tables if table.record.kind == "reward"
        ]
        known = [(table, base) for table, base in on if base is not None]
        used = {base for _, base in known}
        return cls(
            {name: table for name, table in bases.items() if name in used},
            [table for table, _ in known],
            [base for _, base in known],
        )


def forecasts(
    history: History,
    candidates: Sequence[tuple[str, ScoreTable]],
    lexicon: Lexicon,
    seen: Sequence[ChoiceLean],
) -> list[Forecast] | NotApplicable:
    """The forecast of each candidate (its name here and its table as a language model), in contrasts of mean ranks.

    A candidate that is in the history is left out of its own forecast. `seen` is what the candidates' reward models show.
    Fewer than six base checkpoints give none.
    """
    if len(history.bases) < FEWEST:
        return NotApplicable(
            f"the history has {len(history.bases)} base checkpoints that were scored in this frame and have reward models, and "
            f"a forecast needs {FEWEST} or more"
        )
    try:
        return _forecasts(history, candidates, lexicon, seen)
    except BirthmarkError as error:
        return NotApplicable(str(error))


def _forecasts(
    history: History,
    candidates: Sequence[tuple[str, ScoreTable]],
    lexicon: Lexicon,
    seen: Sequence[ChoiceLean],
) -> list[Forecast]:
    names = sorted(history.bases)
    own = {name for name in names for _, table in candidates if _alike(history.bases[name], table)}
    new = [
        table for _, table in candidates if table.record.slug not in {history.bases[name].record.slug for name in own}
    ]
    x_of = _contrasts([*(history.bases[name] for name in names), *new], lexicon)
    y_of = _contrasts(history.reward_models, lexicon)
    x = np.array([x_of[history.bases[base].record.slug] for base in history.base_of])
    y = np.array([y_of[table.record.slug] for table in history.reward_models])
    groups = np.array(history.base_of)
    after = {item.base: item.lean for item in seen if item.lexicon == lexicon.name}
    found = []
    for base, table in candidates:
        others = np.array([not _alike(history.bases[name], table) for name in groups])
        at = x_of[table.record.slug]
        one = jackknife_plus(x[others], y[others], groups[others], np.array([at]))
        low, high, lean = float(one.low[0]), float(one.high[0]), after.get(base)
        found.append(
            Forecast(
                base=base,
                lexicon=lexicon.name,
                base_lean=at,
                forecast=float(one.estimate[0]),
                low=low,
                high=high,
                level=one.level,
                bases=len(set(groups[others])),
                reward_models=int(others.sum()),
                slope=one.slope,
                intercept=one.intercept,
                seen=lean,
                held=None if lean is None else low <= lean <= high,
            )
        )
    return found


def _alike(a: ScoreTable, b: ScoreTable) -> bool:
    """Whether two tables are of one checkpoint: by the digests of the weights, else by name."""
    if a.record.digests is None or b.record.digests is None:
        return a.record.model == b.record.model
    return a.record.digests.weights == b.record.digests.weights


def _contrasts(tables: Sequence[ScoreTable], lexicon: Lexicon) -> dict[str, float]:
    """Slug → contrast of mean ranks, among the words and prompts that all of these tables have."""
    joined = join_tables(tables, lexicon)
    if joined.mean_rank_contrasts is None:
        raise BirthmarkError(f"the history has no lean on {lexicon.name}: {joined.no_contrast_why}")
    return dict(zip((table.record.slug for table in tables), map(float, joined.mean_rank_contrasts), strict=True))
