"""The page of a track: how values moved over training, how long a gap lasts, which words moved.

Reads `track.json` and `durability.json` and computes nothing.
"""

from pathlib import Path

from birthmark.records import Durability, Track, read_record
from birthmark.report.columns import Column, Table, p_value
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.report.track_figures import (
    BASES,
    OVER_WORDS,
    RUNS,
    final_figures,
    gap_figures,
    moved_figures,
    quantity_figures,
    rank_figures,
)
from birthmark.values.formats import interval, percent, signed
from birthmark.values.wording_training import quantity_sentence

GAP = (
    "The gap is the second base's mean-rank contrast less the first's, in ranks. Its start is the first step at which it is "
    "outside what random heads on the same bases give, since a gap that these have too was not inherited through training."
)


def write_track_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the records in `out`; returns the page's path."""
    track = read_record(out / "track.json", Track)
    lasting = read_record(out / "durability.json", Durability)
    gaps: list[Part] = [*_about_gaps(lasting), *gap_figures(lasting), *_gap_tables(lasting)]
    topics = [
        Topic("ranks", "Ranks over the steps", rank_figures(track)),
        Topic("gap", "How long the gap lasts", gaps),
    ]
    if finals := final_figures(track):
        parts: list[Part] = [*_about_quantities(lasting), *quantity_figures(lasting), *finals]
        topics.append(Topic("quantity", "Source and quantity", parts))
    topics.append(Topic("words", "Words that moved", moved_figures(track)))
    if track.warnings:
        topics.append(Topic("notes", "Notes", track.warnings))
    return write_page(out, Page("Values over training", [Text(_lead(track), "lead")], topics))


def _lead(track: Track) -> str:
    looks = sum(len(run.steps) for run in track.runs)
    bases = ", ".join(sorted({run.base for run in track.runs}))
    said = f"{looks:,} checkpoints of {len(track.runs)} {'run' if len(track.runs) == 1 else 'runs'} on {bases}."
    return " ".join([said, *track.sentences])


def _about_gaps(lasting: Durability) -> list[str]:
    return [GAP, *(curve.sentence for curve in lasting.curves)] if lasting.curves else [f"{lasting.curves_why}."]


def _gap_tables(lasting: Durability) -> list[Table]:
    if not lasting.curves:
        return []
    columns = (
        Column("lexicon", "Lexicon"),
        BASES,
        RUNS,
        Column("start_step", "Start", _step),
        Column("start_gap", "Gap there", signed),
        Column("gap", "Last gap", signed),
        OVER_WORDS,
        Column(("null_low", "null_high"), "Random heads, 95%", interval),
        Column("p_final", "p of the last gap", p_value),
        Column(("below_step", "below_pairs"), f"Below {percent(lasting.curves[0].fraction)} from", _below),
        Column("settled_step", "Settled at", _step),
    )
    rows = [
        {
            **curve.model_dump(exclude={"points", "null"}),
            **curve.points[-1].model_dump(include={"gap", "ci_low", "ci_high"}),
            "null_low": curve.null and curve.null.low,
            "null_high": curve.null and curve.null.high,
            "p_final": curve.null and curve.null.p_final,
        }
        for curve in lasting.curves
    ]
    return [Table("Every gap", columns, rows)]


def _step(step: int | None) -> str:
    return "–" if step is None else f"step {step:,}"


def _below(step: int | None, pairs: int | None) -> str:
    return _step(step) if pairs is None else f"{_step(step)}, {pairs:,} pairs"


def _about_quantities(lasting: Durability) -> list[str]:
    return [quantity_sentence(item) for item in lasting.quantities]
