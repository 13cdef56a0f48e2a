"""The page of the stages: what pretraining and instruction tuning explain of reward models' values, and what is left.

Reads `stages/*.json` and computes nothing.
"""

from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Stages, StagesOf, read_record
from birthmark.report.columns import Column, Table, drawn, number, p_value, tips
from birthmark.report.figure import LINE, Figure, data, hue
from birthmark.report.layout import Page, Text, Topic, write_page
from birthmark.values.formats import interval, percent, signed

LEFT = "left: preference data, and noise"
ABOUT = (
    "Each word has one number a model: its mean rank over prompts that ask for good things less that over prompts that ask "
    "for bad ones. Bars are shares of the variance of the words' ranks in the reward models: what a stage explains beyond "
    "the stages before it. Intervals are over word stems; random heads are untrained heads on the same bases."
)


ROUGHLY, PERCENT = partial(interval, digits=2), number(".0%")
OF, STAGE = Column("of", "Of", tip=True), Column("stage", "Stage", tip=True)
SHARES = (OF, STAGE, Column("share", "Share", PERCENT, tip=True))
STAGES = (
    OF,
    STAGE,
    Column("spearman", "Spearman", partial(signed, digits=2)),
    Column(("ci_low", "ci_high"), "95% over words", ROUGHLY),
    Column(("null_low", "null_high"), "Random heads, 95%", ROUGHLY),
    Column("p_null", "p", p_value),
    Column("added", "Variance added", PERCENT),
    Column(("added_ci_low", "added_ci_high"), "95% over words", lambda low, high: f"{percent(low)} to {percent(high)}"),
    Column("added_null", "Random heads, mean", PERCENT),
    Column("added_p_null", "p", p_value),
)


def write_stages_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the records in `out/stages/`; returns the page's path."""
    found = [read_record(path, Stages) for path in sorted((out / "stages").glob("*.json"))]
    topics = [
        Topic(
            f"list-{at}",
            item.lexicon,
            [
                ABOUT,
                *(of.sentence for of in item.found),
                *([f"{item.gap_why}."] if item.gap_why else []),
                *item.warnings,
                _figure(item),
            ],
        )
        for at, item in enumerate(found, start=1)
    ]
    lead = " ".join(item.found[-1].sentence for item in found)
    return write_page(out, Page("Where reward models' values come from", [Text(lead, "lead")], topics))


def _figure(item: Stages) -> Figure:
    order = list(dict.fromkeys(fit.stage for of in item.found for fit in of.stages))
    rows = drawn([row for of in item.found for row in _shares(of)], SHARES)

    scale = alt.Scale(domain=[*order, LEFT], range=[*(hue(1 + at) for at in range(len(order))), LINE])

    def build(narrow: bool) -> Any:
        return (
            alt.Chart(data(rows))
            .mark_bar()
            .encode(
                y=alt.Y("of:N", sort=[of.of for of in item.found], title=None, axis=alt.Axis(labelLimit=160)),
                x=alt.X("share:Q", title="share of the variance", axis=alt.Axis(format="%"), stack="zero"),
                color=alt.Color("stage:N", scale=scale, title=None, legend=alt.Legend(columns=1 if narrow else 0)),
                order="at:Q",
                tooltip=tips(SHARES),
            )
            .properties(width=220 if narrow else 480, height=44 * len(item.found))
        )

    return Figure(
        name=f"{item.lexicon}-stages",
        title=f"What each stage explains of the reward models' values: {item.lexicon}",
        description="Stacked bars, one a family and one for the gap between two: the share of variance over words that each "
        "stage adds to those before it, and what is left.",
        build=build,
        table=Table("Stages", STAGES, [{"of": of.of, **fit.model_dump()} for of in item.found for fit in of.stages]),
    )


def _shares(of: StagesOf) -> list[dict[str, Any]]:
    shares = [(fit.stage, fit.added) for fit in of.stages] + [(LEFT, of.left)]
    return [{"of": of.of, "stage": stage, "share": share, "at": at} for at, (stage, share) in enumerate(shares)]
