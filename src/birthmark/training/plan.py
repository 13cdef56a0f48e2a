"""What a training run would take, and how far it has come: time and memory before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from birthmark.models.guard import read_config
from birthmark.models.machine import estimate, free_memory
from birthmark.models.memory import count_parameters
from birthmark.records import Recipe, TrainingPlan, TrainingRecord, read_record
from birthmark.training.run import RESUME_FIELDS, PreparedRun, RunRequest, prepare

BYTES_A_STATE = 17  # of what a layer keeps for the backward pass, a byte of precision each (34 in 16 bits)


def plan_training_run(
    asked: RunRequest, out: Path | None = None, tokenizers: dict[Path, Any] | None = None
) -> TrainingPlan:
    """The record of a run before its first step, what it would take, and what `out` holds of it.

    tokenizers: as for `prepare`.
    """
    return _plan_training(asked, prepare(asked, tokenizers), out)


def _plan_training(asked: RunRequest, prepared: PreparedRun, out: Path | None) -> TrainingPlan:
    record, recipe = prepared.record, asked.recipe
    sizes = _Sizes.of(read_config(asked.base.path))
    parameters = count_parameters(asked.base.path)
    seconds = memory = None
    if parameters is not None:
        passes = 3 if recipe.recompute_activations else 2  # forwards, backwards through frozen weights, and again
        cost = estimate(
            max(1, parameters - sizes.unused - sizes.embedding),
            record.precision,
            prepared.device,
            tokens=passes * padded_tokens(prepared, recipe.micro_batch),
        )
        seconds = round(cost.seconds / record.processes, 4)
        memory = cost.memory_bytes + sizes.embedding * _width(record) + _kept(sizes, record, recipe, prepared)
    return TrainingPlan(
        **record.model_dump(exclude={"finished"}),
        state=_state(out, record),
        estimated_seconds=seconds,
        memory_bytes=memory,
        free_bytes=free_memory(prepared.device),
    )


@dataclass(frozen=True)
class _Sizes:
    """Of a base: hidden width, layers, parameters that only look tokens up, and those that a reward model leaves out."""

    hidden: int
    layers: int
    embedding: int
    unused: int

    @classmethod
    def of(cls, config: Any) -> "_Sizes":
        text = config.get_text_config()
        embedding = text.vocab_size * text.hidden_size
        return cls(text.hidden_size, text.num_hidden_layers, embedding, 0 if text.tie_word_embeddings else embedding)


def padded_tokens(prepared: PreparedRun, micro_batch: int) -> int:
    """Tokens that run through the model in all steps: each micro-batch padded to its longest conversation."""
    lengths = {pair.position: (len(pair.chosen.ids), len(pair.rejected.ids)) for pair in prepared.pairs}
    total = 0
    for start in range(0, len(prepared.order), micro_batch):
        part = [length for position in prepared.order[start : start + micro_batch] for length in lengths[position]]
        total += len(part) * max(part)
    return total


def _width(record: TrainingRecord) -> int:
    return 4 if record.precision == "float32" else 2


def _kept(sizes: _Sizes, record: TrainingRecord, recipe: Recipe, prepared: PreparedRun) -> int:
    """Bytes kept for the backward pass of the longest possible micro-batch (after Korthikanti et al. 2022)."""
    longest = max(max(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in prepared.pairs)
    states = 2 * recipe.micro_batch * longest * sizes.hidden * _width(record)
    whole = sizes.layers * BYTES_A_STATE
    return states * (sizes.layers + BYTES_A_STATE if recipe.recompute_activations else whole)


def _state(out: Path | None, record: TrainingRecord) -> Literal["new", "begun", "finished", "another run"]:
    """`new`, `begun`, `finished`, or `another run` where the folder holds one with another recipe or other pairs."""
    if out is None or not (out / "run.json").is_file():
        return "new"
    earlier = read_record(out / "run.json", TrainingRecord)
    if any(getattr(earlier, name) != getattr(record, name) for name in RESUME_FIELDS):
        return "another run"
    return "finished" if earlier.finished else "begun"
