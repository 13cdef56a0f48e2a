"""The published study's figures of training, drawn anew from `replication.json`: 4a, 4b, A5b, and 5 where its data are.

Ranks grow downwards, so that better is higher, as in the study. It computes nothing: what it draws is in the record.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.paper.training import most_moved
from birthmark.records import Figure4bPoint, TrainingPoint, WordMove
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import SOFT, Figure, by_hue, data, shape
from birthmark.values.formats import signed

FAMILIES = ("Gemma", "Llama", "Qwen")
SOURCES = {"uf": "Unified-Feedback", "skywork": "Skywork", "uf+skywork": "both sources"}


"""Where the pairs are from → what the legend calls it."""


RANK = "median rank, 1 is best"


RANKED = Column("rank", "Median rank", number(",.1f"), tip=True)
STEP = Column("step", "Step", number(","), tip=True)
BASE, WORDS = Column("family", "Base", tip=True), Column("category", "Words")
STEPS = (BASE, WORDS, STEP, RANKED)
QUANTITIES = (
    BASE,
    WORDS,
    Column("pairs", "Pairs", tip=True),
    Column("model", "Model", tip=True, table=False),
    Column("source", "Source", tip=True),
    Column("loss", "Loss", tip=True),
    Column("last", "Last step", number(",")),
    RANKED,
)
WORD_MOVES = (
    Column("word", "Word", tip=True),
    Column("category", "Category", tip=True),
    Column("first_rank", "First", number(",.1f"), tip=True),
    Column("last_rank", "Last", number(",.1f"), tip=True),
    Column("change", "Places gained", signed, tip=True, table=False),
)


def training_figures(
    steps: Sequence[TrainingPoint], last: Sequence[Figure4bPoint], moves: Sequence[WordMove]
) -> list[Figure]:
    """Those of the figures that there are numbers for, in the study's order."""
    figures = [_figure_4a(steps)] if steps else []
    figures += [_figure_4b(last), _figure_a5b(last)] if last else []
    return figures + [_figure_5(moves, family) for family in FAMILIES if any(move.family == family for move in moves)]


def rank_axis(field: str = "rank") -> alt.Y:
    """The vertical axis of ranks: 1 is best and on top."""
    return alt.Y(f"{field}:Q", scale=alt.Scale(reverse=True, zero=False, nice=True), title=RANK)


def grid(panels: Sequence[Sequence[Any]], narrow: bool) -> Any:
    """Panels in rows for a desk; one below the other for a phone."""
    if narrow:
        return alt.vconcat(*(panel for row in panels for panel in row))
    return alt.vconcat(*(alt.hconcat(*row) for row in panels))


def side_by_side(panels: Sequence[Any], narrow: bool) -> Any:
    """A row of panels, for a phone a column, of one vertical scale."""
    return (alt.vconcat if narrow else alt.hconcat)(*panels).resolve_scale(y="shared")


def _figure_4a(points: Sequence[TrainingPoint]) -> Figure:
    rows = [{"family": p.family, "category": p.category, "step": p.step, "rank": p.median_rank} for p in points]
    table = Table("Median rank by step", STEPS, rows)

    def panel(category: str) -> Any:
        found = data([row for row in table.drawn if row["category"] == category])
        return (
            alt.Chart(found)
            .mark_line(point=True)
            .encode(
                x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=3, labelFlush=False)),
                y=rank_axis(),
                color=by_hue("family", _present(points)),
                tooltip=table.tips,
            )
            .properties(width=250, height=220, title=category)
        )

    return Figure(
        name="figure-4a",
        title="Figures 4a and A5a. Training on the Skywork preferences, step by step",
        description="Median rank of agency and communion words at each saved step, by base model. The first saved step is not "
        "the start.",
        build=lambda narrow: side_by_side([panel("Agency"), panel("Communion")], narrow),
        table=table,
    )


def _figure_4b(points: Sequence[Figure4bPoint]) -> Figure:
    shown = [point for point in points if point.family != "Qwen"]
    return _by_quantity("figure-4b", "Figure 4b. Source, quantity and loss", shown)


def _figure_a5b(points: Sequence[Figure4bPoint]) -> Figure:
    shown = [point for point in points if point.loss == "BT"]
    return _by_quantity("figure-A5b", "Figure A5b. Source and quantity, with Qwen", shown)


def _by_quantity(name: str, title: str, points: Sequence[Figure4bPoint]) -> Figure:
    rows = [
        {
            "family": point.family,
            "category": point.category,
            "pairs": _pairs(point),
            "source": SOURCES[point.source],
            "loss": point.loss,
            "model": point.model_id,
            "last": point.final_step,
            "rank": point.median_rank,
        }
        for point in points
    ]
    table = Table("Median rank at the last saved step", QUANTITIES, rows)
    order = list(dict.fromkeys(_pairs(point) for point in sorted(points, key=lambda p: p.pairs_thousands)))

    def panel(category: str) -> Any:
        x = alt.X(
            "pairs:N", sort=order, title="pairs", axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, ' ')")
        )
        base = alt.Chart(data([row for row in table.drawn if row["category"] == category]))
        lines = base.mark_line(color=SOFT, strokeDash=[2, 3], strokeWidth=1).encode(
            x=x, y=rank_axis(), detail="pairs:N", order="rank:Q"
        )
        dots = base.mark_point(filled=True, size=100, opacity=1).encode(
            x=x,
            y=rank_axis(),
            color=by_hue("family", _present(points)),
            shape=_by_source(points),
            tooltip=table.tips,
        )
        return alt.layer(lines, dots).properties(width=250, height=240, title=category)

    return Figure(
        name=name,
        title=title,
        description="Median rank at the last saved step by number of preference pairs (places on the axis, not to scale), "
        "source and base model.",
        build=lambda narrow: side_by_side([panel("Agency"), panel("Communion")], narrow),
        table=table,
        note="The points at 13k are those at 27k under another name; those with the GRM loss are another team's models.",
    )


def _by_source(points: Sequence[Figure4bPoint]) -> alt.Shape:
    present = [said for source, said in SOURCES.items() if any(point.source == source for point in points)]
    scale = alt.Scale(domain=present, range=[shape(at) for at in range(len(present))])
    return alt.Shape(
        "source:N", scale=scale, legend=alt.Legend(title=None, symbolFillColor=SOFT, orient="bottom", columns=3)
    )


def _pairs(point: Figure4bPoint) -> str:
    return f"{point.pairs_thousands}k" + (" GRM" if point.loss == "GRM" else "")


def _present(points: Sequence[TrainingPoint] | Sequence[Figure4bPoint]) -> list[str]:
    return [family for family in FAMILIES if any(point.family == family for point in points)]


def _figure_5(moves: Sequence[WordMove], family: str) -> Figure:
    up, down = most_moved(moves, family)
    shown = [*up, *down[::-1]]
    rows = [{**move.model_dump(), "change": move.first_rank - move.last_rank} for move in shown]
    table = Table("Ranks at the first and the last saved step", WORD_MOVES, rows)
    hue = by_hue("category", ("Agency", "Communion"))
    return Figure(
        name=f"figure-{'A6' if family == 'Qwen' else '5'}-{family.lower()}",
        title=f"Figure {'A6' if family == 'Qwen' else '5'}. Nouns that move most in training: {family}",
        description="The ten nouns that gain and the ten that lose most places from the first to the last saved step.",
        build=lambda narrow: moves_chart(table, hue, 190 if narrow else 340),
        table=table,
    )


def moves_chart(table: Table, hue: alt.Color, width: int) -> Any:
    """A bar a word: by how many places training moved it."""
    order = [row["word"] for row in table.data]
    return (
        alt.Chart(data(table.drawn))
        .mark_bar()
        .encode(
            y=alt.Y("word:N", sort=order, title=None),
            x=alt.X("change:Q", title="places gained in training"),
            color=hue,
            tooltip=table.tips,
        )
        .properties(width=width, height=18 * len(order))
    )
