"""Write `docs/cli.md`, the command reference, from the command line's own help.

Run it after changing a command: `python docs/generate_cli.py`; a test says when that was forgotten.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

from typer._click import Context

from birthmark.cli.app import command_tree

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """# Commands

Each command does one job, prints the plain result, and takes `--json` where there is a result to read by program.
Exit codes: 0 done; 2 bad input, one line that says what to do; 3 a check failed; 130 interrupted, and the same command
resumes.
"""


def reference() -> str:
    """The page: panels in the help's order, a section a command."""
    parts = [INTRODUCTION]
    for panel, members in groupby(command_tree().values(), key=lambda command: command.rich_help_panel):
        parts.append(f"## {panel}\n")
        for command in members:
            parts += _sections(command, f"birthmark {command.name}")
    return "\n".join(parts)


def _sections(command: Any, path: str) -> list[str]:
    children = getattr(command, "commands", None)
    if children is None:
        return [_section(command, path)]
    return [f"### {path}\n\n{command.help}\n", *(_section(child, f"{path} {name}") for name, child in children.items())]


def _section(command: Any, path: str) -> str:
    context = Context(command, info_name=path)
    said, _, examples = f"{command.help or ''}\n\n{command.epilog or ''}".partition("Examples:")
    lines = [line.strip().strip("`") for line in examples.splitlines() if line.strip()]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join([path, *(_places(argument) for argument in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"### {path}\n", f"{said.strip()}\n", f"```\n{usage}\n```\n"]
    if arguments:
        parts.append(_table("Argument", [(_places(argument), _help(argument, context)) for argument in arguments]))
    panels: dict[str, list[tuple[str, str]]] = {}
    for option in options:
        names, _ = option.get_help_record(context)
        panels.setdefault(option.rich_help_panel or "Options", []).append((names, _help(option, context)))
    parts += [_table(panel, rows) for panel, rows in panels.items()]
    if lines:
        parts.append("Examples:\n\n```\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def _places(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _help(param: Any, context: Any) -> str:
    return " ".join(param.get_help_record(context)[1].split())


def _table(header: str, rows: list[tuple[str, str]]) -> str:
    cells = [f"| `{_escaped(name)}` | {_escaped(text)} |" for name, text in rows]
    return "\n".join([f"| {header} | |", "| --- | --- |", *cells, ""])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
