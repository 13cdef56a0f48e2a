"""`birthmark score`: one model's one-word answers, one table; and closer looks at what is scored.

A closer look is what the model reads (`explain`), a reward attribute by attribute (`score_attributes`), or the same
questions under several system prompts (`score_personas`).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, TypeVar, Unpack

from birthmark.commands.models import resolve, resolve_for
from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import asked
from birthmark.inputs.prompts import load_personas
from birthmark.records import Explanation
from birthmark.scoring.backend import Job
from birthmark.scoring.backends import backend_of, models_at_once
from birthmark.scoring.declarations import QUESTION, Argument, Option, select, with_options
from birthmark.scoring.measure import Measure, choose_frames, make_measure, refuse_reading_options, under
from birthmark.scoring.options import (
    AnswerOptions,
    ChosenFrame,
    EngineOptions,
    FrameOptions,
    KindOptions,
    MachineOptions,
    MeasureOptions,
    ModelOptions,
    PersonaOptions,
    PlacementOptions,
    ProtocolOptions,
    QuestionOptions,
    QuietOptions,
    ReadingOptions,
    ServerOptions,
    SourceOptions,
    SystemOptions,
)
from birthmark.scoring.places import overlapping
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable
from birthmark.study import Study, note_inputs, open_measure

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.scoring.attributes import AttributeScores

T = TypeVar("T")

Model = Annotated[str | Path, Argument("A catalog name, a hub id or a folder.", "MODEL", place="name")]
Out = Annotated[
    "str | Path | None",
    Option(
        "Write the score table here: a folder, or an address such as s3://bucket/study. [default: print it]",
        metavar="DIR",
        command_line=Path,
        place="out",
    ),
]
Controls = Annotated[
    "str | Sequence[str]",
    Option(
        "Score a neutral prompt too, for `compare --control prompt`.",
        QUESTION,
        metavar="prompt",
        flag="--control",
        command_line=list[str],
    ),
]
Personas = Annotated[
    str | Path,
    Option(
        "System prompts by name (YAML): ask under each, and under a neutral one.",
        QUESTION,
        metavar="FILE",
        flag="--persona",
        command_line=str,
        place="file",
    ),
]


class ExplainOptions(
    QuestionOptions,
    AnswerOptions,
    SystemOptions,
    FrameOptions,
    ProtocolOptions,
    ReadingOptions,
    ServerOptions,
    SourceOptions,
    KindOptions,
    QuietOptions,
    total=False,
):
    """What decides what a model reads; how it is run does not."""


class AttributeOptions(
    QuestionOptions,
    SystemOptions,
    ProtocolOptions,
    ReadingOptions,
    EngineOptions,
    MachineOptions,
    PlacementOptions,
    SourceOptions,
    KindOptions,
    QuietOptions,
    total=False,
):
    """What decides a reward model's attributes, and how it is run."""


class ScoreOptions(PersonaOptions, AnswerOptions, SystemOptions, ModelOptions, total=False):
    """All that `score` takes beside the model."""


class ScorePersonasOptions(PersonaOptions, ModelOptions, total=False):
    """All that `score_personas` takes beside the personas."""


@with_options
def score(model: Model, *, out: Out = None, controls: Controls = (), **options: Unpack[ScoreOptions]) -> ScoreTable:
    """Score one model: rewards of an RM, log-probabilities of an LM, higher is better.

    With `out` the table is written to `out/scores/` and an interrupted run resumes. Raises `BirthmarkError` for bad
    input and `CheckFailed` where the prefix engine does not equal the plain one.
    """
    measure = make_measure(**{**select(options, MeasureOptions), "controls": _neutral_only(controls)})
    found = resolve_for(measure, model, **options)
    return _score_into(Path(out), found, measure) if out is not None else _score(found, measure)


@with_options
def score_personas(
    model: Model,
    personas: Personas,
    *,
    out: Out = None,
    controls: Controls = (),
    **options: Unpack[ScorePersonasOptions],
) -> dict[str, ScoreTable]:
    """Score one model under each system prompt of a file, the neutral control first: persona → its score table.

    With `out` the tables are written to `out/<persona>/scores`. Raises `BirthmarkError` as `score` and `load_personas` do.
    """
    systems = load_personas(personas)
    measure = make_measure(**{**select(options, MeasureOptions), "controls": _neutral_only(controls)})
    found = resolve_for(measure, model, **options)
    tables = {}
    for persona, system in systems.items():
        asked = under(measure, persona, system)
        tables[persona] = _score_into(Path(out) / persona, found, asked) if out is not None else _score(found, asked)
    return tables


@with_options
def score_attributes(model: Model, *, out: Out = None, **options: Unpack[AttributeOptions]) -> "AttributeScores":
    """Score one reward model attribute by attribute: the reward, and what its head joins to it, for every candidate.

    With `out` the table is written to `out/attributes/<slug>.parquet`. Raises `BirthmarkError` as `score` does, and for a
    model whose head has a single score.
    """
    from birthmark.scoring.attributes import score_attributes as run

    measure = make_measure(**select(options, MeasureOptions))
    found = resolve(model, quiet=measure.quiet, **select(options, ModelOptions))
    return run(found, measure, Path(out) if out is not None else None)


@with_options
def explain(model: Model, **options: Unpack[ExplainOptions]) -> Explanation:
    """What a model reads for the first prompt (in the first sentence) and the first candidate: the conversation, its token ids, what is shared,
    which token the score is read at.

    Nothing is scored and the model is not loaded; a `server` is asked what it reads. Raises `BirthmarkError` as `score` does.
    """
    from birthmark.models.chat_template import explain as run

    measure = make_measure(**select(options, MeasureOptions))
    found = resolve_for(measure, model, **options)
    refuse_reading_options([found], measure)
    (frame,) = choose_frames([found], measure.frame, measure.protocol)
    candidates = measure.candidates_for(found.kind)
    prompts = Job(found, measure, frame).prompts.prompts
    key = next((key for key, prompt in prompts.items() if prompt.answer), next(iter(prompts)))
    explained = run(
        found,
        prompt=key,
        asked=asked(prompts[key]),
        words=candidates.words,
        vocabulary=candidates.vocabulary,
        frame=frame,
        protocol=measure.protocol,
        template_date=measure.template_date,
        system=measure.prompts.system,
        bos=measure.bos_for(found),
        read=measure.read,
    )
    if measure.server is None:
        return explained
    from birthmark.scoring.server import ServerBackend, reads_text, served_by

    served = ServerBackend(measure.server).served(found)
    by = served_by(served, found)
    more = [reads_text(served.kind)] if by.reads == "text" else []
    return explained.model_copy(update={"served": by, "warnings": [*explained.warnings, *more]})


def score_in_study(study: Study, model: "ResolvedModel", measure: Measure, frame: ChosenFrame) -> ScoreTable:
    """Score one model into an open OUT folder, and note what it was and how long it took."""
    ((_, table),) = score_each(study, [(model, frame)], measure, lambda pair: pair)
    if isinstance(table, BirthmarkError):
        raise table
    return table


def score_each(
    study: Study, items: Sequence[T], measure: Measure, find: "Callable[[T], tuple[ResolvedModel, ChosenFrame]]"
) -> Iterator[tuple[T, ScoreTable | BirthmarkError]]:
    """Score the models that `find` gives into an open OUT folder, one after another; on a cluster several at a time.

    Yields each item with its table, which is noted in the study, or with what was wrong with it.
    """

    def work(item: T) -> "tuple[ResolvedModel, ScoreTable, float]":
        model, frame = find(item)
        start = perf_counter()
        backend = backend_of(measure, len(items))
        return model, score_model(model, measure, frame, study.out, backend), perf_counter() - start

    for item, found in overlapping(items, work, models_at_once(measure, len(items))):
        if isinstance(found, BirthmarkError):
            yield item, found
            continue
        model, table, study.record.durations[f"score {found[0].slug}"] = found
        note_inputs(study, measure, [model])
        study.keep(table)
        study.save()
        yield item, table


def _score(model: "ResolvedModel", measure: Measure) -> ScoreTable:
    refuse_reading_options([model], measure)
    (frame,) = choose_frames([model], measure.frame, measure.protocol)
    return score_model(model, measure, frame)


def _score_into(out: Path, model: "ResolvedModel", measure: Measure) -> ScoreTable:
    """Score one model into an OUT folder, which further models may join."""
    study, (frame,) = open_measure(out, "score", [model], measure)
    return score_in_study(study, model, measure, frame)


def _neutral_only(controls: str | Sequence[str]) -> str | Sequence[str]:
    """Raise `BirthmarkError` for a control that only a comparison can hold fixed."""
    for control in [controls] if isinstance(controls, str) else controls:
        if control.strip() != "prompt":
            raise BirthmarkError(
                f"score takes --control prompt only, which scores a neutral prompt too: hold {control} fixed in "
                "birthmark audit or birthmark compare"
            )
    return controls
