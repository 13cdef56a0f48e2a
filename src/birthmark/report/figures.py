"""The figures of a report, drawn with altair from the records of an OUT folder.

A figure is built twice, wide and narrow, in the page's colours and in a file's; every point names itself in a tooltip
and every figure carries its numbers as a table. It computes nothing: what it draws is in the records.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from birthmark.records import Effects, Implicit
from birthmark.report.theme import CONFIG, INK, SOFT, hue, in_file_colours, shape
from birthmark.report.visible import visible
from birthmark.scores import atomic_path, write_text

FRAMING_TITLES = {"positive": "Asked for the best thing", "negative": "Asked for the worst thing"}
IMPLICIT_BARS = 12


@dataclass(frozen=True)
class Table:
    """The numbers behind a figure, for those who cannot or would rather not look at it."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """`name` is the files' stem; `build(narrow)` gives the chart; `description` says in words what it shows."""

    name: str
    title: str
    description: str
    build: Callable[[bool], Any]
    table: Table

    @cached_property
    def wide(self) -> dict[str, Any]:
        """Vega-Lite's JSON, in the page's CSS variables, for a desk."""
        return self._spec(narrow=False)

    @cached_property
    def narrow(self) -> dict[str, Any]:
        """The same for a phone."""
        return self._spec(narrow=True)

    def _spec(self, *, narrow: bool) -> dict[str, Any]:
        chart = self.build(narrow).properties(description=self.description)
        return chart.to_dict(validate=False) | {"config": CONFIG}  # type: ignore[no-any-return]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        return alt.Chart.from_dict(in_file_colours(self.wide))._repr_mimebundle_(include, exclude)


def svg(spec: dict[str, Any], name: str) -> str:
    """A specification drawn; the ids in it carry `name`, so that several drawings can stand in one page."""
    drawn = vl_convert.vegalite_to_svg(spec)
    numbers: dict[str, int] = {}
    return re.sub(r"\b(clip|gradient_)\d+", lambda found: f"{name}-{numbers.setdefault(found[0], len(numbers))}", drawn)


def save_figure(figure: Figure, folder: Path) -> None:
    """Write `<name>.svg` and `<name>.png` (twice the size), on white, into `folder`, each atomically."""
    spec = in_file_colours(figure.wide) | {"background": "white", "padding": 16}
    write_text(folder / f"{figure.name}.svg", svg(spec, figure.name))
    with atomic_path(folder / f"{figure.name}.png") as temporary:
        temporary.write_bytes(vl_convert.vegalite_to_png(spec, scale=2.0))


# ------------------------------------------------------------------------------------------- lexicon: ranks


def rank_figure(effects: Effects) -> Figure:
    """Mean over prompts of the median rank of each category's words, by framing and model, with intervals.

    Up to three categories: a row a model, the categories side by side. More: a row a category, the families side by
    side, each model a faint point.
    """
    few = len(effects.categories) <= 3
    build = _rows_are_models if few and effects.model_cells else _rows_are_categories
    return Figure(
        name=f"{effects.lexicon}-{effects.kind}-ranks",
        title="Where each model ranks the words",
        description=(
            f"Median rank among {effects.n_candidates} words of each category's words, by model and framing; "
            "1 is best, further right is better. The numbers are in the table below the figure."
        ),
        build=lambda narrow: build(effects, narrow),
        table=_rank_table(effects),
    )


def _rank_table(effects: Effects) -> Table:
    headers = ("Model", "Family", "Category", "Asked for", "Median rank", "95% interval", "Prompts")
    rows = [
        (
            cell.model,
            cell.family,
            cell.category,
            "the best" if cell.framing == "positive" else "the worst",
            f"{cell.mean_median_rank:.1f}",
            _interval(cell.ci_low, cell.ci_high),
            str(cell.n_prompts),
        )
        for cell in effects.model_cells
    ] or [
        (
            f"{cell.n_models} of the family",
            cell.family,
            cell.category,
            "the best" if cell.framing == "positive" else "the worst",
            f"{cell.mean_median_rank:.1f}",
            "–",
            str(cell.n_prompts),
        )
        for cell in effects.cells
    ]
    return Table(f"Median rank among {effects.n_candidates} words; 1 is best", headers, tuple(rows))


def _rows_are_models(effects: Effects, narrow: bool) -> Any:
    rows = [
        {
            "model": cell.model,
            "family": cell.family,
            "category": cell.category,
            "framing": cell.framing,
            "rank": cell.mean_median_rank,
            "low": cell.ci_low,
            "high": cell.ci_high,
            "prompts": f"{cell.prompt_low:.1f} to {cell.prompt_high:.1f}",
        }
        for cell in effects.model_cells
    ]
    order = [item.model for item in sorted(effects.models, key=lambda item: (item.family, item.model))]
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("family:N"),
        alt.Tooltip("category:N"),
        alt.Tooltip("framing:N"),
        alt.Tooltip("rank:Q", format=".1f", title="median rank"),
        alt.Tooltip("low:Q", format=".1f", title="95% from"),
        alt.Tooltip("high:Q", format=".1f", title="95% to"),
        alt.Tooltip("prompts:N", title="over the prompts"),
    ]
    return _panels(rows, order, "model", effects.categories, "category", effects, narrow, tooltip)


def _rows_are_categories(effects: Effects, narrow: bool) -> Any:
    rows = [
        {
            "family": cell.family,
            "category": cell.category,
            "framing": cell.framing,
            "rank": cell.mean_median_rank,
            "models": cell.n_models,
            "low": cell.mean_median_rank - cell.sd if cell.sd is not None else None,
            "high": cell.mean_median_rank + cell.sd if cell.sd is not None else None,
        }
        for cell in effects.cells
    ]
    tooltip = [
        alt.Tooltip("category:N"),
        alt.Tooltip("family:N"),
        alt.Tooltip("framing:N"),
        alt.Tooltip("rank:Q", format=".1f", title="median rank"),
        alt.Tooltip("models:Q"),
        alt.Tooltip("low:Q", format=".1f", title="minus one sd"),
        alt.Tooltip("high:Q", format=".1f", title="plus one sd"),
    ]
    return _panels(rows, effects.categories, "category", effects.families, "family", effects, narrow, tooltip)


def _panels(
    rows: list[dict[str, Any]],
    order: Sequence[str],
    row: str,
    groups: Sequence[str],
    group: str,
    effects: Effects,
    narrow: bool,
    tooltip: list[alt.Tooltip],
) -> Any:
    """One panel a framing: a row each of `order`, points and intervals of `groups` dodged within it; best at the right."""
    framings = [framing for framing in FRAMING_TITLES if any(item["framing"] == framing for item in rows)]
    ends = [value for item in rows for value in (item["rank"], item["low"], item["high"]) if value is not None]
    pad = 0.06 * (max(ends) - min(ends) or 1.0)
    x_scale = alt.Scale(domain=[min(ends) - pad, max(ends) + pad], reverse=True, nice=False, zero=False)
    height = len(order) * (18 * len(groups) + (30 if narrow else 18))
    charts = []
    for at, framing in enumerate(framings):
        axis = alt.Axis(labelLimit=200) if not narrow and at == 0 else None
        base = alt.Chart(alt.Data(values=[item for item in rows if item["framing"] == framing])).encode(
            y=alt.Y(f"{row}:N", sort=list(order), title=None, axis=axis, scale=_bands(narrow)),
            yOffset=alt.YOffset(f"{group}:N", sort=list(groups), scale=alt.Scale(paddingOuter=0.4)),
            color=_hue(group, groups),
            tooltip=tooltip,
        )
        x_title = "median rank, 1 is best" if not narrow else "median rank (1 is best)"
        x = alt.X("rank:Q", scale=x_scale, title=x_title, axis=alt.Axis(tickCount=5))
        points = base.mark_point(filled=True, opacity=1, size=110).encode(x=x, shape=_shape(group, groups))
        bars = base.mark_rule(strokeWidth=3, opacity=0.45, strokeCap="round").encode(
            x=alt.X("low:Q", title=x_title), x2="high:Q"
        )
        layers = [bars, points, *([_names(order, row)] if narrow else [])]
        charts.append(
            alt.layer(*layers).properties(width=310 if narrow else 290, height=height, title=FRAMING_TITLES[framing])
        )
    joined = alt.vconcat(*charts) if narrow else alt.hconcat(*charts)
    return joined.resolve_scale(x="shared", y="shared")


def _bands(narrow: bool) -> alt.Scale:
    return alt.Scale(paddingInner=0.45 if narrow else 0.2)


def _names(order: Sequence[str], row: str, dy: int = -2) -> Any:
    """The rows' names written above them, where a phone has no room beside them."""
    return (
        alt.Chart(alt.Data(values=[{row: name} for name in order]))
        .mark_text(align="left", baseline="bottom", fontSize=12, color=INK, dy=dy, limit=300)
        .encode(y=alt.Y(f"{row}:N", sort=list(order), bandPosition=0), x=alt.value(0), text=f"{row}:N")
    )


def _hue(field: str, domain: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(domain), range=[hue(at) for at in range(len(domain))])
    return alt.Color(f"{field}:N", scale=scale, title=None, legend=alt.Legend(symbolOpacity=1))


def _shape(field: str, domain: Sequence[str]) -> alt.Shape:
    scale = alt.Scale(domain=list(domain), range=[shape(at) for at in range(len(domain))])
    return alt.Shape(f"{field}:N", scale=scale, title=None, legend=alt.Legend(symbolOpacity=1))


# ----------------------------------------------------------------------------------------- lexicon: leanings


def lean_figure(effects: Effects) -> Figure | None:
    """Each model's contrast, as a leaning to the first or the second category; null unless there are two categories."""
    models = [item for item in effects.models if item.contrast is not None]
    if len(effects.categories) != 2 or not models:
        return None
    first, second = effects.categories
    ordered = sorted(models, key=lambda item: (item.family, item.model))
    rows = [
        {
            "model": item.model,
            "family": item.family,
            "base": item.base_checkpoint,
            "value": item.contrast,
            "lean": f"{abs(item.contrast or 0.0):.1f} ranks to {first if (item.contrast or 0.0) < 0 else second}",
        }
        for item in ordered
    ]
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("family:N"),
        alt.Tooltip("base:N", title="base checkpoint"),
        alt.Tooltip("lean:N", title="leans"),
    ]
    order = [item.model for item in ordered]
    return Figure(
        name=f"{effects.lexicon}-{effects.kind}-leanings",
        title="Which way each model leans",
        description=f"Each model's leaning between {first} (left) and {second} (right), in rank places, zero between.",
        build=lambda narrow: _lollipops(
            rows, order, "model", effects.families, "family", (first, second), narrow, tooltip
        ),
        table=Table(
            f"Leaning of each model between {first} (negative) and {second} (positive), in rank places",
            ("Model", "Family", "Base checkpoint", "Contrast"),
            tuple((item.model, item.family, item.base_checkpoint, f"{item.contrast:+.1f}") for item in ordered),
        ),
    )


def adjective_figure(effects: Effects) -> Figure | None:
    """The difference of the two models (b − a) prompt adjective by adjective; null unless there are two models."""
    if effects.models_fixed is None or len(effects.models) != 2 or len(effects.categories) != 2:
        return None
    first, second = effects.categories
    a, b = sorted(effects.models, key=lambda item: item.family)
    items = sorted(effects.models_fixed.by_adjective, key=lambda item: item.framing == "negative")
    rows = [
        {
            "adjective": item.adjective,
            "framing": FRAMING_TITLES[item.framing],
            "value": item.estimate,
            "lean": f"{b.model} {abs(item.estimate):.1f} ranks further to {first if item.estimate < 0 else second}",
        }
        for item in items
    ]
    order = [item.adjective for item in items]
    framings = list(FRAMING_TITLES.values())
    tooltip = [alt.Tooltip("adjective:N"), alt.Tooltip("lean:N", title="compared")]
    return Figure(
        name=f"{effects.lexicon}-{effects.kind}-adjectives",
        title="The same, adjective by adjective",
        description=(
            f"For each adjective of the prompts, how much further {b.model} puts {first} (left) or {second} (right) "
            f"ahead than {a.model} does, in rank places."
        ),
        build=lambda narrow: _lollipops(
            rows, order, "adjective", framings, "framing", (first, second), narrow, tooltip
        ),
        table=Table(
            f"{b.model} minus {a.model}: mean rank of {first} minus mean rank of {second}",
            ("Adjective", "Asked for", "Difference"),
            tuple(
                (item.adjective, "the best" if item.framing == "positive" else "the worst", f"{item.estimate:+.1f}")
                for item in items
            ),
        ),
    )


def _lollipops(
    rows: list[dict[str, Any]],
    order: Sequence[str],
    row: str,
    groups: Sequence[str],
    group: str,
    ends: tuple[str, str],
    narrow: bool,
    tooltip: list[alt.Tooltip],
) -> Any:
    """A stem from zero and a head a row; `ends` say what left and right mean."""
    reach = 1.12 * max(abs(item["value"]) for item in rows) or 1.0
    title = f"← towards {ends[0]}   ·   rank places   ·   towards {ends[1]} →"
    x = alt.X("value:Q", scale=alt.Scale(domain=[-reach, reach], nice=False), title=title, axis=alt.Axis(tickCount=5))
    axis = None if narrow else alt.Axis(labelLimit=200)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(f"{row}:N", sort=list(order), title=None, axis=axis, scale=_bands(narrow)),
        color=_hue(group, groups),
        tooltip=tooltip,
    )
    stems = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=x, x2=alt.datum(0))
    heads = base.mark_point(filled=True, opacity=1, size=130).encode(x=x, shape=_shape(group, groups))
    zero = alt.Chart(alt.Data(values=[{}])).mark_rule(color=SOFT).encode(x=alt.datum(0))
    layers = [zero, stems, heads, *([_names(order, row)] if narrow else [])]
    return alt.layer(*layers).properties(width=310 if narrow else 560, height=alt.Step(44 if narrow else 30))


# ------------------------------------------------------------------------------------------------- implicit


def implicit_figure(implicit: Implicit) -> Figure:
    """The implicit reward's extremes after its first prompt: what b prefers to the right, what a prefers to the left."""
    prompt = implicit.prompts[0]
    chosen = [*prompt.top[:IMPLICIT_BARS], *reversed(prompt.bottom[:IMPLICIT_BARS])]
    rows = [
        {
            "label": visible(item.candidate),
            "at": at,
            "side": implicit.b if item.mwlr > 0 else implicit.a,
            "mwlr": item.mwlr,
            "log_ratio": item.log_ratio,
            "a": item.logprob_a,
            "b": item.logprob_b,
        }
        for at, item in enumerate(chosen)
    ]
    return Figure(
        name=f"implicit-{implicit.a}..{implicit.b}",
        title="The implicit reward's extremes",
        description=f"The candidates that {implicit.b} prefers most over {implicit.a}, and the other way round, by MWLR.",
        build=lambda narrow: _bars(rows, implicit, narrow),
        table=Table(
            f"Implicit reward from {implicit.a} to {implicit.b} after {prompt.prompt}",
            ("Candidate", "MWLR", "Log-ratio", f"Log-probability in {implicit.a}", f"… in {implicit.b}"),
            tuple(
                (
                    visible(item.candidate),
                    f"{item.mwlr:+.2e}",
                    f"{item.log_ratio:+.2f}",
                    f"{item.logprob_a:.2f}",
                    f"{item.logprob_b:.2f}",
                )
                for item in chosen
            ),
        ),
    )


def _bars(rows: list[dict[str, Any]], implicit: Implicit, narrow: bool) -> Any:
    labels = alt.Axis(labelExpr=f"{json.dumps([item['label'] for item in rows])}[datum.value]", labelLimit=140)
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height={"band": 0.62}, cornerRadius=2)
        .encode(
            y=alt.Y("at:O", title=None, axis=labels),
            x=alt.X("mwlr:Q", title="MWLR", axis=alt.Axis(format="~g", tickCount=4)),
            color=_hue("side", [implicit.a, implicit.b]),
            tooltip=[
                alt.Tooltip("label:N", title="candidate"),
                alt.Tooltip("mwlr:Q", format="+.2e", title="MWLR"),
                alt.Tooltip("log_ratio:Q", format="+.2f", title="log-ratio"),
                alt.Tooltip("a:Q", format=".2f", title=f"log-probability, {implicit.a}"),
                alt.Tooltip("b:Q", format=".2f", title=f"log-probability, {implicit.b}"),
            ],
        )
        .properties(width=230 if narrow else 560, height=alt.Step(20))
    )


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.1f} to {high:.1f}"
