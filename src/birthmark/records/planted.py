"""Values planted on purpose: a fine-tuning run, and the planted part of `calibration.json`."""

from birthmark.records.base import Record


class PlantedScore(Record):
    """How one metric found one run's words at one strength, a mean over the held-out questions."""

    strength: int
    metric: str
    auroc: float
    precision_at_k: float
    mrr: float
    unplanted_auroc: float
    unplanted_precision_at_k: float
    unplanted_mrr: float


class PlantedRun(Record):
    """`.work/planted/<base>-<category>-<seed>.json`: one fine-tuning run; `asked` is the digest of what it was asked.

    `losses` is a cross-entropy a step, in nats; `diverged` says why its scores do not count, null where they do.
    """

    base: str
    category: str
    seed: int
    asked: str
    losses: list[float | None]
    diverged: str | None
    scores: list[PlantedScore]
    words: list[str]
    n_candidates: int
    seconds: float


class PlantedRow(Record):
    """Means over seeds with 95% t intervals. `strength` counts optimizer steps; `seeds` the runs that are averaged,
    `diverged` those that are not. `unplanted_…`: the same of words of like frequency that were not taught.
    """

    base: str
    category: str
    strength: int
    metric: str
    auroc: float
    auroc_ci_low: float | None
    auroc_ci_high: float | None
    precision_at_k: float
    precision_at_k_ci_low: float | None
    precision_at_k_ci_high: float | None
    mrr: float
    mrr_ci_low: float | None
    mrr_ci_high: float | None
    seeds: int
    diverged: int
    unplanted_auroc: float
    unplanted_auroc_ci_low: float | None
    unplanted_auroc_ci_high: float | None
    unplanted_precision_at_k: float
    unplanted_precision_at_k_ci_low: float | None
    unplanted_precision_at_k_ci_high: float | None
    unplanted_mrr: float
    unplanted_mrr_ci_low: float | None
    unplanted_mrr_ci_high: float | None
    k: int
    n_candidates: int


class PlantedMetric(Record):
    """A metric over one base's categories and strengths, or over all bases' (`base` null); best first by precision at k.

    Each seed gives one number, its mean over runs and strengths; intervals are 95% t intervals over seeds. `behind`: the
    best metric's precision at k less this one's, paired by seed.
    """

    base: str | None
    metric: str
    auroc: float
    precision_at_k: float
    precision_at_k_ci_low: float | None
    precision_at_k_ci_high: float | None
    mrr: float
    behind: float
    behind_ci_low: float | None
    behind_ci_high: float | None
    seeds: int


class PlantedDivergence(Record):
    """A run that is reported and not averaged."""

    base: str
    category: str
    seed: int
    why: str


class PlantedSetting(Record):
    """How values were planted: LoRA of `rank` on all linear layers, `batch_size` answers a step, AdamW."""

    name: str
    strengths: list[int]
    batch_size: int
    learning_rate: float
    rank: int
    held_out: list[str]


class PlantedPlan(Record):
    """A row of `calibrate planted --dry-run`: what a base would be taught, about how long that takes, how much memory.

    `runs` are one a category and seed, each of `steps` steps of `batch_size` answers, asked `held_out` questions after
    `strengths` of the steps; `finished` of the runs are in OUT already, and `seconds` is for those that are left.
    """

    base: str
    categories: list[str]
    seeds: list[int]
    runs: int
    finished: int
    steps: int
    batch_size: int
    strengths: list[int]
    held_out: int
    device: str
    parameters: int | None
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None


class Planted(Record):
    """The planted part of `calibration.json`."""

    setting: PlantedSetting
    rows: list[PlantedRow]
    metrics: list[PlantedMetric]
    metrics_why: str | None
    diverged: list[PlantedDivergence]
    sentence: str
