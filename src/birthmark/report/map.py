"""The page of `birthmark map`: figures, tables, and what predicts likeness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Map, MapPlace, Predictor, read_record
from birthmark.report.columns import Column, Table, bare_p, drawn, number, tips
from birthmark.report.figure import FAMILY_HUES, INK, NARROW, Figure, by_hue, by_shape, data, rows_axis
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.values.formats import capital, plural
from birthmark.values.wording_pairs import about_people, about_predictors, map_sentence

LETTER = 6.4  # pixels that a letter of a name takes on average
MODEL = Column("model", "Model", tip=True)
TAU, RHO = (
    Column("kendall", "Kendall's τ", number(".3f"), tip=True),
    Column("spearman", "Spearman's ρ", number(".3f"), tip=True),
)


PLACES = (
    MODEL,
    Column("family", "Family", tip=True),
    Column("base_checkpoint", "Base checkpoint", tip=True),
    Column("x", "x", number(".3f")),
    Column("y", "y", number(".3f")),
)
PEOPLE = (
    MODEL,
    TAU,
    RHO,
    Column("rbo", "Rank-biased overlap", number(".3f")),
    Column("overvalued", "Most overvalued", lambda things: ", ".join(thing.name for thing in things[:5])),
    Column("undervalued", "Most undervalued", lambda things: ", ".join(thing.name for thing in things[:5])),
)
POINTS = (MODEL, Column("family", "Family", tip=True), TAU)
PREDICTORS = (
    Column("predictor", "Predictor"),
    Column("coefficient", "Coefficient", number("+.3f")),
    Column("p", "p", bare_p),
    Column("simple_r", "Correlation alone", number("+.2f")),
    Column("simple_p", "p alone", bare_p),
)
VALUED = (
    Column("name", "Thing"),
    Column("human_rank", "People's rank", number(",.0f")),
    Column("model_rank", "Models' mean rank", number(",.0f")),
)


def map_figures(record: Map) -> list[Figure]:
    """The figures that the record holds numbers for."""
    figures = [_heat(record), _places(record)]
    return [*figures, _people(record)] if record.humans else figures


def _families(record: Map) -> list[str]:
    return sorted({place.family or "not known" for place in record.places})


def _heat(record: Map) -> Figure:
    order = [place.model for place in sorted(record.places, key=lambda place: place.order)]
    columns = (
        Column("a", "Model", tip=True),
        Column("b", "And", tip=True),
        TAU,
        RHO,
        Column("rbo", f"Rank-biased overlap (p = {record.rbo_p:g})", number(".3f"), tip=True),
    )
    pairs = [
        {"a": a, "b": b, "kendall": pair.kendall, "spearman": pair.spearman, "rbo": pair.rbo}
        for pair in record.likeness
        for a, b in ((pair.a, pair.b), (pair.b, pair.a))
    ]
    pairs = drawn(pairs, columns)

    def build(narrow: bool) -> Any:
        side = max(90 if narrow else 180, (12 if narrow else 30) * len(order))
        axis = alt.Axis(labelLimit=210 if narrow else 300, labelFontSize=10 if narrow else 12)
        return (
            alt.Chart(data(pairs))
            .mark_rect()
            .encode(
                x=alt.X("a:N", sort=order, axis=None),
                y=alt.Y("b:N", sort=order, title=None, axis=axis),
                color=alt.Color("kendall:Q", title="Kendall's τ", scale=alt.Scale(scheme="tealblues")),
                tooltip=tips(columns),
            )
            .properties(width=side, height=side)
        )

    return Figure(
        name="likeness",
        title="How alike the models rank",
        description=f"Kendall's τ of every two models over {record.n_candidates:,} candidates, mean over "
        f"{plural(len(record.prompts), 'prompt')}; like models stand side by side.",
        note="Kendall's τ of every two models, the mean over the prompts: 1 is the same order, 0 no more agreement than chance, "
        "and (1 + τ) ÷ 2 is the share of pairs of candidates that both put in the same order. Columns stand in the order of "
        "the rows, in which like models are neighbours (average linkage).",
        build=build,
        table=Table("Rank correlation of every two models, mean over prompts", columns, record.likeness),
    )


def _places(record: Map) -> Figure:
    families = _families(record)
    order = [place.model for place in sorted(record.places, key=lambda place: place.order)]

    def build(narrow: bool) -> Any:
        width, height = (NARROW, 300) if narrow else (780, 440)
        room = (width - 50, height - 50) if narrow else (width - 2 * _longest(record), height - 40)
        x, y = _equal_units(record.places, *room, width, height)
        axis = alt.Axis(labels=False, grid=False, title=None)
        names = {model: str(at + 1) for at, model in enumerate(order)} if narrow else {model: model for model in order}
        rows = [
            {
                "model": place.model,
                "name": names[place.model],
                "family": place.family or "not known",
                "base_checkpoint": place.base_checkpoint or "not known",
                "x": place.x,
                "y": place.y,
                "side": side,
            }
            for place, side in _sides(record.places, names, width / (x[1] - x[0]), 12)
        ]
        base = alt.Chart(data(rows)).encode(
            x=alt.X("x:Q", axis=axis, scale=alt.Scale(domain=x, nice=False, zero=False)),
            y=alt.Y("y:Q", axis=axis, scale=alt.Scale(domain=y, nice=False, zero=False)),
        )
        dots = base.mark_point(filled=True, size=120, opacity=1).encode(
            color=by_hue("family", families, FAMILY_HUES),
            shape=by_shape("family", families),
            tooltip=tips(PLACES),
        )
        labels = [
            base.transform_filter(f"datum.side === {side}")
            .mark_text(align="right" if side else "left", dx=-11 if side else 11, fontSize=12, color=INK)
            .encode(text="name:N")
            for side in (0, 1)
        ]
        drawn = alt.layer(dots, *labels).properties(width=width, height=height)
        return alt.vconcat(drawn, _numbered(order), spacing=4) if narrow else drawn

    return Figure(
        name="map",
        title="A map of the models",
        description="Models near each other rank the candidates alike: distances are 1 − Kendall's τ.",
        note="The nearer two models, the more alike they rank; the directions mean nothing. No map in two dimensions shows all "
        f"distances: this one's stress is {record.stress:.2f}, where 0 is perfect and .2 poor (Kruskal); the heat map has each "
        "pair as it is.",
        build=build,
        table=Table(f"Places on the map (stress {record.stress:.2f}, 0 is perfect)", PLACES, record.places),
    )


def _longest(record: Map) -> int:
    """Room for the longest name beside its point, in pixels."""
    return min(230, 20 + round(LETTER * max(len(model) for model in record.models)))


def _numbered(order: Sequence[str]) -> Any:
    """The models by number, for a phone, where names have no room on the map."""
    rows = [{"line": f"{at}  {model}", "at": at} for at, model in enumerate(order, 1)]
    return (
        alt.Chart(data(rows))
        .mark_text(align="left", fontSize=12, color=INK, limit=NARROW)
        .encode(y=alt.Y("at:O", axis=None), x=alt.value(0), text="line:N")
        .properties(width=NARROW, height=18 * len(rows))
    )


def _equal_units(
    places: Sequence[MapPlace], room_x: int, room_y: int, width: int, height: int
) -> tuple[list[float], list[float]]:
    """Domains of both axes in which a unit is as long across as up, so that distances can be read off; rooms in pixels."""
    ends = [(min(values), max(values)) for values in ([p.x for p in places], [p.y for p in places])]
    (x_low, x_high), (y_low, y_high) = ends
    unit = max((x_high - x_low) / room_x, (y_high - y_low) / room_y) or 1.0  # of the map, a pixel
    middle_x, middle_y = (x_low + x_high) / 2, (y_low + y_high) / 2
    half_x, half_y = unit * width / 2, unit * height / 2
    return [middle_x - half_x, middle_x + half_x], [middle_y - half_y, middle_y + half_y]


def _sides(
    places: Sequence[MapPlace], names: Mapping[str, str], scale: float, height: int
) -> list[tuple[MapPlace, int]]:
    """On which side of its point each name is written, 0 right, 1 left: where it overlaps the least with the others.

    `scale`: pixels a unit of the map; `height`: of a line, in pixels.
    """
    at = {place.model: (place.x * scale, place.y * scale) for place in places}
    taken = [(x - 7, x + 7, y, model) for model, (x, y) in at.items()]
    sides = []
    for place in sorted(places, key=lambda place: place.y):
        x, y = at[place.model]
        length = LETTER * len(names[place.model])
        ends = ((x + 11, x + 11 + length), (x - 11 - length, x - 11))
        overlaps = [
            sum(
                max(0.0, min(high, end) - max(low, start))
                for start, end, other, model in taken
                if abs(other - y) < height and model != place.model
            )
            for low, high in ends
        ]
        side = int(overlaps[1] < overlaps[0])
        taken.append((*ends[side], y, place.model))
        sides.append((place, side))
    return sides


def _people(record: Map) -> Figure:
    means = sorted((row for row in record.humans if row.prompt is None), key=lambda row: -row.kendall)
    family = {place.model: place.family or "not known" for place in record.places}
    points = [
        {**row.model_dump(include={"model", "kendall", "spearman"}), "family": family[row.model]} for row in means
    ]
    rows = drawn(points, POINTS)
    order = [row.model for row in means]

    def build(narrow: bool) -> Any:
        return (
            alt.Chart(data(rows))
            .mark_point(filled=True, size=120, opacity=1)
            .encode(
                y=rows_axis("model", order, narrow=False),
                x=alt.X(
                    "kendall:Q",
                    title="Kendall's τ with people",
                    scale=alt.Scale(zero=True),
                    axis=alt.Axis(tickCount=3 if narrow else 6, labelFlush=False),
                ),
                color=by_hue("family", _families(record), FAMILY_HUES),
                shape=by_shape("family", _families(record)),
                tooltip=tips(POINTS),
            )
            .properties(width=130 if narrow else 360, height=26 * len(order))
        )

    return Figure(
        name="people",
        title="Agreement with people",
        description=f"Kendall's τ of each model's ranking with people's over {record.n_human or 0:,} things, mean over prompts.",
        note="0 is no more agreement than chance, 1 is people's order. The numbers have what each model over- and undervalues.",
        build=build,
        table=Table("Agreement with people, mean over prompts", PEOPLE, means),
    )


PROMPTS_NAMED = 6


def about_map(record: Map) -> list[str]:
    """What the map is of and what it leaves out."""
    named = [prompt.replace("_", " ") for prompt in record.prompts[: PROMPTS_NAMED + 1]]
    prompts = [f"Prompts: {', '.join(named)}."] if len(named) <= PROMPTS_NAMED else []
    return [*prompts, *(f"{capital(text)}." for text in record.warnings)]


def predictor_tables(predictors: list[Predictor]) -> list[Table]:
    """The table of predictors; none where there are none."""
    return [Table("What predicts how alike two models rank", PREDICTORS, predictors)] if predictors else []


def write_map_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/map.json`; returns the page's path."""
    record = read_record(out / "map.json", Map)
    heat, places, *people = map_figures(record)
    why: list[Part] = [*about_predictors(record), *predictor_tables(record.predictors)]
    topics = [
        Topic("map", "The map", [*about_map(record), places, heat]),
        Topic("why", "What predicts likeness", why),
    ]
    if people:
        tables = [
            Table("What the models value more than people do", VALUED, record.overvalued),
            Table("What the models value less than people do", VALUED, record.undervalued),
        ]
        topics.append(Topic("people", "Models and people", [*about_people(record), *people, *tables]))
    return write_page(out, Page("How the models relate", [Text(map_sentence(record), "lead")], topics))
