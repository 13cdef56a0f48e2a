"""Measure: audit, score, implicit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import MEASURE, app, examples

Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where everything is written.", rich_help_panel=opt.OUTPUT_PANEL)
]


@app.command(
    rich_help_panel=MEASURE,
    epilog=examples(
        "birthmark audit",
        "birthmark audit ./my-reward-model --family Llama --base-checkpoint Llama-3.1-8B-Instruct --out mine",
        "birthmark audit gemma-3-270m smollm2-135m-instruct --prompt greatest_ever_one --candidates lexicon --out quick",
        "birthmark audit gemma-3-270m smollm2-135m-instruct --control frequency,length,tokens --control prompt",
        "birthmark audit skywork-reward-v2-llama-3.2-1b --with-base --out beside-its-base",
        "birthmark audit --catalog-set study --out ten",
        "birthmark audit smollm2-135m-instruct --persona personas.yaml --out personas",
    ),
)
def audit(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]…", help="Catalog names, hub ids or folders. [default: two small base models]"),
    ] = None,
    catalog_set: Annotated[
        str | None,
        typer.Option(
            "--catalog-set",
            metavar="NAME",
            help="Audit the models of a set, one after the other: study, …, or one of --catalog FILE.",
            rich_help_panel=opt.MODEL_PANEL,
        ),
    ] = None,
    with_base: Annotated[
        bool,
        typer.Option(
            "--with-base",
            help="Score what a reward model descends from beside it: its base checkpoint, and that one's own.",
            rich_help_panel=opt.MODEL_PANEL,
        ),
    ] = False,
    base: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="The models to score beside it, nearest first; repeatable. [default: the catalog's]",
            rich_help_panel=opt.MODEL_PANEL,
        ),
    ] = None,
    out: Out = Path("birthmark-audit"),
    prompts: opt.Prompts = "christian2026",
    prompt: opt.Prompt = None,
    system: opt.System = None,
    persona: opt.Persona = None,
    lexicon: opt.Lexicons = None,
    control: opt.Controls = None,
    candidates: opt.Candidates = None,
    frame: opt.Frame = "auto",
    protocol: opt.Protocol = "birthmark",
    mixed_frames: opt.MixedFrames = False,
    engine: opt.Engine = "prefix",
    dtype: opt.Dtype = None,
    device: opt.Device = None,
    device_map: opt.DeviceMap = None,
    quantize: opt.Quantize = None,
    verify: opt.Verify = False,
    template_date: opt.TemplateDate = None,
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    kind: opt.As = None,
    family: opt.Family = None,
    base_checkpoint: opt.BaseCheckpoint = None,
    seed: opt.Seed = 0,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Audit models end to end: score, compare, trace, and draw the report."""
    from birthmark.api import audit as run
    from birthmark.cli.show import print_audit, print_json

    options = opt.shared(context)
    chosen: dict[str, Any] = {"catalog_set": catalog_set, "with_base": with_base, "base": base or ()}
    if persona is not None:
        _audit_personas(models or [], persona, chosen, out, mixed_frames, dry_run, options, as_json)
        return
    if dry_run:
        _print_plan(models or (), {**options, **chosen}, as_json)
        return
    result = run(*(models or ()), out=out, mixed_frames=mixed_frames, **chosen, **options)
    print_json(result.to_dict()) if as_json else print_audit(result)


@app.command(
    rich_help_panel=MEASURE,
    epilog=examples(
        'birthmark score smollm2-135m-instruct --prompt "What matters most?" --candidates love,freedom',
        "birthmark score smollm2-135m-instruct --prompt greatest_ever_one --candidates lexicon --json",
        "birthmark score gemma-3-270m --prompt best_ever_one --out scored",
        "birthmark score smollm2-135m-instruct --explain --candidates love,freedom",
        'birthmark score smollm2-135m-instruct --system "You are a pirate." --candidates love,freedom',
    ),
)
def score(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A catalog name, a hub id or a folder.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the score table here. [default: print it]", rich_help_panel=opt.OUTPUT_PANEL
        ),
    ] = None,
    prompts: opt.Prompts = "christian2026",
    prompt: opt.Prompt = None,
    system: opt.System = None,
    persona: opt.Persona = None,
    lexicon: opt.Lexicons = None,
    control: Annotated[
        Literal["prompt"] | None,
        typer.Option(
            help="Score a neutral prompt too, for `compare --control prompt`.", rich_help_panel=opt.QUESTION_PANEL
        ),
    ] = None,
    candidates: opt.Candidates = None,
    frame: opt.Frame = "auto",
    protocol: opt.Protocol = "birthmark",
    engine: opt.Engine = "prefix",
    dtype: opt.Dtype = None,
    device: opt.Device = None,
    device_map: opt.DeviceMap = None,
    quantize: opt.Quantize = None,
    verify: opt.Verify = False,
    template_date: opt.TemplateDate = None,
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    kind: opt.As = None,
    family: opt.Family = None,
    base_checkpoint: opt.BaseCheckpoint = None,
    seed: opt.Seed = 0,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show what is read for the first candidate, token by token; score nothing.",
            rich_help_panel=opt.OUTPUT_PANEL,
        ),
    ] = False,
    attributes: Annotated[
        bool,
        typer.Option(
            "--attributes",
            help="Score a reward model attribute by attribute, where its head joins several.",
            rich_help_panel=opt.OUTPUT_PANEL,
        ),
    ] = False,
    dry_run: opt.DryRun = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Score one model's one-word answers: one table, candidates by prompts."""
    from birthmark.api import score as run
    from birthmark.cli.show import print_json, print_scores, scores_as_dict

    options = opt.shared(context)
    if explain:
        _explain(model, persona, options, as_json)
        return
    if attributes and persona is None and not dry_run:
        _score_attributes(model, out, options, as_json)
        return
    if persona is not None:
        _score_personas(model, persona, out, dry_run, options, as_json)
        return
    if dry_run:
        _print_plan([model], options, as_json)
        return
    table = run(model, out=out, **options)
    print_json(scores_as_dict(table, out)) if as_json else print_scores(table, out)


def _explain(model: str, persona: str | None, options: dict[str, Any], as_json: bool) -> None:
    from birthmark.cli.show import print_json
    from birthmark.cli.show_inspections import print_explanation
    from birthmark.errors import BirthmarkError
    from birthmark.inspections import explain

    if persona is not None:
        raise BirthmarkError("--explain shows one conversation: name its system prompt with --system, not --persona")
    found = explain(model, **options)
    print_json(found.model_dump(mode="json")) if as_json else print_explanation(found)


def _score_attributes(model: str, out: Path | None, options: dict[str, Any], as_json: bool) -> None:
    from birthmark.cli.show import print_json
    from birthmark.cli.show_inspections import print_attribute_scores
    from birthmark.inspections import score_attributes

    found = score_attributes(model, out=out, **options)
    print_json(found.to_dict()) if as_json else print_attribute_scores(found)


def _score_personas(
    model: str, persona: str, out: Path | None, dry_run: bool, options: dict[str, Any], as_json: bool
) -> None:
    from birthmark.cli.show import print_json, print_plan, scores_as_dict
    from birthmark.cli.show_inspections import print_persona_scores
    from birthmark.inspections import plan_personas, score_personas

    if dry_run:
        planned = plan_personas(model, personas=persona, **options)
        print_json(planned) if as_json else print_plan(planned)
        return
    tables = score_personas(model, persona, out=out, **options)
    if as_json:
        folders = {name: out / name if out is not None else None for name in tables}
        print_json({name: scores_as_dict(table, folders[name]) for name, table in tables.items()})
    else:
        print_persona_scores(tables, out)


def _audit_personas(
    models: Sequence[str],
    persona: str,
    chosen: dict[str, Any],
    out: Path,
    mixed_frames: bool,
    dry_run: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from birthmark.cli.show import print_json, print_plan
    from birthmark.cli.show_inspections import print_personas
    from birthmark.errors import BirthmarkError
    from birthmark.inspections import audit_personas, plan_personas

    if any(chosen.values()):
        raise BirthmarkError("--persona goes with models that are named, not with --catalog-set, --with-base or --base")
    if dry_run:
        planned = plan_personas(*models, personas=persona, **options)
        print_json(planned) if as_json else print_plan(planned)
        return
    result = audit_personas(*models, personas=persona, out=out, mixed_frames=mixed_frames, **options)
    print_json(result.to_dict()) if as_json else print_personas(result)


def _print_plan(models: Sequence[str], options: dict[str, Any], as_json: bool) -> None:
    from birthmark.api import plan
    from birthmark.cli.show import print_json, print_plan

    planned = plan(*models, **options)
    print_json(planned) if as_json else print_plan(planned)
