"""Train: train, track."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import TRAIN, app, examples
from birthmark.errors import BirthmarkError
from birthmark.records import Recipe

RECIPE_PANEL = "The recipe (defaults: the preset's)"


def _recipe(help_: str, metavar: str | None = None) -> Any:
    return typer.Option(help=help_, metavar=metavar, rich_help_panel=RECIPE_PANEL, show_default=False)


@app.command(
    rich_help_panel=TRAIN,
    epilog=examples(
        "birthmark train --base gemma-3-270m --chat-template plain --preferences pairs.jsonl --preset small --out runs/gemma",
        "birthmark train --base Qwen/Qwen2.5-0.5B-Instruct --preferences skywork-80k --every 6 --loss grm-sft",
        "birthmark train --grid grid.yaml --out runs",
        "birthmark train --grid grid.yaml --out runs --dry-run",
        "birthmark train --base smollm2-135m-instruct --preferences pairs.parquet --pairs 64 --dry-run",
    ),
)
def train(
    context: typer.Context,
    base: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The language model to start from.", rich_help_panel=opt.MODEL_PANEL),
    ] = None,
    preferences: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|HUB_ID",
            help="Preference pairs: TRL's formats, HH dialogues (.jsonl, .jsonl.gz, .json, .parquet), a hub id, or "
            "skywork-80k, unified-feedback, ultrafeedback, ultrafeedback-binarized, hh-rlhf.",
            rich_help_panel=opt.QUESTION_PANEL,
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Many runs: bases, sources, pairs, losses, seeds; finished ones are skipped.",
            rich_help_panel=opt.QUESTION_PANEL,
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Take a seeded sample of N pairs. [default: all]", rich_help_panel=opt.QUESTION_PANEL),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Take each n-th pair.", metavar="n", rich_help_panel=opt.QUESTION_PANEL),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="RUN", help="The run's folder; with --grid, of all runs.", rich_help_panel=opt.OUTPUT_PANEL
        ),
    ] = Path("birthmark-train"),
    preset: Annotated[
        Literal["study", "small"],
        typer.Option(
            help="The study's recipe, or one for a few dozen pairs on a laptop.", rich_help_panel=RECIPE_PANEL
        ),
    ] = "study",
    loss: Annotated[
        Literal["bt", "grm-sft", "grm-dpo"] | None,
        _recipe("Bradley–Terry, or GRM's, which keep the language head's text likely. [default: bt]"),
    ] = None,
    learning_rate: Annotated[float | None, _recipe("AdamW's peak rate. [study: 1e-5, small: 2e-4]")] = None,
    epochs: Annotated[float | None, _recipe("Passes over the pairs. [study: 2, small: 1]")] = None,
    batch: Annotated[int | None, _recipe("Pairs a step. [study: 16, small: 8]")] = None,
    micro_batch: Annotated[int | None, _recipe("Pairs run at once on one device. [study: 4, small: 2]")] = None,
    max_tokens: Annotated[int | None, _recipe("Longer conversations are cut. [study: 1024, small: 192]")] = None,
    cut: Annotated[
        Literal["left", "right"] | None, _recipe("Which end of a long one goes. [study: right, small: left]")
    ] = None,
    schedule: Annotated[
        Literal["cosine", "linear", "constant", "constant_with_warmup"] | None, _recipe("[default: cosine]")
    ] = None,
    warmup: Annotated[float | None, _recipe("Share of the steps. [default: 0.03]")] = None,
    weight_decay: Annotated[float | None, _recipe("[default: 0]")] = None,
    clip: Annotated[float | None, _recipe("Largest norm of the gradient. [default: 5]")] = None,
    lora_rank: Annotated[int | None, _recipe("[default: 32]")] = None,
    lora_alpha: Annotated[float | None, _recipe("[default: 64]")] = None,
    lora_dropout: Annotated[float | None, _recipe("[default: 0.05]")] = None,
    lora_target: Annotated[
        list[str] | None, _recipe("Layers with adapters; repeatable. [default: q_proj, k_proj, v_proj, o_proj]", "NAME")
    ] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"] | None,
        _recipe("auto: bfloat16 where the hardware has it. [study: auto, small: float32]"),
    ] = None,
    recompute_activations: Annotated[
        bool | None,
        typer.Option(
            "--recompute/--no-recompute",
            help="Spare memory, spend time. [study: yes, small: no]",
            rich_help_panel=RECIPE_PANEL,
            show_default=False,
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None, _recipe("Checkpoints beside those at powers of two. [study: 500, small: 16]", "K")
    ] = None,
    text_weight: Annotated[float | None, _recipe("α of the GRM losses. [default: 0.01]")] = None,
    text_beta: Annotated[float | None, _recipe("β of the GRM losses. [default: 0.1]")] = None,
    text_plain: Annotated[
        bool | None,
        typer.Option(
            "--text-plain", help="grm-sft with −log π instead.", rich_help_panel=RECIPE_PANEL, show_default=False
        ),
    ] = None,
    text_reference: Annotated[
        bool | None,
        typer.Option(
            "--text-reference",
            help="Take text log-probabilities less the base's.",
            rich_help_panel=RECIPE_PANEL,
            show_default=False,
        ),
    ] = None,
    device: opt.Device = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="tensorboard|trackio|wandb|none",
            help="Log there too, where it is installed; repeatable. [default: tensorboard if it is]",
            rich_help_panel=opt.RUN_PANEL,
        ),
    ] = None,
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    family: opt.Family = None,
    base_checkpoint: opt.BaseCheckpoint = None,
    seed: opt.Seed = 0,
    print_command: Annotated[
        bool,
        typer.Option(
            "--print-command",
            help="Print the line that runs this on several GPUs, for SLURM.",
            rich_help_panel=opt.RUN_PANEL,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print recipe, pairs, steps, about how long and how much memory; train nothing.",
            rich_help_panel=opt.OUTPUT_PANEL,
        ),
    ] = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Train a reward model from a base, with checkpoints to track; the same command resumes an interrupted run."""
    from birthmark import api
    from birthmark.cli.show import print_json
    from birthmark.cli.show_training import (
        launch_line,
        print_each_training,
        print_grid_plan,
        print_run,
        print_runs,
        print_training_plan,
    )

    if print_command:
        print(launch_line(context))
        return
    from birthmark.training.run import is_main

    require_run_or_grid(context)
    silent = quiet or as_json
    shown = None if silent else print_each_training()
    if grid is not None:
        where: dict[str, Any] = {"out": out, "device": device, "catalog": catalog, "quiet": silent}
        if dry_run:
            plans = api.plan_grid(grid, **where)
            print_json([plan.model_dump(mode="json") for plan in plans]) if as_json else print_grid_plan(plans)
            return
        runs = api.train_grid(grid, report_to=report_to or (), show=shown, **where)
        if is_main():
            print_json([run.record.model_dump(mode="json") for run in runs]) if as_json else print_runs(runs, out)
        return
    asked = training_options(context)
    if dry_run:
        plan = api.plan_training(str(base), str(preferences), out=out, quiet=silent, **asked)
        print_json(plan.model_dump(mode="json")) if as_json else print_training_plan(plan)
        return
    run = api.train(str(base), str(preferences), out=out, show=shown, quiet=silent, **asked)
    if is_main():
        print_json(run.record.model_dump(mode="json")) if as_json else print_run(run)


def require_run_or_grid(context: typer.Context) -> None:
    """Raise `BirthmarkError` unless there is a grid alone, or a base and preferences."""
    given = {name: value for name, value in context.params.items() if value is not None}
    if "grid" not in given:
        if "base" not in given or "preferences" not in given:
            raise BirthmarkError("say --base MODEL and --preferences FILE, or --grid YAML")
        return
    beside = ("base", "preferences", "pairs", "every", "chat_template", "revision", "family", "base_checkpoint")
    inside = [name for name in (*beside, *FIELDS) if name in given]
    if inside or context.params["seed"] or context.params["preset"] != "study":
        named = inside[0] if inside else ("seed" if context.params["seed"] else "preset")
        raise BirthmarkError(f"a grid says what its runs are: leave out --{named.replace('_', '-')}, or write it there")


def training_options(context: typer.Context) -> dict[str, Any]:
    """The library's options out of the command's: what the person left out is left out."""
    names = (*FIELDS, "pairs", "every", "preset", "seed", "device", "report_to")
    names = (*names, "revision", "catalog", "chat_template", "family", "base_checkpoint")
    given = {name: context.params[name] for name in names if context.params.get(name) is not None}
    if context.params["lora_target"]:
        given["lora_targets"] = context.params["lora_target"]
    return given


FIELDS = tuple(name for name in Recipe.model_fields if name != "lora_targets")

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN…",
        help="A run's folder, a trainer's output folder (checkpoint-500, …), or a hub id with --revisions.",
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
RunFamily = Annotated[
    str | None,
    typer.Option("--family", help="Pretraining lineage of runs that record none.", rich_help_panel=opt.MODEL_PANEL),
]
RunBaseCheckpoint = Annotated[
    str | None,
    typer.Option(
        "--base-checkpoint", help="The released model of runs that record none.", rich_help_panel=opt.MODEL_PANEL
    ),
]
Heads = Annotated[
    int, typer.Option(min=0, help="Random heads a base, the null of gaps between bases.", rich_help_panel=opt.RUN_PANEL)
]
Fraction = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="A gap has fallen once it stays below this share of its start.",
        rich_help_panel=opt.RUN_PANEL,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="A gap has settled once it stays within this share of its range.",
        rich_help_panel=opt.RUN_PANEL,
    ),
]


@app.command(
    rich_help_panel=TRAIN,
    epilog=examples(
        "birthmark track runs/gemma-hh runs/smollm-hh --prompt best_ever_one --prompt worst_ever_one --out tracked",
        "birthmark track ./trainer-output --lexicon my-words.csv",
        "birthmark track OWNER/my-reward-model --revisions 'step-*' --candidates vocabulary",
        "birthmark track runs/gemma-hh runs/smollm-hh --dry-run",
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
    family: RunFamily = None,
    base_checkpoint: RunBaseCheckpoint = None,
    seed: opt.Seed = 0,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Follow values through training: score every checkpoint of some runs, and say how long a gap between bases lasts."""
    from birthmark.cli.show import print_json
    from birthmark.cli.show_training import print_track, print_track_plan

    options = {**opt.shared(context), "revisions": revisions}
    if dry_run:
        from birthmark.training.track_plan import plan_track

        plans = plan_track(*runs, out=out, **options)
        print_json([plan.model_dump(mode="json") for plan in plans]) if as_json else print_track_plan(plans)
        return
    from birthmark.training.trajectory import track as run

    result = run(*runs, out=out, heads=heads, fraction=fraction, tolerance=tolerance, **options)
    print_json(result.model_dump(mode="json")) if as_json else print_track(result, out)
