"""The application that the help panels register their commands with."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from birthmark import __version__

MEASURE, COMPARE, TRAIN, TRUST = "Measure", "Compare", "Train", "Trust"
LOOK_UP, WORKSHOP = "Look up", "Workshop"

ORDER = (
    *("audit", "score", "implicit", "compare", "map", "train", "track", "replicate", "calibrate"),
    *("models", "lexicons", "prompts", "scores", "report", "doctor", "schema"),
)


class Panels(TyperGroup):
    """Commands in the order of the work, so that the help's panels follow it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    cls=Panels,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"birthmark {__version__}")
        raise typer.Exit()


@app.callback()
def birthmark(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Find the values a reward model was born with.

    Start with `birthmark audit`: it audits two small base models on this machine and opens the way to your own.
    """


def examples(*lines: str) -> str:
    """The end of a command's help: one example a line, each run by a test."""
    return "Examples:\n\n" + "\n\n".join(f"`{line}`" for line in lines)


from birthmark.cli import implicit, lookup, measure, relate, train, trust, workshop  # noqa: F401
