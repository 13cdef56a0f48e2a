"""Compare: compare, map."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import COMPARE, app, examples

Tables = Annotated[
    list[Path], typer.Argument(metavar="TABLE…", help="Score tables (.parquet) or published score CSVs.")
]


@app.command(
    rich_help_panel=COMPARE,
    epilog=examples(
        "birthmark compare birthmark-audit/scores/gemma-3-270m.parquet birthmark-audit/scores/smollm2-135m-instruct.parquet"
    ),
)
def compare(
    tables: Tables,
    lexicon: opt.Lexicons = None,
    control: opt.Controls = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("birthmark-compare"),
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="Compare other groups: a catalog column (team, data, …) or a CSV file model,group.",
        ),
    ] = None,
    word: Annotated[str | None, typer.Option(help="Print one word's difference between the families.")] = None,
    catalog: opt.Catalog = None,
    mixed_frames: opt.MixedFrames = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Compare model families: the paper's tests, and tests that respect what was sampled."""
    from birthmark.api import compare as run
    from birthmark.cli.show import print_effects, print_json, print_word

    results = run(
        tables,
        lexicons=lexicon or ("starter",),
        out=out,
        mixed_frames=mixed_frames,
        controls=control or (),
        group_by=group_by,
        catalog=catalog,
        seed=seed,
    )
    if as_json:
        print_json([result.model_dump(mode="json") for result in results])
    elif word is not None:
        print_word(results, word)
    else:
        print_effects(results, out)


@app.command(
    "map",
    rich_help_panel=COMPARE,
    epilog=examples(
        "birthmark map birthmark-audit/scores/gemma-3-270m.parquet birthmark-audit/scores/smollm2-135m-instruct.parquet",
        "birthmark map --human fetch --out people",
    ),
)
def map_models(
    tables: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TABLE]…", help="Score tables, published score CSVs, or the predecessor study's Elo CSVs."
        ),
    ] = None,
    human: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|fetch", help="People's ranking of the same things; fetch: the published one, with its scores."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("birthmark-map"),
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """How models relate to each other, what predicts it, and how they agree with people."""
    from birthmark.api import map_tables
    from birthmark.cli.show import print_json, print_map

    result = map_tables(tables or (), human=human, out=out, seed=seed)
    print_json(result.model_dump(mode="json")) if as_json else print_map(result, out)
