"""Trust: replicate, calibrate."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import TRUST, app, examples


@app.command(
    rich_help_panel=TRUST,
    epilog=examples(
        "birthmark replicate", "birthmark replicate --data ./reward_models_inherit_value_biases_from_pretraining"
    ),
)
def replicate(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A clone of the study's repository. [default: fetched]")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path(
        "birthmark-replicate"
    ),
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """The published study from its data, claim by claim, with a verdict on each."""
    from birthmark.api import replicate as run
    from birthmark.cli.show import print_json, print_replication

    result = run(data, out=out, seed=seed, quiet=quiet or as_json)
    print_json(result.model_dump(mode="json")) if as_json else print_replication(result, out)
