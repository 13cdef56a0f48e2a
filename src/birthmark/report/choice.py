"""The page of a choice between bases. Reads `choice.json` and computes nothing."""

from pathlib import Path

from birthmark.records import Choice, read_record
from birthmark.report.layout import Page, Text, Topic, write_page


def write_choice_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `choice.json`; returns the page's path."""
    choice = read_record(out / "choice.json", Choice)
    return write_page(
        out, Page("A choice of bases", [Text(choice.sentences[0], "lead")], [Topic("notes", "Notes", choice.warnings)])
    )
