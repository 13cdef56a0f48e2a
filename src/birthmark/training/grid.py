"""A grid of training runs from one YAML file: bases × sources × pair counts × losses × seeds, each run in its own folder.

Runs differ only in what the grid varies: pairs that one base's tokenizer cannot distinguish are dropped for every base.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from birthmark.errors import BirthmarkError
from birthmark.files import check_path, slug_of
from birthmark.foreign import one_line
from birthmark.inputs.text import MEGABYTE, is_nested_too_deeply, read_text
from birthmark.progress import note, progress_bar
from birthmark.records import TrainingLoss, TrainingRecord
from birthmark.scoring.options import MAX_SEED
from birthmark.scoring.places import run_tasks
from birthmark.training.recipe import Preset, make_recipe
from birthmark.training.run import RunRequest, TrainingRun, prepare, run_training

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel


class GridBase(BaseModel):
    """A base, with facts that are not in the catalog."""

    model_config = ConfigDict(extra="forbid")

    model: str
    family: str | None = None
    base_checkpoint: str | None = None
    revision: str | None = None
    chat_template: str | None = None


class GridFile(BaseModel):
    """The user's file. `pairs` and `every` subsample like the options; `recipe` changes fields of the preset."""

    model_config = ConfigDict(extra="forbid")

    bases: list[str | GridBase] = Field(min_length=1)
    sources: list[str] = Field(min_length=1)
    pairs: list[Annotated[int, Field(ge=1)]] = []
    every: int | None = Field(None, ge=1)
    losses: list[TrainingLoss] = Field(["bt"], min_length=1)
    seeds: list[Annotated[int, Field(ge=0, le=MAX_SEED)]] = Field([0], min_length=1)
    preset: Preset = "study"
    chat_template: str | None = None
    recipe: dict[str, Any] = {}


@dataclass(frozen=True)
class GridRun:
    """One run of a grid: its folder's name and its request."""

    name: str
    request: RunRequest


def read_grid(path: Path) -> GridFile:
    """Read a grid. Raises `BirthmarkError` if it is missing, not YAML, or has an unknown key or invalid value."""
    check_path(path, "file", "with --grid")
    text = read_text(path, "grid", MEGABYTE)
    if is_nested_too_deeply(text):
        raise BirthmarkError(f"the grid {path} cannot be read: it is nested too deeply")
    try:
        content = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BirthmarkError(f"the grid {path} cannot be read: {one_line(error, 200)}") from None
    try:
        return GridFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = one_line(".".join(str(part) for part in first["loc"])) or "the file"
        raise BirthmarkError(f"the grid {path}: {where}: {one_line(first['msg'])}") from None


def plan_grid(
    path: Path, *, device: str | None = None, catalog: Path | None = None, quiet: bool = True
) -> list[GridRun]:
    """All runs of a grid; those that differ only in the base are adjacent. Bases are resolved, nothing is trained.

    Relative paths are relative to the YAML file if they exist there. Raises `BirthmarkError` if any of the runs is invalid.
    """
    grid = read_grid(path)
    if grid.pairs and grid.every:
        raise BirthmarkError(f"the grid {path}: use either pairs or every, not both")
    bases = [_resolve(item, grid, path.parent, catalog, quiet) for item in grid.bases]
    runs: list[GridRun] = []
    tokenizers: dict[Path, Any] = {}
    for request in _cells(grid, path.parent, device):
        group = [replace(request, base=base, chat_template=template) for base, template in bases]
        runs += [GridRun(_name(item), item) for item in _same_pairs(group, tokenizers)]
    names = [run.name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BirthmarkError(f"the grid {path} has {min(twice)} twice: list each base, source and seed once")
    return runs


def run_grid(
    path: Path,
    out: Path,
    *,
    device: str | None = None,
    catalog: Path | None = None,
    report_to: tuple[str, ...] = (),
    ray: str | None = None,
    quiet: bool = True,
    show: Callable[[TrainingRecord], None] | None = None,
) -> list[TrainingRun]:
    """Train every run of a grid into `out/<run>/`; finished runs are skipped, and an interrupted one resumes.

    If a run fails (for example because its loss is not finite), the others are still trained, and a `BirthmarkError` names
    it at the end. On `ray` each run is a task, which writes into `out` itself: all machines of the cluster have to see it.
    """
    runs = plan_grid(path, device=device, catalog=catalog, quiet=quiet)
    if ray is not None:
        return _train_on_ray(ray, runs, out.resolve(), report_to, device=device, quiet=quiet)
    done, failed = [], []
    for number, run in enumerate(runs, start=1):
        note(f"run {number} of {len(runs)}: {run.name}", quiet=quiet)
        request = replace(run.request, report_to=report_to)
        try:
            done.append(run_training(request, out / run.name, quiet=quiet, show=show))
        except BirthmarkError as error:
            failed.append(f"{run.name}: {error}")
    _require_all(failed, runs)
    return done


def _require_all(failed: Sequence[str], runs: Sequence[GridRun]) -> None:
    """Raise `BirthmarkError` that names the runs that failed."""
    if failed:
        raise BirthmarkError(f"{len(failed)} of {len(runs)} runs failed, the others are finished; {'; '.join(failed)}")


@dataclass(frozen=True, eq=False)
class _Task:
    """A run of a grid as a task of a cluster, and a file of this moment in `out`, which proves that a worker sees it."""

    run: GridRun
    out: Path
    probe: Path


def _train_on_ray(
    address: str, runs: Sequence[GridRun], out: Path, report_to: tuple[str, ...], *, device: str | None, quiet: bool
) -> list[TrainingRun]:
    out.mkdir(parents=True, exist_ok=True)
    done: dict[str, TrainingRun] = {}
    failed = []
    with TemporaryDirectory(dir=out, prefix=".ray-") as probe:
        tasks = [
            _Task(replace(run, request=replace(run.request, report_to=report_to)), out, Path(probe)) for run in runs
        ]
        results = run_tasks(address, _train_task, tasks, name=lambda task: task.run.name, device=device)
        for _ in progress_bar(tasks, "training", unit="runs", quiet=quiet):
            task, result = next(results)
            if isinstance(result, str):
                failed.append(f"{task.run.name}: {result}")
            else:
                done[task.run.name] = result
                note(result.summary(), quiet=quiet)
    _require_all(failed, runs)
    return [done[run.name] for run in runs]


def _train_task(task: _Task) -> TrainingRun | str:
    """One run in a worker; what went wrong with it comes back as text, since the others go on."""
    if not task.probe.is_dir():
        raise BirthmarkError(
            f"a machine of the Ray cluster does not see {task.out}: name a folder that all of them share"
        )
    try:
        return run_training(task.run.request, task.out / task.run.name, quiet=True)
    except BirthmarkError as error:
        return str(error)


def _cells(grid: GridFile, folder: Path, device: str | None) -> Iterator[RunRequest]:
    """The runs without their base. Seeds vary slowest, so that a grid that is stopped early has complete replicates."""
    counts: list[int | None] = [*grid.pairs] or [None]
    for seed in grid.seeds:
        for source in grid.sources:
            for pairs in counts:
                for loss in grid.losses:
                    yield RunRequest(
                        base=None,  # type: ignore[arg-type]
                        preferences=_beside(source, folder),
                        recipe=make_recipe(grid.preset, **{**grid.recipe, "loss": loss}),
                        preset=grid.preset,
                        pairs=pairs,
                        every=grid.every,
                        seed=seed,
                        device=device,
                    )


def _resolve(
    item: str | GridBase, grid: GridFile, folder: Path, catalog: Path | None, quiet: bool
) -> "tuple[ResolvedModel, str | None]":
    from birthmark.models.resolve import resolve

    base = GridBase(model=item) if isinstance(item, str) else item
    template = base.chat_template or grid.chat_template
    found = resolve(
        _beside(base.model, folder),
        catalog=catalog,
        revision=base.revision,
        family=base.family,
        base_checkpoint=base.base_checkpoint,
        chat_template=template if template in (None, "plain") else _beside(str(template), folder),
        quiet=quiet,
    )
    return found, template


def _beside(name: str, folder: Path) -> str:
    return str(folder / name) if (folder / name).exists() else name


def _same_pairs(group: list[RunRequest], tokenizers: dict[Path, Any]) -> list[RunRequest]:
    """The group, with the pairs that any base's tokenizer drops left out for all bases."""
    if len(group) == 1:
        return group
    dropped = frozenset(drop.row for request in group for drop in prepare(request, tokenizers).drops)
    return [replace(request, left_out=dropped) for request in group]


def _name(request: RunRequest) -> str:
    source = (
        Path(request.preferences).name.split(".")[0]
        if Path(request.preferences).is_file()
        else str(request.preferences)
    )
    count = request.pairs or (f"every{request.every}" if request.every else "all")
    parts = (request.base.slug, source.replace("/", "--"), str(count), request.recipe.loss, f"seed{request.seed}")
    return slug_of("_".join(parts))
