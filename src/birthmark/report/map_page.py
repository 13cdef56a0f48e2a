"""The map's own report: how alike models rank, what predicts it, where they part from people.

Reads `map.json` and computes nothing.
"""

from pathlib import Path

from birthmark.records import Map, Predictor, Valued, read_record
from birthmark.report.drawing import Table
from birthmark.report.map_figures import map_figures
from birthmark.report.plain_page import Section, write_plain_page


def write_map_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/map.json`; returns the page's path."""
    record = read_record(out / "map.json", Map)
    heat, places, *people = map_figures(record)
    sections = [
        Section("map", "The map", figures=[places, heat]),
        Section("why", "What predicts likeness", _about(record), tables=_predictor_tables(record.predictors)),
    ]
    if people:
        tables = [
            _valued_table("What the models value more than people do", record.overvalued),
            _valued_table("What the models value less than people do", record.undervalued),
        ]
        sections.append(Section("people", "Models and people", record.warnings, people, tables))
    return write_plain_page(out, "How the models relate", map_sentence(record), sections)


def map_sentence(record: Map) -> str:
    """The pairs most and least alike, in a sentence."""
    closest = max(record.likeness, key=lambda pair: pair.kendall)
    furthest = min(record.likeness, key=lambda pair: pair.kendall)
    return (
        f"Over {record.n_candidates:,} candidates and {len(record.prompts)} prompts, {closest.a} and {closest.b} rank most alike "
        f"(Kendall's τ = {closest.kendall:.2f}), {furthest.a} and {furthest.b} least (τ = {furthest.kendall:.2f})."
    )


def _about(record: Map) -> list[str]:
    explained = (
        "Pairs of models are not independent, so the models' places are permuted: beside the others by double "
        "semi-partialling (MRQAP), alone by Mantel's test. A coefficient says by how much Kendall's τ of two models is "
        "higher where they share it, the others held fixed; of size, for each halving of the ratio of their parameters."
    )
    return [explained, *([f"{record.predictors_why}."] if record.predictors_why else [])]


def _predictor_tables(predictors: list[Predictor]) -> list[Table]:
    if not predictors:
        return []
    rows = tuple(
        (row.predictor, f"{row.coefficient:+.3f}", _p(row.p), f"{row.simple_r:+.2f}", _p(row.simple_p))
        for row in predictors
    )
    headers = ("Predictor", "Coefficient", "p", "Correlation alone", "p alone")
    return [Table("What predicts how alike two models rank", headers, rows)]


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _valued_table(caption: str, things: list[Valued]) -> Table:
    return Table(
        caption,
        ("Thing", "People's rank", "Models' mean rank"),
        tuple((thing.name, f"{thing.human_rank:,.0f}", f"{thing.model_rank:,.0f}") for thing in things),
    )
