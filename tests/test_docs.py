"""The documents are current: the command reference, the links, every command that a page shows."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
names = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def generator(page: str = "cli") -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"generate_{page}", ROOT / "docs" / f"generate_{page}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_of(page: Path) -> list[list[str]]:
    """Every `birthmark …` that stands in a code block or in code, as words."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    lines = [*blocks.splitlines(), *spans]
    found = [re.sub(r"^(\.venv/bin/)", "", line.strip().removeprefix("$ ")) for line in lines]
    return [shlex.split(line, comments=True) for line in found if re.match(r"birthmark \w", line)]


def needed(name: str) -> set[str]:
    """The options that a command cannot do without, of a command with one mode."""
    import inspect

    from birthmark.cli.app import all_commands
    from birthmark.cli.command import find, flag_of, is_argument, options_of

    modes = all_commands()[name].modes
    if len(modes) > 1:
        return set()
    parameters = inspect.signature(find(modes[0].run)).parameters
    return {
        flag_of(option, annotation)
        for option, annotation in options_of(modes[0]).items()
        if not is_argument(annotation)
        and option in parameters
        and parameters[option].default is inspect.Parameter.empty
    }


def command_tree() -> dict[str, object]:
    from birthmark.cli.app import command_tree as tree

    return tree()


def test_the_command_reference_is_that_of_the_help() -> None:
    assert generator().PAGE.read_text(encoding="utf-8") == generator().reference(), "run python docs/generate_cli.py"


def test_the_command_reference_is_the_same_in_a_narrow_terminal() -> None:
    code = "import runpy; print(runpy.run_path('docs/generate_cli.py')['reference']())"
    environment = {**os.environ, "COLUMNS": "40", "TERM": "dumb"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, env=environment, check=True)
    assert done.stdout.decode().rstrip("\n") == generator().reference().rstrip("\n")


@names
def test_links_lead_to_files_that_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    broken = [
        target
        for target in targets
        if not re.match(r"(https?:|mailto:|#)", target) and not (page.parent / target.split("#")[0]).exists()
    ]
    assert broken == []


@names
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    tree = command_tree()
    for words in commands_of(page):
        assert words[1] in tree, words
        command = tree[words[1]]
        children = getattr(command, "commands", None)
        if children is not None and len(words) > 2:
            assert words[2] in children, words
            command = children[words[2]]
        known = {name for param in getattr(command, "params", []) for name in param.opts} | {"--help", "-h"}
        given = {word.split("=")[0] for word in words if word.startswith("-") and word not in ("-", "--")}
        assert given <= known, words
        if "--out" in given:  # a command that is shown to be run, and not one that is mentioned
            assert needed(" ".join(words[1 : 3 if children is not None else 2])) <= given, words


@names
def test_every_make_target_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)`|^make ([a-z]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


def leaves(tree: object) -> list[object]:
    if isinstance(tree, dict):
        return leaves(list(tree.values()))
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, list) else [tree]


def test_every_page_is_in_the_sites_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {str(page) for page in leaves(site["nav"])}
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_site_builds_strictly_and_asks_nothing_of_other_hosts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").glob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(https?://[^"]+)', page.read_text(encoding="utf-8")
        )
        assert loaded == [], page.name


def test_functions_that_the_python_page_names_exist() -> None:
    import birthmark

    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bbm\.(\w+)", text)) <= {*birthmark.__all__, "CheckFailed"}


def test_the_models_page_is_that_of_the_catalog() -> None:
    assert generator("models").PAGE.read_text(encoding="utf-8") == generator("models").page(), (
        "run python docs/generate_models.py"
    )
