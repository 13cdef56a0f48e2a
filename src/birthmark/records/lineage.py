"""A reward model beside what it descends from: `lineage.json`."""

from typing import Literal

from birthmark.records.base import Framing, Kind, Record

Stage = Literal["pretrained", "instruct", "reward"]


class LineageCell(Record):
    """Mean over a framing's prompts of a category's median rank; 1 is best."""

    category: str
    framing: Framing
    mean_median_rank: float


class LineageStage(Record):
    """One model of a line, under one lexicon. Ranks are of rewards or of log-probabilities: `kind` says which."""

    model: str
    stage: Stage | None
    kind: Kind
    frame: Literal["chat", "qa", "bare"] | None
    n_candidates: int
    cells: list[LineageCell]
    contrast: float | None
    mean_rank_contrast: float | None


class LineageOf(Record):
    """A line's values under one lexicon, the oldest model first."""

    lexicon: str
    categories: list[str]
    stages: list[LineageStage]
    sentence: str


class Line(Record):
    reward_model: str
    models: list[str]
    lexicons: list[LineageOf]


class Lineage(Record):
    """`lineage.json`: for each reward model its base checkpoint, and what that was trained on from, oldest first."""

    lines: list[Line]
