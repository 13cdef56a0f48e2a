"""Train: track."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import TRAIN, app, examples

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN…", help="A run's folder, a trainer's output folder (checkpoint-500, …), or a hub id with --revisions."
    ),
]
Revisions = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="The tags of a hub id (or folders of a run) that are checkpoints: 'step-*'.",
        rich_help_panel=opt.MODEL_PANEL,
    ),
]
Heads = Annotated[
    int, typer.Option(min=0, help="Random heads a base, the null of gaps between bases.", rich_help_panel=opt.RUN_PANEL)
]
Fraction = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="A gap has fallen once it stays below this share of its start.", rich_help_panel=opt.RUN_PANEL
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="A gap has settled once it stays within this share of its range.", rich_help_panel=opt.RUN_PANEL
    ),
]


@app.command(
    rich_help_panel=TRAIN,
    epilog=examples(
        "birthmark track runs/gemma-hh runs/smollm-hh --prompt best_ever_one --prompt worst_ever_one --out tracked",
        "birthmark track ./trainer-output --lexicon my-words.csv",
        "birthmark track OWNER/my-reward-model --revisions 'step-*' --candidates vocabulary",
    ),
)
def track(
    context: typer.Context,
    runs: Runs,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything is written.", rich_help_panel=opt.OUTPUT_PANEL)
    ] = Path("birthmark-track"),
    prompts: opt.Prompts = "christian2026",
    prompt: opt.Prompt = None,
    lexicon: opt.Lexicons = None,
    candidates: opt.Candidates = None,
    revisions: Revisions = None,
    heads: Heads = 1000,
    fraction: Fraction = 0.5,
    tolerance: Tolerance = 0.1,
    protocol: opt.Protocol = "birthmark",
    engine: opt.Engine = "prefix",
    dtype: opt.Dtype = None,
    device: opt.Device = None,
    template_date: opt.TemplateDate = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Follow values through training: score every checkpoint of some runs, and say how long a gap between bases lasts."""
    from birthmark.cli.show import print_json
    from birthmark.cli.show_training import print_track
    from birthmark.training.trajectory import track as run

    options = opt.shared(context)
    result = run(*runs, out=out, revisions=revisions, heads=heads, fraction=fraction, tolerance=tolerance, **options)
    print_json(result.model_dump(mode="json")) if as_json else print_track(result, out)
