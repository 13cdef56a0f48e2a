"""How consequences show in a terminal: what was found in words, then a row a shift; and what a run would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.cli.show import gigabytes
from birthmark.cli.terminal import print_rows, say
from birthmark.report.text import renamed, short_names
from birthmark.values.consequences import is_main
from birthmark.values.formats import interval, minutes, p_number, signed
from birthmark.values.wording_consequences import about_answers, link_sentence

if TYPE_CHECKING:
    from birthmark.records import AnswersPlan, Consequences


def print_consequences(record: Consequences, out: Path) -> None:
    """The sentences, the soft shifts of every reward model and category, and where all of it is."""
    record = renamed(record, short_names(item.model for item in record.choosers))
    for at, sentence in enumerate(record.sentences):
        say(sentence, bold=at == 0)
    rows = [
        (
            shift.model,
            shift.category,
            signed(shift.policy, 2).removeprefix("+"),
            signed(shift.shift, 2),
            interval(shift.ci_low, shift.ci_high, 2),
            p_number(shift.p_adjusted) if shift.p_adjusted is not None else "–",
            p_number(shift.p_heads) if shift.p_heads is not None else "–",
            signed(shift.detectable, 2).removeprefix("+"),
        )
        for shift in record.shifts
        if is_main(shift)
    ]
    header = ("reward model", "category", "policy", "shift", "95%", "p, shuffled", "p, random heads", "detectable")
    print_rows(header, rows, title="Words per 1,000 words, chosen less said")
    for line in [*about_answers(record.counts), *(link_sentence(link) for link in record.links if link.points)]:
        say(line)
    for warning in record.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out / 'report.html'}")


def print_answers_plan(rows: Sequence[AnswersPlan]) -> None:
    """A row a model: nothing is fetched, loaded or written."""
    header = ("model", "role", "questions", "answers", "device", "dtype", "minutes, about", "memory, about", "fits")
    fits = {True: "yes", False: "no", None: "–"}
    cells = [
        (
            *(row.model, row.role, row.questions, row.answers, row.device, row.dtype),
            minutes(row.seconds),
            gigabytes(row.memory_bytes),
            fits[row.fits],
        )
        for row in rows
    ]
    print_rows(header, cells)
