"""`calibration.json`: error rates and power of the tests, coverage of the intervals, values planted on purpose."""

from birthmark.records.base import Record, Row, Shown


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


class LabelShuffle(Record):
    """How many of all relabellings of the published models a test calls significant at `alpha`.

    `splits` counts the relabellings of its units: 210 of ten models, 10 of five base checkpoints. Null, with a reason,
    where a test does not apply to a lexicon.
    """

    lexicon: str
    test: str
    unit: str
    alpha: float
    significant: int | None
    splits: int
    significant_why: str | None = None


class RowModel(Record):
    """What simulated studies are drawn from: variances of latent scores of unit variance within a category and framing.

    `sd_base`, `sd_rm`: of the contrast in ranks, as asked; `drawn_sd_base`, `drawn_sd_rm`: as they came out after
    ranking. `slope`: ranks of contrast a unit of latent leaning. `word_…`: of a word for all models, for one base
    checkpoint, for one RM, for one prompt; `residual`: of a word for one RM and prompt. `leaning_…`: of the difference
    between the categories.
    """

    name: str
    words: list[int]
    prompts: int
    sd_base: float
    sd_rm: float
    drawn_sd_base: float | None = None
    drawn_sd_rm: float | None = None
    slope: float
    word: float
    word_by_base: float
    word_by_rm: float
    word_by_prompt: float
    residual: float
    leaning_base: float
    leaning_rm: float
    leaning_overall: float
    leaning_prompt: float
    leaning_rm_prompt: float


class Fitted(Record):
    """Variances of the published data that the simulations keep to: normal scores of ranks, mean over the framings.

    The names are those of `RowModel`; `sd_base` and `sd_rm` are of the contrast of median ranks.
    """

    source: str
    sd_base: float
    sd_rm: float
    word: float
    word_by_base: float
    word_by_rm: float
    word_by_prompt: float
    residual: float
    leaning_overall: float
    leaning_prompt: float
    leaning_rm_prompt: float


class WordLayout(Record):
    """Words of two categories: how many, of how many stems, the forms that stems have in turn, stems that are in both."""

    words: list[int]
    stems: list[int]
    forms: list[int]
    in_both: int


class Layout(Record):
    """A design: base checkpoints a family (a, b), the RMs on each, and how base checkpoints and RMs vary.

    `icc`: the share of the variance of RMs' contrasts that lies between base checkpoints. `sd_ratio`: SD of family b's
    contrasts over a's. `skewed`: leanings drawn from a shifted exponential distribution (skewness 2), else normal. `words`:
    of studies of two models with words as the sample; `sd_ratio` is then of the second category's scores over the first's.
    """

    bases: list[int]
    rms: list[list[int]]
    icc: float
    sd_ratio: float
    skewed: bool
    words: WordLayout | None = None


class NullRate(Record):
    """How often a test rejects at `alpha` where families do not differ; `mc_error` is the rate's standard error.

    `attainable`: `alpha` is the largest level up to .05 that the exact test can have with these units, or its smallest p
    where that is larger.
    """

    layout: str
    test: str
    unit: str
    alpha: float
    attainable: bool
    rate: float
    mc_error: float
    studies: int
    design: Layout
    rows: str


class PowerRate(Record):
    """How often a test rejects at `alpha` where the families' contrasts differ by `shift` ranks."""

    layout: str
    test: str
    unit: str
    alpha: float
    attainable: bool
    shift: float
    power: float
    mc_error: float
    studies: int
    design: Layout
    rows: str


class Coverage(Record):
    """How often an interval of nominal `level` holds what it is about (`target`); `width`: its mean, in ranks."""

    layout: str
    interval: str
    target: str
    level: float
    shift: float
    coverage: float
    mc_error: float
    studies: int
    width: float
    design: Layout
    rows: str


class Calibration(Shown, Record):
    """`calibration.json`. `calibrate tests` fills all but the `planted…` keys, `calibrate planted` fills those."""

    label_shuffle: list[LabelShuffle] = []
    null_studies: list[NullRate] = []
    power: list[PowerRate] = []
    coverage: list[Coverage] = []
    planted: list[PlantedRow] = []
    fitted: Fitted | None = None
    row_models: list[RowModel] = []
    sentence: str | None = None
    planted_setting: PlantedSetting | None = None
    planted_metrics: list[PlantedMetric] = []
    planted_metrics_why: str | None = None
    planted_diverged: list[PlantedDivergence] = []
    planted_sentence: str | None = None

    def summary(self) -> str:
        said = [text for text in (self.sentence, self.planted_sentence) if text]
        return " ".join(said) or "nothing calibrated yet"

    def rows(self) -> list[Row]:
        """A row a layout, test and level of the null studies; without those, a row a planted metric."""
        if self.null_studies:
            return [row.model_dump(exclude={"design"}) for row in self.null_studies]
        return [row.model_dump() for row in self.planted]


class PlanRow(Record):
    """One design: its power at `alpha` by the exact test and by Welch's t, null where they are not possible."""

    design: str
    bases: list[int]
    sd_unit: float
    power: float | None
    mc_error: float | None
    power_welch: float | None
    detectable: float | None


class Plan(Shown, Record):
    """`calibrate plan`: the power of a study before it is run. All numbers in ranks of the contrast.

    `power`: of the exact test over base checkpoints at `alpha`, null where it cannot reach it (`min_p`); `power_welch`:
    of Welch's t over them. `detectable`: the contrast detected with 80% power. `bases_needed`: base checkpoints a
    family, equally many, for a power of .8. `alternatives`: what else one could do. `pairs`: the same recipe on base
    checkpoints of either family.
    """

    bases: list[int]
    rms_per_base: int
    sd_base: float
    sd_rm: float
    shift: float
    alpha: float
    n_splits: int
    min_p: float
    sd_unit: float
    power: float | None
    power_why: str | None
    mc_error: float | None
    studies: int
    power_welch: float | None
    detectable: float | None
    detectable_why: str | None
    bases_needed: int | None
    bases_needed_why: str | None
    bases_needed_welch: int | None
    alternatives: list[PlanRow]
    pairs: list[PlanRow]
    confounded: float | None
    sentence: str
    sentences: list[str]

    def summary(self) -> str:
        return self.sentence

    def rows(self) -> list[Row]:
        return [row.model_dump() for row in (*self.alternatives, *self.pairs)]
