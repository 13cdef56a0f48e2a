"""The leading figure: where two categories stand for each side, asked for the best and the worst, and how that changes."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.records import Effects, HeadsNull
from birthmark.report.columns import Column, Table
from birthmark.report.figure import (
    FRAMING_HUES,
    INK,
    NARROW,
    SOFT,
    WIDE,
    Chart,
    Figure,
    by_family,
    by_hue,
    by_shape,
    data,
    figure_name,
    names_above,
    rows_axis,
)
from birthmark.values.formats import interval, places, signed
from birthmark.values.standings import Side, model_sides, sides_of
from birthmark.values.wording import contrast_sign

FRAMED = {"best": "Asked for the best", "worst": "Asked for the worst"}
SHORT_NAME, MANY_ROWS, ROOM = 14, 12, 56


def standing_figure(effects: Effects) -> Figure | None:
    """Each side's gap between two categories in both framings, and the change; null where there are no such gaps."""
    models = model_sides(effects)
    if not models:
        return None
    first, second = (name.lower() for name in effects.categories)
    named = {side.name: side for side in models}
    families = [side for side in sides_of(effects) if side.several]
    sides = [*families, *(named[item.model] for item in by_family(effects))]
    nulls = {item.model: item.null for item in effects.models}
    table = Table(
        f"Mean rank of {first} less mean rank of {second} words, in places, and the contrast of the two",
        _columns(any(nulls.values())),
        [_row(side, nulls.get(side.name)) for side in sides],
    )
    return Figure(
        name=figure_name(effects, "standings"),
        title=f"{effects.categories[0]} and {effects.categories[1]}, asked for the best and for the worst",
        description=(
            f"For each model, how many places {second} words rank above {first} words (right of zero) or below them (left), "
            "asked for the best and asked for the worst, and the change from one to the other."
        ),
        build=lambda narrow: _chart(sides, (first, second), narrow),
        table=table,
        note=(
            f"The line from worst to best, with its length beside it, is the contrast. {contrast_sign(effects.categories)} "
            f"In places, of mean ranks among {effects.n_candidates:,} words."
            + (" Families are means over their base checkpoints." if families and effects.headline else "")
        ),
    )


def _columns(with_null: bool) -> tuple[Column, ...]:
    null = [Column(("null_low", "null_high"), "Random heads, 95%", interval)] if with_null else []
    return (
        Column("row", "Model"),
        Column("family", "Family"),
        Column("best", FRAMED["best"], signed),
        Column("worst", FRAMED["worst"], signed),
        Column("change", "Contrast", signed),
        *null,
    )


def _row(side: Side, null: HeadsNull | None) -> dict[str, Any]:
    ends = {"null_low": null.low if null else None, "null_high": null.high if null else None}
    return {
        "row": side.name,
        "family": side.family,
        "best": side.best,
        "worst": side.worst,
        "change": side.change,
    } | ends


def _chart(sides: Sequence[Side], ends: tuple[str, str], narrow: bool) -> Any:
    points: list[dict[str, Any]] = [
        {
            "row": side.name,
            "framing": FRAMED[framing],
            "gap": gap,
            "said": f"{ends[gap > 0]} higher by {places(gap)}",
            "contrast": signed(side.change),
        }
        for side in sides
        for framing, gap in (("best", side.best), ("worst", side.worst))
    ]
    order = [side.name for side in sides]
    reach = 1.12 * max(abs(point["gap"]) for point in points) or 1.0
    beside = not narrow or max(map(len, order)) <= SHORT_NAME
    middle = "   ·   places   ·   " if not narrow else "  ·  "
    x = alt.X(
        "gap:Q",
        scale=alt.Scale(domain=[-reach, reach], nice=False),
        title=f"← {ends[0]} higher{middle}{ends[1]} higher →",
        axis=alt.Axis(tickCount=3 if narrow else 5),
    )
    y = rows_axis("row", order, narrow=not beside)
    tips = [
        alt.Tooltip("row:N", title="Model"),
        alt.Tooltip("framing:N", title="Framing"),
        alt.Tooltip("said:N", title="Words"),
        alt.Tooltip("contrast:N", title="Contrast"),
    ]
    spans = [{"row": side.name, "from": side.worst, "to": side.best, "said": signed(side.change)} for side in sides]
    width = (WIDE if not narrow else NARROW - 95 if beside else NARROW) - ROOM
    framings = list(FRAMED.values())
    marks = Chart(data(points)).encode(y=y, x=x, tooltip=tips)
    layers = [
        Chart(data([{}])).mark_rule(color=SOFT).encode(x=alt.datum(0)),
        Chart(data(spans)).mark_rule(strokeWidth=3, opacity=0.35, color=INK).encode(y=y, x=alt.X("from:Q"), x2="to:Q"),
        marks.mark_point(filled=True, opacity=1, size=120).encode(
            color=by_hue("framing", framings, FRAMING_HUES, narrow=narrow),
            shape=by_shape("framing", framings, narrow=narrow),
        ),
        Chart(data(spans))
        .mark_text(align="left", fontSize=12, color=INK)
        .encode(y=y, x=alt.value(width + 8), text="said:N"),
    ]
    if not beside:
        layers.append(names_above("row", order))
    step = 42 if not beside else 34 if len(order) <= MANY_ROWS else 24
    return alt.layer(*layers).properties(width=width, height=step * len(order))
