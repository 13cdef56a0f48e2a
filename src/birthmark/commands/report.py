"""`birthmark report`: redraw the page, figures and values card of a folder from its files."""

from pathlib import Path
from typing import Annotated

from birthmark.report.draw import draw
from birthmark.scoring.declarations import Argument, checked


@checked
def report(
    folder: Annotated[Path, Argument("A folder that another command wrote.", "DIR", command_line=Path, place="out")],
) -> Path:
    """Redraw the page, figures and values card of a folder from its files; returns the page's path."""
    return draw(Path(folder))
