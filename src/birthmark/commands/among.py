"""`birthmark audit --among`: whom a reward model is placed among, and where it stands there.

The published study's ten are fetched with their checksums, or read from a clone of its repository. Without either, the
values of theirs that come with birthmark stand in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import one_line
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.paper.data import COMMIT, REPOSITORY, study_data
from birthmark.progress import note
from birthmark.records import Among, Map, to_json
from birthmark.scoring.declarations import QUESTION, Option
from birthmark.scoring.table import ScoreTable, is_score_table, read_scores
from birthmark.values.among import Reference, published_values, standing
from birthmark.values.relations import relate

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

STUDY = "study"
SOURCE = f"https://github.com/{REPOSITORY} at {COMMIT}"


AmongOption = Annotated[
    "str | Path | Sequence[str | Path]",
    Option(
        "Place each reward model among others: the published study's ten, or score tables; repeatable.",
        QUESTION,
        default=(),
        metavar="study|TABLE",
        command_line=list[str],
        place="name",
    ),
]
StudyFiles = Annotated[
    str | Path | None,
    Option(
        "With --among study: a clone of the study's repository. [default: its files are fetched]",
        QUESTION,
        metavar="DIR",
        command_line=Path,
        place="name",
    ),
]


@dataclass(frozen=True)
class Others:
    """Whom models are placed among, and the lexicon whose words are scored where none is asked for."""

    reference: Reference
    lexicon: Lexicon | None


def find_others(among: str | Path | Sequence[str | Path], data: str | Path | None, *, quiet: bool) -> Others | None:
    """The published ten (`study`), or the models of score tables and of folders that hold some; None where none are asked for.

    Raises `BirthmarkError` for a name that is none of these, and for `data` that is no clone of the study's repository.
    """
    names = [among] if isinstance(among, str | Path) else list(among)
    if not names:
        if data is not None:
            raise BirthmarkError("--data names the study's files: it goes with --among study")
        return None
    if STUDY not in map(str, names):
        if data is not None:
            raise BirthmarkError("--data names the study's files: it goes with --among study, not with score tables")
        return Others(_of_tables(names), None)
    if len(names) > 1:
        raise BirthmarkError("--among takes study or score tables, not both: name one of these")
    return _of_study(Path(data) if data is not None else None, quiet)


def _of_study(data: Path | None, quiet: bool) -> Others:
    try:
        study = study_data(data, lambda text: note(text, quiet=quiet))
        tables = tuple(tuple(study.tables(corpus)) for corpus in ("dict_big2_nouns", "dict_MFD_20"))
        lexicon = study.lexicon("dict_big2_nouns")
    except BirthmarkError as error:
        if data is not None:
            raise
        missing = (
            f"The study's score files could not be fetched ({one_line(error, 90)}), so the ten published models are shown by the "
            "values that come with birthmark; --data DIR reads a clone of the study's repository."
        )
        note(missing, quiet=quiet)
        return Others(Reference("study", SOURCE, warnings=(missing,)), None)
    changed = study.not_as_published
    said = (
        [f"{len(changed)} of the study's files in {data} are not as published: {', '.join(changed[:3])}"]
        if changed
        else []
    )
    return Others(Reference("study", SOURCE, tables, tuple(said)), lexicon)


def _of_tables(names: Sequence[str | Path]) -> Reference:
    paths: list[Path] = []
    for name in map(Path, names):
        inside = sorted((name / "scores").glob("*.parquet")) or sorted(name.glob("*.parquet")) if name.is_dir() else []
        if not inside and not is_score_table(name):
            raise BirthmarkError(
                f"--among takes study, score tables (.parquet, published .csv) or a folder of them, not {one_line(name)}"
            )
        paths += inside or [name]
    tables = [read_scores(path) for path in dict.fromkeys(paths)]
    kinds = {table.record.kind for table in tables}
    if len(kinds) > 1:
        raise BirthmarkError("rewards and log-probabilities are never pooled: name tables of one kind with --among")
    return Reference("tables", ", ".join(table.record.slug for table in tables), (tuple(tables),))


def planned_lexicon(among: str | Path | Sequence[str | Path], data: str | Path | None) -> Lexicon | None:
    """The lexicon whose words would be scored, for a dry run; of files that are not fetched yet as many words stand in."""
    names = [among] if isinstance(among, str | Path) else list(among)
    if data is not None or STUDY not in map(str, names):
        found = find_others(names, data, quiet=True)
        return found.lexicon if found else None
    nouns = published_values().lexicons[0]
    words = {f"word {n}": (nouns.categories[n % 2],) for n in range(nouns.n_words)}
    return Lexicon(nouns.lexicon, words, True, None, None, SOURCE)


def require_placeable(models: "Sequence[ResolvedModel]", reference: Reference) -> None:
    """Raise `BirthmarkError` where no model gives the kind of score that the others have."""
    if models and all(model.kind != reference.kind for model in models):
        if reference.kind == "reward":
            raise BirthmarkError(
                f"{models[0].name} is a language model, and --among compares rewards with rewards: name a reward model"
            )
        raise BirthmarkError(
            f"{models[0].name} is a reward model, and the tables of --among are of log-probabilities: name a language model"
        )


def require_studys_questions(reference: Reference, asked: Collection[str]) -> None:
    """Raise `BirthmarkError` where the others are known by their values alone, which are of all the study's questions."""
    wanted = load_prompts().prompts
    if not reference.tables and not set(wanted) <= set(asked):
        raise BirthmarkError(
            f"without the study's files the ten are known by values over its {len(wanted)} questions: leave out --prompt and "
            "--prompts, or name a clone of the study's repository with --data DIR"
        )


def write_among(
    tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], reference: Reference, out: Path, seed: int
) -> Among:
    """Write `out/among.json`: where each table of the others' kind stands under each lexicon."""
    mine = [table for table in tables if table.record.kind == reference.kind]
    record = Among(
        among=reference.among,
        source=reference.source,
        standings=[standing(table, lexicon, reference, seed) for table in mine for lexicon in lexicons],
        warnings=list(reference.warnings),
    )
    write_text(out / "among.json", to_json(record))
    return record


def map_among(tables: Sequence[ScoreTable], reference: Reference, seed: int) -> Map | None:
    """The map of these models and the others, these first; None where the others' tables are not there."""
    mine = [table for table in tables if table.record.kind == reference.kind]
    names = {table.model for table in mine}
    others = [table for table in reference.all_tables if table.model not in names] if reference.tables else []
    return relate([*mine, *others], seed=seed) if mine and others else None
