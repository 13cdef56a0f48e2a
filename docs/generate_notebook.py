"""Run the notebooks of `examples/` from the first cell to the last, and keep what each cell gives.

`python docs/generate_notebook.py`; run it after changing a notebook, or what its cells show.
"""

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in `folder`; nothing that differs from run to run but what the cells give."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1500, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
    notebook.metadata.pop("widgets", None)
    return notebook


if __name__ == "__main__":
    for notebook_path in sorted(EXAMPLES.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(notebook_path, Path(folder)), notebook_path)
