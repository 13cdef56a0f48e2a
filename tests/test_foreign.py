"""Text of others: what stands for what cannot be seen, and that nothing is printed past the module."""

import ast
import csv
import json
import unicodedata
from io import StringIO
from pathlib import Path

import pytest

import birthmark
from birthmark import foreign

SOURCES = sorted(Path(birthmark.__file__).parent.rglob("*.py"))
PRINTERS = {"cli/terminal.py", "progress.py"}
OWN = {*PRINTERS, "cli/app.py", "training/callback.py"}  # a version; bars of numbers


def test_every_control_and_format_character_without_a_shape_gets_a_mark() -> None:
    shaped = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for point in range(0x110000):
        sort = unicodedata.category(chr(point))
        if sort in ("Cc", "Cf", "Cs", "Zl", "Zp") and point not in shaped:
            assert foreign.legible("a" + chr(point)) == "a" + foreign.mark(chr(point)), hex(point)


def test_joiners_stay_where_they_join() -> None:
    assert foreign.legible("👩‍👩‍👧 می‌خواهم") == "👩‍👩‍👧 می‌خواهم"
    assert foreign.legible("lo\u200dve") == "loU+200Dve"


@pytest.mark.parametrize("text", ["\ud800", "\x9b\x1b\x00\u2028\U000e0041</script>", "plain"])
def test_json_is_the_same_and_ascii_where_unseen(text: str) -> None:
    for made in (foreign.json_text({text: [text]}, indent=2), str(foreign.script_json({text: [text]}))):
        assert json.loads(made) == {text: [text]}
        assert not foreign.UNSEEN.search(made.replace("\n", ""))
    assert "<" not in foreign.script_json(text)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        (" @SUM(1)", "' @SUM(1)"),
        ("-3.5", "-3.5"),
        (-3.5, "-3.5"),
        ("a-b", "a-b"),
    ],
)
def test_no_cell_is_a_formula(value: object, cell: str) -> None:
    assert next(csv.reader(StringIO(foreign.csv_text([[value]])))) == [cell]


def test_labels_of_a_figure_stay_unlike() -> None:
    texts = ["\x1b", "U+001B", "x" * 5000, "x" * 5001, "constructor", "constructor\u00a0"]
    spec = foreign.figure_spec({"data": texts, "sort": list(texts)})
    assert len(set(spec["data"])) == len(texts)
    assert spec["sort"] == spec["data"]
    assert "constructor" not in spec["data"]


@pytest.mark.parametrize("text", ["../../victim", "a" * 5000, "\ud800", "", "..", "é" * 300])
def test_a_file_name_is_one_part_of_a_path(text: str) -> None:
    name = foreign.file_name(text)
    assert Path(name).name == name and not name.startswith(".") and 0 < len(name.encode()) <= 120


def _calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_else_prints(path: Path) -> None:
    place = path.relative_to(Path(birthmark.__file__).parent).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if place not in OWN:
        printing = ("print", "typer.echo", "sys.stdout.write", "sys.stderr.write", "console.print", "Console")
        assert not [call for call in _calls(tree) if call in printing]
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [module for module in modules if module.partition(".")[0] == "rich"]
    if place not in ("foreign.py", "report/layout.py"):
        assert "Markup" not in _calls(tree)
