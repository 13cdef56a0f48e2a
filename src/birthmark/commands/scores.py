"""`birthmark scores`: a score table's provenance and best candidates, and whether it is as it was written."""

from pathlib import Path
from typing import Annotated

from birthmark.scoring.declarations import Argument, checked
from birthmark.scoring.table import ScoreTable, read_scores


@checked
def show_scores(
    file: Annotated[
        Path, Argument("A score table, or a published score CSV.", "FILE", command_line=Path, place="file")
    ],
) -> ScoreTable:
    """A score table's provenance and best candidates, or all of it as CSV."""
    return read_scores(file)


@checked
def check_scores(
    file: Annotated[Path, Argument("A score table.", "FILE", command_line=Path, place="file")],
) -> ScoreTable:
    """Prove that a score table is whole and as it was written."""
    return read_scores(file)
