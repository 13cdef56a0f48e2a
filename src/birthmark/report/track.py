"""The page of a track: how values moved over training, how long a gap lasts, which words moved.

Reads `track.json` and `durability.json` and computes nothing.
"""

from pathlib import Path

from birthmark.records import Durability, GapCurve, Track, read_record
from birthmark.report.figure import Table
from birthmark.report.layout import Section, write_plain_page
from birthmark.report.track_figures import (
    final_figures,
    gap_figures,
    moved_figures,
    quantity_figures,
    rank_figures,
)
from birthmark.values.formats import interval, p_words, percent, signed
from birthmark.values.wording_training import curve_name, quantity_sentence

GAP = (
    "The gap is the second base's mean-rank contrast less the first's, in ranks. Its start is the first step at which it is "
    "outside what random heads on the same bases give, since a gap that these have too was not inherited through training."
)


def write_track_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the records in `out`; returns the page's path."""
    track = read_record(out / "track.json", Track)
    lasting = read_record(out / "durability.json", Durability)
    sections = [
        Section("ranks", "Ranks over the steps", figures=rank_figures(track)),
        Section("gap", "How long the gap lasts", _about_gaps(lasting), gap_figures(lasting), _gap_tables(lasting)),
    ]
    if finals := final_figures(track):
        drawn = [*quantity_figures(lasting), *finals]
        sections.append(Section("quantity", "Source and quantity", _about_quantities(lasting), drawn))
    sections.append(Section("words", "Words that moved", figures=moved_figures(track)))
    if track.warnings:
        sections.append(Section("notes", "Notes", track.warnings))
    return write_plain_page(out, "Values over training", _lead(track), sections)


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
    headers = (
        *("Lexicon", "Bases", "Runs", "Start", "Gap there", "Last gap", "95% over words"),
        *("Random heads, 95%", "p of the last gap", f"Below {percent(lasting.curves[0].fraction)} from", "Settled at"),
    )
    return [Table("Every gap", headers, tuple(_gap_row(curve) for curve in lasting.curves))]


def _gap_row(curve: GapCurve) -> tuple[str, ...]:
    last = curve.points[-1]
    return (
        curve.lexicon,
        f"{curve.base_b} − {curve.base_a}",
        curve_name(curve),
        _step(curve.start_step),
        signed(curve.start_gap),
        signed(last.gap),
        interval(last.ci_low, last.ci_high),
        interval(curve.null.low, curve.null.high) if curve.null else "–",
        p_words(curve.null.p_final) if curve.null else "–",
        _step(curve.below_step)
        if curve.below_pairs is None
        else f"{_step(curve.below_step)}, {curve.below_pairs:,} pairs",
        _step(curve.settled_step),
    )


def _step(step: int | None) -> str:
    return "–" if step is None else f"step {step:,}"


def _about_quantities(lasting: Durability) -> list[str]:
    return [quantity_sentence(item) for item in lasting.quantities]
