"""Find series of checkpoints and their training records: birthmark runs, trainers' output folders, hub ids with tags."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.models.folder import ADAPTER_CONFIG

_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter|global_?step)[-_]?(\d+)", re.IGNORECASE)
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


class _Recipe(BaseModel):
    model_config = ConfigDict(extra="ignore")
    batch: int | None = None


class Facts(BaseModel):
    """The facts of a training run in `run.json`; other keys are ignored, and missing ones are None."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    base: str | None = None
    family: str | None = None
    base_checkpoint: str | None = None
    source: str | None = None
    pairs: int | None = None
    loss: str | None = None
    seed: int | None = None
    finished: bool = True
    recipe: _Recipe = _Recipe()


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint; `name` and `revision` are what `resolve` takes."""

    step: int
    name: str
    revision: str | None = None


@dataclass(frozen=True)
class Series:
    """The checkpoints of one training run in the order of their steps; `run` is its short name."""

    run: str
    path: str
    facts: Facts
    checkpoints: tuple[Checkpoint, ...]


def find_series(runs: Sequence[str | Path], revisions: str | None = None) -> list[Series]:
    """The series in `runs`, each once.

    A run is a folder (birthmark's RUN with `run.json` and `checkpoints/`, or one with `checkpoint-500`, `step-000016`, …), a
    grid's folder of such runs, the folder of one checkpoint (those of one training run form a series), or a hub id whose tags
    or branches are checkpoints. `revisions` is a pattern (`step-*`) for the names of tags or folders.

    Raises `BirthmarkError` if a run does not exist or has no checkpoint.
    """
    if not runs:
        raise BirthmarkError("give at least one run to track: a folder with checkpoints, or a hub id with --revisions")
    found: dict[str, Series] = {}
    for run in (each for named in runs for each in _of_grid(named)):
        series = _series(run, revisions)
        earlier = found.get(series.path)
        steps = {item.step: item for item in (*(earlier.checkpoints if earlier else ()), *series.checkpoints)}
        found[series.path] = replace(series, checkpoints=tuple(steps[step] for step in sorted(steps)))
    return _unique_names(list(found.values()))


def _of_grid(run: str | Path) -> list[str | Path]:
    """The runs in a grid's folder; anything else is itself."""
    folder = Path(run).expanduser()
    if not folder.is_dir() or (folder / "run.json").is_file():
        return [run]
    return sorted(path.parent for path in folder.glob("*/run.json") if (path.parent / "checkpoints").is_dir()) or [run]


def _series(run: str | Path, revisions: str | None) -> Series:
    folder = Path(run).expanduser()
    if not folder.is_dir():
        if isinstance(run, str) and _HUB_ID.fullmatch(run) and not run.startswith("."):
            return _of_hub(run, revisions)
        raise BirthmarkError(f"no run {run}: give a folder with checkpoints, or a hub id with --revisions 'step-*'")
    folder = folder.resolve()
    if _is_model(folder) and (match := _STEP.fullmatch(folder.name)):
        above = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
        return Series(above.name, str(above), _facts(above), (Checkpoint(int(match[1]), str(folder)),))
    places = [path for path in (folder / "checkpoints", folder) if path.is_dir()]
    for place in places:
        checkpoints = [
            Checkpoint(int(match[1]), str(path))
            for path in place.iterdir()
            if (match := _STEP.fullmatch(path.name)) and _is_model(path) and _matches(path.name, revisions)
        ]
        if checkpoints:
            ordered = tuple(sorted(checkpoints, key=lambda item: item.step))
            return Series(folder.name, str(folder), _facts(folder), ordered)
    named = f" that match {revisions}" if revisions else ""
    raise BirthmarkError(
        f"{folder} has no checkpoints{named}: a run's folder has subfolders such as checkpoint-500 or step-000016, each "
        "with safetensors"
    )


def _is_model(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file() or (folder / "config.json").is_file()


def _matches(name: str, revisions: str | None) -> bool:
    return revisions is None or fnmatchcase(name, revisions)


def _facts(folder: Path) -> Facts:
    path = folder / "run.json"
    if not path.is_file():
        return Facts()
    try:
        return Facts.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise BirthmarkError(f"{path} cannot be read: {one_line(error, 300)}") from None


def _of_hub(hub_id: str, revisions: str | None) -> Series:
    """The tags and branches of a hub model that match; the last number in a name is its step."""
    from huggingface_hub import list_repo_refs
    from huggingface_hub.errors import RepositoryNotFoundError

    if revisions is None:
        raise BirthmarkError(f"specify which tags of {hub_id} are its checkpoints, such as --revisions 'step-*'")
    try:
        refs = list_repo_refs(hub_id)
    except RepositoryNotFoundError:
        raise BirthmarkError(
            f"{hub_id} is neither a folder nor on the hub (or it is private): check the name, or log in with `hf auth login`"
        ) from None
    except Exception as error:  # the network libraries raise their own classes
        raise BirthmarkError(f"the tags of {hub_id} cannot be listed: {one_line(error, 300)}") from error
    checkpoints = {}
    for name in sorted({ref.name for ref in (*refs.tags, *refs.branches)}):
        numbers = re.findall(r"\d+", name)
        if numbers and fnmatchcase(name, revisions):
            checkpoints[int(numbers[-1])] = Checkpoint(int(numbers[-1]), hub_id, name)
    if not checkpoints:
        raise BirthmarkError(f"no tag or branch of {hub_id} matches {revisions}")
    ordered = tuple(checkpoints[step] for step in sorted(checkpoints))
    return Series(hub_id.replace("/", "--"), hub_id, Facts(), ordered)


def _unique_names(series: list[Series]) -> list[Series]:
    """Prefix runs of the same name with the name of the parent folder."""
    names = [item.run for item in series]
    return [
        replace(item, run=f"{Path(item.path).parent.name}-{item.run}") if names.count(item.run) > 1 else item
        for item in series
    ]
