"""`birthmark map`: how models relate to each other, what predicts it, and how they agree with people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Unpack

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.inputs.published import HumanRanking, fetch_elo_files, is_elo_file, read_human_ranking
from birthmark.records import Map, to_json
from birthmark.scoring.declarations import Argument, Option, with_options
from birthmark.scoring.options import SeedOptions, out_option
from birthmark.scoring.table import ScoreTable, read_elo_scores, read_scores
from birthmark.study import open_study
from birthmark.values.relations import relate


@with_options
def map_tables(
    tables: Annotated[
        Sequence[str | Path | ScoreTable],
        Argument(
            "Score tables, published score CSVs, or the predecessor study's Elo CSVs.",
            "[TABLE]…",
            command_line=list[Path],
            required=False,
            place="file",
        ),
    ] = (),
    *,
    human: Annotated[
        "str | Path | None",
        Option(
            "People's ranking of the same things; fetch: the published one, with its scores.",
            None,
            metavar="FILE|fetch",
            command_line=str,
            place="name",
        ),
    ] = None,
    out: Annotated[
        "str | Path | None",
        out_option("birthmark-map"),
    ] = None,
    **options: Unpack[SeedOptions],
) -> Map:
    """How models relate: rank correlations, a map, what predicts likeness; with `human` their agreement with people.

    `human` is a CSV of people's ranking, or `fetch` for the predecessor study's; where that file holds models' scores too
    and no table is named, those models are mapped. With `out`, `map.json`, figures and a page are written.
    """
    seed = options["seed"]
    files = fetch_elo_files() if human == "fetch" else [Path(human)] if human is not None else []
    for missing in (file for file in files if not file.is_file()):
        raise BirthmarkError(f"{missing} is not a file: name a CSV of people's ranking, or --human fetch")
    read = _read(list(tables) or [file for file in files if is_elo_file(file)])
    if not read:
        raise BirthmarkError("name score tables to map, or --human fetch for the published models and people's ranking")
    ranking = read_human_ranking(files[0]) if files else None
    if out is None:
        return relate(read, human=ranking, seed=seed)
    return _map_into(Path(out), read, ranking, seed)


def _read(given: Sequence[str | Path | ScoreTable]) -> list[ScoreTable]:
    """The tables, those of Elo files last."""
    elo = [
        Path(item)
        for item in given
        if not isinstance(item, ScoreTable) and Path(item).is_file() and is_elo_file(Path(item))
    ]
    others = [item for item in given if isinstance(item, ScoreTable) or Path(item) not in elo]
    read = [item if isinstance(item, ScoreTable) else read_scores(item) for item in others]
    return read + (read_elo_scores(elo) if elo else [])


def _map_into(out: Path, tables: Sequence[ScoreTable], human: HumanRanking | None, seed: int) -> Map:
    digests = [table.record.sha256 for table in tables]
    study = open_study(out, "map", {"tables": digests, "human": human.name if human else None, "seed": seed})
    for table in tables:
        study.add_input("score table", table.record.slug, table.record.sha256)
    if human is not None and human.sha256 is not None:
        study.add_input("human ranking", human.name, human.sha256)
    with study.timed("map"):
        record = relate(tables, human=human, seed=seed)
    write_text(out / "map.json", to_json(record))
    study.finish(record.warnings)
    return record
