"""The figure of an implicit reward: the candidates that one model prefers most over the other, and the other way round."""

import json
from typing import Any

import altair as alt

from birthmark.records import Implicit
from birthmark.report.drawing import NARROW, WIDE, Figure, Table, by_hue, data, file_stem
from birthmark.report.formats import signed
from birthmark.report.visible import visible

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
