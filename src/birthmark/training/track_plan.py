"""What a track would do: which checkpoints it finds, which of them are scored already, how long the rest would take.

Reads names and configurations; loads no model, asks the hub for tags alone, and writes nothing.
"""

from glob import escape
from pathlib import Path
from typing import Any, Unpack

from birthmark.dryrun import ANSWER_TOKENS, CONTEXT_TOKENS
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog
from birthmark.models.folder import ADAPTER_CONFIG, read_json
from birthmark.models.machine import choose_device, choose_dtype, estimate, free_memory
from birthmark.models.memory import count_parameters
from birthmark.records import TrackPlan
from birthmark.scoring import Measure
from birthmark.study import require_same_study
from birthmark.training.checkpoints import Series, find_series
from birthmark.training.trajectory import TrackAsked, read_options, study_of


def plan_track(
    *runs: str | Path, out: str | Path = "birthmark-track", **options: Unpack[TrackAsked]
) -> list[TrackPlan]:
    """A row a run. Seconds are those of the checkpoints that are left, as `score --dry-run` counts them.

    Raises `BirthmarkError` for runs without checkpoints, and an `out` of another study.
    """
    measure, asked = read_options(options)
    require_same_study(Path(out), "track", study_of(measure))
    catalog = load_catalog(Path(asked.catalog) if asked.catalog else None)
    return [_plan(series, measure, Path(out), catalog) for series in find_series(runs, asked.revisions)]


def _plan(series: Series, measure: Measure, out: Path, catalog: Catalog) -> TrackPlan:
    scored = sum(
        any((out / "scores").glob(f"{escape(series.run)}-step-{item.step:06d}-*.parquet"))
        for item in series.checkpoints
    )
    base = _base_of(series)
    known = find_entry(catalog, base) if base else None
    folder = Path(base) if base else None
    parameters = known.parameters if known else count_parameters(folder) if folder and folder.is_dir() else None
    device = choose_device(measure.device)
    candidates = measure.candidates_for("reward")
    words = len(candidates.words) or (_vocabulary(folder) if candidates.vocabulary else None)
    left = len(series.checkpoints) - scored
    seconds = memory = None
    if parameters and words:
        tokens = round(len(measure.prompts.prompts) * (CONTEXT_TOKENS + ANSWER_TOKENS * words))
        dtype = choose_dtype(measure.dtype, device, known.dtype if known else None)
        cost = estimate(parameters, dtype, device, tokens=left * tokens)
        seconds, memory = round(cost.seconds, 4), cost.memory_bytes
    return TrackPlan(
        run=series.run,
        base=base,
        steps=[item.step for item in series.checkpoints],
        scored=scored,
        prompts=len(measure.prompts.prompts),
        words=words,
        device=str(device),
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


def _vocabulary(folder: Path | None) -> int | None:
    """Tokens of a model in a folder, as its configuration counts them."""
    if folder is None or not (folder / "config.json").is_file():
        return None
    size = read_json(folder / "config.json").get("vocab_size")
    return int(size) if size else None
