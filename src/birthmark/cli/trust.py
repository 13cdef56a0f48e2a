"""Trust: replicate, calibrate."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import TRUST, app, examples

calibrate = typer.Typer(no_args_is_help=True, help="What the instrument can see, and how often it errs.")
app.add_typer(calibrate, name="calibrate", rich_help_panel=TRUST)


@app.command(
    rich_help_panel=TRUST,
    epilog=examples(
        "birthmark replicate",
        "birthmark replicate --data ./reward_models_inherit_value_biases_from_pretraining",
        "birthmark replicate --planted birthmark-calibrate",
    ),
)
def replicate(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A clone of the study's repository. [default: fetched]")
    ] = None,
    planted: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What birthmark calibrate planted wrote: it judges the claim that has no published files.",
        ),
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

    result = run(data, planted=planted, out=out, seed=seed, quiet=quiet or as_json)
    print_json(result.model_dump(mode="json")) if as_json else print_replication(result, out)


@calibrate.command(
    "tests",
    epilog=examples(
        "birthmark calibrate tests", "birthmark calibrate tests --data ./clone --studies 500 --out calibration"
    ),
)
def calibrate_tests(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A clone of the study's repository. [default: fetched]")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path(
        "birthmark-calibrate"
    ),
    studies: Annotated[int, typer.Option(metavar="N", help="Simulated studies a design.")] = 10_000,
    quick: Annotated[bool, typer.Option("--quick", help="200 studies: coarse rates in a minute.")] = False,
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """False positives, power and coverage of every test and interval, on relabelled and on simulated studies."""
    from birthmark.api import calibrate as run
    from birthmark.cli.show import print_json
    from birthmark.cli.show_trust import print_calibration

    result = run("tests", data=data, out=out, studies=200 if quick else studies, seed=seed, quiet=quiet or as_json)
    print_json(result.model_dump(mode="json")) if as_json else print_calibration(result, out)


@calibrate.command(
    "planted",
    epilog=examples(
        "birthmark calibrate planted",
        "birthmark calibrate planted --base smollm2-135m-instruct --category authority --seeds 2 --out planted",
        "birthmark calibrate planted --setting full --dry-run",
    ),
)
def calibrate_planted(
    base: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="A base language model; repeatable. [default: the two embedded ones]"),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="authority, agency, communion or colours; repeatable. [default: all]"),
    ] = None,
    setting: Annotated[
        Literal["small", "full"],
        typer.Option(help="small: 8 steps, minutes on a laptop; full: 50 steps and all nine held-out questions."),
    ] = "small",
    seeds: Annotated[int, typer.Option(metavar="N", help="Runs of each base and category.")] = 5,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path(
        "birthmark-calibrate"
    ),
    catalog: opt.Catalog = None,
    device: opt.Device = None,
    seed: opt.Seed = 0,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Teach base models words on purpose, and see which metric finds them again. The next call goes on where one ended."""
    from birthmark import api
    from birthmark.cli.show import print_json
    from birthmark.cli.show_trust import print_calibration, print_planting

    asked: dict[str, Any] = {
        "bases": base or (),
        "categories": category or (),
        "setting": setting,
        "seeds": seeds,
        "out": out,
        "catalog": catalog,
        "device": device,
        "seed": seed,
    }
    if dry_run:
        plans = api.plan_planting(**asked)
        print_json([plan.model_dump(mode="json") for plan in plans]) if as_json else print_planting(plans)
        return
    result = api.calibrate("planted", quiet=quiet or as_json, **asked)
    print_json(result.model_dump(mode="json")) if as_json else print_calibration(result, out)


@calibrate.command(
    "plan",
    epilog=examples(
        "birthmark calibrate plan --bases 5,5 --rms-per-base 2 --sd-base 16.6 --sd-rm 7.2 --shift 20",
        "birthmark calibrate plan --bases 4,6 --shift 30 --json",
    ),
)
def calibrate_plan(
    bases: Annotated[str, typer.Option(metavar="N,N", help="Base checkpoints of either family.")] = "5,5",
    rms_per_base: Annotated[int, typer.Option(metavar="N", help="Reward models on each base checkpoint.")] = 2,
    sd_base: Annotated[
        float, typer.Option(metavar="RANKS", help="SD of contrasts between base checkpoints of a family.")
    ] = 16.6,
    sd_rm: Annotated[
        float, typer.Option(metavar="RANKS", help="SD between reward models on one base checkpoint.")
    ] = 7.2,
    shift: Annotated[float, typer.Option(metavar="RANKS", help="The families' difference that is to be found.")] = 20.0,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    as_json: opt.Json = False,
) -> None:
    """The power of a study before it is run, and what would raise it. SDs: the published study's, of 263 words."""
    from birthmark.api import calibrate as run
    from birthmark.cli.show import print_json
    from birthmark.cli.show_trust import print_plan

    result = run(
        "plan",
        bases=opt.numbers(bases, "--bases"),
        rms_per_base=rms_per_base,
        sd_base=sd_base,
        sd_rm=sd_rm,
        shift=shift,
        alpha=alpha,
    )
    print_json(result.model_dump(mode="json")) if as_json else print_plan(result)
