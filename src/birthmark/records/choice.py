"""`choice.json`: candidate bases as language models and under equal reward models, what is told apart, what it would take."""

from typing import Annotated, Literal

from birthmark.records.base import ReasonIn, Record, Row, Shown

Measured = Literal["accuracy", "lean"]
Template = Literal["own", "plain", "given"]


class ChoiceBase(Record):
    """A candidate: `base` is what it is called here, `name` what was asked for.

    `chat_template` of its reward models: its `own`, one that was `given`, or the bundled `plain` where it has none.
    """

    base: str
    name: str
    family: str
    weights: str
    chat_template: Template
    frame: str


class BaseLean(Record):
    """A base's contrast of mean ranks as a language model, with its interval over words."""

    base: str
    lexicon: str
    lean: float
    words_low: Annotated[float | None, ReasonIn("words_why")]
    words_high: Annotated[float | None, ReasonIn("words_why")]
    words_why: str | None


class ChoiceAccuracy(Record):
    """The share of held-out pairs whose chosen answer has the higher reward (equal rewards: one half), a mean over seeds.

    `held_out` pairs count. The interval over pairs is Wilson's, that over seeds Student's.
    """

    base: str
    pairs: int
    trained: int
    seeds: list[int]
    runs: list[str]
    by_seed: list[float]
    accuracy: float
    held_out: int
    pairs_low: float
    pairs_high: float
    seeds_low: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_high: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_why: str | None


class ChoiceLean(Record):
    """The contrast of mean ranks of a base's reward models after training, a mean over seeds.

    `heads_…`: what 95% of the same number of random heads on this base give, as a mean.
    """

    base: str
    lexicon: str
    pairs: int
    seeds: list[int]
    by_seed: list[float]
    lean: float
    words_low: Annotated[float | None, ReasonIn("words_why")]
    words_high: Annotated[float | None, ReasonIn("words_why")]
    words_why: str | None
    seeds_low: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_high: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_why: str | None
    heads: int | None
    heads_low: Annotated[float | None, ReasonIn("heads_why")]
    heads_high: Annotated[float | None, ReasonIn("heads_why")]
    outside_heads: Annotated[bool | None, ReasonIn("heads_why")]
    heads_why: str | None


class Difference(Record):
    """Two bases' reward models after as many pairs, b − a: of `accuracy` (a share) or of a lexicon's `lean` (ranks).

    `sample_…` is over held-out pairs or over words, `seeds_…` over seeds, which the two have in common. `p` is the larger of
    the two, `p_holm` that over all pairs of bases; `told_apart` where it is below .05. `heads_…`: 95% of the differences
    between random heads, and whether this one is outside.
    """

    measured: Measured
    lexicon: str | None
    pairs: int
    base_a: str
    base_b: str
    difference: float
    sample_low: Annotated[float | None, ReasonIn("sample_why")]
    sample_high: Annotated[float | None, ReasonIn("sample_why")]
    p_sample: Annotated[float | None, ReasonIn("sample_why")]
    sample_why: str | None
    seeds_low: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_high: Annotated[float | None, ReasonIn("seeds_why")]
    p_seeds: Annotated[float | None, ReasonIn("seeds_why")]
    seeds_why: str | None
    heads_low: float | None = None
    heads_high: float | None = None
    outside_heads: bool | None = None
    p: float | None
    p_holm: float | None
    told_apart: bool
    sentence: str


class Needed(Record):
    """What it would take to tell two bases apart with 80% power, if they differ by as much as they seem to.

    `detectable`: the difference that these seeds would find. `bases`: base checkpoints a family for the same of two
    families, with the published spread between base checkpoints.
    """

    measured: Measured
    lexicon: str | None
    base_a: str
    base_b: str
    difference: float
    seeds: int | None
    seeds_why: str | None
    detectable: float | None
    detectable_why: str | None
    held_out: int | None
    held_out_why: str | None
    bases: int | None
    bases_why: str | None
    sentence: str


class Distance(Record):
    """How far a base's reward models are from the target, in ranks, and whether their intervals hold it."""

    base: str
    lexicon: str
    target: float
    distance: float
    within_words: bool | None
    within_seeds: bool | None


class Nearer(Record):
    """Two bases' distances from the target, b − a: `nearer` is the nearer base where both intervals leave 0 out."""

    lexicon: str
    base_a: str
    base_b: str
    difference: float
    nearer: str | None


class Forecast(Record):
    """A reward model's contrast from its base's, by regression over base checkpoints, with its interval at `level`.

    `seen` is what this study's reward models with the most pairs give, and whether the interval holds it.
    """

    base: str
    lexicon: str
    base_lean: float
    forecast: float
    low: float
    high: float
    level: float
    bases: int
    reward_models: int
    slope: float
    intercept: float
    seen: float | None
    held: bool | None


class Choice(Shown, Record):
    """`choice.json`. `pairs` are the pair counts, `seeds` those of all bases; `target` as it was asked for.

    `best` is the one base with the highest accuracy, and with a target `nearest` the one that is nearest to it, each null
    where more than one may be; `why` says why none is named. `questions` were left after holding out.
    """

    bases: list[ChoiceBase]
    preferences: str
    pairs: list[int]
    seeds: list[int]
    held_out: int
    held_out_dropped: int
    questions: int
    lexicons: list[str]
    language: list[BaseLean]
    accuracies: list[ChoiceAccuracy]
    leans: list[ChoiceLean]
    differences: list[Difference]
    needed: list[Needed]
    target: str | None
    distances: list[Distance]
    nearer: list[Nearer]
    best: str | None
    best_why: str | None
    nearest: str | None
    nearest_why: str | None
    forecasts: list[Forecast]
    forecasts_why: str | None
    sentences: list[str]
    warnings: list[str] = []

    def summary(self) -> str:
        return " ".join(self.sentences)

    def rows(self) -> list[Row]:
        """A row a base and pair count: accuracy, and the first lexicon's lean."""
        leans = {(item.base, item.pairs): item for item in reversed(self.leans)}
        return [
            {
                **item.model_dump(exclude={"runs", "by_seed"}),
                "lean": getattr(leans.get((item.base, item.pairs)), "lean", None),
            }
            for item in self.accuracies
        ]


class ChoicePlan(Record):
    """A row of `choose --dry-run`: a stage on one base, and what it would take on three kinds of machine.

    `seconds` and `memory_bytes` are for the machine at hand, which `device` names; `laptop_seconds` for a usual laptop,
    `gpu_seconds` for one GPU, `ray_seconds` for a cluster of `ray_gpus` of them, `cost` the GPU's time in US dollars. Of
    what is `left` of the runs; null where the size of a base is not known.
    """

    stage: Literal["audit", "train", "track", "held-out"]
    base: str
    runs: int
    left: int
    device: str
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None
    laptop_seconds: float | None
    gpu_seconds: float | None
    ray_seconds: float | None
    ray_gpus: int
    cost: float | None
