"""What `birthmark implicit` does: trace one pair of language models, or every pair of a grid, and write it into OUT.

Computes nothing itself: it scores what is not scored yet and calls the rooms from left to right.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.errors import BirthmarkError
from birthmark.progress import note
from birthmark.records import GridLexicon, Implicit, ImplicitGrid, PairRewards, PromptSetRecord, WordGap, to_json
from birthmark.runs import IMPLICIT_PROMPT, asked_of, draw, note_inputs
from birthmark.scores import ScoreTable, atomic_path, prompt_set_record, write_text
from birthmark.scoring import Measure, choose_frames, score_model
from birthmark.study import Study, check_frames, open_study, write_implicit
from birthmark.values.logratios import Joining, shared_keys
from birthmark.values.sides import Sides, make_sides

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel

WORDS = ("love", "freedom")


def run_implicit(
    a: "ResolvedModel | ScoreTable",
    b: "ResolvedModel | ScoreTable",
    measure: Measure,
    out: Path,
    *,
    joining: Joining,
    mixed_frames: bool,
) -> Implicit:
    """Score what is not scored yet, in one frame, and write the implicit reward that turns a into b."""
    study, (table_a, table_b), warnings = _tables([a, b], measure, out, mixed_frames)
    prompts = list(measure.prompts.prompts)
    with study.timed("implicit"):
        record = write_implicit(
            table_a, table_b, prompts, measure.lexicons, out, joining=joining, warnings=warnings
        )  # fmt: skip
    _finish(study, record.warnings, measure)
    return record


def run_implicit_grid(
    first: "Sequence[ResolvedModel | ScoreTable]",
    second: "Sequence[ResolvedModel | ScoreTable]",
    measure: Measure,
    out: Path,
    *,
    joining: Joining,
    words: Sequence[str] | None,
    mixed_frames: bool,
) -> ImplicitGrid:
    """Every model of `first` against every one of `second`: all pairs, two words in them, the lexicons' categories.

    Pairs and words are after `greatest_ever_one` where it is asked, else after the first prompt; the lexicons take all
    prompts that have a framing. `words` by default are love and freedom, left out where the models lack them.
    """
    if not first or not second:
        raise BirthmarkError("a grid takes models on both sides: birthmark implicit --grid A… -- B…")
    slugs = [side.record.slug if isinstance(side, ScoreTable) else side.slug for side in (*first, *second)]
    if twice := {slug for slug in slugs if slugs.count(slug) > 1}:
        raise BirthmarkError(f"{min(twice)} is in the grid twice: name each model once, on one side")
    study, tables, warnings = _tables([*first, *second], measure, out, mixed_frames)
    sides = make_sides(tables[: len(first)], tables[len(first) :])
    keys = list(measure.prompts.prompts)
    for table in tables[1:]:
        shared_keys(tables[0], table, keys)
    prompt = IMPLICIT_PROMPT if IMPLICIT_PROMPT in keys else keys[0]
    note(f"{len(sides.first) * len(sides.second)} pairs of models", quiet=measure.quiet)
    with study.timed("implicit"):
        pairs = [_pair(a, b, prompt, measure, out, joining) for a in sides.first for b in sides.second]
        gap, gap_why = _word_gap(sides, prompt, words, joining, measure.seed)
        lexicons, lexicons_why = _lexicons(sides, keys, measure)
    side_a, side_b = sides.records
    record = ImplicitGrid(
        a=side_a,
        b=side_b,
        frames={table.model: table.record.frame for table in tables},
        prompts=keys,
        prompt=prompt,
        duplicates=joining.duplicates,
        folded=joining.fold,
        set_aside=list(joining.set_aside),
        pairs=[pair for pair, _ in pairs],
        words=gap,
        words_why=gap_why,
        lexicons=lexicons,
        lexicons_why=lexicons_why,
        warnings=[*warnings, *(f"{pair.a} and {pair.b}: {text}" for pair, said in pairs for text in said)],
    )
    _write_grid(record, out)
    _finish(study, record.warnings, measure)
    return record


def prompts_of_tables(tables: Sequence[ScoreTable], wanted: Sequence[str], insist: bool) -> PromptSetRecord:
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
    sides: "Sequence[ResolvedModel | ScoreTable]", measure: Measure, out: Path, mixed_frames: bool
) -> tuple[Study, list[ScoreTable], list[str]]:
    """The open study, a score table a side (scored into OUT where it is a model), and what is to be said of the frames."""
    models = [side for side in sides if not isinstance(side, ScoreTable)]
    for side in sides:
        if (side.record.kind if isinstance(side, ScoreTable) else side.kind) != "logprob":
            name = side.model if isinstance(side, ScoreTable) else side.name
            raise BirthmarkError(f"{name} is a reward model: an implicit reward needs two language models")
    frames = dict(zip((m.slug for m in models), choose_frames(models, measure.frame, measure.protocol), strict=True))
    study = open_study(out, "implicit", asked_of(measure, " or ".join(sorted(set(frames.values()))) or None))
    tables = []
    for side in sides:
        if isinstance(side, ScoreTable):
            study.add_input("score table", side.record.slug, side.record.sha256)
            tables.append(side)
        else:
            with study.timed(f"score {side.slug}"):
                tables.append(score_model(side, measure, frames[side.slug], out))
    note_inputs(study, measure, models)
    return study, tables, check_frames(tables, mixed_frames or measure.protocol == "christian2026")


def _finish(study: Study, warnings: Sequence[str], measure: Measure) -> None:
    """Write what was done, and draw it."""
    study.record.warnings = list(warnings)
    study.save()
    note("drawing the report", quiet=measure.quiet)
    with study.timed("report"):
        draw(study.out)
    study.save()


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
) -> tuple[WordGap | None, str | None]:
    """The words' gap; words that nobody asked for may be missing."""
    from birthmark.values.word_gap import word_gap

    try:
        return word_gap(sides, prompt, words or WORDS, joining.duplicates, seed), None
    except BirthmarkError as error:
        if words is not None:
            raise
        return None, str(error)


def _lexicons(sides: Sides, keys: Sequence[str], measure: Measure) -> tuple[list[GridLexicon], str | None]:
    from birthmark.values.grid_medians import framed_keys, grid_medians, no_framings

    if why := no_framings(sides, keys):
        return [], why
    framed = framed_keys(sides, keys)
    single = all(table.record.protocol == "christian2026" for table in sides.tables)
    found = [grid_medians(sides, item, framed, single_tokens=single, seed=measure.seed) for item in measure.lexicons]
    kept = [item for item in found if item]
    return kept, None if kept else "the models' tables share no word of a lexicon: score them with --lexicon"


def _write_grid(record: ImplicitGrid, out: Path) -> None:
    """`grid.json`, and Table 1 of every pair as `implicit/table_1.csv` and `.txt`."""
    from birthmark.report.grid_tables import table_1_text

    with atomic_path(out / "implicit" / "table_1.csv") as temporary:
        record.to_polars().write_csv(temporary)
    write_text(out / "implicit" / "table_1.txt", table_1_text(record))
    write_text(out / "grid.json", to_json(record))
