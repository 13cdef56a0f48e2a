"""The notebooks of `examples/` run from the first cell to the last, and show what they promise."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.real_model
@pytest.mark.timeout(1800)
def test_the_audit_notebook_runs_and_shows_tables_and_a_figure(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "audit.ipynb", as_version=4)
    NotebookClient(notebook, timeout=1500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output["data"] for output in outputs if output["output_type"] == "execute_result"]
    assert sum("text/html" in data for data in shown) >= 4
    assert any("vega" in kind for data in shown for kind in data)
    assert (tmp_path / "audit-smollm2" / "report.html").is_file()


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda file: file.name)
def test_a_notebook_is_kept_without_outputs(file: Path) -> None:
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
