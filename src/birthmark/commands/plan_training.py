"""`--dry-run` of what trains, tracks or plants: what would be done, how far it has come, about how long it takes.

Reads names and configurations; loads no model, asks the hub for tags alone, and writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Literal, Unpack

from birthmark.commands.audit import EMBEDDED
from birthmark.commands.calibrate import SEEDS
from birthmark.commands.plan import ANSWER_TOKENS, CONTEXT_TOKENS, facts_of
from birthmark.commands.track import TrackOptions, study_of
from birthmark.commands.train import Preset, RecipeOptions, ask
from birthmark.errors import BirthmarkError
from birthmark.files import slug_of
from birthmark.inputs.catalog import Catalog, Entry, find_entry, load_catalog
from birthmark.inputs.fetch import cache_folder
from birthmark.inputs.prompts import CATEGORIES, planted_category
from birthmark.models.folder import ADAPTER_CONFIG, read_json, vocabulary_size
from birthmark.models.guard import read_config
from birthmark.models.machine import estimate, free_memory
from birthmark.models.memory import count_parameters
from birthmark.records import Recipe, TrackPlan, TrainingPlan, TrainingRecord, read_record
from birthmark.records.calibration import PlantedPlan, PlantedRun, PlantedSetting
from birthmark.scoring.declarations import select, with_options
from birthmark.scoring.local import choose_machine
from birthmark.scoring.measure import Measure, make_measure
from birthmark.scoring.options import MeasureOptions
from birthmark.study import require_same_study
from birthmark.training import grid as grids
from birthmark.training.checkpoints import Series, find_series
from birthmark.training.run import RESUME_FIELDS, PreparedRun, RunRequest, prepare

TOKENS = 20  # of a planted question in its frame: 18 and 19 on the embedded models
BYTES_A_STATE = 17  # of what a layer keeps for the backward pass, a byte of precision each (34 in 16 bits)


@with_options
def plan_training(
    base: str | Path,
    preferences: str | Path,
    *,
    out: str | Path | None = None,
    pairs: int | None = None,
    every: int | None = None,
    preset: Preset = "study",
    device: str | None = None,
    report_to: Sequence[str] = (),
    **options: Unpack[RecipeOptions],
) -> TrainingPlan:
    """What `train` would do: the record before the first step, seconds and memory, what `out` has of it."""
    asked = ask(base, preferences, pairs, every, preset, device, report_to, options)
    return plan_training_run(asked, Path(out) if out is not None else None)


def plan_grid(
    grid: str | Path,
    *,
    out: str | Path = "birthmark-train",
    device: str | None = None,
    report_to: Sequence[str] = (),
    ray: bool | str | None = None,
    catalog: str | Path | None = None,
    quiet: bool = True,
) -> list[TrainingPlan]:
    """What `train_grid` would do, run by run, and which of them `out` holds already."""
    runs = grids.plan_grid(Path(grid), device=device, catalog=Path(catalog) if catalog else None, quiet=quiet)
    tokenizers: dict[Path, Any] = {}
    plans = (plan_training_run(run.request, Path(out) / run.name, tokenizers) for run in runs)
    return [plan.model_copy(update={"run": run.name}) for run, plan in zip(runs, plans, strict=True)]


@with_options
def plan_track(
    *runs: str | Path, out: str | Path = "birthmark-track", **options: Unpack[TrackOptions]
) -> list[TrackPlan]:
    """A row a run. Seconds are those of the checkpoints that are left, as `score --dry-run` counts them.

    Raises `BirthmarkError` for runs without checkpoints, and an `out` of another study.
    """
    measure = make_measure(**select(options, MeasureOptions))
    require_same_study(Path(out), "track", study_of(measure))
    catalog = load_catalog(Path(options["catalog"]) if options["catalog"] else None)
    return [_plan_series(series, measure, Path(out), catalog) for series in find_series(runs, options["revisions"])]


def _plan_series(series: Series, measure: Measure, out: Path, catalog: Catalog) -> TrackPlan:
    scored = sum(
        any((out / "scores").glob(f"{escape(slug_of(series.run))}-step-{item.step:06d}-*.parquet"))
        for item in series.checkpoints
    )
    base = _base_of(series)
    known = find_entry(catalog, base) if base else None
    folder = Path(base) if base else None
    parameters = known.parameters if known else count_parameters(folder) if folder and folder.is_dir() else None
    device, dtype = choose_machine(measure.device, measure.dtype, known)
    candidates = measure.candidates_for("reward")
    words = len(candidates.words) or (vocabulary_size(folder) if folder and candidates.vocabulary else None)
    left = len(series.checkpoints) - scored
    seconds = memory = None
    if parameters and words:
        tokens = round(len(measure.prompts.prompts) * (CONTEXT_TOKENS + ANSWER_TOKENS * words))
        cost = estimate(parameters, dtype, device, tokens=left * tokens)
        seconds, memory = round(cost.seconds, 4), cost.memory_bytes
    return TrackPlan(
        run=series.run,
        base=base,
        steps=[item.step for item in series.checkpoints],
        scored=scored,
        prompts=len(measure.prompts.prompts),
        words=words,
        device=device,
        seconds=seconds,
        memory_bytes=memory,
        free_bytes=free_memory(device),
    )


def _base_of(series: Series) -> str | None:
    """What the checkpoints stand on: as `run.json` says, else the adapter, else the checkpoint itself; None on the hub."""
    first = Path(series.checkpoints[0].name)
    if series.facts.base or not first.is_dir():
        return series.facts.base
    adapter: dict[str, Any] = read_json(first / ADAPTER_CONFIG) if (first / ADAPTER_CONFIG).is_file() else {}
    return str(adapter.get("base_model_name_or_path", first))


def plan_planted(
    *,
    bases: Sequence[str | Path] = (),
    categories: Sequence[str] = (),
    out: str | Path | None = None,
    setting: str = "small",
    seeds: int = SEEDS,
    seed: int = 0,
    catalog: str | Path | None = None,
    device: str | None = None,
    ray: bool | str | None = None,
) -> list[PlantedPlan]:
    """A row a base: the runs, their steps, about how long, about how much memory; nothing is fetched, loaded or written.

    Seconds a run are the mean of the base's finished ones; where there are none, what `estimate` says of twice the tokens
    that are taught (forwards and backwards) and of those that are asked, without the parameters that only look tokens up. Raises what
    `calibrate_planted` raises for a setting, category, base or number of seeds that cannot be.
    """
    from birthmark.training.planted import find_setting, need_seeds

    steps, known = find_setting(setting), load_catalog(Path(catalog) if catalog else None)
    chosen = [planted_category(name) for name in dict.fromkeys(categories or CATEGORIES)]
    numbers = need_seeds(seeds, seed)
    where, _ = choose_machine(device, None)
    plans = []
    for base in dict.fromkeys(map(str, bases or EMBEDDED)):
        entry, kind, parameters = facts_of(base, known)
        if kind == "reward":
            raise BirthmarkError(f"{base} is a reward model: values are planted in a language model")
        done = _finished(Path(out) if out else None, base, [category.name for category in chosen], numbers, steps)
        runs = len(chosen) * len(numbers)
        taught, asked = max(steps.strengths) * steps.batch_size, len(steps.strengths) * len(steps.held_out)
        tokens = (2 * taught + asked) * TOKENS
        cost = estimate(parameters, "float32", where, tokens=tokens) if parameters else None
        each = _seconds_a_run(
            done, cost.seconds * (1 - _looked_up(base, entry, parameters)) if cost and parameters else None
        )
        plans.append(
            PlantedPlan(
                base=base,
                categories=[category.name for category in chosen],
                seeds=list(numbers),
                runs=runs,
                finished=len(done),
                steps=max(steps.strengths),
                batch_size=steps.batch_size,
                strengths=steps.strengths,
                held_out=len(steps.held_out),
                device=where,
                parameters=parameters,
                seconds=None if each is None else round(each * (runs - len(done)), 4),
                memory_bytes=cost.memory_bytes if cost else None,
                free_bytes=free_memory(where),
            )
        )
    return plans


def _seconds_a_run(done: Sequence[PlantedRun], estimated: float | None) -> float | None:
    return sum(run.seconds for run in done) / len(done) if done else estimated


def _looked_up(base: str, entry: Entry | None, parameters: int) -> float:
    """The share of a base's parameters that only look tokens up, 0 where its configuration is not here to say so."""
    folder = cache_folder() / "models" / entry.name if entry and entry.embedded else Path(base)
    if not (folder / "config.json").is_file():
        return 0.0
    config = read_json(folder / "config.json")
    text = config.get("text_config", config)
    return min(0.9, text.get("vocab_size", 0) * text.get("hidden_size", 0) / parameters)


def _finished(
    out: Path | None, base: str, categories: Sequence[str], seeds: Sequence[int], setting: PlantedSetting
) -> list[PlantedRun]:
    """The runs that OUT holds of a base under this setting; whether the base's weights are the same is seen when it runs."""
    work = out / ".work" / "planted" if out else None
    if work is None or not work.is_dir():
        return []
    stem = escape(Path(base).name if Path(base).is_dir() else base.replace("/", "--"))
    paths = [
        path
        for category in categories
        for seed in seeds
        for path in (
            *work.glob(f"{stem}-{category}-{seed}.json"),
            *work.glob(f"{stem}-????????-{category}-{seed}.json"),
        )
    ]
    runs = [read_record(path, PlantedRun) for path in paths]
    return [run for run in runs if run.diverged or {score.strength for score in run.scores} == set(setting.strengths)]


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
