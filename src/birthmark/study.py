"""An OUT folder: what was asked of it, what it was made from, and the effects and implicit rewards that lie in it.

An OUT holds one study: further models may join under the same prompts, candidates, frame and protocol; anything else
is refused. The order in which a command fills it is the command's: see `commands/`.
"""

import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Unpack

import polars as pl

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.files import (
    LOCK,
    atomic_path,
    check_path,
    lock_folder,
    require_unlike,
    slug_of,
    write_parquet,
    write_text,
)
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import NEUTRAL_KEY
from birthmark.progress import note
from birthmark.records import AnswerFormats, Effects, Implicit, InputRecord, StudyRecord, read_record, to_json
from birthmark.scoring.measure import Measure, choose_frames, refuse_reading_options, versions
from birthmark.scoring.options import ChosenFrame, FrameOption
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.values.answers import answer_formats
from birthmark.values.comparison import EffectsOptions, all_effects
from birthmark.values.implicit import Joining, implicit_rewards, word_rewards
from birthmark.values.random_heads import Nulls, with_nulls

if TYPE_CHECKING:
    from filelock import FileLock

    from birthmark.models.resolve import ResolvedModel


_begun: "list[Study]" = []  # those that this process opened in folders with nothing in them


@dataclass
class Study:
    """An open OUT folder."""

    out: Path
    record: StudyRecord
    lock: "FileLock"
    is_made: bool = False
    _tables: dict[str, ScoreTable] = field(default_factory=dict)

    def keep(self, table: ScoreTable) -> None:
        """Remember a table that was just scored or read, so that nothing reads it again."""
        self._tables[table.record.slug] = table

    def tables(self) -> list[ScoreTable]:
        """All score tables of the folder, by slug; each is read once."""
        for path in sorted((self.out / "scores").glob("*.parquet")):
            if path.stem not in self._tables:
                self.keep(read_scores(path))
        return [self._tables[slug] for slug in sorted(self._tables)]

    def finish(self, warnings: Sequence[str], *, quiet: bool = True) -> Path:
        """Write what was done, and draw it: the page, the figures, the values card. Returns the page."""
        from birthmark.report.draw import draw

        self.record.warnings = list(warnings)
        self.save()
        note("drawing the report", quiet=quiet)
        with self.timed("report"):
            page = draw(self.out, list(self._tables.values()))
        self.save()
        self.lock.release()
        return page

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


def open_study(out: Path | str, command: str, asked: dict[str, object], *, page: str | None = None) -> Study:
    """Open OUT, making it where it is not there; `page` names the page that a command of several draws.

    Raises `BirthmarkError` where OUT is a file, cannot be written to, is written to by another process, or holds another
    study.
    """
    out = Path(out)
    check_path(out, "out", "with --out")
    is_made = not out.exists()
    try:
        with atomic_path(out / ".writable") as probe:
            probe.touch()
        (out / ".writable").unlink()
    except OSError as error:
        if error.errno in NO_SPACE:
            raise
        raise BirthmarkError(f"{out} cannot be written to ({error.strerror}): name another folder with --out") from None
    path = out / "study.json"
    lock = lock_folder(out)
    others = {item.name for item in out.iterdir()} - {path.name, LOCK}
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
    record.page = page or record.page
    record.versions = {"python": platform.python_version(), **versions()}
    record.command_line = shlex.join(["birthmark", *sys.argv[1:]]) if sys.argv[0].endswith("birthmark") else None
    study = Study(out, record, lock, is_made=is_made)
    study.save()
    if not others:
        _begun.append(study)
    return study


def discard_empty() -> None:
    """Take back what this process began in empty folders where nothing came of it: a refused run leaves nothing behind."""
    for study in _begun:
        if not study.out.is_dir():
            continue
        files = [path for path in study.out.rglob("*") if path.is_file()]
        if {path.relative_to(study.out).as_posix() for path in files} <= {"study.json", LOCK}:
            study.lock.release()
            for path in files:
                path.unlink(missing_ok=True)
            for folder in sorted((path for path in study.out.rglob("*") if path.is_dir()), reverse=True):
                folder.rmdir()
            if study.is_made:
                study.out.rmdir()
    _begun.clear()


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
    if "frame" in asked and record.asked.get("frame") is None:
        record.asked["frame"] = asked.get("frame")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 48 else text[:48] + "…"


def open_measure(
    out: Path, command: str, models: "Sequence[ResolvedModel]", measure: Measure, *, page: str | None = None
) -> tuple[Study, list[ChosenFrame]]:
    """Open OUT for models under one measurement; returns the frame of each model beside it."""
    _refuse_namesakes(models, out)
    refuse_reading_options(models, measure)
    frames = choose_frames(models, _asked_frame(measure, out), measure.protocol)
    of_languages = {frame for model, frame in zip(models, frames, strict=True) if model.kind == "logprob"}
    asked = measure.of_study(" or ".join(sorted(of_languages)) or None)
    return open_study(out, command, asked, page=page), frames


def _refuse_namesakes(models: "Sequence[ResolvedModel]", out: Path) -> None:
    """Raise `BirthmarkError` where the tables of two models would be one file, on any file system."""
    names: dict[str, str] = {}
    for model in models:
        if names.setdefault(model.slug, model.name) != model.name:
            raise BirthmarkError(
                f"{names[model.slug]} and {model.name} have the same name and weights: score them into folders of their own"
            )
    there = [path.stem for path in (out / "scores").glob("*.parquet")]
    require_unlike([*there, *names], f"{out} has one table a model, and")


def _asked_frame(measure: Measure, out: Path) -> FrameOption:
    """Where OUT's language models have a frame already, `auto` keeps to it."""
    path = out / "study.json"
    if measure.frame == "auto" and measure.protocol == "birthmark" and path.is_file():
        earlier = read_record(path, StudyRecord).asked.get("frame")
        if earlier in ("chat", "qa", "bare"):
            return earlier  # type: ignore[return-value]
    return measure.frame


def note_inputs(study: Study, measure: Measure, models: "Sequence[ResolvedModel]") -> None:
    """Record the digests of the prompts, the lexicons and the models."""
    study.add_input("prompts", measure.prompts.name, measure.prompts.sha256)
    for lexicon in measure.lexicons:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    for model in models:
        study.add_input("model", model.name, model.digests.weights)


def write_effects(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    out: Path,
    *,
    nulls: Nulls | None = None,
    **options: Unpack[EffectsOptions],
) -> list[Effects]:
    """Compare the tables and write `out/effects/`, one file a lexicon (and kind, where both are there).

    `nulls` are the random heads that a reward model's leaning is held against.
    """
    results = {slug_of(name): result for name, result in all_effects(tables, lexicons, **options).items()}
    if nulls:
        named = {lexicon.name: lexicon for lexicon in lexicons}
        results = {name: with_nulls(result, named[result.lexicon], nulls) for name, result in results.items()}
    for stale in (out / "effects").glob("*.json"):
        if stale.stem not in results:
            stale.unlink()
    for name, result in results.items():
        write_text(out / "effects" / f"{name}.json", to_json(result))
    return list(results.values())


def write_answers(
    tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], out: Path, *, seed: int
) -> AnswerFormats | None:
    """Write `out/answers.json` where tables were scored in sentences: whether one-word values hold there."""
    record = answer_formats(tables, lexicons, seed=seed)
    if record is None:
        (out / "answers.json").unlink(missing_ok=True)
    else:
        write_text(out / "answers.json", to_json(record))
    return record


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
    write_parquet(frame, path)
    words = [found.frame(key) for item in lexicons if (found := word_rewards(a, b, prompts, item)) for key in prompts]
    if words:
        write_parquet(pl.concat(words), path.parent / "words" / path.name)
    write_text(path.with_suffix(".json"), to_json(record))
    return record
