"""The replication's own report: every claim with its verdict, the study's figures anew, the slips in its files.

Reads `replication.json` and computes nothing.
"""

from collections import Counter
from pathlib import Path

from birthmark.records import Claim, DataNote, MwlrToken, Replication, Verdict, read_record
from birthmark.report.drawing import Table
from birthmark.report.plain_page import Section, write_plain_page
from birthmark.report.study_figures import study_figures
from birthmark.report.wording import power_said

VERDICTS: tuple[Verdict, ...] = ("holds", "partly", "fails", "not testable here")
WORDS_SHOWN = 8


def write_replication_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/replication.json`; returns the page's path."""
    record = read_record(out / "replication.json", Replication)
    sections = [
        Section("claims", "The claims", [*_reading(), *_power(record)], tables=[claims_table(record.claims)]),
        Section("figures", "The figures", figures=study_figures(record), tables=_token_tables(record.table_1)),
        Section("slips", "The slips", _about_notes(record), tables=[notes_table(record.data_notes)]),
    ]
    return write_plain_page(out, "The study, claim by claim", _lead(record.claims), sections)


def _lead(claims: list[Claim]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return (
        f"Of the {len(claims)} claims of “Reward Models Inherit Value Biases from Pretraining” (Christian et al., 2026), judged "
        f"from its published files: {said}."
    )


def _reading() -> list[str]:
    reading = (
        "Reproduced: the published numbers come out of the published files. Supported: it holds at the level of base "
        "checkpoints, which is what a claim about model families needs. A claim holds where it is reproduced and, if it speaks "
        "of families, supported; partly where one of the two is so, or a part of it; it fails where the files contradict it."
    )
    return [reading]


def _power(record: Replication) -> list[str]:
    """What the tests over base checkpoints could have found, a lexicon a sentence."""
    return [power_said(item, several=True) for item in (record.figure_1a, record.figure_1b_as_published) if item.power]


def claims_table(claims: list[Claim]) -> Table:
    """A row a claim, in the study's order."""
    return Table(
        "Every claim with its verdict",
        ("Claim", "Verdict", "What the files say", "Reproduced", "Supported", "What was published"),
        tuple(
            (
                f"{claim.claim} ({claim.id})",
                claim.verdict,
                claim.sentence,
                _yes(claim.reproduced),
                _yes(claim.supported),
                claim.published,
            )
            for claim in claims
        ),
    )


def _yes(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


def notes_table(notes: list[DataNote]) -> Table:
    """A row a slip: where, what, and what it changes."""
    return Table(
        "Slips in the published files, each found by a check",
        ("File", "Column", "What was found", "What it changes"),
        tuple((note.file, note.column or "–", note.finding + _words(note), note.effect) for note in notes),
    )


def _words(note: DataNote) -> str:
    said = note.finding.replace(",", "")
    words = [word for word in note.words if word.replace(",", "").strip() not in said]
    if not words:
        return ""
    more = len(words) - WORDS_SHOWN
    shown = ", ".join(word.strip() for word in words[:WORDS_SHOWN])
    return f" ({shown}{f' and {more} more' if more > 0 else ''})"


def _about_notes(record: Replication) -> list[str]:
    changed = record.not_as_published
    if not changed:
        return ["All files that are here are, byte for byte, those of the pinned commit."]
    return [f"Not, byte for byte, the pinned commit's: {', '.join(changed)}."]


def _token_tables(tokens: list[MwlrToken]) -> list[Table]:
    if not tokens:
        return []
    rows = tuple((f"{row.place:,}", repr(row.token), f"{row.mwlr:+.5f}") for row in tokens)
    return [Table("Table 1: tokens by MWLR of Llama 3.2 3B over Gemma 2 2B", ("Place", "Token", "MWLR"), rows)]
