"""What is named as text exists, and what can only be reached by its name there is named: no dead command, printer or page."""

import ast
import re
from pathlib import Path

import pytest

from birthmark.cli.app import all_commands
from birthmark.cli.command import find
from birthmark.report.draw import PAGES

PACKAGE = Path(__file__).parents[2] / "src" / "birthmark"
PLACES = sorted(
    {
        place
        for command in all_commands().values()
        for mode in command.modes
        for place in (mode.run, mode.show, mode.plan, mode.show_plan, mode.after, mode.watch)
        if place
    }
)


@pytest.mark.parametrize("place", [*PLACES, *(f"report.{page}" for page in PAGES.values())])
def test_a_function_that_is_named_exists(place: str) -> None:
    assert callable(find(place))


@pytest.mark.parametrize("file", sorted([*PACKAGE.glob("commands/*.py"), *PACKAGE.glob("cli/show*.py")]), ids=str)
def test_every_public_function_of_commands_and_printers_is_used(file: Path) -> None:
    defined = {
        node.name
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    named = {place.split(":")[1] for place in PLACES}
    unnamed = defined - named
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    unused = [name for name in unnamed if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert unused == []
