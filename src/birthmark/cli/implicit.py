"""Measure: implicit, of one pair of models or of a grid of pairs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from birthmark.cli import options as opt
from birthmark.cli.app import MEASURE, app, examples
from birthmark.errors import BirthmarkError

BETWEEN = "--"
STANDS_FOR_BETWEEN = "\0between"  # no name of a model


class TwoSides(TyperCommand):
    """A command whose `--` parts the models of one side from those of the other; options may stand on both sides of it.

    The parser would take `--` for the end of the options and drop it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = [STANDS_FOR_BETWEEN if word == BETWEEN else word for word in args]
        return super().parse_args(ctx, args)


@app.command(
    cls=TwoSides,
    rich_help_panel=MEASURE,
    epilog=examples(
        "birthmark implicit gemma-3-270m smollm2-135m-instruct",
        "birthmark implicit gemma-3-270m smollm2-135m-instruct --prompt worst_ever_one --lexicon starter --out worst",
        "birthmark implicit gemma-3-270m smollm2-135m-instruct --fold --set-aside markdown,punctuation --out words",
        "birthmark implicit --grid gemma-3-270m -- smollm2-135m-instruct --words love,freedom --out grid",
    ),
)
def implicit(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="The model to start from and the one that the reward would lead to, or their score tables; with --grid "
            "any number of each: A… -- B…",
        ),
    ],
    grid: Annotated[
        bool,
        typer.Option(
            "--grid", help="Every model before -- against every one after it.", rich_help_panel=opt.QUESTION_PANEL
        ),
    ] = False,
    words: Annotated[
        str | None,
        typer.Option(
            metavar="WORD,WORD",
            help="Of a grid: two words to follow through all pairs. [default: love,freedom]",
            rich_help_panel=opt.QUESTION_PANEL,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything is written.", rich_help_panel=opt.OUTPUT_PANEL)
    ] = Path("birthmark-implicit"),
    prompts: opt.Prompts = "christian2026",
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY|all",
            help="[default: greatest_ever_one; of a grid, all]",
            rich_help_panel=opt.QUESTION_PANEL,
        ),
    ] = None,
    lexicon: opt.Lexicons = None,
    candidates: opt.Candidates = None,
    duplicates: Annotated[
        Literal["max", "sum"],
        typer.Option(help="Tokens with the same text: the most probable, or summed.", rich_help_panel=opt.RUN_PANEL),
    ] = "max",
    fold: Annotated[
        bool,
        typer.Option(
            "--fold",
            help="One row a text whatever its case and leading space: the mean over its variants.",
            rich_help_panel=opt.RUN_PANEL,
        ),
    ] = False,
    set_aside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="markdown,punctuation,whitespace",
            help="Leave candidates of this sort out, counted.",
            rich_help_panel=opt.RUN_PANEL,
        ),
    ] = None,
    frame: opt.Frame = "auto",
    protocol: opt.Protocol = "birthmark",
    mixed_frames: opt.MixedFrames = False,
    engine: opt.Engine = "prefix",
    dtype: opt.Dtype = None,
    device: opt.Device = None,
    template_date: opt.TemplateDate = None,
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    seed: opt.Seed = 0,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """The implicit reward that turns A into B: what B prefers that A does not.

    With --grid, the models before -- are each compared with each one after it.
    """
    from birthmark.api import implicit as run
    from birthmark.api import implicit_grid as run_grid
    from birthmark.cli.show import print_implicit, print_implicit_grid, print_json

    if dry_run:
        _print_plan([model for model in models if model != STANDS_FOR_BETWEEN], context, as_json)
        return
    joined: dict[str, Any] = {"duplicates": duplicates, "fold": fold, "set_aside": set_aside or ()}
    options = {**opt.shared(context), "out": out, "mixed_frames": mixed_frames, **joined}
    if grid:
        first, second = _sides(models)
        found = run_grid(first, second, words=words, **options)
        print_json(found.model_dump()) if as_json else print_implicit_grid(found, out)
        return
    named = [model for model in models if model != STANDS_FOR_BETWEEN]
    if len(named) != 2 or words is not None:
        also = " and --words" if words is not None else ""
        raise BirthmarkError(f"name two models, A and B, not {len(named)}; more models{also} take --grid A… -- B…")
    result = run(*named, **options)
    print_json(result.model_dump()) if as_json else print_implicit(result, out)


def _sides(models: list[str]) -> tuple[list[str], list[str]]:
    """The models before and after `--`."""
    if models.count(STANDS_FOR_BETWEEN) != 1:
        raise BirthmarkError("a grid's two sides are parted by --: birthmark implicit --grid A… -- B…")
    at = models.index(STANDS_FOR_BETWEEN)
    return models[:at], models[at + 1 :]


def _print_plan(models: list[str], context: typer.Context, as_json: bool) -> None:
    """What scoring the models would take; finished tables take nothing."""
    from birthmark.api import plan
    from birthmark.cli.show import print_json, print_plan
    from birthmark.runs import IMPLICIT_PROMPT, is_score_table

    options = opt.shared(context)
    asked = options.get("prompt") or (["all"] if context.params["grid"] else [IMPLICIT_PROMPT])
    options["prompt"] = [] if asked == ["all"] else asked
    planned = plan(*[model for model in models if not is_score_table(model)], **options)
    print_json(planned) if as_json else print_plan(planned)
