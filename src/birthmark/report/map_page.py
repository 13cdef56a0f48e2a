"""The map's own report: how alike models rank, what predicts it, where they part from people.

Reads `map.json` and computes nothing.
"""

from pathlib import Path

from birthmark.records import Map, Valued, read_record
from birthmark.report.drawing import Table
from birthmark.report.map_figures import map_figures
from birthmark.report.map_tables import about_map, about_people, about_predictors, map_sentence, predictor_tables
from birthmark.report.plain_page import Section, write_plain_page


def write_map_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/map.json`; returns the page's path."""
    record = read_record(out / "map.json", Map)
    heat, places, *people = map_figures(record)
    sections = [
        Section("map", "The map", about_map(record), figures=[places, heat]),
        Section("why", "What predicts likeness", about_predictors(record), tables=predictor_tables(record.predictors)),
    ]
    if people:
        tables = [
            _valued_table("What the models value more than people do", record.overvalued),
            _valued_table("What the models value less than people do", record.undervalued),
        ]
        sections.append(Section("people", "Models and people", about_people(record), people, tables))
    return write_plain_page(out, "How the models relate", map_sentence(record), sections)


def _valued_table(caption: str, things: list[Valued]) -> Table:
    return Table(
        caption,
        ("Thing", "People's rank", "Models' mean rank"),
        tuple((thing.name, f"{thing.human_rank:,.0f}", f"{thing.model_rank:,.0f}") for thing in things),
    )
