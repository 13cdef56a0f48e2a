"""What is said of one model: the JSON beside a score table, what `--explain` and `models check` find, what `doctor` sees."""

from typing import Annotated, Literal

from pydantic import Field

from birthmark.records.base import Framing, Kind, ReasonIn, Record, Slug


class PromptRecord(Record):
    """`answer` is the sentence in which a candidate stands, with `{word}` in its place; where it stands alone there is none."""

    text: str
    framing: Framing | None = None
    factors: dict[str, str] = {}
    answer: str | None = Field(default=None, exclude_if=lambda answer: answer is None)


class PromptSetRecord(Record):
    """`system` is the system prompt that stands before every question, null where there is none; `persona` its name, where
    it comes from a file of several."""

    name: str
    sha256: str
    system: str | None = None
    persona: str | None = None
    prompts: dict[str, PromptRecord]


class Digests(Record):
    """SHA-256 of what moves a score; `adapter` and `template` are null where the model has none, `weights` is empty where
    they are not on this machine, which asked a server."""

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


class PrecisionCheck(Record):
    """How far a table's scores lie from those of float32 and the plain engine, over a sample of its candidates.

    `spearman` is the lowest over the prompts, `max_abs_diff` the largest |Δ|. Two candidates whose scores differ by less
    than `noise_floor_score`, or whose ranks among all candidates differ by less than `noise_floor_rank`, differ by less
    than rescoring does in 95 of 100 cases; `pairs_below_noise` is the share of the sample's pairs so close together.
    """

    dtype: str
    quantized: str | None
    n_prompts: int
    n_sample: int
    n_candidates: int
    spearman: float
    max_abs_diff: float
    noise_floor_score: float
    noise_floor_rank: float
    pairs_below_noise: float
    seconds: float


class ServedBy(Record):
    """The server that scored: its kind and version, the model as it names it, the path that was asked, and what it reads:
    the token ids of the table's conversations, or their text, which it tokenizes itself."""

    server: str
    version: str | None
    model: str
    path: str
    reads: Literal["ids", "text"]


class ScoreRecord(Record):
    """`<slug>.json` beside a score table; `key` is the digest of everything that moves a score.

    `template_system` is a system prompt that the chat template adds of its own; `system_place` says whether a person's
    own has a turn to itself or opens the user's; `threads` are those of the CPU that each score was computed with, null on
    other devices; `head` is the kind of a reward model's head; `trimmed` counts candidates whose white space the template
    takes off. `backend` is what scored: `local`, `ray` (the same in workers of a cluster), `server` (`served` says which),
    one that a package adds, or `published`.
    `engine_why` says why another engine ran than was asked for. `bos` counts the beginning-of-text tokens that a
    conversation begins with. `read`: whether a reward is read where the model's own class reads it or at the end of the
    conversation; `read_token` is the token there, and `read_early` how many tokens before the end it stands (the most, over
    the conversations that were looked at). `unknown_words` are those that the tokenizer cannot write, left out of the table.
    """

    model: str
    slug: Slug
    key: str | None = None
    revision: str | None
    family: str | None
    base_checkpoint: str | None
    origin: str | None = None
    kind: Kind
    backend: str = "local"
    served: ServedBy | None = None
    dtype: str
    device: str
    threads: int | None = None
    engine: Literal["prefix", "plain"] | None
    engine_why: str | None = None
    attention: str | None
    head: str | None = None
    bos: int | None = None
    read: Literal["class", "end"] | None = None
    read_token: str | None = None
    read_early: int | None = None
    frame: Literal["chat", "qa", "bare"] | None
    protocol: Literal["birthmark", "christian2026"]
    digests: Digests | None
    prompt_set: PromptSetRecord
    candidates_sha256: str
    n_tokens: int
    n_words: int
    left_out: LeftOut | None = None
    word_tokens: dict[str, int] | None = None
    unknown_words: list[str] = []
    template_date: str | None
    template_system: str | None = None
    system_place: Literal["system", "user"] | None = None
    trimmed: int | None = None
    versions: dict[str, str]
    sha256: str
    context_ids: dict[str, list[int]] | None
    mass: dict[str, Mass] | None
    mass_why: str | None = None
    seconds: float | None
    load_seconds: float | None
    verify_seconds: float | None
    verify_max_abs_diff: Annotated[float | None, ReasonIn("verify_why")]
    verify_bound: float | None = None
    verify_why: str | None = None
    quantized: Literal["8bit", "4bit"] | None = None
    precision: PrecisionCheck | None = None
    precision_why: str | None = None
    candidates_per_second: float | None
    warnings: list[str] = []


class Explanation(Record):
    """One conversation as one model reads it.

    `rendered` is the text, `token_ids` and `tokens` what it becomes. `shared_prefix` counts the tokens that begin the
    conversations of all candidates; `read` is the position whose state gives the score (an LM's: the last before the
    answer), `bos` the number of beginning-of-text tokens that it begins with, `gate` the position of a reward head's gate. `forms`: an LM's ways to write the candidate, each with its token ids.
    """

    model: str
    kind: Kind
    head: str | None
    frame: Literal["chat", "qa", "bare"]
    protocol: Literal["birthmark", "christian2026"]
    prompt: str
    question: str
    system: str | None
    system_place: Literal["system", "user"] | None
    template_system: str | None
    template_date: str | None
    candidate: str
    n_candidates: int
    rendered: str
    token_ids: list[int]
    tokens: list[str]
    shared_prefix: int
    read: int
    bos: int
    gate: int | None
    forms: dict[str, list[int]] | None
    served: ServedBy | None = None
    warnings: list[str]


class CheckFinding(Record):
    """`wrong`: scores would be another model's or none; `note`: a reader of scores must know it."""

    trap: str
    level: Literal["ok", "note", "wrong"]
    message: str


class ModelCheck(Record):
    """What every check found on one model; `wrong` counts the findings of that level."""

    model: str
    kind: Kind
    device: str
    dtype: str
    wrong: int
    findings: list[CheckFinding]


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
