"""The page of `birthmark implicit`: figure and tables of one pair."""

import json
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Implicit, ImplicitPrompt, read_record
from birthmark.report.figure import NARROW, WIDE, Figure, Table, by_hue, data, file_stem
from birthmark.report.layout import Section, write_plain_page
from birthmark.report.lexicon_tables import mean_table
from birthmark.report.text import visible
from birthmark.values.formats import percent, sentence, signed
from birthmark.values.wording_pairs import held_sentence, most_preferred

BARS = 12


def implicit_figure(implicit: Implicit) -> Figure:
    """The extremes after the first prompt: what b prefers to the right, what a prefers to the left."""
    prompt = implicit.prompts[0]
    chosen = [*prompt.top[:BARS], *reversed(prompt.bottom[:BARS])]
    a, b = f"{implicit.a} prefers", f"{implicit.b} prefers"
    rows = [
        {
            "at": at,
            "label": visible(item.candidate),
            "side": b if item.mwlr > 0 else a,
            "mwlr": item.mwlr,
            "log_ratio": item.log_ratio,
            "a": item.logprob_a,
            "b": item.logprob_b,
        }
        for at, item in enumerate(chosen)
    ]
    return Figure(
        name=f"implicit-{file_stem(implicit.slug_a or implicit.a)}..{file_stem(implicit.slug_b or implicit.b)}",
        title=f"From {implicit.a} to {implicit.b}",
        description=f"The candidates that {implicit.b} prefers most over {implicit.a}, and the other way round, by MWLR.",
        build=lambda narrow: _bars(rows, [a, b], implicit, narrow),
        table=Table(
            f"Implicit reward from {implicit.a} to {implicit.b} after {prompt.prompt}: all extremes",
            ("Candidate", "MWLR", "Log-ratio", f"Log-probability in {implicit.a}", f"… in {implicit.b}"),
            tuple(
                (
                    visible(item.candidate),
                    signed(item.mwlr, 4),
                    signed(item.log_ratio, 2),
                    signed(item.logprob_a, 2),
                    signed(item.logprob_b, 2),
                )
                for item in [*prompt.top, *reversed(prompt.bottom)]
            ),
        ),
        note=(
            "MWLR, the mixture-weighted log-ratio: how much likelier a candidate is in the second model than in the "
            "first, weighted by how likely the two make it."
        ),
    )


def _bars(rows: list[dict[str, Any]], sides: list[str], implicit: Implicit, narrow: bool) -> Any:
    labels = alt.Axis(labelExpr=f"{json.dumps([item['label'] for item in rows])}[datum.value]", labelLimit=130)
    return (
        alt.Chart(data(rows))
        .mark_bar(height={"band": 0.62}, cornerRadius=2)
        .encode(
            y=alt.Y("at:O", title=None, axis=labels),
            x=alt.X("mwlr:Q", title="MWLR", axis=alt.Axis(format="~g", tickCount=4)),
            color=by_hue("side", sides, narrow=narrow),
            tooltip=[
                alt.Tooltip("label:N", title="candidate"),
                alt.Tooltip("mwlr:Q", format="+.2e", title="MWLR"),
                alt.Tooltip("log_ratio:Q", format="+.2f", title="log-ratio"),
                alt.Tooltip("a:Q", format=".2f", title=f"log-probability, {implicit.a}"),
                alt.Tooltip("b:Q", format=".2f", title=f"log-probability, {implicit.b}"),
            ],
        )
        .properties(width=NARROW - 100 if narrow else WIDE, height=alt.Step(20))
    )


FIRST = 5


def write_implicit_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the pairs in `out/implicit/`; returns the page's path."""
    pairs = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    sections = [_section(at, pair) for at, pair in enumerate(pairs, start=1)]
    first = pairs[0]
    title = f"From {first.a} to {first.b}" if len(pairs) == 1 else f"The implicit rewards of {len(pairs)} pairs"
    lead = "The reward that preference training would have needed to turn the first model into the second."
    if len(pairs) == 1:
        lead = f"{lead} {most_preferred(first, visible)}".rstrip()
    return write_plain_page(out, title, lead, sections)


def _section(at: int, pair: Implicit) -> Section:
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
    return Section(f"pair-{at}", f"{pair.a} → {pair.b}", said, figures, [table for table in tables if table])


def _word_table(pair: Implicit, prompt: ImplicitPrompt) -> Table | None:
    if not prompt.words_top:
        return None
    rows = tuple(
        (visible(best.candidate), signed(best.mwlr, 4), visible(worst.candidate), signed(worst.mwlr, 4))
        for best, worst in zip(prompt.words_top, prompt.words_bottom, strict=True)
    )
    headers = (f"{pair.b} prefers", "MWLR", f"{pair.a} prefers", "MWLR")
    note = "Whole words: several tokens by the chain rule, forms summed."
    return Table(f"Of the lists' words, after {prompt.prompt}", headers, rows, note=note)


def _prompt_table(pair: Implicit) -> Table | None:
    if len(pair.prompts) < 2:
        return None
    rows = tuple(
        (
            prompt.prompt,
            f"{prompt.n_shared:,}",
            f"{percent(prompt.mass_a, 1)}, {percent(prompt.mass_b, 1)}",
            ", ".join(visible(item.candidate) for item in prompt.top[:FIRST]),
            ", ".join(visible(item.candidate) for item in prompt.bottom[:FIRST]),
        )
        for prompt in pair.prompts
    )
    headers = ("Prompt", "Candidates", "Their mass in each", f"{pair.b} prefers", f"{pair.a} prefers")
    return Table("After every prompt, by MWLR", headers, rows)
