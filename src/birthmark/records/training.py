"""A training run: `run.json`, and the recipe in it."""

from typing import Literal

from pydantic import Field

from birthmark.records.base import Record
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
    lora_rank: int = Field(32, ge=1)
    lora_alpha: float = Field(64, gt=0)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_targets: list[str] = Field(["q_proj", "k_proj", "v_proj", "o_proj"], min_length=1)
    learning_rate: float = Field(1e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(5.0, gt=0)
    batch: int = Field(16, ge=1)
    micro_batch: int = Field(4, ge=1)
    epochs: float = Field(2.0, gt=0)
    max_tokens: int = Field(1024, ge=2)
    cut: Literal["left", "right"] = "right"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    recompute_activations: bool = True
    checkpoint_every: int = Field(500, ge=1)
    text_weight: float = Field(0.01, ge=0, le=1)
    text_beta: float = Field(0.1, gt=0)
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
