"""One training run, from a base and a preference source to a RUN folder: prepare, record, train, resume.

`RUN/` has `run.json` (the request, with digests of all inputs), `checkpoints/step-000000/…` (adapters and head), `log.jsonl`,
`dropped.jsonl` (pairs not used for training, with reasons) and, until the run is finished, `resume/`.
"""

import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.errors import BirthmarkError
from birthmark.files import LOCK, check_path, lock_folder, write_text
from birthmark.models.folder import checkpoint_folders
from birthmark.progress import note
from birthmark.records import PairCounts, Recipe, TrainingRecord, read_record, to_json
from birthmark.records.base import Row, Shown
from birthmark.scoring.measure import versions
from birthmark.training.data import Drop, TokenizedPair, digest_of_pairs, thin, tokenize_pairs, training_order
from birthmark.training.recipe import Preset, checkpoint_steps, total_steps
from birthmark.training.sources import count_drops, no_pairs_left, open_source, read_pairs, scan

if TYPE_CHECKING:
    from filelock import FileLock

    from birthmark.models.resolve import ResolvedModel
    from birthmark.training.trainer import RewardModelTrainer

# The fields that must agree to resume a RUN; the others say where and how it was made.
RESUME_FIELDS = (
    *("base", "revision", "digests", "source", "pairs", "every", "seed", "recipe", "data_digest", "trained_digest"),
    *("precision", "attention", "pad_token", "steps", "checkpoint_steps"),
)


@dataclass(frozen=True)
class RunRequest:
    """The user's request for one run."""

    base: "ResolvedModel"
    preferences: str | Path
    recipe: Recipe
    preset: Preset = "study"
    pairs: int | None = None
    every: int | None = None
    seed: int = 0
    chat_template: str | None = None
    device: str | None = None
    report_to: tuple[str, ...] = ()
    left_out: frozenset[int] = frozenset()  # rows of the source that another base of the same grid cannot use


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to start: its record, and the pairs in the order of training."""

    record: TrainingRecord
    pairs: list[TokenizedPair]
    order: list[int]
    drops: list[Drop]
    tokenizer: Any
    device: Any


@dataclass(frozen=True, repr=False)
class TrainingRun(Shown):
    """A run's folder: its record, its checkpoints by step, and the numbers of every step (`log`)."""

    out: Path
    record: TrainingRecord

    @property
    def checkpoints(self) -> dict[int, Path]:
        """Step → folder, which `bm.score` takes."""
        return dict(checkpoint_folders(self.out))

    @property
    def log(self) -> list[dict[str, Any]]:
        from birthmark.training.callback import read_log  # imports torch, which a wrong name need not wait for

        return read_log(self.out / "log.jsonl")

    def summary(self) -> str:
        record = self.record
        state = f"{record.steps} steps" if record.finished else f"unfinished, of {record.steps} steps"
        numbers = ", ".join(f"{name} {value:.3f}" for name, value in record.final.items() if value is not None)
        return (
            f"{record.base} on {record.counts.trained:,} pairs of {record.source} ({record.loss}, seed {record.seed}): "
            f"{state}, {len(self.checkpoints)} checkpoints in {self.out}{'; last ' + numbers if numbers else ''}"
        )

    def rows(self) -> list[Row]:
        return self.log


def run_training(
    request: RunRequest,
    out: Path,
    *,
    quiet: bool = True,
    show: Callable[[TrainingRecord], None] | None = None,
    callbacks: Sequence[Any] = (),
) -> TrainingRun:
    """Train into `out`, resuming an interrupted run; a finished run is returned unchanged.

    `show` is called with the record before the first step. Raises `BirthmarkError` if `out` has another run, or the base,
    pairs or recipe are invalid; the content of `out` is then left unchanged.
    """
    quiet = quiet or not is_main()
    lock = _require_room(out) if is_main() else None
    note(f"reading {request.preferences}", quiet=quiet)
    prepared = prepare(request)
    earlier = _earlier(out, prepared.record)
    if earlier is not None and earlier.finished:
        note(f"{out} is finished already", quiet=quiet)
        return TrainingRun(out, earlier)
    from birthmark.training.callback import final_numbers, read_log

    if is_main():
        write_text(out / "run.json", to_json(prepared.record))
        lines = [json.dumps({"row": drop.row, "reason": drop.reason}) + "\n" for drop in prepared.drops]
        write_text(out / "dropped.jsonl", "".join(lines))
        if show is not None:
            show(prepared.record)
    _train(request, prepared, out, quiet=quiet, callbacks=callbacks)
    log = read_log(out / "log.jsonl")
    record = prepared.record.model_copy(
        update={
            "finished": True,
            "seconds": round(sum(line["seconds"] for line in log), 3),
            "final": final_numbers(log),
        }
    )
    if is_main():
        write_text(out / "run.json", to_json(record))
        shutil.rmtree(out / "resume", ignore_errors=True)
    if lock is not None:
        lock.release()
    return TrainingRun(out, record)


def prepare(request: RunRequest, tokenizers: "dict[Path, Any] | None" = None) -> PreparedRun:
    """Everything before the first step; deterministic given the request.

    tokenizers: those of bases that several requests name, for requests that are only looked at.
    """
    from birthmark.models.encoding import Encoder
    from birthmark.models.guard import read_config
    from birthmark.models.loading import attention_of
    from birthmark.models.machine import choose_device
    from birthmark.training.reward_model_init import choose_precision, load_padding_tokenizer, require_base

    base, recipe = request.base, request.recipe
    require_base(base)
    source = open_source(request.preferences)
    found = scan(source)
    sample = thin(found.usable, pairs=request.pairs, every=request.every, seed=request.seed, source=source.name)
    pairs = read_pairs(source, sample)
    tokenizer = tokenizers.get(base.path) if tokenizers is not None else None
    if tokenizer is None:
        tokenizer = load_padding_tokenizer(base)
        if tokenizers is not None:
            tokenizers[base.path] = tokenizer
    encoder = Encoder(tokenizer, "chat", chat_template=base.chat_template)
    kept, cut_drops = tokenize_pairs(pairs, encoder, max_tokens=recipe.max_tokens, cut=recipe.cut)
    elsewhere = request.left_out - {drop.row for drop in (*found.drops, *cut_drops)}
    drops = [
        *found.drops,
        *cut_drops,
        *(Drop(row, "dropped for another base of the grid") for row in sorted(elsewhere)),
    ]
    kept = [pair for pair in kept if pairs[pair.position].row not in elsewhere]
    if not kept:
        raise BirthmarkError(no_pairs_left(source, drops))
    order = training_order([pair.position for pair in kept], len(pairs), recipe.epochs, request.seed)
    device = choose_device(request.device)
    steps = total_steps(len(kept), recipe.epochs, recipe.batch)
    config = read_config(base.path)
    record = TrainingRecord(
        base=base.name,
        family=base.family,
        base_checkpoint=base.base_checkpoint,
        revision=base.revision,
        digests=base.digests,
        chat_template=request.chat_template,
        source=source.name,
        source_path=str(source.path) if source.path else None,
        source_sha256=source.sha256,
        source_layout=found.layout,
        pairs=request.pairs or len(pairs),
        every=request.every,
        loss=recipe.loss,
        seed=request.seed,
        preset=request.preset,
        recipe=recipe,
        data_digest=digest_of_pairs(pairs),
        trained_digest=digest_of_pairs(pairs[position] for position in order),
        counts=PairCounts(
            read=found.read,
            usable=len(found.usable),
            sampled=len(pairs),
            trained=len(kept),
            truncated=sum(pair.chosen.cut or pair.rejected.cut for pair in kept),
            dropped=count_drops(drops),
        ),
        precision=choose_precision(recipe, device),
        attention=attention_of(base, config),
        pad_token=tokenizer.pad_token,
        template_date=encoder.template_date,
        steps=steps,
        checkpoint_steps=checkpoint_steps(steps, recipe.checkpoint_every),
        device=str(device),
        processes=_processes(),
        versions=_versions(),
        command_line=shlex.join(["birthmark", *sys.argv[1:]]) if sys.argv[0].endswith("birthmark") else None,
    )
    return PreparedRun(record, kept, order, drops, tokenizer, device)


def make_trainer(
    request: RunRequest, prepared: PreparedRun, out: Path, callbacks: Sequence[Any] = ()
) -> "RewardModelTrainer":
    """The trainer of a prepared run, with its model: head and adapters drawn from the seed, before any step."""
    from birthmark.training.reward_model_init import language_head, load_reward_model_init, lora_config, require_targets
    from birthmark.training.trainer import RewardModelTrainer, as_dataset, library_warnings_off, training_arguments

    record, recipe = prepared.record, request.recipe
    arguments = training_arguments(
        out,
        recipe,
        seed=request.seed,
        steps=record.steps,
        bf16=record.precision == "bfloat16",
        processes=record.processes,
        device=prepared.device,
        report_to=request.report_to,
    )
    model = load_reward_model_init(request.base, seed=request.seed, precision=record.precision)
    require_targets(model, recipe, record.base)
    with library_warnings_off():
        return RewardModelTrainer(
            run=out,
            recipe=recipe,
            chat_template=request.base.chat_template or "",
            checkpoints=record.checkpoint_steps,
            head=language_head(request.base, model) if recipe.loss != "bt" else None,
            callbacks=callbacks,
            model=model,
            args=arguments,
            train_dataset=as_dataset(prepared.pairs, prepared.order),
            processing_class=prepared.tokenizer,
            peft_config=lora_config(recipe, request.base),
        )


def _train(request: RunRequest, prepared: PreparedRun, out: Path, *, quiet: bool, callbacks: Sequence[Any]) -> None:
    from birthmark.training.callback import LogCallback
    from birthmark.training.trainer import clear_unfinished, library_warnings_off, resume_folder, trim_log

    note(f"loading {prepared.record.base}", quiet=quiet)
    log_callback = LogCallback(out / "log.jsonl", request.recipe.batch / prepared.record.counts.trained, quiet=quiet)
    trainer = make_trainer(request, prepared, out, [log_callback, *callbacks])
    trainer.accelerator.wait_for_everyone()
    if is_main():
        clear_unfinished(out)
    trainer.accelerator.wait_for_everyone()
    resume = resume_folder(out)
    if is_main():
        trim_log(out, resume)
    if resume is None:
        trainer.save_first()
    try:
        with library_warnings_off():
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    finally:
        log_callback.close()


def _require_room(out: Path) -> "FileLock":
    """Make the folder where it is not there, and lock it: one process at a time trains a run."""
    check_path(out, "out", "with --out")
    if out.is_dir() and {item.name for item in out.iterdir()} - {LOCK} and not (out / "run.json").is_file():
        raise BirthmarkError(f"{out} has files of something else: give an empty or new folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BirthmarkError(f"{out} cannot be created ({error.strerror}): give another folder with --out") from None
    return lock_folder(out)


def _earlier(out: Path, record: TrainingRecord) -> TrainingRecord | None:
    """The record of the run in `out`, or None. Raises `BirthmarkError` if it is another run."""
    if not (out / "run.json").is_file():
        return None
    earlier = read_record(out / "run.json", TrainingRecord)
    for name in RESUME_FIELDS:
        before, now = getattr(earlier, name), getattr(record, name)
        if before != now:
            if name == "recipe":
                name, before, now = next(
                    (field, getattr(before, field), getattr(now, field))
                    for field in Recipe.model_fields
                    if getattr(before, field) != getattr(now, field)
                )
            raise BirthmarkError(
                f"{out} has another run: its {name} is {_short(before)}, not {_short(now)}: give another folder with --out"
            )
    return earlier


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 48 else text[:48] + "…"


def is_main() -> bool:
    """Whether this is the main process, which writes files and messages."""
    return os.environ.get("RANK", "0") == "0"


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _versions() -> dict[str, str]:
    more = {name: importlib.metadata.version(name) for name in ("trl", "accelerate", "datasets", "safetensors")}
    return {"python": platform.python_version(), **versions(), **more}
