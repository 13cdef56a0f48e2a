"""Every JSON file that birthmark writes, as types; `birthmark schema NAME` prints the schemas made from them.

Keys are read by other programs: fields may be added, never renamed. A field that does not apply is null and its
`…_why` neighbour says why. Knows nothing of how a number comes about.
"""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from birthmark.errors import BirthmarkError
from birthmark.shown import Row, Shown

R = TypeVar("R", bound="Record")

Kind = Literal["reward", "logprob"]
Framing = Literal["positive", "negative"]
Unit = Literal["base_checkpoint", "model"]


class Record(BaseModel):
    """Base of all records: unknown keys are an error, NaN and infinity are written as null."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", protected_namespaces=())


# ---------------------------------------------------------------------------------------------- score tables


class PromptRecord(Record):
    text: str
    framing: Framing | None = None
    factors: dict[str, str] = {}


class PromptSetRecord(Record):
    name: str
    sha256: str
    prompts: dict[str, PromptRecord]


class Digests(Record):
    """SHA-256 of what moves a score; `adapter` and `template` are null where the model has none."""

    weights: str
    adapter: str | None = None
    tokenizer: str
    template: str | None = None


class Mass(Record):
    """Share of the next-token probability on the lexicons' words, and on tokens that have no row."""

    lexicon: float
    left_out: float


class LeftOut(Record):
    """Vocabulary tokens without a row, counted by reason; `unfaithful` ones have a row and are only counted."""

    special: int
    undecodable: int
    unused: int
    unfaithful: int


class ScoreRecord(Record):
    """`<slug>.json` beside a score table; `key` is the digest of everything that moves a score."""

    model: str
    slug: str
    key: str | None = None
    revision: str | None
    family: str | None
    base_checkpoint: str | None
    kind: Kind
    dtype: str
    device: str
    engine: Literal["prefix", "plain"] | None
    attention: str | None
    frame: Literal["chat", "qa", "bare"] | None
    protocol: Literal["birthmark", "christian2026"]
    digests: Digests | None
    prompt_set: PromptSetRecord
    candidates_sha256: str
    n_tokens: int
    n_words: int
    left_out: LeftOut | None = None
    word_tokens: dict[str, int] | None = None
    template_date: str | None
    versions: dict[str, str]
    sha256: str
    context_ids: dict[str, list[int]] | None
    mass: dict[str, Mass] | None
    mass_why: str | None = None
    seconds: float | None
    load_seconds: float | None
    verify_seconds: float | None
    verify_max_abs_diff: float | None
    verify_bound: float | None = None
    verify_why: str | None = None
    candidates_per_second: float | None
    warnings: list[str] = []


# --------------------------------------------------------------------------------------------------- effects


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


class Term(Record):
    term: str
    estimate: float
    se: float
    df: float
    t: float
    p: float


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


class ModelContrast(Record):
    model: str
    family: str
    base_checkpoint: str
    contrast: float | None
    mean_rank_contrast: float | None
    kind: Kind | None = None
    frame: str | None = None
    mass: float | None = None


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
    sentence: str


class Clustering(Record):
    sd_base: float | None
    sd_rm: float | None
    icc: float | None
    f: float | None
    p: float | None


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
    """What these models as run differ by: words are the sample, models and prompts are not."""

    estimate: float
    ci_low: float
    ci_high: float
    p_words: float
    by_adjective: list[AdjectiveEffect]


class Pair(Record):
    """Two models of one team on bases of two families: the difference (b − a) of their contrasts of median ranks.

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


class Without(Record):
    """The families' difference with something left out; null, with a reason, where it cannot be computed then."""

    left_out: str
    estimate: float | None
    why: str | None = None


class Equivalence(Record):
    """The smallest margin in ranks that two one-sided 5% tests let one rule out; `basis` is what they take as samples."""

    margin: float
    basis: str
    sentence: str


class Sensitivity(Record):
    """What the families' difference (b − a, contrast of median ranks over base checkpoints) owes to its parts.

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


class CategoryTest(Record):
    category: str
    unit: Unit
    difference: float | None
    p: float | None
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


class Effects(Shown, Record):
    """`effects/<lexicon>.json`. Ranks: 1 is best. Differences are second family minus first, alphabetically."""

    lexicon: str
    kind: Kind
    validated: bool = False
    n_candidates: int
    n_lexicon_words: int | None = None
    missing_words: list[str] = []
    words_by_category: dict[str, int] = {}
    words: dict[str, list[str]] = {}
    categories: list[str]
    families: list[str]
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
    blocks: Blocks | None = None
    blocks_why: str | None = None
    sensitivity: Sensitivity | None = None
    sensitivity_why: str | None = None
    word_effects: list[WordEffect] = []
    word_effects_why: str | None = None
    confounds: list[Confound] = []
    controlled: list[ControlledEffects] = []
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


# -------------------------------------------------------------------------------------------------- implicit


class CandidateReward(Record):
    candidate: str
    logprob_a: float
    logprob_b: float
    log_ratio: float
    mwlr: float


class ImplicitPrompt(Record):
    """The implicit reward after one prompt: what `b` prefers over `a` is on top."""

    prompt: str
    n_shared: int
    mass_a: float
    mass_b: float
    top: list[CandidateReward]
    bottom: list[CandidateReward]
    category_means: dict[str, dict[str, dict[str, float]]]


class Implicit(Shown, Record):
    """`implicit/<a>..<b>.json`; `category_means`: lexicon → category → metric → mean over the words' rows."""

    a: str
    b: str
    frame_a: str | None
    frame_b: str | None
    metrics: list[str]
    duplicates: Literal["max", "sum"]
    prompts: list[ImplicitPrompt]
    n_only_a: int
    n_only_b: int
    set_aside: int = 0
    warnings: list[str] = []

    def summary(self) -> str:
        held = "; ".join(f"{p.prompt}: {p.n_shared:,} shared candidates" for p in self.prompts)
        return f"what {self.b} prefers over {self.a} ({held})"

    def rows(self) -> list[Row]:
        """The candidates on top and at the bottom after each prompt, best first; the Parquet file has all of them."""
        return [
            {"prompt": prompt.prompt, "end": end, **reward.model_dump()}
            for prompt in self.prompts
            for end, rewards in (("top", prompt.top), ("bottom", prompt.bottom))
            for reward in rewards
        ]


# ----------------------------------------------------------------------------------------------------- study


class InputRecord(Record):
    """Something that was read: a model, prompt set, lexicon, score table or published file."""

    role: str
    name: str
    sha256: str
    path: str | None = None


class StudyRecord(Record):
    """`study.json` of an OUT folder. `asked` must agree for an OUT to take further models."""

    command: str
    command_line: str | None = None
    asked: dict[str, object]
    inputs: list[InputRecord]
    versions: dict[str, str]
    durations: dict[str, float]
    warnings: list[str] = []


# ----------------------------------------------------------------------------------------------- replication

Verdict = Literal["holds", "partly", "fails", "not testable here"]
PairSource = Literal["uf", "skywork", "uf+skywork"]
Loss = Literal["BT", "GRM"]


class Claim(Record):
    """One claim of the published study. `reproduced`: do its numbers come out of the published files; `supported`: does
    it hold at the level of base checkpoints (null where it doesn't speak of model families, or the files cannot say).
    """

    id: str
    claim: str
    published: str
    reproduced: bool | None
    supported: bool | None
    verdict: Verdict
    sentence: str


class DataNote(Record):
    """A slip in a published file, found by a check: what was found, and what it changes in the result."""

    check: str
    file: str
    column: str | None
    words: list[str] = []
    finding: str
    effect: str


class Figure4bPoint(Record):
    """The last saved step of one trained reward model, in one category."""

    pairs_thousands: int
    source: PairSource
    loss: Loss
    family: str
    category: str
    final_step: int
    median_rank: float
    model_id: str
    file: str


class TrainingPoint(Record):
    """Median rank of a category at one saved step of one of the study's own training runs."""

    file: str
    model_id: str
    family: str
    category: str
    step: int
    median_rank: float


class PromptMedians(Record):
    """A model's median ranks of one category after each prompt of a framing: the dots of figure A1."""

    model: str
    family: str
    category: str
    framing: Framing
    median_ranks: list[float]


class LogprobMedian(Record):
    """Figure 2: one language model's median rank of a category after one prompt."""

    model: str
    family: str
    stage: Literal["pretrained", "instruct"]
    category: str
    framing: Framing
    prompt: str
    median_rank: float


class MwlrPair(Record):
    """Figure 3: mean MWLR of the forms of two words, Llama over Gemma, for one pair of language models."""

    gemma: str
    llama: str
    freedom: float
    love: float


class MwlrToken(Record):
    """Table 1: a token's place by MWLR, from 1 (most preferred by Llama 3.2 3B over Gemma 2 2B) down."""

    place: int
    token: str
    mwlr: float


class WordMove(Record):
    """Figure 5: a noun's rank at the first and at the last saved step of a training run."""

    family: str
    word: str
    category: str
    first_rank: float
    last_rank: float


class Replication(Shown, Record):
    """`replication.json`: the published study done again. Figures whose files are absent are empty lists."""

    data: str
    not_as_published: list[str] = []
    figure_1a: Effects
    figure_1b_as_published: Effects
    figure_1b_all_columns: Effects
    figure_a1a: list[PromptMedians]
    figure_a1b: list[PromptMedians]
    figure_2: list[LogprobMedian] = []
    figure_3: list[MwlrPair] = []
    table_1: list[MwlrToken] = []
    figure_4a: list[TrainingPoint]
    figure_4b: list[Figure4bPoint]
    figure_5: list[WordMove] = []
    claims: list[Claim]
    data_notes: list[DataNote]

    def summary(self) -> str:
        verdicts = [claim.verdict for claim in self.claims]
        said = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))
        return f"{len(verdicts)} claims: {said}; {len(self.data_notes)} slips in the published files"

    def rows(self) -> list[Row]:
        """A row a claim."""
        return [claim.model_dump() for claim in self.claims]


# ------------------------------------------------------------------------------------------------------- map


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


# ---------------------------------------------------------------------------------------------------- doctor


class Cache(Record):
    """The cache folder: what it holds and what is free on its disk, in bytes."""

    folder: str
    bytes: int
    free_bytes: int


class FittingModel(Record):
    """Whether a catalog model can be run here: memory is that of its weights in `dtype` and 1 GiB, in bytes."""

    name: str
    parameters: int | None
    dtype: str
    memory_bytes: int | None
    fits: bool | None
    fetched: bool
    note: str | None = None


class Doctor(Record):
    """What `birthmark doctor --json` prints. `flops_per_second`: of a matrix product, precision → rate.

    `network`: place → whether it answered, null where it was not asked. `extras`: package → version, null where absent.
    """

    platform: str
    processor: str
    python: str
    torch: str
    transformers: str
    device: str
    gpus: list[str]
    cores: int | None
    threads: int
    memory_bytes: int | None
    flops_per_second: dict[str, float | None]
    cache: Cache
    network: dict[str, bool | None]
    extras: dict[str, str | None]
    models: list[FittingModel]
    hints: list[str]


def to_json(record: Record) -> str:
    """The record as indented JSON that ends with a line break; non-finite numbers become null."""
    return record.model_dump_json(indent=2) + "\n"


def read_record(path: Path, record_type: type[R]) -> R:
    """Read one of the files above; raises `BirthmarkError` where it is missing or of another layout."""
    try:
        return record_type.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BirthmarkError(f"{path} is missing: run the command that writes it again") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BirthmarkError(f"{path} is not a {record_type.__name__} file: {where}: {first['msg']}") from None


SCHEMAS: dict[str, type[Record]] = {
    "score": ScoreRecord,
    "effects": Effects,
    "implicit": Implicit,
    "study": StudyRecord,
    "replication": Replication,
    "map": Map,
}
