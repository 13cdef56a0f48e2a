"""The notebooks of `examples/` carry what their cells give, and give the same kinds of things when run."""

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_notebook", ROOT / "docs" / "generate_notebook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """The kinds of each code cell's outputs."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[kind for output in cell.outputs for kind in sorted(output.get("data", {}))] for cell in cells]


@pytest.mark.real_model
@pytest.mark.timeout(1800)
def test_the_audit_notebook_gives_what_it_carries(tmp_path: Path, generator: ModuleType) -> None:
    kept = nbformat.read(EXAMPLES / "audit.ipynb", as_version=4)
    made = generator.run(EXAMPLES / "audit.ipynb", tmp_path)
    assert shown(made) == shown(kept)
    kinds = [kind for cell in shown(made) for kind in cell]
    assert kinds.count("text/html") >= 5
    assert any("vega" in kind for kind in kinds) and "image/svg+xml" in kinds
    assert (tmp_path / "audit-smollm2" / "report.html").is_file()


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda file: file.name)
def test_a_notebook_carries_its_outputs_and_nothing_of_the_machine(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type == "execute_result" for cell in cells for output in cell.outputs)
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 2
    text = file.read_text(encoding="utf-8")
    assert str(Path.home()) not in text and "/tmp/" not in text
    assert len(text) < 500_000
