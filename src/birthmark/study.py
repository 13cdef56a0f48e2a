"""An OUT folder: what was asked of it, what it was made from, and the effects and implicit rewards that lie in it.

An OUT holds one study: further models may join under the same prompts, candidates, frame and protocol; anything else
is refused. Knows nothing of the order in which a command fills it: see `runs`.
"""

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Required, TypedDict, Unpack

import polars as pl

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import NEUTRAL_KEY
from birthmark.inputs.text import one_line
from birthmark.records import Effects, Implicit, InputRecord, Kind, ScoreRecord, StudyRecord, read_record, to_json
from birthmark.scores import ScoreTable, atomic_path, read_scores, write_text
from birthmark.scoring import versions
from birthmark.values.controls import controlled_effects, without_neutral
from birthmark.values.effects import effects
from birthmark.values.levels import adjust_across_lexicons
from birthmark.values.logratios import Joining, implicit_rewards
from birthmark.values.word_rewards import word_rewards

FLOATS = ("float32", "bfloat16", "float16")  # a table from elsewhere may not say


class EffectsOptions(TypedDict, total=False):
    """How tables are compared: what `all_effects` and `write_effects` take beside tables and lexicons."""

    seed: Required[int]
    mixed_frames: Required[bool]
    controls: str | Sequence[str]
    groups: Mapping[str, str] | None
    teams: Mapping[str, str] | None


@dataclass
class Study:
    """An open OUT folder."""

    out: Path
    record: StudyRecord

    def add_input(self, role: str, name: str, sha256: str, path: Path | None = None) -> None:
        """Record an input's digest, in the place of an earlier one of the same role and name."""
        kept = [item for item in self.record.inputs if (item.role, item.name) != (role, name)]
        new = InputRecord(role=role, name=name, sha256=sha256, path=str(path) if path else None)
        self.record.inputs = sorted([*kept, new], key=lambda item: (item.role, item.name))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.record.durations[step] = perf_counter() - start

    def save(self) -> None:
        write_text(self.out / "study.json", to_json(self.record))


def open_study(out: Path | str, command: str, asked: dict[str, object]) -> Study:
    """Open OUT, making it where it is not there.

    Raises `BirthmarkError` where OUT is a file, cannot be written to, or holds another study.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise BirthmarkError(f"{out} is a file: name a folder with --out")
    try:
        with atomic_path(out / ".writable") as probe:
            probe.touch()
        (out / ".writable").unlink()
    except OSError as error:
        if error.errno in NO_SPACE:
            raise
        raise BirthmarkError(f"{out} cannot be written to ({error.strerror}): name another folder with --out") from None
    path = out / "study.json"
    others = {item.name for item in out.iterdir()} - {path.name}
    if path.exists() and others:  # alone it is of a run that came to nothing
        record = read_record(path, StudyRecord)
        _check_same_study(out, record, command, asked)
        record.warnings = []
    elif others - {".work"}:
        raise BirthmarkError(f"{out} holds files of something else: name an empty or a new folder with --out")
    else:
        record = StudyRecord(
            command=command, asked=asked, inputs=[], versions={}, durations={}, command_line=None
        )  # fmt: skip
    record.versions = {"python": platform.python_version(), **versions()}
    record.command_line = shlex.join(["birthmark", *sys.argv[1:]]) if sys.argv[0].endswith("birthmark") else None
    study = Study(out, record)
    study.save()
    return study


def require_same_study(out: Path, command: str, asked: dict[str, object]) -> None:
    """Raise `BirthmarkError` where OUT holds another study; nothing is written (a dry run)."""
    if (out / "study.json").is_file():
        _check_same_study(out, read_record(out / "study.json", StudyRecord), command, asked)


def _check_same_study(out: Path, record: StudyRecord, command: str, asked: dict[str, object]) -> None:
    if record.command != command:
        raise BirthmarkError(f"{out} holds the result of birthmark {record.command}: name another folder with --out")
    for key, value in asked.items():
        if record.asked.get(key) != value and not (key == "frame" and None in (value, record.asked.get(key))):
            there, here = _short(record.asked.get(key)), _short(value)
            asks = " (--control prompt asks a neutral question too)" if here == f"{there}+{NEUTRAL_KEY}" else ""
            raise BirthmarkError(
                f"{out} holds another study, with {key.replace('_', ' ')} {there} and not {here}{asks}: "
                "name another folder with --out"
            )
    if record.asked.get("frame") is None:
        record.asked["frame"] = asked.get("frame")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 48 else text[:48] + "…"


def read_tables(out: Path) -> list[ScoreTable]:
    """All score tables of an OUT folder, by slug."""
    return [read_scores(path) for path in sorted((out / "scores").glob("*.parquet"))]


def by_kind(tables: Sequence[ScoreTable]) -> dict[Kind, list[ScoreTable]]:
    """The tables of each kind of score that is there: rewards and log-probabilities are never pooled."""
    kinds: tuple[Kind, ...] = ("reward", "logprob")
    groups = {kind: [table for table in tables if table.record.kind == kind] for kind in kinds}
    return {kind: group for kind, group in groups.items() if group}


def all_effects(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    *,
    seed: int,
    mixed_frames: bool,
    controls: str | Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
) -> dict[str, Effects]:
    """Compare the tables under each lexicon, kind by kind; keyed by the name of the effects file."""
    kinds = by_kind(tables)
    _require_one_system(tables)
    warnings = check_frames(kinds.get("logprob", []), mixed_frames)
    results = {}
    for lexicon in lexicons:
        for kind, of_kind in kinds.items():
            plain = [without_neutral(table) for table in of_kind]
            result = effects(plain, lexicon, seed=seed, groups=groups, teams=teams)
            result.controlled = controlled_effects(of_kind, lexicon, controls, seed, groups)
            if kind == "logprob":
                result.warnings.extend(warnings)
            result.warnings.extend(unlike_runs(of_kind))
            results[lexicon.name if len(kinds) == 1 else f"{lexicon.name}.{kind}"] = result
    return dict(zip(results, adjust_across_lexicons(list(results.values())), strict=True))


def write_effects(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    out: Path,
    **options: Unpack[EffectsOptions],
) -> list[Effects]:
    """Compare the tables and write `out/effects/`, one file a lexicon (and kind, where both are there)."""
    results = all_effects(tables, lexicons, **options)
    for stale in (out / "effects").glob("*.json"):
        if stale.stem not in results:
            stale.unlink()
    for name, result in results.items():
        write_text(out / "effects" / f"{name}.json", to_json(result))
    return list(results.values())


def _require_one_system(tables: Sequence[ScoreTable]) -> None:
    """Models under unlike system prompts answer unlike questions, though these have the same keys: always refused."""
    systems = {table.model: table.record.prompt_set.system for table in tables}
    if len(set(systems.values())) > 1:
        listed = ", ".join(f"{model} {system!r}" if system else f"{model} none" for model, system in systems.items())
        raise BirthmarkError(
            f"these models were scored under unlike system prompts ({one_line(listed, 200)}): score them under one"
        )


def check_frames(tables: Sequence[ScoreTable], mixed_frames: bool) -> list[str]:
    """Language models in unlike frames answer unlike questions: refused unless asked for, and then said."""
    frames = {table.record.frame for table in tables}
    if len(frames) < 2:
        return []
    listed = ", ".join(f"{table.model} {table.record.frame}" for table in tables)
    if not mixed_frames:
        raise BirthmarkError(
            f"these models were scored in unlike frames ({listed}): score them in one with --frame qa, "
            "or compare them all the same with --mixed-frames"
        )
    return [f"Models were scored in unlike frames ({listed}): part of a difference between them is the frame's."]


def unlike_runs(tables: Sequence[ScoreTable]) -> list[str]:
    """What part of a difference between models may be that of how they were run: unlike precision, unlike engines."""
    said = []
    precisions = _grouped({table.model: _precision(table.record) for table in tables if table.record.dtype in FLOATS})
    if len(precisions) > 1:
        said.append(
            f"Models were scored in unlike precision ({_listed(precisions)}): `birthmark score --verify` says which "
            "differences of ranks are smaller than what rounding does."
        )
    engines = _grouped({table.model: table.record.engine for table in tables if table.record.engine})
    if len(engines) > 1:
        said.append(f"Models were scored by unlike engines ({_listed(engines)}), which agree up to rounding.")
    return said


def _precision(record: ScoreRecord) -> str:
    return record.dtype + (f" with weights in {record.quantized}" if record.quantized else "")


def _grouped(values: Mapping[str, str]) -> dict[str, list[str]]:
    return {value: [name for name in values if values[name] == value] for value in sorted(set(values.values()))}


def _listed(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value}: {', '.join(models)}" for value, models in groups.items())


def write_implicit(
    a: ScoreTable,
    b: ScoreTable,
    prompts: Sequence[str],
    lexicons: Sequence[Lexicon],
    out: Path,
    *,
    joining: Joining | None = None,
    warnings: Sequence[str] = (),
) -> Implicit:
    """Write `out/implicit/<a>..<b>.parquet` and `.json`: the reward that would turn a into b.

    Where the tables have words beside their vocabularies, those go to `out/implicit/words/<a>..<b>.parquet`.
    """
    how = joining or Joining()
    frame, record = implicit_rewards(
        a, b, prompts, lexicons=lexicons, duplicates=how.duplicates, fold=how.fold, set_aside=how.set_aside
    )
    record.warnings.extend(warnings)
    path = out / "implicit" / f"{a.record.slug}..{b.record.slug}.parquet"
    _write_parquet(path, frame)
    words = [found.frame(key) for item in lexicons if (found := word_rewards(a, b, prompts, item)) for key in prompts]
    if words:
        _write_parquet(path.parent / "words" / path.name, pl.concat(words))
    write_text(path.with_suffix(".json"), to_json(record))
    return record


def _write_parquet(path: Path, frame: pl.DataFrame) -> None:
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, compression="zstd")
