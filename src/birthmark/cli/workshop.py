"""Workshop: report, doctor, schema."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import WORKSHOP, app, examples


@app.command(rich_help_panel=WORKSHOP, epilog=examples("birthmark report audit"))
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that another command wrote.")],
) -> None:
    """Redraw the page, figures and values card of a folder from its files."""
    from birthmark.errors import BirthmarkError
    from birthmark.runs import draw

    if not any((folder / name).is_file() for name in ("study.json", "personas.json")):
        raise BirthmarkError(f"{folder} holds no study.json: name the --out folder of an audit")
    print(draw(folder))


@app.command(rich_help_panel=WORKSHOP, epilog=examples("birthmark doctor", "birthmark doctor --offline --json"))
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing of the network.")] = False,
    catalog: opt.Catalog = None,
    as_json: opt.Json = False,
) -> None:
    """What this machine can do, which models fit, and what to do about what is missing."""
    from birthmark.cli.show import print_doctor, print_json
    from birthmark.models.doctor import examine

    found = examine(catalog, network=not offline)
    print_json(found.model_dump(mode="json")) if as_json else print_doctor(found)


@app.command(rich_help_panel=WORKSHOP, epilog=examples("birthmark schema effects", "birthmark schema doctor-output"))
def schema(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="score, effects, implicit, study, …; or COMMAND-output: audit-output, …"),
    ],
) -> None:
    """The JSON Schema of a JSON file that birthmark writes, or of what a command prints with --json."""
    from birthmark.cli.show import print_json
    from birthmark.schemas import json_schema

    print_json(json_schema(name))
