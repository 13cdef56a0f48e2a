"""Compare: compare, map."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import COMPARE, app, examples

Tables = Annotated[
    list[Path], typer.Argument(metavar="TABLE…", help="Score tables (.parquet) or published score CSVs.")
]

Families = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL=NAME",
        help="Pretraining lineage of a model that tables and catalog do not name, or another than they do. Repeatable.",
        rich_help_panel=opt.MODEL_PANEL,
    ),
]
BaseCheckpoints = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL=NAME",
        help="The released model that it was tuned from. Repeatable.",
        rich_help_panel=opt.MODEL_PANEL,
    ),
]


@app.command(
    rich_help_panel=COMPARE,
    epilog=examples(
        "birthmark compare birthmark-audit/scores/gemma-3-270m.parquet birthmark-audit/scores/smollm2-135m-instruct.parquet",
        'birthmark compare --budget "contrast<=10" new.parquet reference.parquet',
        "birthmark compare --stages gemma-lm.parquet gemma-rm.parquet llama-lm.parquet llama-rm.parquet",
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
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="EXPRESSION",
            help='Only say whether NEW has moved from REFERENCE by more than "contrast<=10"; exit code 3 where it has.',
        ),
    ] = None,
    stages: Annotated[
        bool,
        typer.Option(
            "--stages", help="How much of reward models' values their language models hold, stage by stage, instead."
        ),
    ] = False,
    null: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --stages: the OUT of a track, whose random heads are the null."),
    ] = None,
    family: Families = None,
    base_checkpoint: BaseCheckpoints = None,
    catalog: opt.Catalog = None,
    mixed_frames: opt.MixedFrames = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Compare model families: the paper's tests, and tests that respect what was sampled."""
    from birthmark.api import compare as run
    from birthmark.cli.show import print_effects, print_json, print_word

    if budget is not None:
        _hold(tables, budget, lexicon, as_json)
        return
    if stages:
        _stages(tables, lexicon, null, out, mixed_frames, catalog, seed, as_json)
        return
    results = run(
        tables,
        lexicons=lexicon or ("starter",),
        out=out,
        mixed_frames=mixed_frames,
        controls=control or (),
        group_by=group_by,
        families=_by_model("--family", family),
        base_checkpoints=_by_model("--base-checkpoint", base_checkpoint),
        catalog=catalog,
        seed=seed,
    )
    if as_json:
        print_json([result.model_dump(mode="json") for result in results])
    elif word is not None:
        print_word(results, word)
    else:
        print_effects(results, out)


def _by_model(option: str, given: list[str] | None) -> dict[str, str]:
    """`MODEL=NAME` → {MODEL: NAME}; a model's own name may hold `=`."""
    from birthmark.errors import BirthmarkError

    named = {}
    for text in given or []:
        model, sign, name = text.rpartition("=")
        if not (model and sign and name):
            raise BirthmarkError(f'{option} takes MODEL=NAME, not "{text}"')
        named[model] = name
    return named


def _hold(tables: list[Path], budget: str, lexicon: list[str] | None, as_json: bool) -> None:
    from birthmark.cli.show import print_json
    from birthmark.cli.show_training import print_budgets
    from birthmark.comparisons import hold_to_budget
    from birthmark.errors import CheckFailed

    checks = hold_to_budget(tables, budget, lexicons=lexicon or ("starter",))
    exceeded = [check.sentence for check in checks if not check.within]
    if as_json:
        print_json([check.model_dump(mode="json") for check in checks])
    else:
        print_budgets([check for check in checks if check.within])
    if exceeded:
        raise CheckFailed("; ".join(exceeded))


def _stages(
    tables: list[Path],
    lexicon: list[str] | None,
    null: Path | None,
    out: Path,
    mixed_frames: bool,
    catalog: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    from birthmark.cli.show import print_json
    from birthmark.cli.show_training import print_stages
    from birthmark.comparisons import compare_stages

    found = compare_stages(
        tables,
        lexicons=lexicon or ("starter",),
        null=null,
        out=out,
        mixed_frames=mixed_frames,
        catalog=catalog,
        seed=seed,
    )
    print_json([item.model_dump(mode="json") for item in found]) if as_json else print_stages(found, out)


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
