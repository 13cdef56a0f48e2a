"""The page of an OUT folder, chosen by the command that its `study.json` names."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.records import StudyRecord, read_record
from birthmark.scoring.table import ScoreTable

PAGES: dict[tuple[str, str | None], str] = {  # command, page → module:function
    ("audit", None): "draw:write_audit",
    ("audit", "personas"): "personas:write_personas_report",
    ("score", None): "draw:write_audit",
    ("compare", None): "draw:write_audit",
    ("compare", "stages"): "stages:write_stages_report",
    ("implicit", None): "implicit:write_implicit_report",
    ("implicit", "grid"): "implicit_grid:write_grid_report",
    ("map", None): "map:write_map_report",
    ("track", None): "track:write_track_report",
    ("choose", None): "choice:write_choice_report",
    ("consequences", None): "consequences:write_consequences_report",
    ("calibrate", None): "calibration:write_calibration_report",
    ("replicate", None): "replication:write_replication_report",
}


def draw(out: Path, tables: Sequence[ScoreTable] = ()) -> Path:
    """Redraw the page, the figures and the values card of an OUT folder from its files; returns the page.

    `tables` are score tables of the folder that were read already. Raises `BirthmarkError` where the folder is no OUT.
    """
    if (out / "birthmark.json").is_file() and not (out / "study.json").is_file():
        from birthmark.report.edit import write_edit_report

        return write_edit_report(out)
    if not (out / "study.json").is_file():
        raise BirthmarkError(f"{out} holds no study.json: name the --out folder of an audit")
    study = read_record(out / "study.json", StudyRecord)
    place = PAGES.get((study.command, study.page)) or PAGES.get((study.command, None))
    if place is None:
        raise BirthmarkError(f"{out} holds the result of birthmark {study.command}, which has no page")
    module, name = place.split(":")
    write: Callable[..., Path] = getattr(import_module(f"birthmark.report.{module}"), name)
    return write(out, tables) if write is write_audit else write(out)


def write_audit(out: Path, tables: Sequence[ScoreTable] = ()) -> Path:
    """Draw the values card and the page of an audit, a comparison or a score; `tables` are those that were read already."""
    from birthmark.report.audit import write_report
    from birthmark.report.card import write_card

    write_card(out)
    return write_report(out, tables)
