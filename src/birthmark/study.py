"""An OUT folder: what was asked of it, what it was made from, and the whole audit in order.

An OUT holds one study: further models may join under the same prompts, candidates, frame and protocol; anything else
is refused. Computes nothing itself: it calls the rooms from left to right and writes what they return.
"""

import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.progress import note
from birthmark.records import Effects, Implicit, InputRecord, Kind, Replication, StudyRecord, read_record, to_json
from birthmark.scores import ScoreTable, atomic_path, read_scores, write_text
from birthmark.scoring import Frame, Measure, choose_frames, score_model, versions
from birthmark.shown import Row, Shown
from birthmark.values.controls import controlled_effects, without_neutral
from birthmark.values.effects import effects
from birthmark.values.levels import adjust_across_lexicons
from birthmark.values.logratios import implicit_rewards

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel

EMBEDDED = ("gemma-3-270m", "smollm2-135m-instruct")
IMPLICIT_PROMPT = "greatest_ever_one"
Duplicates = Literal["max", "sum"]


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
    if path.exists():
        record = read_record(path, StudyRecord)
        _check_same_study(out, record, command, asked)
        record.warnings = []
    elif any(item.name != ".work" for item in out.iterdir()):
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


def _check_same_study(out: Path, record: StudyRecord, command: str, asked: dict[str, object]) -> None:
    if record.command != command:
        raise BirthmarkError(f"{out} holds the result of birthmark {record.command}: name another folder with --out")
    for key, value in asked.items():
        if record.asked.get(key) != value and not (key == "frame" and None in (value, record.asked.get(key))):
            raise BirthmarkError(
                f"{out} holds another study: its {key} is {_short(record.asked.get(key))}, not {_short(value)}: "
                "name another folder with --out"
            )
    if record.asked.get("frame") is None:
        record.asked["frame"] = asked.get("frame")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 48 else text[:48] + "…"


@dataclass(frozen=True, repr=False)
class AuditResult(Shown):
    """What an audit leaves: the tables, the effects of each lexicon and kind, the implicit reward, the page."""

    out: Path
    tables: list[ScoreTable]
    effects: list[Effects]
    implicit: Implicit | None
    report: Path

    @property
    def answers(self) -> list[str]:
        """The findings in words, one a lexicon and kind of score."""
        return [item.sentence for item in self.effects if item.sentence]

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints: where everything is, and the effects and the implicit reward in full."""
        return {
            "out": str(self.out),
            "report": str(self.report),
            "tables": [str(self.out / "scores" / f"{table.record.slug}.parquet") for table in self.tables],
            "effects": [item.model_dump(mode="json") for item in self.effects],
            "implicit": self.implicit.model_dump(mode="json") if self.implicit else None,
        }

    def summary(self) -> str:
        return "\n".join([f"{len(self.tables)} models in {self.out}", *self.answers])

    def rows(self) -> list[Row]:
        """A row a lexicon, kind of score, model, category and framing: what each lexicon's figure draws."""
        return [
            {"lexicon": item.lexicon, "kind": item.kind, **cell.model_dump()}
            for item in self.effects
            for cell in item.model_cells
        ]


def run_audit(models: "Sequence[ResolvedModel]", measure: Measure, out: Path, *, mixed_frames: bool) -> AuditResult:
    """Score the models, compare them, trace the implicit reward, draw the page; everything lands in `out`."""
    frames = choose_frames(models, _frame_asked(measure, out), measure.protocol)
    of_languages = {frame for model, frame in zip(models, frames, strict=True) if model.kind == "logprob"}
    asked = _asked(measure, " or ".join(sorted(of_languages)) or None)
    study = open_study(out, "audit", asked)
    for model, frame in zip(models, frames, strict=True):
        with study.timed(f"score {model.slug}"):
            score_model(model, measure, frame, out)
        _note_inputs(study, measure, [model])
        study.save()
    tables = read_tables(out)
    mixed = mixed_frames or measure.protocol == "christian2026"
    with study.timed("effects"):
        results = write_effects(
            tables, measure.lexicons, out, seed=measure.seed, mixed_frames=mixed, controls=measure.controls
        )
    with study.timed("implicit"):
        implicit = _write_first_implicit(tables, measure.lexicons, out)
    study.record.warnings = sorted(
        {*(text for item in results for text in item.warnings), *(implicit.warnings if implicit else [])}
    )
    study.save()
    note("drawing the report", quiet=measure.quiet)
    with study.timed("report"):
        report = draw(out)
    study.save()
    return AuditResult(out, tables, results, implicit, report)


def score_into(out: Path, model: "ResolvedModel", measure: Measure) -> ScoreTable:
    """Score one model into an OUT folder of its own kind of study; further models may join."""
    (frame,) = choose_frames([model], _frame_asked(measure, out), measure.protocol)
    study = open_study(out, "score", _asked(measure, frame if model.kind == "logprob" else None))
    with study.timed(f"score {model.slug}"):
        table = score_model(model, measure, frame, out)
    _note_inputs(study, measure, [model])
    study.save()
    return table


def compare_tables(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    out: Path | None,
    *,
    mixed_frames: bool,
    seed: int,
    controls: str | Sequence[str] = (),
) -> list[Effects]:
    """Effects of each lexicon and kind of score; with `out` also the files, figures and page."""
    if out is None:
        found = all_effects(tables, lexicons, seed=seed, mixed_frames=mixed_frames, controls=controls)
        return list(found.values())
    asked: dict[str, object] = {"tables": [table.record.sha256 for table in tables], "mixed_frames": mixed_frames}
    study = open_study(out, "compare", asked)
    for table in tables:
        study.add_input("score table", table.record.slug, table.record.sha256)
    with study.timed("effects"):
        results = write_effects(tables, lexicons, out, seed=seed, mixed_frames=mixed_frames, controls=controls)
    study.record.warnings = sorted({text for item in results for text in item.warnings})
    study.save()
    with study.timed("report"):
        draw(out)
    study.save()
    return results


def is_score_table(name: str | Path) -> bool:
    """Whether a name is that of a score table's file rather than of a model."""
    return Path(name).suffix in (".parquet", ".csv") and Path(name).is_file()


def run_implicit(
    a: "ResolvedModel | ScoreTable",
    b: "ResolvedModel | ScoreTable",
    measure: Measure,
    out: Path,
    *,
    duplicates: Duplicates,
    mixed_frames: bool,
) -> Implicit:
    """Score what is not scored yet, in one frame, and write the implicit reward that turns a into b."""
    models = [side for side in (a, b) if not isinstance(side, ScoreTable)]
    for side in (a, b):
        if (side.record.kind if isinstance(side, ScoreTable) else side.kind) != "logprob":
            name = side.model if isinstance(side, ScoreTable) else side.name
            raise BirthmarkError(f"{name} is a reward model: an implicit reward needs two language models")
    frames = dict(zip((m.slug for m in models), choose_frames(models, measure.frame, measure.protocol), strict=True))
    frame = " or ".join(sorted(set(frames.values()))) or None
    study = open_study(out, "implicit", _asked(measure, frame))
    tables = []
    for side in (a, b):
        if isinstance(side, ScoreTable):
            study.add_input("score table", side.record.slug, side.record.sha256)
            tables.append(side)
        else:
            with study.timed(f"score {side.slug}"):
                tables.append(score_model(side, measure, frames[side.slug], out))
    _note_inputs(study, measure, models)
    warnings = _check_frames(tables, mixed_frames or measure.protocol == "christian2026")
    prompts = list(measure.prompts.prompts)
    with study.timed("implicit"):
        record = write_implicit(
            tables[0], tables[1], prompts, measure.lexicons, out, duplicates=duplicates, warnings=warnings
        )
    study.record.warnings = record.warnings
    study.save()
    return record


def run_replication(data: Path | None, out: Path, *, seed: int, quiet: bool) -> Replication:
    """Write `out/replication.json`, its figures and its page."""
    from birthmark.paper.replication import replicate_study
    from birthmark.report.replication_page import write_replication_report

    study = open_study(out, "replicate", {"data": str(data) if data else "fetched", "seed": seed})
    with study.timed("replicate"):
        record = replicate_study(data, seed=seed, progress=lambda text: note(text, quiet=quiet))
    write_text(out / "replication.json", to_json(record))
    study.save()
    note("drawing the report", quiet=quiet)
    with study.timed("report"):
        write_replication_report(out)
    study.save()
    return record


def _note_inputs(study: Study, measure: Measure, models: "Sequence[ResolvedModel]") -> None:
    study.add_input("prompts", measure.prompts.name, measure.prompts.sha256)
    for lexicon in measure.lexicons:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    for model in models:
        study.add_input("model", model.name, model.digests.weights)


def draw(out: Path) -> Path:
    """Redraw the page, the figures and the values card of an OUT folder from its files; returns the page."""
    from birthmark.report.card import write_card
    from birthmark.report.page import write_report

    write_card(out)
    return write_report(out)


def _frame_asked(measure: Measure, out: Path) -> Frame:
    """Where OUT's language models have a frame already, `auto` keeps to it."""
    path = out / "study.json"
    if measure.frame == "auto" and measure.protocol == "birthmark" and path.is_file():
        earlier = read_record(path, StudyRecord).asked.get("frame")
        if earlier in ("chat", "qa", "bare"):
            return earlier  # type: ignore[return-value]
    return measure.frame


def _asked(measure: Measure, frame: str | None) -> dict[str, object]:
    """What all models of one OUT have in common. The frame is that of the language models, null while there are none."""
    return {
        "prompts": measure.prompts.name,
        "prompts_sha256": measure.prompts.sha256,
        "lexicons": [lexicon.name for lexicon in measure.lexicons],
        "lexicons_sha256": [lexicon.sha256 for lexicon in measure.lexicons],
        "candidates": measure.candidates or "default",
        "frame": frame,
        "protocol": measure.protocol,
    }


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
) -> dict[str, Effects]:
    """Compare the tables under each lexicon, kind by kind; keyed by the name of the effects file."""
    groups = by_kind(tables)
    warnings = _check_frames(groups.get("logprob", []), mixed_frames)
    results = {}
    for lexicon in lexicons:
        for kind, group in groups.items():
            result = effects([without_neutral(table) for table in group], lexicon, seed=seed)
            result.controlled = controlled_effects(group, lexicon, controls, seed)
            if kind == "logprob":
                result.warnings.extend(warnings)
            results[lexicon.name if len(groups) == 1 else f"{lexicon.name}.{kind}"] = result
    return dict(zip(results, adjust_across_lexicons(list(results.values())), strict=True))


def write_effects(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    out: Path,
    *,
    seed: int,
    mixed_frames: bool,
    controls: str | Sequence[str] = (),
) -> list[Effects]:
    """Compare the tables and write `out/effects/`, one file a lexicon (and kind, where both are there)."""
    results = all_effects(tables, lexicons, seed=seed, mixed_frames=mixed_frames, controls=controls)
    for stale in (out / "effects").glob("*.json"):
        if stale.stem not in results:
            stale.unlink()
    for name, result in results.items():
        write_text(out / "effects" / f"{name}.json", to_json(result))
    return list(results.values())


def _check_frames(tables: Sequence[ScoreTable], mixed_frames: bool) -> list[str]:
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


def _write_first_implicit(tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], out: Path) -> Implicit | None:
    """The implicit reward between the first model of the first family, alphabetically, and the first of the last."""
    languages = sorted(by_kind(tables).get("logprob", []), key=lambda table: (table.record.family or "", table.model))
    if len(languages) < 2:
        return None
    a, b = languages[0], languages[-1]
    prompt = IMPLICIT_PROMPT if IMPLICIT_PROMPT in a.prompt_keys else a.prompt_keys[0]
    return write_implicit(a, b, [prompt], lexicons, out)


def write_implicit(
    a: ScoreTable,
    b: ScoreTable,
    prompts: Sequence[str],
    lexicons: Sequence[Lexicon],
    out: Path,
    *,
    duplicates: Duplicates = "max",
    warnings: Sequence[str] = (),
) -> Implicit:
    """Write `out/implicit/<a>..<b>.parquet` and `.json`: the reward that would turn a into b."""
    frame, record = implicit_rewards(a, b, prompts, lexicons=lexicons, duplicates=duplicates)
    record.warnings.extend(warnings)
    path = out / "implicit" / f"{a.record.slug}..{b.record.slug}.parquet"
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary, compression="zstd")
    write_text(path.with_suffix(".json"), to_json(record))
    return record
