"""A grid of training runs in one YAML: bases × sources × pair counts × losses × seeds, each run a folder of its own.

Runs differ in what the grid varies and in nothing else: pairs that one base's tokenizer cannot tell apart are left out
for every base. Knows the order of runs; a run itself is the business of `run`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from birthmark.errors import BirthmarkError
from birthmark.progress import note
from birthmark.records import TrainingLoss, TrainingRecord
from birthmark.training.recipe import Preset, make_recipe
from birthmark.training.run import Asked, TrainingRun, prepare, run_training

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel


class GridBase(BaseModel):
    """A base with what the catalog does not know of it."""

    model_config = ConfigDict(extra="forbid")

    model: str
    family: str | None = None
    base_checkpoint: str | None = None
    revision: str | None = None
    chat_template: str | None = None


class GridFile(BaseModel):
    """What a person writes. `pairs` and `every` thin as the options do; `recipe` changes fields of the preset."""

    model_config = ConfigDict(extra="forbid")

    bases: list[str | GridBase] = Field(min_length=1)
    sources: list[str] = Field(min_length=1)
    pairs: list[int] = []
    every: int | None = None
    losses: list[TrainingLoss] = Field(["bt"], min_length=1)
    seeds: list[int] = Field([0], min_length=1)
    preset: Preset = "study"
    chat_template: str | None = None
    recipe: dict[str, Any] = {}


@dataclass(frozen=True)
class GridRun:
    """One run of a grid: its folder's name and what it asks."""

    name: str
    asked: Asked


def read_grid(path: Path) -> GridFile:
    """Read a grid; raises `BirthmarkError` where it is missing, no YAML, or has a key or value that is not known."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BirthmarkError(f"the grid {path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    try:
        return GridFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BirthmarkError(f"the grid {path}: {where}: {first['msg']}") from None


def plan_grid(
    path: Path, *, device: str | None = None, catalog: Path | None = None, quiet: bool = True
) -> list[GridRun]:
    """Every run of a grid, those that differ in the base alone side by side; bases are resolved, nothing is trained.

    Files are looked for beside the YAML first. Raises `BirthmarkError` for what is wrong with any of the runs.
    """
    grid = read_grid(path)
    if grid.pairs and grid.every:
        raise BirthmarkError(f"the grid {path}: thin by pairs or by every, not by both")
    bases = [_resolve(item, grid, path.parent, catalog, quiet) for item in grid.bases]
    runs: list[GridRun] = []
    for asked in _cells(grid, path.parent, device):
        group = [replace(asked, base=base, chat_template=template) for base, template in bases]
        runs += [GridRun(_name(item), item) for item in _same_pairs(group)]
    names = [run.name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BirthmarkError(f"the grid {path} asks twice for {min(twice)}: name each base, source and seed once")
    return runs


def run_grid(
    path: Path,
    out: Path,
    *,
    device: str | None = None,
    catalog: Path | None = None,
    report_to: tuple[str, ...] = (),
    quiet: bool = True,
    show: Callable[[TrainingRecord], None] | None = None,
) -> list[TrainingRun]:
    """Train every run of a grid into `out/<run>/`; finished ones are skipped, a cut-off one goes on.

    A run that fails (a loss that is not a number) does not keep the others from being trained: it is named at the end,
    by a `BirthmarkError`.
    """
    runs = plan_grid(path, device=device, catalog=catalog, quiet=quiet)
    done, failed = [], []
    for number, run in enumerate(runs, start=1):
        note(f"run {number} of {len(runs)}: {run.name}", quiet=quiet)
        asked = replace(run.asked, report_to=report_to)
        try:
            done.append(run_training(asked, out / run.name, quiet=quiet, show=show))
        except BirthmarkError as error:
            failed.append(f"{run.name}: {error}")
    if failed:
        raise BirthmarkError(f"{len(failed)} of {len(runs)} runs failed, the others are finished; {'; '.join(failed)}")
    return done


def _cells(grid: GridFile, folder: Path, device: str | None) -> Iterator[Asked]:
    """What a run asks, but for its base: seeds outermost, so that a grid that is stopped early has whole replicates."""
    counts: list[int | None] = [*grid.pairs] or [None]
    for seed in grid.seeds:
        for source in grid.sources:
            for pairs in counts:
                for loss in grid.losses:
                    yield Asked(
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


def _same_pairs(group: list[Asked]) -> list[Asked]:
    """The group with the pairs left out for all bases that any of their tokenizers drops."""
    if len(group) == 1:
        return group
    dropped = frozenset(drop.row for asked in group for drop in prepare(asked).drops)
    return [replace(asked, left_out=dropped) for asked in group]


def _name(asked: Asked) -> str:
    source = Path(asked.preferences).name.split(".")[0] if Path(asked.preferences).is_file() else str(asked.preferences)
    count = asked.pairs or (f"every{asked.every}" if asked.every else "all")
    parts = (asked.base.slug, source.replace("/", "--"), str(count), asked.recipe.loss, f"seed{asked.seed}")
    return "_".join(parts)
