"""What a lexicon finds: `effects/<lexicon>.json`, a part a class."""

from typing import Literal

from pydantic import Field

from birthmark.records.base import Framing, Kind, Record, Row, Shown, Unit
from birthmark.stats.results import Term, Without


class Cell(Record):
    family: str
    category: str
    framing: Framing
    mean_median_rank: float
    sd: float | None
    n_models: int
    n_prompts: int


class ModelCell(Record):
    """One model's point in the lexicon's figure: its mean over the framing's prompts of a category's median ranks.

    `prompt_low` and `prompt_high`: the lowest and highest of those medians; `ci_low`, `ci_high`: 95% over the words.
    `mean_rank`: the mean over the framing's prompts of the category's mean rank, of which contrasts of mean ranks are made.
    """

    model: str
    family: str
    category: str
    framing: Framing
    mean_median_rank: float
    prompt_low: float
    prompt_high: float
    n_prompts: int
    ci_low: float | None = None
    ci_high: float | None = None
    mean_rank: float | None = None


class MixedModel(Record):
    formula: str
    method: Literal["REML", "ML"]
    n_obs: int
    terms: list[Term]
    sd_model: float
    sd_residual: float
    loglik: float


class Panel(Record):
    category: str
    framing: Framing
    family_a: str
    family_b: str
    difference: float
    cohens_d: float | None
    cohens_d_unweighted: float | None
    welch_t: float | None
    welch_df: float | None
    welch_p: float | None
    p_bonferroni: float | None
    p_holm: float | None = None
    model_exact_p: float | None
    model_exact_splits: int | None
    p_max_t: float | None
    why: str | None = None


class HeadsNull(Record):
    """What random heads give in place of a reward model's own: the middle 95% of their contrasts of mean ranks.

    `of_base`: whether they stand on the body of `base` itself, else on the reward model's own, trained one. `p`: two-sided,
    the share of heads as far from zero as the reward model, (b + 1) / (n + 1).
    """

    base: str
    of_base: bool
    n_heads: int
    low: float
    high: float
    p: float

    def holds(self, contrast: float | None) -> bool:
        """Whether a contrast of mean ranks (none counts as 0) is no further out than random heads are."""
        return self.low <= (contrast or 0.0) <= self.high


class ModelContrast(Record):
    """`contrast` is of median ranks, as the study published it, `mean_rank_contrast` what people read."""

    model: str
    family: str
    base_checkpoint: str
    contrast: float | None
    mean_rank_contrast: float | None
    kind: Kind | None = None
    frame: str | None = None
    mass: float | None = None
    null: HeadsNull | None = None
    null_why: str | None = None


class LevelTest(Record):
    """A test of families over `unit`s: the headline (base checkpoints) or, second to it, over models."""

    unit: Unit
    statistic: str
    contrast: str
    n_units: dict[str, int]
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_exact: float | None
    count: int | None
    n_splits: int | None
    min_p: float | None
    p_exact_difference: float | None
    p_holm: float | None = None
    power_sentence: str | None = None
    sentence: str


class Clustering(Record):
    """`contrast` by base checkpoint within family; `n_effective`: as many independent models would tell as much."""

    sd_base: float | None
    sd_rm: float | None
    icc: float | None
    f: float | None
    p: float | None
    n_effective: float | None = None


class Variances(Record):
    """ANOVA estimates of the variance of the difference due to each sampled thing and their overlaps."""

    model: float
    word: float
    prompt: float
    model_word: float
    model_prompt: float
    word_prompt: float
    model_word_prompt: float


class Crossed(Record):
    """Models, words and prompts as samples; `clustered_by_…`: the same where stems, adjectives, bases were drawn.

    `truncated`: the variance came out at or below zero, and the largest of its three parts stands in for it.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    variances: Variances
    clustered_by_stem: dict[str, float] | None
    clustered_by_adjective: dict[str, float] | None
    clustered_by_base: dict[str, float] | None = None
    truncated: bool = False


class AdjectiveEffect(Record):
    """The families' difference (b − a) of first − second category's mean rank after one adjective's prompts.

    Not turned round after negative adjectives: the mean of the positive ones less that of the negative is the contrast's.
    """

    adjective: str
    framing: Framing
    estimate: float


class ModelsFixed(Record):
    """What these models as run differ by: words are the sample, models and prompts are not.

    `p_words`: two-sided, whole word stems permuted between the categories, the difference divided by its standard error
    `se`; it is below .05 exactly where the interval leaves out 0. `df`: of Student's t. `n_stems`: category → stems.
    `permuted`: false where stems cannot change places (too few, or all of one category's are in the other), and Student's
    t gives p.
    """

    estimate: float
    ci_low: float
    ci_high: float
    p_words: float
    se: float | None = None
    df: float | None = None
    n_stems: dict[str, int] = {}
    permuted: bool = True
    by_adjective: list[AdjectiveEffect]

    @property
    def clear(self) -> bool:
        """Whether the p is below .05 and the interval leaves zero out, of which each follows from the other."""
        return self.p_words < 0.05 and (self.ci_low > 0 or self.ci_high < 0)


class Pair(Record):
    """Two models of one team on bases of two families: the difference (b − a) of the headline's contrast.

    `agrees`: whether its sign is that of the families' difference over base checkpoints. `data`: what both were trained
    on, where the catalog says so of both.
    """

    team: str
    data: str | None
    model_a: str
    model_b: str
    family_a: str
    family_b: str
    difference: float
    agrees: bool


class Blocks(Record):
    """Teams that built on both families: family labels exchanged within teams only, and the matched pairs one by one."""

    teams: list[str]
    n_models: dict[str, int]
    statistic: str
    estimate: float
    p_exact: float
    count: int
    n_splits: int
    min_p: float
    pairs: list[Pair]
    sentence: str


class Equivalence(Record):
    """The smallest margin in ranks that two one-sided 5% tests let one rule out; `basis` is what they take as samples."""

    margin: float
    basis: str
    sentence: str


class Sensitivity(Record):
    """What the families' difference (b − a, the headline's contrast over base checkpoints) owes to its parts.

    Descriptive, never for selecting. `half_lexicons`: either half of a seeded split, its words ranked among themselves.
    `split_half`, `spearman_brown`: reliability over words; `icc_prompt`, `icc_prompts`: of one prompt, of their mean.
    """

    estimate: float
    without_base_checkpoint: list[Without]
    without_model: list[Without]
    without_adjective: list[Without]
    half_lexicons: list[Without]
    split_half: float | None
    spearman_brown: float | None
    icc_prompt: float | None
    icc_prompts: float | None
    equivalence: Equivalence | None


class WordEffect(Record):
    """One word's mean rank, second family less first (b − a), over base checkpoints; `contrast`: positive − negative.

    Interval of the contrast: Welch's over base checkpoints, null where a family has one.
    """

    word: str
    categories: list[str]
    positive: float | None
    negative: float | None
    contrast: float | None
    ci_low: float | None
    ci_high: float | None


class Power(Record):
    """The difference that the leading test finds with power `wanted` at `alpha`, in ranks: `detectable`.

    `unit`: what is taken as the sample; `sd`: of one unit's value within its family (for words: of the difference), whose
    is `sd_source`.
    """

    unit: Literal["base_checkpoint", "word"]
    alpha: float
    wanted: float
    detectable: float
    sd: float
    sd_source: str
    sentence: str


class CategoryTest(Record):
    category: str
    unit: Unit
    difference: float | None
    p: float | None
    p_max_t: float | None


class CategoryWords(Record):
    """A category's words against all others, words as the sample and models fixed: best − worst, b − a for two families.

    Below zero the category moves up. Words of one stem count once. `p_max_t`: adjusted for all categories by the largest
    |t|, stems permuted.
    """

    category: str
    n_words: int
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_max_t: float | None


class Confound(Record):
    """What else sets a category's words apart, each a mean over its ranked words.

    `frequency`: Zipf, log10 of occurrences in 10⁹ words; `length`: characters; `tokens`: model → tokens a word.
    """

    category: str
    n_words: int
    frequency: float | None
    frequency_source: str | None = None
    frequency_why: str | None = None
    length: float
    tokens: dict[str, float | None]
    tokens_why: str | None = None


class ControlledEffects(Record):
    """A lexicon's effects with something held fixed, beside those without.

    `control`: what was held fixed, joined by commas: `frequency`, `length`, `tokens`, `prompt`. `r_squared`: model →
    mean over prompts of the share of the ranks' variance that frequency, length and tokens explain.
    """

    control: str
    n_candidates: int
    r_squared: dict[str, float] | None
    r_squared_why: str | None = None
    cells: list[Cell]
    models: list[ModelContrast]
    headline: LevelTest | None
    headline_why: str | None = None
    models_fixed: ModelsFixed | None
    models_fixed_why: str | None = None
    per_category: list[CategoryTest]
    sentence: str


class PromptRanks(Record):
    """Mean rank of each category's words after each prompt: model → category → a value a prompt, in the order of `prompts`.

    `prompts`: key → framing, null for a prompt without one.
    """

    prompts: dict[str, Framing | None]
    mean_rank: dict[str, dict[str, list[float]]]


class Effects(Shown, Record):
    """`effects/<lexicon>.json`. Ranks: 1 is best. Differences are second family minus first, alphabetically.

    `headline` is of mean ranks, in a replication of median ranks (its `contrast` says which), `headline_median` always of
    median ranks; so in `models` are `mean_rank_contrast` and `contrast`.
    """

    lexicon: str
    kind: Kind
    validated: bool = False
    n_candidates: int
    n_lexicon_words: int | None = None
    missing_words: list[str] = []
    words_by_category: dict[str, int] = {}
    words: dict[str, list[str]] = {}
    categories: list[str] = Field(min_length=1)
    families: list[str] = Field(min_length=1)
    cells: list[Cell]
    cells_why: str | None = None
    model_cells: list[ModelCell] = []
    mixed_model: MixedModel | None
    mixed_model_why: str | None = None
    mixed_model_ml: MixedModel | None
    mixed_model_ml_why: str | None = None
    panels: list[Panel]
    panels_why: str | None = None
    models: list[ModelContrast]
    headline: LevelTest | None
    headline_why: str | None = None
    headline_median: LevelTest | None = None
    model_level: LevelTest | None
    model_level_why: str | None = None
    clustering: Clustering | None
    clustering_why: str | None = None
    crossed: Crossed | None
    crossed_why: str | None = None
    models_fixed: ModelsFixed | None
    models_fixed_why: str | None = None
    p_permutation_f: float | None
    p_permutation_f_why: str | None = None
    per_category: list[CategoryTest]
    category_words: list[CategoryWords] = []
    blocks: Blocks | None = None
    blocks_why: str | None = None
    sensitivity: Sensitivity | None = None
    sensitivity_why: str | None = None
    word_effects: list[WordEffect] = []
    word_effects_why: str | None = None
    confounds: list[Confound] = []
    controlled: list[ControlledEffects] = []
    power: Power | None = None
    power_why: str | None = None
    prompt_ranks: PromptRanks | None = None
    undercuts: list[str] = []
    sentence: str | None = None
    warnings: list[str] = []

    def summary(self) -> str:
        return self.sentence or self.headline_why or f"effects of {self.lexicon}"

    def rows(self) -> list[Row]:
        """A row a model: its contrasts, and the mean over a framing's prompts of each category's median ranks."""
        means = {(cell.model, cell.category, cell.framing): cell.mean_median_rank for cell in self.model_cells}
        framings: tuple[Framing, ...] = ("positive", "negative")
        columns = [(category, framing) for category in self.categories for framing in framings]
        return [
            {
                "lexicon": self.lexicon,
                "kind": self.kind,
                "model": model.model,
                "family": model.family,
                "base_checkpoint": model.base_checkpoint,
                **{f"{name}, {framing}": means.get((model.model, name, framing)) for name, framing in columns},
                "contrast": model.contrast,
                "mean_rank_contrast": model.mean_rank_contrast,
            }
            for model in self.models
        ]

    def long_rows(self) -> list[Row]:
        """A row a model, category and prompt: `value` is the mean rank of the category's words after that prompt, 1 is best."""
        if self.prompt_ranks is None:  # a file of an earlier version
            return self.rows()
        return [
            {
                "model": model,
                "lexicon": self.lexicon,
                "category": category,
                "framing": framing,
                "prompt": prompt,
                "value": value,
            }
            for model, of_model in self.prompt_ranks.mean_rank.items()
            for category, values in of_model.items()
            for (prompt, framing), value in zip(self.prompt_ranks.prompts.items(), values, strict=True)
        ]
