"""Figures of a lexicon's ranks, and the list of all figures of a lexicon."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import altair as alt

from birthmark.errors import BirthmarkError
from birthmark.records import Effects, Lineage
from birthmark.report.columns import Column, Table, drawn, number
from birthmark.report.figure import (
    FAMILY_HUES,
    FRAMING_TITLES,
    NARROW,
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
from birthmark.report.standing_figure import standing_figure
from birthmark.report.text import renamed, short_names
from birthmark.values.formats import asked_for, interval, plural

FEW_CATEGORIES, FEW_MODELS = 3, 12

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
