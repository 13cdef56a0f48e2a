"""`birthmark implicit`: the implicit reward that turns one language model into another, for a pair or a grid of pairs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from birthmark.commands.audit import IMPLICIT_PROMPT
from birthmark.commands.models import resolve_for
from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import csv_text
from birthmark.inputs.prompts import prompt_set_record
from birthmark.progress import note
from birthmark.records import (
    GridLexicon,
    Implicit,
    ImplicitGrid,
    NotApplicable,
    PairRewards,
    PromptSetRecord,
    WordGap,
    to_json,
)
from birthmark.scoring.declarations import QUESTION, RUN, Argument, Option, options_in, select, with_options
from birthmark.scoring.measure import Measure, make_measure
from birthmark.scoring.options import (
    BackendOptions,
    CandidateOptions,
    EngineOptions,
    FrameOptions,
    MachineOptions,
    MeasureOptions,
    MixedFrames,
    Out,
    PlacementOptions,
    PromptSetOptions,
    ProtocolOptions,
    QuietOptions,
    RayOptions,
    SeedOptions,
    ServerOptions,
    SourceOptions,
    SystemOptions,
)
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable, is_score_table, read_scores
from birthmark.study import Study, note_inputs, open_measure, write_implicit
from birthmark.values.comparison import check_frames
from birthmark.values.grid_medians import framed_keys, grid_medians, no_framings
from birthmark.values.implicit import Duplicates, Joining, shared_keys
from birthmark.values.implicit_sides import Sides, make_sides, word_gap
from birthmark.values.ranks import parse_sorts

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

WORDS = ("love", "freedom")

Side = str | Path | ScoreTable
Prompt = Annotated[
    "str | Sequence[str]",
    Option("[default: greatest_ever_one; of a grid, all]", QUESTION, metavar="KEY|all", command_line=list[str]),
]
DuplicatesOption = Annotated[Duplicates, Option("Tokens with the same text: the most probable, or summed.", RUN)]
Fold = Annotated[bool, Option("One row a text whatever its case and leading space: the mean over its variants.", RUN)]
SetAside = Annotated[
    "str | Sequence[str]",
    Option(
        "Leave candidates of this sort out, counted.",
        RUN,
        metavar="markdown,punctuation,whitespace",
        command_line=list[str],
    ),
]


class ImplicitOptions(
    PromptSetOptions,
    CandidateOptions,
    SystemOptions,
    FrameOptions,
    ProtocolOptions,
    BackendOptions,
    RayOptions,
    ServerOptions,
    EngineOptions,
    MachineOptions,
    PlacementOptions,
    SourceOptions,
    SeedOptions,
    QuietOptions,
    total=False,
):
    """What `implicit` shares with other commands: how models are asked and run."""


@with_options
def implicit(
    a: Annotated[
        Side,
        Argument(
            "The model to start from and the one that the reward would lead to, or their score tables; with --grid "
            "any number of each: A… -- B…",
            "A B",
            command_line=list[str],
            place="name",
        ),
    ],
    b: Side,
    *,
    out: Out = "birthmark-implicit",
    prompt: Prompt = (),
    duplicates: DuplicatesOption = "max",
    fold: Fold = False,
    set_aside: SetAside = (),
    mixed_frames: MixedFrames = False,
    **options: Unpack[ImplicitOptions],
) -> Implicit:
    """The implicit reward that would turn `a` into `b`: positive where `b` prefers a candidate.

    `a` and `b` are language models, or score tables of them. Takes the whole vocabulary after the prompt
    `greatest_ever_one` by default; `prompt=["all"]` takes every prompt. `fold` joins texts over case and leading space;
    `set_aside` (`markdown`, `punctuation`, `whitespace`) leaves candidates out, counted.
    """
    joining = Joining(duplicates, fold, parse_sorts(set_aside))
    sides, measure = _sides([a, b], prompt, [IMPLICIT_PROMPT], options)
    study, (table_a, table_b), warnings = _tables(sides, measure, Path(out), mixed_frames)
    with study.timed("implicit"):
        record = write_implicit(
            table_a,
            table_b,
            list(measure.prompts.prompts),
            measure.lexicons,
            study.out,
            joining=joining,
            warnings=warnings,
        )
    study.finish(record.warnings, quiet=measure.quiet)
    return record


@with_options
def implicit_grid(
    first: Annotated[
        Sequence[Side],
        Argument("Models or score tables: A… -- B…", "A… -- B…", command_line=list[str], place="name"),
    ],
    second: Sequence[Side],
    *,
    words: Annotated[
        "str | Sequence[str] | None",
        Option(
            "Of a grid: two words to follow through all pairs. [default: love,freedom]",
            QUESTION,
            metavar="WORD,WORD",
            command_line=str,
        ),
    ] = None,
    out: Out = "birthmark-implicit",
    prompt: Prompt = (),
    duplicates: DuplicatesOption = "max",
    fold: Fold = False,
    set_aside: SetAside = (),
    mixed_frames: MixedFrames = False,
    **options: Unpack[ImplicitOptions],
) -> ImplicitGrid:
    """The implicit rewards that would turn every model of `first` into every one of `second`, and what they share.

    `words` are two (`"love,freedom"`) to be followed through all pairs; left out where nobody named them and the models
    lack them. Takes every prompt by default; the pairs and the words are after `greatest_ever_one` where it is asked, else
    after the first prompt. Further options are those of `implicit`.
    """
    joining = Joining(duplicates, fold, parse_sorts(set_aside))
    wanted = words.split(",") if isinstance(words, str) else words
    sides, measure = _sides([*first, *second], prompt, ["all"], options)
    if not first or not second:
        raise BirthmarkError("a grid takes models on both sides: birthmark implicit --grid A… -- B…")
    slugs = [side.record.slug if isinstance(side, ScoreTable) else side.slug for side in sides]
    if twice := {slug for slug in slugs if slugs.count(slug) > 1}:
        raise BirthmarkError(f"{min(twice)} is in the grid twice: name each model once, on one side")
    study, tables, warnings = _tables(sides, measure, Path(out), mixed_frames, page="grid")
    with study.timed("implicit"):
        record = _grid(
            make_sides(tables[: len(first)], tables[len(first) :]),
            measure,
            study.out,
            joining,
            None if wanted is None else [word.strip() for word in wanted],
            warnings,
        )
    frame = record.to_polars()
    from birthmark.report.implicit_grid import table_1_text  # imports altair, which a wrong name need not wait for

    write_text(study.out / "implicit" / "table_1.csv", csv_text([frame.columns, *frame.iter_rows()]))
    write_text(study.out / "implicit" / "table_1.txt", table_1_text(record))
    write_text(study.out / "grid.json", to_json(record))
    study.finish(record.warnings, quiet=measure.quiet)
    return record


def _sides(
    names: Sequence[Side], prompt: str | Sequence[str], default: Sequence[str], options: ImplicitOptions
) -> "tuple[list[ResolvedModel | ScoreTable], Measure]":
    """The models or tables, and what is asked of them; of tables alone, the prompts are those that they have."""
    tables = {
        at: name if isinstance(name, ScoreTable) else read_scores(name)
        for at, name in enumerate(names)
        if isinstance(name, ScoreTable) or is_score_table(name)
    }
    given = [prompt] if isinstance(prompt, str) else list(prompt)
    asked = given or list(default)
    of_measure = select(options, MeasureOptions)
    if len(tables) == len(names):
        _require_nothing_to_run(options)
        measure = make_measure(**{**of_measure, "prompt": ()})
        measure = replace(measure, prompts=_prompts_of_tables(list(tables.values()), asked, bool(given)))
    else:
        measure = make_measure(**{**of_measure, "prompt": () if asked == ["all"] else asked})
    sides = [
        tables[at] if at in tables else resolve_for(measure, str(name), **options) for at, name in enumerate(names)
    ]
    return sides, measure


def _require_nothing_to_run(options: ImplicitOptions) -> None:
    """Raise `BirthmarkError` for an option that says how models are run, where there are score tables only."""
    for name, declared in options_in(ImplicitOptions).items():
        runs = declared.moves_score or name in RayOptions.__annotations__
        if runs and name not in ("lexicons", "prompt") and options.get(name) != declared.default:
            raise BirthmarkError(
                f"--{name.replace('_', '-')} says how models are run, and these are score tables: leave it out, or name models"
            )


def _prompts_of_tables(tables: Sequence[ScoreTable], wanted: Sequence[str], insist: bool) -> PromptSetRecord:
    """The prompts that finished tables are compared after: keys of all of them, or `["all"]`, all that they share.

    Where nobody insists on what is wanted and a table lacks it, all that they share. Raises `BirthmarkError` for a prompt
    that is not in every table, and where they share none.
    """
    shared = [key for key in tables[0].prompt_keys if all(key in table.prompt_keys for table in tables[1:])]
    missing = [(key, table.model) for key in wanted for table in tables if key not in table.prompt_keys]
    if list(wanted) == ["all"] or (missing and not insist):
        wanted = shared
    elif missing:
        raise BirthmarkError(
            f"{missing[0][1]} has no scores after the prompt {missing[0][0]}: score it with that prompt"
        )
    if not wanted:
        raise BirthmarkError(
            f"{' and '.join(table.model for table in tables)} have no prompt in common: score all with one"
        )
    of_first = tables[0].record.prompt_set
    return prompt_set_record(of_first.name, {key: of_first.prompts[key] for key in wanted})


def _tables(
    sides: "Sequence[ResolvedModel | ScoreTable]",
    measure: Measure,
    out: Path,
    mixed_frames: bool,
    page: str | None = None,
) -> tuple[Study, list[ScoreTable], list[str]]:
    """The open study, a score table a side (scored into OUT where it is a model), and what is to be said of the frames."""
    models = [side for side in sides if not isinstance(side, ScoreTable)]
    for side in sides:
        if (side.record.kind if isinstance(side, ScoreTable) else side.kind) != "logprob":
            name = side.model if isinstance(side, ScoreTable) else side.name
            raise BirthmarkError(f"{name} is a reward model: an implicit reward needs two language models")
    study, chosen = open_measure(out, "implicit", models, measure, page=page)
    frames = dict(zip((model.slug for model in models), chosen, strict=True))
    tables = []
    for side in sides:
        if isinstance(side, ScoreTable):
            study.add_input("score table", side.record.slug, side.record.sha256)
            tables.append(side)
        else:
            with study.timed(f"score {side.slug}"):
                tables.append(score_model(side, measure, frames[side.slug], study.out))
    note_inputs(study, measure, models)
    return study, tables, check_frames(tables, mixed_frames or measure.protocol == "christian2026")


def _grid(
    sides: Sides,
    measure: Measure,
    out: Path,
    joining: Joining,
    words: Sequence[str] | None,
    warnings: Sequence[str],
) -> ImplicitGrid:
    """All pairs, two words in them, the lexicons' categories; each pair is written as `implicit` writes one."""
    keys = list(measure.prompts.prompts)
    for table in sides.tables[1:]:
        shared_keys(sides.tables[0], table, keys)
    prompt = IMPLICIT_PROMPT if IMPLICIT_PROMPT in keys else keys[0]
    note(f"{len(sides.first) * len(sides.second)} pairs of models", quiet=measure.quiet)
    pairs = [_pair(a, b, prompt, measure, out, joining) for a in sides.first for b in sides.second]
    side_a, side_b = sides.records
    return ImplicitGrid.build(
        a=side_a,
        b=side_b,
        frames={table.model: table.record.frame for table in sides.tables},
        prompts=keys,
        prompt=prompt,
        duplicates=joining.duplicates,
        folded=joining.fold,
        set_aside=list(joining.set_aside),
        pairs=[pair for pair, _ in pairs],
        words=_word_gap(sides, prompt, words, joining, measure.seed),
        lexicons=_grid_lexicons(sides, keys, measure),
        warnings=[*warnings, *(f"{pair.a} and {pair.b}: {text}" for pair, said in pairs for text in said)],
    )


def _pair(
    a: ScoreTable, b: ScoreTable, prompt: str, measure: Measure, out: Path, joining: Joining
) -> tuple[PairRewards, list[str]]:
    record = write_implicit(a, b, [prompt], measure.lexicons, out, joining=joining)
    (found,) = record.prompts
    pair = PairRewards(
        a=record.a,
        b=record.b,
        file=f"{a.record.slug}..{b.record.slug}",
        n_shared=found.n_shared,
        mass_a=found.mass_a,
        mass_b=found.mass_b,
        top=found.top,
        bottom=found.bottom,
    )
    return pair, record.warnings


def _word_gap(
    sides: Sides, prompt: str, words: Sequence[str] | None, joining: Joining, seed: int
) -> WordGap | NotApplicable:
    """The words' gap; words that nobody asked for may be missing."""
    try:
        return word_gap(sides, prompt, words or WORDS, joining.duplicates, seed)
    except BirthmarkError as error:
        if words is not None:
            raise
        return NotApplicable(str(error))


def _grid_lexicons(sides: Sides, keys: Sequence[str], measure: Measure) -> list[GridLexicon] | NotApplicable:
    """The lexicons' categories after all prompts that have a framing, or why there are none."""
    if why := no_framings(sides, keys):
        return NotApplicable(why)
    framed = framed_keys(sides, keys)
    single = all(table.record.protocol == "christian2026" for table in sides.tables)
    found = [grid_medians(sides, item, framed, single_tokens=single, seed=measure.seed) for item in measure.lexicons]
    none = NotApplicable("the models' tables share no word of a lexicon: score them with --lexicon")
    return [item for item in found if item] or none
