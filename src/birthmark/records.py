"""Every JSON file that birthmark writes, as types; `birthmark schema NAME` prints the schemas made from them.

Keys are read by other programs: fields may be added, never renamed. A field that does not apply is null and its
`…_why` neighbour says why. Knows nothing of how a number comes about.
"""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from birthmark.errors import BirthmarkError

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


class AdjectiveEffect(Record):
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


class CategoryTest(Record):
    category: str
    unit: Unit
    difference: float
    p: float | None
    p_max_t: float | None


class Effects(Record):
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
    sentence: str | None = None
    warnings: list[str] = []


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


class Implicit(Record):
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
}
