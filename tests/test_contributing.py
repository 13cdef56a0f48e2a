"""CONTRIBUTING.md is true: its paths exist, its recipes are short, its tree is the tree, what it names can be imported."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
RECIPES = [title for title in SECTIONS if title.startswith("Add ")]
PLACES = ("src/", "tests/", "examples/", "docs/")


def paths_in(text: str) -> list[str]:
    """Every path of the repository that stands in code, those of a pytest call included."""
    spans = re.findall(r"`([^`\n]+)`", text)
    words = [word for span in spans for word in shlex.split(span)]
    return [word for word in words if word.startswith(PLACES)]


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_has_five_lines_and_every_path_in_it_exists(title: str) -> None:
    lines = [line for line in SECTIONS[title].strip().splitlines() if line]
    assert len(lines) == 5
    named = paths_in(SECTIONS[title])
    assert named
    missing = [path for path in named if not (ROOT / path.rstrip("/")).exists()]
    assert missing == []


def test_there_is_a_recipe_for_all_that_people_add() -> None:
    wanted = ("head", "backend", "statistic", "option", "page", "lexicon")
    assert [word for word in wanted if not any(word in title for title in RECIPES)] == []


def test_the_tree_names_every_room_and_the_readme_shows_the_same() -> None:
    tree = re.search(r"^src/birthmark/\n(.*?)^tests/", TEXT, re.DOTALL | re.MULTILINE)
    assert tree
    rooms = set(re.findall(r"^  (\w+)/", tree[1], re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "src" / "birthmark").glob("*/__init__.py")}
    assert rooms == folders
    files = {path.name for path in (ROOT / "src" / "birthmark").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert all(name in tree[1] for name in files)
    assert tree[1] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_files_written_by_hand_are_where_they_are_said_to_be() -> None:
    for path in re.findall(r"`((?:\w+/)*\w+\.py)`", SECTIONS["Written by hand, and why"]):
        assert (ROOT / "src" / "birthmark" / path).is_file(), path


def test_every_recipes_tests_are_named_as_they_are_run() -> None:
    for title in RECIPES:
        for command in re.findall(r"`\.venv/bin/python -m pytest ([^`]+)`", SECTIONS[title]):
            assert "-n 0" in command
