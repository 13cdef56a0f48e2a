"""Workshop: report, doctor, schema."""

import json
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
    from birthmark.study import draw

    if not (folder / "study.json").is_file():
        raise BirthmarkError(f"{folder} holds no study.json: name the --out folder of an audit")
    print(draw(folder))


@app.command(rich_help_panel=WORKSHOP, epilog=examples("birthmark doctor", "birthmark doctor --json"))
def doctor(as_json: opt.Json = False) -> None:
    """What this machine can do, which models fit, and what to do about what is missing."""
    from birthmark.cli.show import print_fields, print_json
    from birthmark.models.machine import examine

    facts = examine()
    print_json(facts) if as_json else print_fields(facts)


@app.command(rich_help_panel=WORKSHOP, epilog=examples("birthmark schema effects"))
def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="score, effects, implicit, study, …")],
) -> None:
    """The JSON Schema of a file that birthmark writes."""
    from birthmark.errors import BirthmarkError
    from birthmark.records import SCHEMAS

    if name not in SCHEMAS:
        raise BirthmarkError(f"no schema named {name}: name one of {', '.join(SCHEMAS)}")
    print(json.dumps(SCHEMAS[name].model_json_schema(), indent=2))
