"""How models relate, drawn from `map.json`: a heat map, a map of two dimensions, agreement with people.

It computes nothing: places, their order and all correlations are in the record.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.records import Map, MapPlace
from birthmark.report.drawing import Figure, Table, by_hue, by_shape, data, rows_axis, tooltip
from birthmark.report.theme import INK


def map_figures(record: Map) -> list[Figure]:
    """The figures that the record holds numbers for."""
    figures = [_heat(record), _places(record)]
    return [*figures, _people(record)] if record.humans else figures


def _families(record: Map) -> list[str]:
    return sorted({place.family or "not known" for place in record.places})


def _heat(record: Map) -> Figure:
    order = [place.model for place in sorted(record.places, key=lambda place: place.order)]
    pairs = [
        {"a": a, "b": b, "kendall": pair.kendall, "spearman": pair.spearman, "rbo": pair.rbo}
        for pair in record.likeness
        for a, b in ((pair.a, pair.b), (pair.b, pair.a))
    ]

    def build(narrow: bool) -> Any:
        side = (18 if narrow else 30) * len(order)
        return (
            alt.Chart(data(pairs))
            .mark_rect()
            .encode(
                x=alt.X(
                    "a:N", sort=order, title=None, axis=alt.Axis(labelAngle=-60, labelLimit=120 if narrow else 210)
                ),
                y=alt.Y("b:N", sort=order, title=None, axis=alt.Axis(labelLimit=110 if narrow else 210)),
                color=alt.Color("kendall:Q", title="Kendall's τ", scale=alt.Scale(scheme="tealblues")),
                tooltip=[
                    *tooltip(a="model", b="and"),
                    alt.Tooltip("kendall:Q", format=".2f", title="Kendall's τ"),
                    alt.Tooltip("spearman:Q", format=".2f", title="Spearman's ρ"),
                    alt.Tooltip("rbo:Q", format=".2f", title="rank-biased overlap"),
                ],
            )
            .properties(width=side, height=side)
        )

    return Figure(
        name="likeness",
        title="How alike the models rank",
        description=f"Kendall's τ of every two models over {record.n_candidates:,} candidates, mean over "
        f"{len(record.prompts)} prompts; like models stand side by side.",
        build=build,
        table=Table(
            "Rank correlation of every two models, mean over prompts",
            ("Model", "And", "Kendall's τ", "Spearman's ρ", f"Rank-biased overlap (p = {record.rbo_p:g})"),
            tuple(
                (pair.a, pair.b, f"{pair.kendall:.3f}", f"{pair.spearman:.3f}", f"{pair.rbo:.3f}")
                for pair in record.likeness
            ),
        ),
    )


def _places(record: Map) -> Figure:
    families = _families(record)
    rows = [
        {
            "model": place.model,
            "family": place.family or "not known",
            "base": place.base_checkpoint or "not known",
            "x": place.x,
            "y": place.y,
            "side": side,
        }
        for place, side in _sides(record.places)
    ]

    def build(narrow: bool) -> Any:
        axis = alt.Axis(labels=False, grid=False, title=None)
        base = alt.Chart(data(rows)).encode(
            x=alt.X("x:Q", axis=axis, scale=alt.Scale(padding=80 if narrow else 150)),
            y=alt.Y("y:Q", axis=axis, scale=alt.Scale(padding=30)),
        )
        dots = base.mark_point(filled=True, size=120, opacity=1).encode(
            color=by_hue("family", families),
            shape=by_shape("family", families),
            tooltip=tooltip(model="model", family="family", base="base checkpoint"),
        )
        names = [
            base.transform_filter(f"datum.side === {side}")
            .mark_text(
                align="right" if side else "left", dx=-11 if side else 11, fontSize=10 if narrow else 12, color=INK
            )
            .encode(text="model:N")
            for side in (0, 1)
        ]
        return alt.layer(dots, *names).properties(width=310 if narrow else 560, height=310 if narrow else 420)

    return Figure(
        name="map",
        title="A map of the models",
        description="Models near each other rank the candidates alike: classical scaling of 1 − Kendall's τ.",
        build=build,
        table=Table(
            f"Places on the map (stress {record.stress:.2f}, 0 is perfect)",
            ("Model", "Family", "Base checkpoint", "x", "y"),
            tuple(
                (p.model, p.family or "–", p.base_checkpoint or "–", f"{p.x:.3f}", f"{p.y:.3f}") for p in record.places
            ),
        ),
    )


def _sides(places: Sequence[MapPlace]) -> list[tuple[MapPlace, int]]:
    """Neighbours in height get their names on opposite sides: 0 is right of the point, 1 left."""
    by_height = sorted(places, key=lambda place: place.y)
    pairs = [sorted(by_height[at : at + 2], key=lambda place: -place.x) for at in range(0, len(by_height), 2)]
    return [(place, side) for pair in pairs for side, place in enumerate(pair)]


def _people(record: Map) -> Figure:
    means = sorted((row for row in record.humans if row.prompt is None), key=lambda row: -row.kendall)
    family = {place.model: place.family or "not known" for place in record.places}
    rows = [{"model": row.model, "family": family[row.model], "kendall": row.kendall} for row in means]
    order = [row.model for row in means]

    def build(narrow: bool) -> Any:
        return (
            alt.Chart(data(rows))
            .mark_point(filled=True, size=120, opacity=1)
            .encode(
                y=rows_axis("model", order, narrow=False),
                x=alt.X("kendall:Q", title="Kendall's τ with people", scale=alt.Scale(zero=True)),
                color=by_hue("family", _families(record)),
                shape=by_shape("family", _families(record)),
                tooltip=[*tooltip(model="model", family="family"), alt.Tooltip("kendall:Q", format=".2f", title="τ")],
            )
            .properties(width=130 if narrow else 360, height=26 * len(order))
        )

    return Figure(
        name="people",
        title="Agreement with people",
        description=f"Kendall's τ of each model's ranking with people's over {record.n_human or 0:,} things, mean over prompts.",
        build=build,
        table=Table(
            "Agreement with people, mean over prompts",
            ("Model", "Kendall's τ", "Spearman's ρ", "Rank-biased overlap", "Most overvalued", "Most undervalued"),
            tuple(
                (
                    row.model,
                    f"{row.kendall:.3f}",
                    f"{row.spearman:.3f}",
                    f"{row.rbo:.3f}",
                    ", ".join(thing.name for thing in row.overvalued[:5]),
                    ", ".join(thing.name for thing in row.undervalued[:5]),
                )
                for row in means
            ),
        ),
    )
