"""`birthmark audit`: models end to end. Score them, compare them, trace the implicit reward, draw the page.

Also a set of models one after the other. What reward models descend from is in `lineage`, an audit under several system
prompts in `audit_personas`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from birthmark.commands.among import (
    AmongOption,
    StudyFiles,
    find_others,
    map_among,
    require_placeable,
    require_studys_questions,
    write_among,
)
from birthmark.commands.lineage import lines_of, write_lineage
from birthmark.commands.models import resolve_for
from birthmark.commands.score import score_each
from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.files import write_text
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog, load_set
from birthmark.inputs.lexicons import Lexicon
from birthmark.progress import note
from birthmark.records import (
    Among,
    AnswerFormats,
    Effects,
    Implicit,
    Kind,
    Lineage,
    Map,
    read_record,
    to_json,
)
from birthmark.records.base import Row, Shown
from birthmark.report.text import in_text, short_names
from birthmark.scoring.declarations import MODEL, RUN, Argument, Option, select, with_options
from birthmark.scoring.measure import Measure, make_measure
from birthmark.scoring.options import (
    ChosenFrame,
    MeasureOptions,
    MixedFrames,
    ModelOptions,
    Out,
    ScoringOptions,
)
from birthmark.scoring.table import ScoreTable, is_score_table
from birthmark.study import Study, open_measure, write_answers, write_effects, write_implicit
from birthmark.values.among import Reference
from birthmark.values.comparison import by_kind
from birthmark.values.random_heads import Nulls
from birthmark.values.wording import disagreement
from birthmark.values.wording_undercuts import null_sentences

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.report.figure import Figure

EMBEDDED = ("gemma-3-270m", "smollm2-135m-instruct")
BUNDLED = {"birthmark-gemma3": "gemma-3-270m", "birthmark-smollm2": "smollm2-135m-instruct"}  # reward model: its base
HEADS = 1_000
IMPLICIT_PROMPT = "greatest_ever_one"

Models = Annotated[
    str | Path,
    Argument(
        "Catalog names, hub ids or folders. [default: two small reward models and their bases]",
        "[MODEL]…",
        command_line=list[str],
        required=False,
        place="name",
    ),
]

Heads = Annotated[
    int,
    Option(
        "Random heads on a reward model's base, the null of its leaning; 0: none.",
        RUN,
        default=HEADS,
        least=0,
        most=100_000,
    ),
]


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
    among: Among | None = None
    formats: AnswerFormats | None = None

    @property
    def answers(self) -> list[str]:
        """The findings in words, one a lexicon and kind of score."""
        names = short_names(table.model for table in self.tables)
        said = [text for item in self.effects for text in (item.sentence, *null_sentences(item)) if text]
        return [in_text(text, names) for text in said]

    @property
    def figures(self) -> "list[Figure]":
        """The figures of the page, each of which shows itself in a notebook."""
        from birthmark.report.implicit import implicit_figure
        from birthmark.report.lexicon_figures import lexicon_figures

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
            "among": self.among.model_dump(mode="json") if self.among else None,
            "formats": self.formats.model_dump(mode="json") if self.formats else None,
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

    def long_rows(self) -> list[Row]:
        """A row a model, lexicon, category and prompt; `value` is the category's mean rank after that prompt, 1 is best."""
        return [row for item in self.effects for row in item.long_rows()]

    def plot(self) -> Any:
        """The altair chart of the figure that the page begins with; raises `BirthmarkError` where it begins with none."""
        from birthmark.report.lexicon_figures import leading_chart

        return leading_chart(self.effects, self.lineage)


@with_options
def audit(
    *models: Models,
    out: Out = "birthmark-audit",
    mixed_frames: MixedFrames = False,
    catalog_set: Annotated[
        str | None,
        Option(
            "Audit the models of a set, one after the other: study, …, or one of --catalog FILE.",
            MODEL,
            metavar="NAME",
        ),
    ] = None,
    with_base: Annotated[
        bool, Option("Also score each reward model's base checkpoint and that checkpoint's parents.", MODEL)
    ] = False,
    base: Annotated[
        Sequence[str | Path],
        Option(
            "The models to score beside it, nearest first; repeatable. [default: the catalog's]",
            MODEL,
            metavar="MODEL",
            command_line=list[str],
            place="name",
        ),
    ] = (),
    among: AmongOption = (),
    data: StudyFiles = None,
    heads: Heads = HEADS,
    **options: Unpack[ScoringOptions],
) -> AuditResult:
    """Audit models end to end: score tables, effects, implicit reward, figures, page and values card in `out`.

    With no model, two small reward models beside the base models that they were trained from; with `catalog_set` the models
    of a set of the catalog, one after the other, with their map. `with_base` scores each reward model's base checkpoint and
    what that was trained on from too (from the catalog, or those that `base` names, nearest first), and shows how the values
    pass from one to the next. A reward model's leaning stands beside what `heads` random heads on its base give (0: none).
    `among` places each reward model among the published ten (`study`, whose Big Two nouns are then the lexicon by default)
    or among score tables: its place, its distance to each, the nearest, the map; `data` is a clone of the study's files.
    """
    tables = [str(model) for model in models if among and is_score_table(model)]  # a pattern that the shell wrote out
    models = tuple(model for model in models if str(model) not in tables)
    named = [among] if isinstance(among, str | Path) else list(among)
    others = find_others([*named, *tables], data, quiet=options["quiet"])
    if others and others.lexicon and not options["lexicons"]:
        options["lexicons"] = others.lexicon
    reference = others.reference if others else None
    measure = make_measure(**select(options, MeasureOptions))
    if reference:
        require_studys_questions(reference, measure.prompts.prompts)
    labels = select(options, ModelOptions)
    if base and not models:
        raise BirthmarkError("--base names what a reward model is scored beside: name the reward model too")
    if catalog_set is not None:
        if models or with_base or base:
            raise BirthmarkError("name models or a set of them, not both; --with-base goes with models")
        return _audit_set(
            catalog_set, measure, Path(out), labels, mixed_frames=mixed_frames, reference=reference, heads=heads
        )
    kind: Kind | None = "reward" if reference else labels["kind"]  # of the models that are audited where none is named
    found = [resolve_for(measure, model, **labels) for model in models or default_models(measure, kind)]
    if reference:
        require_placeable(found, reference)
    if models:
        lines = lines_of(found, [str(name) for name in base], labels, measure.quiet) if with_base or base else []
    else:
        by_name = {model.name: model for model in found}
        lines = [[by_name[base], by_name[name]] for name, base in BUNDLED.items() if {base, name} <= {*by_name}]
    every = {model.name: model for line in lines for model in line} | {model.name: model for model in found}
    return audit_resolved(
        list(every.values()),
        measure,
        Path(out),
        mixed_frames=mixed_frames,
        lines=lines,
        reference=reference,
        heads=heads,
    )


def default_models(measure: Measure, kind: Kind | None) -> list[str]:
    """What an audit without a model takes: the small base models and the reward models that were trained from them."""
    rewards = () if kind == "logprob" or measure.server is not None else BUNDLED
    return [*(EMBEDDED if kind != "reward" else ()), *rewards]


def audit_resolved(
    models: "Sequence[ResolvedModel]",
    measure: Measure,
    out: Path,
    *,
    mixed_frames: bool,
    lines: "Sequence[Sequence[ResolvedModel]]" = (),
    reference: Reference | None = None,
    heads: int = 0,
) -> AuditResult:
    """Score the models one after the other (on a cluster several at a time), then compare those that are in `out`.

    Each of `lines` is a reward model with what it descends from, the oldest first; they are among `models`.
    """
    study, frames = open_measure(out, "audit", models, measure)
    for _, table in score_each(study, list(zip(models, frames, strict=True)), measure, lambda pair: pair):
        if isinstance(table, BirthmarkError):
            raise table
    with study.timed("random heads"):
        nulls = _nulls(study, models, measure, heads)
    return _finish(study, measure, mixed_frames=mixed_frames, lines=lines, reference=reference, nulls=nulls)


def _nulls(study: Study, models: "Sequence[ResolvedModel]", measure: Measure, heads: int) -> Nulls:
    """Random heads beside each reward model among `models`."""
    if not any(model.kind == "reward" for model in models):
        return {}
    from birthmark.commands.random_heads import nulls_of

    return nulls_of(study.out, models, {table.record.slug: table for table in study.tables()}, measure, heads)


def _finish(
    study: Study,
    measure: Measure,
    *,
    mixed_frames: bool,
    lines: "Sequence[Sequence[ResolvedModel]]" = (),
    mapped: bool = False,
    reference: Reference | None = None,
    nulls: Nulls | None = None,
) -> AuditResult:
    """Compare the tables that are there, trace the implicit reward, draw the page; with `mapped` relate the models too.

    With `reference` the models are placed among its own.
    """
    out = study.out
    tables = study.tables()
    with study.timed("effects"):
        results = write_effects(
            tables,
            (*measure.lexicons, *measure.beside),
            out,
            seed=measure.seed,
            mixed_frames=mixed_frames or measure.protocol == "christian2026",
            controls=measure.controls,
            nulls=nulls,
        )
    with study.timed("answers"):
        formats = write_answers(tables, (*measure.lexicons, *measure.beside), out, seed=measure.seed)
    with study.timed("implicit"):
        implicit = _first_implicit(tables, measure.lexicons, out)
    lineage = write_lineage(lines, results, out)
    placed = write_among(tables, measure.lexicons, reference, out, measure.seed) if reference else _kept_among(out)
    around = map_among(tables, reference, measure.seed) if reference else None
    relations = _write_map(tables, out, measure.seed, around, mapped=mapped)
    warnings = {
        *disagreement(results),
        *(text for item in results for text in item.warnings),
        *(implicit.warnings if implicit else ()),
        *(relations.warnings if relations else ()),
        *(placed.warnings if placed else ()),
    }
    report = study.finish(sorted(warnings), quiet=measure.quiet)
    return AuditResult(out, tables, results, implicit, report, lineage, relations, placed, formats)


def _kept_among(out: Path) -> Among | None:
    """Where an earlier run placed the models of `out`."""
    path = out / "among.json"
    return read_record(path, Among) if path.is_file() else None


def _first_implicit(tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], out: Path) -> Implicit | None:
    """The implicit reward between the first model of the first family, alphabetically, and the first of the last."""
    languages = sorted(by_kind(tables).get("logprob", []), key=lambda table: (table.record.family or "", table.model))
    if len(languages) < 2:
        return None
    a, b = languages[0], languages[-1]
    prompt = IMPLICIT_PROMPT if IMPLICIT_PROMPT in a.prompt_keys else a.prompt_keys[0]
    return write_implicit(a, b, [prompt], lexicons, out)


def _write_map(tables: Sequence[ScoreTable], out: Path, seed: int, around: Map | None, *, mapped: bool) -> Map | None:
    """Write `out/map.json`: how the models of the more numerous kind of score relate, or what is `around` them."""
    from birthmark.values.relations import relate

    most = max(by_kind(tables).values(), key=len, default=[])
    if around is None and (len(most) < 2 or not (mapped or (out / "map.json").is_file())):
        return None
    record = around or relate(most, seed=seed)
    write_text(out / "map.json", to_json(record))
    return record


# ------------------------------------------------------------------------------------------------------ a set of models


def _audit_set(
    name: str,
    measure: Measure,
    out: Path,
    labels: Mapping[str, Any],
    *,
    mixed_frames: bool,
    reference: Reference | None = None,
    heads: int = 0,
) -> AuditResult:
    """Score the models of a set one after another, then compare and map those that are there; resumes.

    A reward model is fetched only when its turn comes, and given back before the next. What cannot be scored is left out
    and said at the end, so that a night's work does not hang on one gated model. Raises `BirthmarkError` at the end, the
    report drawn of the others, where models could not be scored, and at once where none could.
    """
    path = Path(str(labels["catalog"])) if labels["catalog"] else None
    names, catalog = load_set(name, path), load_catalog(path)
    failed: dict[str, BirthmarkError] = {}

    def find(model: str) -> "ResolvedModel":
        return resolve_for(measure, model, **labels)

    def leave_out(model: str, error: BirthmarkError) -> None:  # an interruption or a bug ends the run
        failed[model] = error
        note(f"{model}: left out: {error}", quiet=measure.quiet)

    languages = {}  # found before the first model is scored: they share one frame
    for model in names:
        if not _is_reward(catalog, model):
            try:
                languages[model] = find(model)
            except BirthmarkError as error:
                leave_out(model, error)
    study, chosen = open_measure(out, "audit", list(languages.values()), measure)
    frames = dict(zip(languages, chosen, strict=True))
    rewards = []  # those that random heads are put beside

    def found_in_turn(model: str) -> "tuple[ResolvedModel, ChosenFrame]":
        note(f"{model}: {names.index(model) + 1} of {len(names)}", quiet=measure.quiet)
        found = languages.pop(model, None) or find(model)
        rewards.extend([found] if found.kind == "reward" else [])
        return found, frames.get(model, "chat")

    left = [model for model in names if model not in failed]
    for model, table in score_each(study, left, measure, found_in_turn):
        if isinstance(table, BirthmarkError):
            leave_out(model, table)
    if len(failed) == len(names):
        raise next(iter(failed.values()))
    with study.timed("random heads"):
        nulls = _nulls(study, rewards, measure, heads)
    result = _finish(study, measure, mixed_frames=mixed_frames, mapped=True, reference=reference, nulls=nulls)
    if failed:
        raise _said_at_the_end(failed, len(names), result)
    return result


def _said_at_the_end(failed: Mapping[str, BirthmarkError], n_models: int, result: AuditResult) -> BirthmarkError:
    """What was left out and why, in one error: a failed check where one is among the reasons."""
    kind = CheckFailed if any(isinstance(error, CheckFailed) for error in failed.values()) else BirthmarkError
    reasons = "; ".join(str(error) for error in failed.values())
    return kind(
        f"{len(failed)} of {n_models} models are not in {result.report} ({', '.join(failed)}): {reasons}; fix this and run "
        "the same command again, the others are kept"
    )


def _is_reward(catalog: Catalog, name: str) -> bool:
    entry = find_entry(catalog, name)
    return entry is not None and entry.kind == "reward"
