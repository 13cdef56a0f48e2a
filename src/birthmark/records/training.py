"""Training runs (`run.json`), values over their checkpoints (`track.json`) and how long those last (`durability.json`)."""

from typing import Annotated, Literal

from pydantic import Field

from birthmark.records.base import Framing, Kind, ReasonIn, Record, Row, Shown, Slug
from birthmark.records.scores import Digests

TrainingLoss = Literal["bt", "grm-sft", "grm-dpo"]
Precision = Literal["float32", "bfloat16"]


class Recipe(Record):
    """How a reward model is trained; the defaults are the study's (Christian et al. 2026, its appendix).

    `batch` counts pairs a step; `micro_batch` the pairs that run through the model together on one device. `cut` is the
    end of a conversation that goes where it has more than `max_tokens`. `warmup` is a share of all steps. `text_weight`
    and `text_beta` are the α and β of the GRM losses, which alone read them and the two switches below them.
    """

    loss: TrainingLoss = "bt"
    lora_rank: int = Field(32, ge=1, le=65_536)
    lora_alpha: float = Field(64, gt=0, le=1e6)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_targets: list[str] = Field(["q_proj", "k_proj", "v_proj", "o_proj"], min_length=1)
    learning_rate: float = Field(1e-5, gt=0, le=10)
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0, le=100)
    clip: float = Field(5.0, gt=0, le=1e9)
    batch: int = Field(16, ge=1, le=1_000_000)
    micro_batch: int = Field(4, ge=1, le=1_000_000)
    epochs: float = Field(2.0, gt=0, le=1_000)
    max_tokens: int = Field(1024, ge=2, le=10_000_000)
    cut: Literal["left", "right"] = "right"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    recompute_activations: bool = True
    checkpoint_every: int = Field(500, ge=1, le=1_000_000_000)
    text_weight: float = Field(0.01, ge=0, le=1)
    text_beta: float = Field(0.1, gt=0, le=1e6)
    text_plain: bool = False
    text_reference: bool = False


class PairCounts(Record):
    """Pairs read, left after filtering, sampled, and trained on; of the last, those with a conversation cut short.

    `dropped`: reason → pairs; each is listed in `dropped.jsonl`.
    """

    read: int
    usable: int
    sampled: int
    trained: int
    truncated: int
    dropped: dict[str, int]


class TrainingRecord(Record):
    """`run.json`: one training run.

    `base` is what `bm.resolve` takes; `pairs` the number asked for (the sampled, where none was). `data_digest` is the
    SHA-256 of the sampled pairs' text in their order, the same for every base; `trained_digest` that of the pairs that
    were trained on, in the order of training: two runs with the same one saw the same data.
    """

    base: str
    family: str | None
    base_checkpoint: str | None
    revision: str | None
    digests: Digests
    chat_template: str | None
    source: str
    source_path: str | None
    source_sha256: str | None
    source_layout: str
    pairs: int
    every: int | None
    loss: TrainingLoss
    seed: int
    preset: Literal["study", "small"]
    recipe: Recipe
    data_digest: str
    trained_digest: str
    counts: PairCounts
    precision: Precision
    attention: str
    pad_token: str
    template_date: str | None
    steps: int
    checkpoint_steps: list[int]
    device: str
    processes: int
    versions: dict[str, str]
    command_line: str | None
    finished: bool = False
    seconds: float | None = None
    final: dict[str, float | None] = {}


class TrainingPlan(TrainingRecord):
    """What a dry run of `train` says: the record before the first step, and what the run would take.

    `run` is the name in a grid; `state` what the folder holds of the run. Seconds and bytes are estimates, null where the
    base's number of parameters is not known; `free_bytes` is what the device has left.
    """

    run: str | None = None
    state: Literal["new", "begun", "finished", "another run"]
    estimated_seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None


class TrackedRun(Record):
    """One series of checkpoints; what nobody recorded of its training is null. `batch` counts pairs a step.

    `tables` are the score tables' slugs, one a step.
    """

    run: str
    path: str
    kind: Kind
    base: str
    family: str
    source: str | None
    pairs: int | None
    loss: str | None
    seed: int | None
    batch: int | None
    steps: list[int]
    tables: list[Slug]


class TrackPoint(Record):
    """Mean over a framing's prompts of a category's median rank at one step."""

    run: str
    step: int
    lexicon: str
    category: str
    framing: Framing
    median_rank: float


class WordMoved(Record):
    """A word's mean rank where good things are asked for, at the first and the last step; means over a base's runs."""

    lexicon: str
    base: str
    word: str
    categories: list[str]
    first_rank: float
    last_rank: float


class RandomHeads(Record):
    """Random heads on one base: the Parquet file of this name has `word`, then a column a head.

    A value is the word's mean rank over positive prompts less that over negative ones, under a head drawn from a normal
    distribution.
    """

    base: str
    family: str
    lexicon: str
    n_heads: int
    seed: int
    prompts: list[str]
    key: str


class Track(Shown, Record):
    """`track.json`: the runs, their points and the words that moved most (a base's rises, then its falls)."""

    runs: list[TrackedRun]
    lexicons: list[str]
    points: list[TrackPoint]
    moved: list[WordMoved]
    heads: list[RandomHeads]
    sentences: list[str] = []
    warnings: list[str] = []

    def summary(self) -> str:
        looks = sum(len(run.steps) for run in self.runs)
        return " ".join([f"{looks} checkpoints of {len(self.runs)} runs.", *self.sentences])

    def rows(self) -> list[Row]:
        """A row a run, step, lexicon, category and framing."""
        return [point.model_dump() for point in self.points]


class TrackPlan(Record):
    """What a dry run of `track` says of one run: its checkpoints' steps, how many are scored, what the rest would take.

    Null where nobody recorded the base, or its size is not known before it is fetched.
    """

    run: str
    base: str | None
    steps: list[int]
    scored: int
    prompts: int
    words: int | None
    device: str
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None


class GapPoint(Record):
    """The gap at one step. `pairs_seen` counts different pairs, `sd_seeds` is that of the gap's runs.

    `gap_of_medians` is the same of the contrast of median ranks. `outside_null`: beyond 95% of the random heads' gaps.
    """

    step: int
    pairs_seen: int | None
    gap: float
    ci_low: float | None
    ci_high: float | None
    gap_of_medians: float
    sd_seeds: float | None
    outside_null: bool | None


class HeadNull(Record):
    """Gaps between random heads on the two bases, averaged over as many heads as there are runs: 95% of them, and p.

    `p_final`: how often such a gap is at least as large as the last step's, (b + 1) / (m + 1).
    """

    n_heads: int
    low: float
    high: float
    p_final: float


class GapCurve(Record):
    """The gap over the steps that all runs of the two bases share, same source, pair count and loss.

    `start_step` is the first step after 0 whose gap is outside the null (without a null the first step of all). `below_step` and
    `below_pairs`: from there on the gap stays below `fraction` of that at the start. `settled_step`: from there on it stays
    within `tolerance` of its range around the last step's.
    """

    lexicon: str
    base_a: str
    base_b: str
    family_a: str
    family_b: str
    source: str | None
    pairs: int | None
    loss: str | None
    runs_a: list[str]
    runs_b: list[str]
    points: list[GapPoint]
    null: HeadNull | None
    null_why: str | None
    start_step: Annotated[int | None, ReasonIn("start_why")]
    start_gap: Annotated[float | None, ReasonIn("start_why")]
    start_why: str | None
    fraction: float
    below_step: Annotated[int | None, ReasonIn("below_why")]
    below_pairs: Annotated[int | None, ReasonIn("below_why")]
    below_why: str | None
    tolerance: float
    settled_step: Annotated[int | None, ReasonIn("settled_why")]
    settled_pairs: Annotated[int | None, ReasonIn("settled_why")]
    settled_why: str | None
    sentence: str


class FinalGap(Record):
    """The gap at the last shared step of the runs with this many pairs."""

    pairs: int
    step: int
    gap: float
    ci_low: float | None
    ci_high: float | None
    outside_null: bool | None


class QuantityCurve(Record):
    """Final gaps by pair count; `below_pairs`: from there on they stay below `fraction` of the smallest count's."""

    lexicon: str
    base_a: str
    base_b: str
    family_a: str
    family_b: str
    source: str | None
    loss: str | None
    finals: list[FinalGap]
    fraction: float
    below_pairs: Annotated[int | None, ReasonIn("below_why")]
    below_why: str | None


class Durability(Record):
    """`durability.json`."""

    unit: str = "ranks, b − a of mean-rank contrasts"
    curves: list[GapCurve]
    curves_why: str | None = None
    quantities: list[QuantityCurve]
    warnings: list[str] = []
