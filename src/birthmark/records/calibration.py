"""What the instrument can see: `calibration.json`, and what `calibrate plan` answers."""

from birthmark.records.base import Record
from birthmark.records.planted import PlantedDivergence, PlantedMetric, PlantedRow, PlantedSetting
from birthmark.shown import Row, Shown


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


class Layout(Record):
    """A design: base checkpoints a family (a, b), the RMs on each, and how base checkpoints and RMs vary.

    `icc`: the share of the variance of RMs' contrasts that lies between base checkpoints. `sd_ratio`: SD of family b's
    contrasts over a's. `skewed`: leanings drawn from a shifted exponential distribution (skewness 2), else normal.
    """

    bases: list[int]
    rms: list[list[int]]
    icc: float
    sd_ratio: float
    skewed: bool


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
    of Welch's t over them. `detectable`: the contrast found four times in five. `bases_needed`: base checkpoints a
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
