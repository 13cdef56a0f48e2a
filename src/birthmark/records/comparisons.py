"""What relates models to each other: budgets, stages, lineages, personas, `map.json`."""

from typing import Annotated, Literal

from birthmark.records.base import Framing, Kind, ReasonIn, Record, Row, Shown


class WordShift(Record):
    """A word's change of mean rank against the reference, negative where it rose; `contrast` is positive − negative."""

    word: str
    categories: list[str]
    positive: float | None
    negative: float | None
    contrast: float | None


class BudgetCheck(Record):
    """One lexicon's quantity in the new model and in the reference; `moved` is |new − reference|, in ranks.

    For `median_rank` the values are those of the category and framing that moved most, named in `cell`. `words` are those
    that pulled most in the direction of the move. `ci_low` to `ci_high`: 95% of new − reference over words. `null_95`: what 95
    of 100 random relabelings of the words stay within; `p_null`: the share of them that move as far.
    """

    lexicon: str
    quantity: str
    limit: float
    new: str
    reference: str
    new_value: float
    reference_value: float
    moved: float
    within: bool
    cell: str | None
    n_candidates: int
    ci_low: float | None = None
    ci_high: float | None = None
    null_95: float | None = None
    p_null: float | None = None
    words: list[WordShift]
    sentence: str
    warnings: list[str] = []


class StageFit(Record):
    """What one stage says of the reward model's words, intervals over word stems.

    `spearman` of this stage alone, with its interval and the 95% of the null; `r_squared` explained by this stage and
    those before it, `added` beyond those before it, `added_ci_low` and `…_high` its interval, `added_null` the mean of
    what a random head's words give. `p_null`: how often a random head correlates at least as much, in size.
    """

    stage: str
    models: list[str]
    spearman: float
    ci_low: float
    ci_high: float
    null_low: float | None
    null_high: float | None
    p_null: float | None
    r_squared: float
    added: float
    added_ci_low: float
    added_ci_high: float
    added_null: float | None
    added_p_null: float | None


class StagesOf(Record):
    """The stages of one family's reward models, or of the gap between two families (`of` is then `b − a`).

    `left` is the share of variance that no earlier stage explains: what came with the preference data, and noise.
    """

    of: str
    reward_models: list[str]
    n_words: int
    stages: list[StageFit]
    left: float
    left_ci_low: float
    left_ci_high: float
    n_heads: Annotated[int | None, ReasonIn("null_why")]
    null_why: str | None
    sentence: str


class Stages(Shown, Record):
    """`stages/<lexicon>.json`: families first, then the gap where there are two."""

    lexicon: str
    families: list[str]
    found: list[StagesOf]
    gap_why: str | None = None
    warnings: list[str] = []

    def summary(self) -> str:
        return " ".join(item.sentence for item in self.found)

    def rows(self) -> list[Row]:
        """A row a family (or gap) and stage."""
        return [{"of": item.of, **stage.model_dump()} for item in self.found for stage in item.stages]


Stage = Literal["pretrained", "instruct", "reward"]


class LineageCell(Record):
    """Mean over a framing's prompts of a category's mean rank, of which contrasts are made, and of its median rank; 1 is best."""

    category: str
    framing: Framing
    mean_median_rank: float
    mean_rank: float | None = None


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


class PersonaLeaning(Record):
    """One model's leaning under one persona, with one lexicon; `shift` is what the persona adds to the neutral control.

    `contrast` is of median ranks, `mean_rank_contrast` of mean ranks, as in an effects file's `models[]`; null where the
    lexicon has more than two categories or the prompts no two framings. `shift` is of `mean_rank_contrast`; below zero is
    towards the first of the `categories`.
    """

    persona: str
    lexicon: str
    categories: list[str] = []
    kind: Kind
    model: str
    family: str | None
    contrast: float | None
    mean_rank_contrast: float | None
    shift: float | None


class Personas(Record):
    """`systems`: the system prompt of each persona, the control `neutral` first; each has a folder of its name in OUT."""

    neutral: str
    systems: dict[str, str]
    leanings: list[PersonaLeaning]


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
