"""How models relate: `map.json`."""

from birthmark.records.base import Kind, Record
from birthmark.shown import Row, Shown


class Likeness(Record):
    """How two models rank the things that both scored, averaged over prompts; 1 is the same order."""

    a: str
    b: str
    kendall: float
    spearman: float
    rbo: float


class MapPlace(Record):
    """A model's place on the two-dimensional map; `order` is its place in the clustered heat map, from 0."""

    model: str
    family: str | None
    base_checkpoint: str | None
    x: float
    y: float
    order: int


class Predictor(Record):
    """What a shared (or closer) attribute does to the rank correlation of two models, the others held fixed."""

    predictor: str
    coefficient: float
    p: float
    simple_r: float
    simple_p: float
    n_shuffles: int


class Valued(Record):
    """One thing's rank among people and in the models; `difference` is models − people, negative is overvalued."""

    name: str
    human_rank: float
    model_rank: float
    difference: float


class HumanAgreement(Record):
    """How one model's ranking agrees with people's, after one prompt or (prompt null) the mean over prompts."""

    model: str
    prompt: str | None
    kendall: float
    spearman: float
    rbo: float
    overvalued: list[Valued] = []
    undervalued: list[Valued] = []


class Map(Shown, Record):
    """`map.json`: how models relate to each other and, where a human ranking is given, to people."""

    kind: Kind
    models: list[str]
    prompts: list[str]
    n_candidates: int
    n_left_out: int
    rbo_p: float
    likeness: list[Likeness]
    places: list[MapPlace]
    stress: float
    predictors: list[Predictor]
    predictors_why: str | None = None
    human_file: str | None = None
    n_human: int | None = None
    humans: list[HumanAgreement] = []
    overvalued: list[Valued] = []
    undervalued: list[Valued] = []
    warnings: list[str] = []

    def summary(self) -> str:
        return f"{len(self.models)} models by their ranks of {self.n_candidates:,} candidates"

    def rows(self) -> list[Row]:
        """A row a pair of models."""
        return [pair.model_dump() for pair in self.likeness]
