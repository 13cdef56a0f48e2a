"""What each command does, in order: score, compare, trace, draw, and write it all into its OUT folder.

Computes nothing itself: it calls the rooms from left to right and writes what they return.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.inputs.lexicons import Lexicon
from birthmark.progress import note
from birthmark.records import Effects, Implicit, Lineage, Map, Replication, Stage, StudyRecord, read_record, to_json
from birthmark.report.names import in_text, short_names
from birthmark.scores import ScoreTable, write_text
from birthmark.scoring import ChosenFrame, Frame, Measure, choose_frames, score_model
from birthmark.shown import Row, Shown
from birthmark.study import (
    EffectsOptions,
    Study,
    all_effects,
    by_kind,
    open_study,
    read_tables,
    write_effects,
    write_implicit,
)
from birthmark.values.sentences import disagreement

if TYPE_CHECKING:
    from birthmark.inputs.humans import HumanRanking
    from birthmark.models.weights import ResolvedModel
    from birthmark.report.drawing import Figure

EMBEDDED = ("gemma-3-270m", "smollm2-135m-instruct")
IMPLICIT_PROMPT = "greatest_ever_one"


@dataclass(frozen=True, repr=False)
class AuditResult(Shown):
    """What an audit leaves: the tables, the effects of each lexicon and kind, the implicit reward, the page."""

    out: Path
    tables: list[ScoreTable]
    effects: list[Effects]
    implicit: Implicit | None
    report: Path
    lineage: Lineage | None = None
    map: Map | None = None

    @property
    def answers(self) -> list[str]:
        """The findings in words, one a lexicon and kind of score."""
        names = short_names(table.model for table in self.tables)
        return [in_text(item.sentence, names) for item in self.effects if item.sentence]

    @property
    def figures(self) -> "list[Figure]":
        """The figures of the page, each of which shows itself in a notebook."""
        from birthmark.report.figures import lexicon_figures
        from birthmark.report.implicit_figures import implicit_figure

        of_lexicons = [figure for item in self.effects for figure in lexicon_figures(item)]
        return [*of_lexicons, *([implicit_figure(self.implicit)] if self.implicit else [])]

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints: where everything is, and the effects and the implicit reward in full."""
        return {
            "out": str(self.out),
            "report": str(self.report),
            "tables": [str(self.out / "scores" / f"{table.record.slug}.parquet") for table in self.tables],
            "effects": [item.model_dump(mode="json") for item in self.effects],
            "implicit": self.implicit.model_dump(mode="json") if self.implicit else None,
            "lineage": self.lineage.model_dump(mode="json") if self.lineage else None,
            "map": self.map.model_dump(mode="json") if self.map else None,
        }

    def summary(self) -> str:
        return "\n".join(
            [f"{len(self.tables)} model{'s' if len(self.tables) != 1 else ''} in {self.out}", *self.answers]
        )

    def rows(self) -> list[Row]:
        """A row a lexicon, kind of score, model, category and framing: what each lexicon's figure draws."""
        return [
            {"lexicon": item.lexicon, "kind": item.kind, **cell.model_dump()}
            for item in self.effects
            for cell in item.model_cells
        ]


def run_audit(
    models: "Sequence[ResolvedModel]",
    measure: Measure,
    out: Path,
    *,
    mixed_frames: bool,
    lines: "Sequence[Sequence[ResolvedModel]]" = (),
) -> AuditResult:
    """Score the models, compare them, trace the implicit reward, draw the page; everything lands in `out`.

    Each of `lines` is a reward model with what it descends from, the oldest first; they are among `models`.
    """
    frames = choose_frames(models, asked_frame(measure, out), measure.protocol)
    of_languages = {frame for model, frame in zip(models, frames, strict=True) if model.kind == "logprob"}
    asked = asked_of(measure, " or ".join(sorted(of_languages)) or None)
    study = open_study(out, "audit", asked)
    for model, frame in zip(models, frames, strict=True):
        score_in_study(study, model, measure, frame)
    return finish_audit(study, measure, mixed_frames=mixed_frames, lines=lines)


def score_in_study(study: Study, model: "ResolvedModel", measure: Measure, frame: ChosenFrame) -> None:
    """Score one model of an audit, and note what it was and how long it took."""
    with study.timed(f"score {model.slug}"):
        score_model(model, measure, frame, study.out)
    note_inputs(study, measure, [model])
    study.save()


def finish_audit(
    study: Study,
    measure: Measure,
    *,
    mixed_frames: bool,
    lines: "Sequence[Sequence[ResolvedModel]]" = (),
    mapped: bool = False,
) -> AuditResult:
    """Compare the tables that are there, trace the implicit reward, draw the page; with `mapped` relate the models too."""
    out = study.out
    tables = read_tables(out)
    mixed = mixed_frames or measure.protocol == "christian2026"
    with study.timed("effects"):
        results = write_effects(
            tables,
            (*measure.lexicons, *measure.beside),
            out,
            seed=measure.seed,
            mixed_frames=mixed,
            controls=measure.controls,
        )
    with study.timed("implicit"):
        implicit = _write_first_implicit(tables, measure.lexicons, out)
    lineage = _write_lineage(lines, results, out)
    relations = _write_map(tables, out, measure.seed) if mapped or (out / "map.json").is_file() else None
    study.record.warnings = sorted(
        {
            *disagreement(results),
            *(text for item in results for text in item.warnings),
            *(implicit.warnings if implicit else ()),
            *(relations.warnings if relations else ()),
        }
    )
    study.save()
    note("drawing the report", quiet=measure.quiet)
    with study.timed("report"):
        report = draw(out)
    study.save()
    return AuditResult(out, tables, results, implicit, report, lineage, relations)


def _write_lineage(lines: "Sequence[Sequence[ResolvedModel]]", results: Sequence[Effects], out: Path) -> Lineage | None:
    """Write `out/lineage.json`: reward models beside what they descend from, those of earlier runs among them."""
    from birthmark.values.lineage import line_of

    path = out / "lineage.json"
    earlier = read_record(path, Lineage).lines if path.is_file() else []
    stages = {stage.model: stage.stage for line in earlier for item in line.lexicons for stage in item.stages}
    stages |= {model.name: stage_of(model) for line in lines for model in line}
    members = {line.reward_model: line.models for line in earlier}
    members |= {line[-1].name: [model.name for model in line] for line in lines}
    if not members:
        return None
    record = Lineage(lines=[line_of(reward, models, stages, results) for reward, models in members.items()])
    write_text(path, to_json(record))
    return record


def stage_of(model: "ResolvedModel") -> Stage:
    """`reward` of an RM; of an LM what the catalog says, else one with a chat template was tuned."""
    if model.kind == "reward":
        return "reward"
    if model.entry and model.entry.stage:
        return model.entry.stage
    return "instruct" if model.chat_template else "pretrained"


def _write_map(tables: Sequence[ScoreTable], out: Path, seed: int) -> Map | None:
    """Write `out/map.json`: how the models of the more numerous kind of score relate, where there are two or more."""
    from birthmark.values.relations import relate

    most = max(by_kind(tables).values(), key=len, default=[])
    if len(most) < 2:
        return None
    record = relate(most, seed=seed)
    write_text(out / "map.json", to_json(record))
    return record


def score_into(out: Path, model: "ResolvedModel", measure: Measure) -> ScoreTable:
    """Score one model into an OUT folder of its own kind of study; further models may join."""
    (frame,) = choose_frames([model], asked_frame(measure, out), measure.protocol)
    study = open_study(out, "score", asked_of(measure, frame if model.kind == "logprob" else None))
    with study.timed(f"score {model.slug}"):
        table = score_model(model, measure, frame, out)
    note_inputs(study, measure, [model])
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
    groups: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
) -> list[Effects]:
    """Effects of each lexicon and kind of score; with `out` also the files, figures and page."""
    options: EffectsOptions = {
        "seed": seed,
        "mixed_frames": mixed_frames,
        "controls": controls,
        "groups": groups,
        "teams": teams,
    }
    if out is None:
        return list(all_effects(tables, lexicons, **options).values())
    asked: dict[str, object] = {"tables": [table.record.sha256 for table in tables], "groups": groups}
    study = open_study(out, "compare", asked)
    for table in tables:
        study.add_input("score table", table.record.slug, table.record.sha256)
    for lexicon in lexicons:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    with study.timed("effects"):
        results = write_effects(tables, lexicons, out, **options)
    study.record.warnings = sorted({*disagreement(results), *(text for item in results for text in item.warnings)})
    study.save()
    with study.timed("report"):
        draw(out)
    study.save()
    return results


def is_score_table(name: str | Path) -> bool:
    """Whether a name is that of a score table's file rather than of a model."""
    return Path(name).suffix in (".parquet", ".csv") and Path(name).is_file()


def run_map(tables: Sequence[ScoreTable], human: "HumanRanking | None", out: Path | None, *, seed: int) -> Map:
    """Relate the models; with `out`, write `out/map.json`, its figures and its page."""
    from birthmark.values.relations import relate

    if out is None:
        return relate(tables, human=human, seed=seed)
    digests = [table.record.sha256 for table in tables]
    study = open_study(out, "map", {"tables": digests, "human": human.name if human else None, "seed": seed})
    for table in tables:
        study.add_input("score table", table.record.slug, table.record.sha256)
    if human is not None and human.sha256 is not None:
        study.add_input("human ranking", human.name, human.sha256)
    with study.timed("map"):
        record = relate(tables, human=human, seed=seed)
    write_text(out / "map.json", to_json(record))
    study.record.warnings = record.warnings
    study.save()
    with study.timed("report"):
        draw(out)
    study.save()
    return record


def run_replication(data: Path | None, out: Path, *, planted: Path | None, seed: int, quiet: bool) -> Replication:
    """Write `out/replication.json`, its figures and its page; `planted` is a folder or file of `calibrate planted`."""
    from birthmark.paper.data import study_data
    from birthmark.paper.replication import replicate_study
    from birthmark.plantings import read_planted

    def say(text: str) -> None:
        note(text, quiet=quiet)

    given = read_planted(planted) if planted else None
    found = study_data(data, say)
    study = open_study(out, "replicate", {"data": str(data) if data else "fetched", "seed": seed})
    for path, digest in found.digests.items():
        study.add_input("published file", path, digest)
    study.record.asked["planted"] = str(planted) if planted else None
    if given:
        study.add_input("planted calibration", given.path.name, given.sha256, given.path)
    with study.timed("replicate"):
        record = replicate_study(found, seed=seed, planted=given.metrics if given else (), progress=say)
    write_text(out / "replication.json", to_json(record))
    study.save()
    note("drawing the report", quiet=quiet)
    with study.timed("report"):
        draw(out)
    study.save()
    return record


def draw(out: Path) -> Path:
    """Redraw the page, the figures and the values card of an OUT folder from its files; returns the page."""
    if (out / "personas.json").is_file():
        from birthmark.report.personas_page import write_personas_report

        return write_personas_report(out)
    if (out / "map.json").is_file() and not (out / "effects").is_dir():
        from birthmark.report.map_page import write_map_report

        return write_map_report(out)
    if (out / "grid.json").is_file():
        from birthmark.report.grid_page import write_grid_report

        return write_grid_report(out)
    if (out / "track.json").is_file():
        from birthmark.report.track_page import write_track_report

        return write_track_report(out)
    if (out / "stages").is_dir():
        from birthmark.report.stages_page import write_stages_report

        return write_stages_report(out)
    if (out / "calibration.json").is_file():
        from birthmark.report.calibration_page import write_calibration_report

        return write_calibration_report(out)
    if (out / "replication.json").is_file():
        from birthmark.report.replication_page import write_replication_report

        return write_replication_report(out)
    path = out / "study.json"
    if path.is_file() and read_record(path, StudyRecord).command == "implicit":
        from birthmark.report.implicit_page import write_implicit_report

        return write_implicit_report(out)
    from birthmark.report.card import write_card
    from birthmark.report.page import write_report

    write_card(out)
    return write_report(out)


def _write_first_implicit(tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], out: Path) -> Implicit | None:
    """The implicit reward between the first model of the first family, alphabetically, and the first of the last."""
    languages = sorted(by_kind(tables).get("logprob", []), key=lambda table: (table.record.family or "", table.model))
    if len(languages) < 2:
        return None
    a, b = languages[0], languages[-1]
    prompt = IMPLICIT_PROMPT if IMPLICIT_PROMPT in a.prompt_keys else a.prompt_keys[0]
    return write_implicit(a, b, [prompt], lexicons, out)


def note_inputs(study: Study, measure: Measure, models: "Sequence[ResolvedModel]") -> None:
    """Record the digests of the prompts, the lexicons and the models."""
    study.add_input("prompts", measure.prompts.name, measure.prompts.sha256)
    for lexicon in measure.lexicons:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    for model in models:
        study.add_input("model", model.name, model.digests.weights)


def asked_frame(measure: Measure, out: Path) -> Frame:
    """Where OUT's language models have a frame already, `auto` keeps to it."""
    path = out / "study.json"
    if measure.frame == "auto" and measure.protocol == "birthmark" and path.is_file():
        earlier = read_record(path, StudyRecord).asked.get("frame")
        if earlier in ("chat", "qa", "bare"):
            return earlier  # type: ignore[return-value]
    return measure.frame


def asked_of(measure: Measure, frame: str | None) -> dict[str, object]:
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
