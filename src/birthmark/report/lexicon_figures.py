"""Figures of a lexicon's ranks: the leading one, and the list of them all."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import altair as alt

from birthmark.errors import BirthmarkError
from birthmark.records import Effects, HeadsNull, Lineage
from birthmark.report.columns import Column, Table, drawn, number
from birthmark.report.figure import (
    FAMILY_HUES,
    FRAMING_HUES,
    FRAMING_TITLES,
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
from birthmark.report.lean_figures import adjective_figure, evidence_figure, word_figure
from birthmark.report.lineage import leading_lines, lines_figure, nulls_of_lines
from birthmark.report.text import renamed, short_names
from birthmark.values.formats import asked_for, interval, places, plural, signed
from birthmark.values.standings import Side, model_sides, sides_of
from birthmark.values.wording import contrast_sign

FEW_CATEGORIES, FEW_MODELS = 3, 12
FRAMED = {"best": "Asked for the best", "worst": "Asked for the worst"}
SHORT_NAME, MANY_ROWS, ROOM = 14, 12, 56

ASKED = Column("framing", "Asked for", asked_for, tip=True)
MODELS = (
    Column("model", "Model", tip=True),
    Column("family", "Family", tip=True),
    Column("group", "Words", tip=True),
    ASKED,
    Column("rank", "Median rank", number(".1f"), tip=True),
    Column(("ci_low", "ci_high"), "95% over words", interval, tip=True),
    Column(("prompt_low", "prompt_high"), "Over prompts", interval, tip=True),
)
FAMILIES = (
    Column("of", "Model", tip=True, table=False),
    Column("group", "Family", tip=True),
    Column("category", "Words", tip=True),
    ASKED,
    Column("rank", "Mean rank", number(".1f"), tip=True),
    Column("n_models", "Models"),
    Column("n_prompts", "Prompts"),
)


def model_figure(effects: Effects) -> Figure | None:
    """A row a model, its categories side by side, with intervals; null where there are too many of either."""
    few = len(effects.categories) <= FEW_CATEGORIES and len(effects.models) <= FEW_MODELS
    if not few or not effects.model_cells:
        return None
    over_words = any(cell.ci_low is not None for cell in effects.model_cells)
    rows = [
        {
            "model": cell.model,
            "family": cell.family,
            "group": cell.category,
            "framing": cell.framing,
            "rank": cell.mean_median_rank,
            "low": cell.ci_low if over_words else cell.prompt_low,
            "high": cell.ci_high if over_words else cell.prompt_high,
            "ci_low": cell.ci_low,
            "ci_high": cell.ci_high,
            "prompt_low": cell.prompt_low,
            "prompt_high": cell.prompt_high,
        }
        for cell in effects.model_cells
    ]
    table = Table(f"Median rank among {effects.n_candidates:,} words; 1 is best", MODELS, rows)
    order = [item.model for item in by_family(effects)]
    bars = "95% intervals over the words" if over_words else "from the lowest to the highest prompt"
    return Figure(
        name=figure_name(effects, "ranks"),
        title="Where each model ranks the words",
        description=(
            f"For each model and framing, the median rank of each category's words among {effects.n_candidates:,} "
            "words. Further right is better."
        ),
        build=lambda narrow: _panels(table, order, "model", effects.categories, 0, narrow),
        table=table,
        note=f"Points: mean over the prompts of the median rank of a category's words; 1 is best. Bars: {bars}.",
    )


def family_figure(effects: Effects) -> Figure | None:
    """A row a category, the families side by side, each model a faint point; null for files without mean ranks."""
    dots = [
        {
            "category": cell.category,
            "group": cell.family,
            "framing": cell.framing,
            "rank": cell.mean_rank,
            "of": cell.model,
        }
        for cell in effects.model_cells
    ]
    if any(dot["rank"] is None for dot in dots):
        return None
    panels = {(cell.category, cell.family, cell.framing): cell.n_prompts for cell in effects.cells}
    rows = []
    for (category, family, framing), n_prompts in panels.items():
        of_models = [
            cell.mean_rank
            for cell in effects.model_cells
            if (cell.category, cell.family, cell.framing) == (category, family, framing) and cell.mean_rank is not None
        ]
        rows.append(
            {
                "category": category,
                "group": family,
                "framing": framing,
                "rank": fmean(of_models),
                "of": f"mean of {plural(len(of_models), 'model')}",
                "n_models": len(of_models),
                "n_prompts": n_prompts,
            }
        )
    table = Table(f"Mean rank among {effects.n_candidates:,} words by family; 1 is best", FAMILIES, rows)
    return Figure(
        name=figure_name(effects, "families"),
        title="Family by family",
        description=f"Mean rank among {effects.n_candidates:,} words by category, framing and model family.",
        build=lambda narrow: _panels(
            table, effects.categories, "category", effects.families, FAMILY_HUES, narrow, dots=drawn(dots, FAMILIES)
        ),
        table=table,
        note=(
            "Filled: a family's mean over its models of a category's mean rank; faint: each model. Whether families "
            "differ by more than models do stands below, with base checkpoints as the units."
        ),
    )


def _panels(
    table: Table,
    order: Sequence[str],
    row: str,
    groups: Sequence[str],
    first_hue: int,
    narrow: bool,
    dots: Sequence[dict[str, Any]] = (),
) -> Any:
    """One panel a framing; within a row, the points of `groups` one above the other, over what each is the mean of
    (`dots`) or their intervals; best at the right.
    """
    title = "mean rank" if dots else "median rank"
    rows, names = table.drawn, table.tips
    ends = [item[end] for item in [*rows, *dots] for end in ("rank", "low", "high") if item.get(end) is not None]
    pad = 0.06 * (max(ends) - min(ends) or 1.0)
    domain = [max(1.0, min(ends) - pad), max(ends) + pad]
    width = NARROW - 28 if narrow else 290
    height = len(order) * (18 * len(groups) + (30 if narrow else 20))
    charts = []
    for at, framing in enumerate(name for name in FRAMING_TITLES if any(item["framing"] == name for item in rows)):
        axis = alt.Axis(tickCount=4 if narrow else 5)
        x = alt.X(
            "rank:Q",
            scale=alt.Scale(domain=domain, reverse=True, nice=False, zero=False),
            title=title,
            axis=axis,
        )
        encodings: dict[str, Any] = {
            "y": rows_axis(row, order, narrow=narrow, labels=at == 0),
            "yOffset": alt.YOffset("group:N", sort=list(groups), scale=alt.Scale(paddingOuter=0.4)),
            "color": by_hue("group", groups, first_hue, narrow=narrow),
        }
        base = Chart(data([item for item in rows if item["framing"] == framing])).encode(**encodings, tooltip=names)
        shape = by_shape("group", groups, narrow=narrow)
        point = base.mark_point(filled=True, opacity=1, size=110).encode(x=x, shape=shape)
        if dots:
            faint = Chart(data([item for item in dots if item["framing"] == framing])).encode(**encodings)
            under = faint.mark_point(filled=True, opacity=0.45, size=34).encode(x=x, shape=shape, tooltip=names)
        else:
            bar = base.mark_rule(strokeWidth=3, opacity=0.4, strokeCap="round")
            under = bar.encode(x=alt.X("low:Q", title=title), x2="high:Q")
        layers = [under, point]
        if narrow:
            layers.append(names_above(row, order))
        charts.append(alt.layer(*layers).properties(width=width, height=height, title=FRAMING_TITLES[framing]))
    joined = alt.vconcat(*charts) if narrow else alt.hconcat(*charts)
    return joined.resolve_scale(x="shared", y="shared")


def lexicon_figures(effects: Effects) -> list[Figure]:
    """All figures of one lexicon and kind of score that its numbers allow; none where no prompt has a framing.

    The one that leads is first and shows what the finding says.
    """
    if not effects.cells:
        return []
    several = any(cell.n_models > 1 for cell in effects.cells)
    made = (
        standing_figure(effects),
        model_figure(effects),
        family_figure(effects) if several or len(effects.categories) > FEW_CATEGORIES else None,
        evidence_figure(effects),
        adjective_figure(effects),
        word_figure(effects),
    )
    return [figure for figure in made if figure is not None]


def leading_chart(effects: Sequence[Effects], lineage: Lineage | None) -> Any:
    """The altair chart of the figure that the page of these effects begins with.

    Raises `BirthmarkError` where there is none: too few prompts, categories or models for a figure.
    """
    names = short_names(model.model for item in effects for model in item.models)
    effects = [renamed(item, names) for item in effects]
    lineage = renamed(lineage, names) if lineage else None
    tested = any(item.headline is not None and item.headline.estimate is not None for item in effects)
    lines = leading_lines(lineage.lines) if lineage and not tested else []
    figures = (
        [lines_figure(lines, nulls_of_lines(lines, effects))]
        if lines
        else lexicon_figures(effects[0])[:1]
        if effects
        else []
    )
    if not figures:
        raise BirthmarkError(
            "there is no figure to draw of these models, prompts and categories: .to_polars() has the numbers"
        )
    return figures[0].chart()


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
