"""The page of `birthmark implicit`: figure and tables of one pair."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.foreign import expression, file_name
from birthmark.records import CandidateReward, Implicit, ImplicitPrompt, read_record
from birthmark.report.columns import Column, Table, drawn, number, tips
from birthmark.report.figure import NARROW, WIDE, Figure, by_hue, data
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.report.lexicon_tables import mean_table
from birthmark.report.text import visible
from birthmark.values.formats import percent, sentence, signed
from birthmark.values.wording_pairs import held_sentence, most_preferred

BARS = 12


def implicit_figure(implicit: Implicit) -> Figure:
    """The extremes after the first prompt: what b prefers to the right, what a prefers to the left."""
    prompt = implicit.prompts[0]
    columns = (
        Column("candidate", "Candidate", visible, tip=True),
        Column("mwlr", "MWLR", partial(signed, digits=4), tip=True),
        Column("log_ratio", "Log-ratio", partial(signed, digits=2), tip=True),
        Column(
            "logprob_a",
            f"Log-probability in {implicit.a}",
            partial(signed, digits=2),
            tip=True,
            tip_title="In the first",
        ),
        Column("logprob_b", f"… in {implicit.b}", partial(signed, digits=2), tip=True, tip_title="In the second"),
    )
    a, b = f"{implicit.a} prefers", f"{implicit.b} prefers"
    top, bottom = (prompt.text_top, prompt.text_bottom) if prompt.text_top else (prompt.top, prompt.bottom)
    chosen = [*top[:BARS], *reversed(bottom[:BARS])]
    rows = drawn(
        [
            {
                "at": at,
                "candidate": item.candidate,
                "side": b if item.mwlr > 0 else a,
                "mwlr": item.mwlr,
                "log_ratio": item.log_ratio,
                "logprob_a": item.logprob_a,
                "logprob_b": item.logprob_b,
            }
            for at, item in enumerate(chosen)
        ],
        columns,
    )
    return Figure(
        name=f"implicit-{file_name(implicit.slug_a or implicit.a)}..{file_name(implicit.slug_b or implicit.b)}",
        title=f"From {implicit.a} to {implicit.b}",
        description=f"The candidates that {implicit.b} prefers most over {implicit.a}, and the other way round, by MWLR.",
        build=lambda narrow: _bars(rows, [a, b], columns, narrow),
        table=Table(
            f"Implicit reward from {implicit.a} to {implicit.b} after {prompt.prompt}: all extremes",
            columns,
            [*prompt.top, *reversed(prompt.bottom)],
        ),
        note=(
            "MWLR, the mixture-weighted log-ratio: how much likelier a candidate is in the second model than in the "
            "first, weighted by how likely the two make it." + _set_aside(prompt)
        ),
    )


def _set_aside(prompt: ImplicitPrompt) -> str:
    """How many line breaks and signs are not drawn, and how many of them would have been."""
    if not prompt.text_top or not prompt.n_signs:
        return ""
    drawn = {item.candidate for item in (*prompt.text_top, *prompt.text_bottom)}
    strongest = [*prompt.top[:BARS], *prompt.bottom[:BARS]]
    n = sum(item.candidate not in drawn for item in strongest)
    return (
        f" Words only: {prompt.n_signs:,} candidates that are line breaks, spaces or punctuation are set aside, {n} of them among "
        f"the {len(strongest)} strongest; the table has all."
    )


def _bars(rows: list[dict[str, Any]], sides: list[str], columns: Sequence[Column], narrow: bool) -> Any:
    names = ", ".join(expression(visible(item["candidate"])) for item in rows)
    labels = alt.Axis(labelExpr=f"[{names}][datum.value]", labelLimit=130)
    return (
        alt.Chart(data(rows))
        .mark_bar(height={"band": 0.62}, cornerRadius=2)
        .encode(
            y=alt.Y("at:O", title=None, axis=labels),
            x=alt.X("mwlr:Q", title="MWLR", axis=alt.Axis(format="~r", tickCount=3 if narrow else 4)),
            color=by_hue("side", sides, narrow=narrow),
            tooltip=tips(columns),
        )
        .properties(width=NARROW - 100 if narrow else WIDE, height=alt.Step(20))
    )


FIRST = 5


def write_implicit_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the pairs in `out/implicit/`; returns the page's path."""
    pairs = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    topics = [Topic(f"pair-{at}", f"{pair.a} → {pair.b}", _parts(pair)) for at, pair in enumerate(pairs, start=1)]
    first = pairs[0]
    title = f"From {first.a} to {first.b}" if len(pairs) == 1 else f"The implicit rewards of {len(pairs)} pairs"
    lead = "The reward that preference training would have needed to turn the first model into the second."
    if len(pairs) == 1:
        lead = f"{lead} {most_preferred(first, visible)}".rstrip()
    return write_page(out, Page(title, [Text(lead, "lead")], topics))


def _parts(pair: Implicit) -> list[Part]:
    first = pair.prompts[0]
    said = [held_sentence(pair)]
    if pair.set_aside_texts:
        counts = ", ".join(f"{count:,} of {sort}" for sort, count in pair.set_aside_texts.items())
        said.append(f"Set aside on request: {counts}.")
    if pair.folded:
        said.append("Each row is the mean over the variants of a text in case and leading space.")
    said += [sentence(text) for text in pair.warnings]
    tables = [] if pair.identical else [_word_table(pair, first), mean_table(pair), _prompt_table(pair)]
    figures = [] if pair.identical or not first.top else [implicit_figure(pair)]
    return [*said, *figures, *(table for table in tables if table)]


def _word_table(pair: Implicit, prompt: ImplicitPrompt) -> Table | None:
    if not prompt.words_top:
        return None
    columns = (
        Column("best", f"{pair.b} prefers", visible),
        Column("best_mwlr", "MWLR", partial(signed, digits=4)),
        Column("worst", f"{pair.a} prefers", visible),
        Column("worst_mwlr", "MWLR", partial(signed, digits=4)),
    )
    rows = [
        {"best": best.candidate, "best_mwlr": best.mwlr, "worst": worst.candidate, "worst_mwlr": worst.mwlr}
        for best, worst in zip(prompt.words_top, prompt.words_bottom, strict=True)
    ]
    note = "Whole words: several tokens by the chain rule, forms summed."
    return Table(f"Of the lists' words, after {prompt.prompt}", columns, rows, note=note)


def _prompt_table(pair: Implicit) -> Table | None:
    if len(pair.prompts) < 2:
        return None
    columns = (
        Column("prompt", "Prompt"),
        Column("n_shared", "Candidates", number(",")),
        Column(("mass_a", "mass_b"), "Their mass in each", lambda a, b: f"{percent(a, 1)}, {percent(b, 1)}"),
        Column("top", f"{pair.b} prefers", first_candidates),
        Column("bottom", f"{pair.a} prefers", first_candidates),
    )
    return Table("After every prompt, by MWLR", columns, pair.prompts)


def first_candidates(items: Sequence[CandidateReward]) -> str:
    return ", ".join(visible(item.candidate) for item in items[:FIRST])
