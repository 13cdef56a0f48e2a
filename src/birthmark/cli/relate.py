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
    epilog=examples("birthmark compare audit/scores/gemma-3-270m.parquet audit/scores/smollm2-135m-instruct.parquet"),
)
def compare(
    tables: Tables,
    lexicon: opt.Lexicons = None,
    control: opt.Controls = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("birthmark-compare"),
    mixed_frames: opt.MixedFrames = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Compare model families: the paper's tests, and tests that respect what was sampled."""
    from birthmark.api import compare as run
    from birthmark.cli.show import print_effects, print_json

    results = run(
        tables,
        lexicons=lexicon or ("starter",),
        out=out,
        mixed_frames=mixed_frames,
        controls=control or (),
        seed=seed,
    )
    if as_json:
        print_json([result.model_dump(mode="json") for result in results])
    else:
        print_effects(results, out)
