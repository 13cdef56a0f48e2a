"""Where a model stands among others: the strip plot, the tables and the topic of the page. It computes nothing."""

from functools import partial
from typing import Any

import altair as alt

from birthmark.foreign import file_name
from birthmark.records import Among, Standing
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import (
    FAMILY_HUES,
    INK,
    NARROW,
    SOFT,
    WIDE,
    Chart,
    Figure,
    by_hue,
    by_shape,
    data,
    names_above,
    rows_axis,
)
from birthmark.report.layout import Heading, Part, Text, Topic
from birthmark.values.formats import interval, sentence, signed
from birthmark.values.wording_among import among_name, basis_sentence, ordinal, share_sentence

STAR = "M0,-1.3L0.35,-0.35L1.3,0L0.35,0.35L0,1.3L-0.35,0.35L-1.3,0L-0.35,-0.35Z"  # a text of a figure is cut at 80
MODEL, FAMILY, BASE = (
    Column("model", "Model", tip=True),
    Column("family", "Family", tip=True),
    Column("base", "Base checkpoint", tip=True),
)
VALUE = Column("value", "Contrast", signed, tip=True)
WORDS = Column(("low", "high"), "95% over words", interval, tip=True)
NEAR = (
    Column("distance", "Distance, ranks", number(",.1f")),
    Column("spearman", "Spearman's ρ", number(".2f")),
)
LESS = (
    Column("difference", "This model less that one", signed),
    Column(("difference_ci_low", "difference_ci_high"), "95% over words", interval),
)
GAIN = Column("value", "Gain in ranks", signed, tip=True)
CATEGORIES = (
    Column("category", "Category"),
    Column("gain", "Gain in ranks", signed),
    Column(("place", "n_models"), "Place", lambda place, n: f"{ordinal(place)} of {n}"),
    Column(("lowest", "highest"), "The others' gains", partial(interval, digits=1)),
)


def among_topic(record: Among) -> Topic:
    """A sentence, the strip plot and the tables of each standing."""
    parts: list[Part] = [Text(sentence(text), "missing") for text in record.warnings]
    for item in record.standings:
        parts.append(Heading(f"{item.model}, by {item.lexicon}"))
        parts.append(Text(item.sentence, "lead second"))
        parts += [Text(said) for said in (share_sentence(item), basis_sentence(item)) if said and item.mine]
        parts += among_figures(record, item)
        parts += [_distances(item), *_category_table(item)] if item.others else []
    parts.append(Text(f"The others' scores: {record.source}."))
    return Topic("among", f"Where it stands among {among_name(record)}", parts, "Where it stands")


def among_figures(record: Among, item: Standing) -> list[Figure]:
    """The strip plot of a standing: by contrast where the lexicon has two categories, else category by category."""
    if item.mine is None or not item.others:
        return []
    return [_by_contrast(record, item)] if item.place is not None else [_by_category(record, item)]


def _by_contrast(record: Among, item: Standing) -> Figure:
    assert item.mine is not None
    first, second = item.categories
    mine = {
        "row": item.model,
        "model": item.model,
        "family": item.mine.family or "not known",
        "base": item.mine.base_checkpoint or "not known",
        "value": item.mine.mean_rank_contrast,
        "low": item.mine.ci_low,
        "high": item.mine.ci_high,
        "mine": True,
    }
    others = [
        {
            "row": other.base_checkpoint or other.model,
            "model": other.model,
            "family": other.family or "not known",
            "base": other.base_checkpoint or "not known",
            "value": other.mean_rank_contrast,
            "low": other.ci_low,
            "high": other.ci_high,
            "mine": False,
        }
        for other in item.others
    ]
    rows = sorted(others, key=lambda row: (row["family"], row["base"], -(row["value"] or 0.0)))  # type: ignore[operator]
    order = [item.model, *dict.fromkeys(str(row["row"]) for row in rows)]
    caption = f"Contrast between {first} and {second}, mean ranks among the same {item.n_words:,} words"
    table = Table(caption, (MODEL, FAMILY, BASE, VALUE, WORDS), [mine, *rows])
    title = f"← {first}   ·   contrast, ranks   ·   {second} →"
    return Figure(
        name=f"{file_name(item.model)}-{item.lexicon}-among",
        title=f"{item.model} among {among_name(record)}",
        description=f"The contrast between {first} and {second} of {item.model}, marked, and of {among_name(record)}, a row a "
        "base checkpoint.",
        build=lambda narrow: strip(table, order, title, narrow),
        table=table,
        note=f"Contrast of mean ranks: above zero, {second} words gain on {first} words when good things are asked for. The "
        "star and the line through all rows are this model, the thin line beside the star its 95% interval over words; "
        "each other mark is a reward model, in the row of its base checkpoint.",
    )


def _by_category(record: Among, item: Standing) -> Figure:
    families = {
        other.model: (other.family or "not known", other.base_checkpoint or "not known") for other in item.others
    }
    rows = [
        {
            "row": place.category,
            "model": model,
            "family": family,
            "base": base,
            "value": gain,
            "mine": model == item.model,
        }
        for place in item.by_category
        for model, gain in {**place.others, item.model: place.gain}.items()
        for family, base in [families.get(model, ("this model", "–"))]
    ]
    order = [place.category for place in item.by_category]
    caption = f"What each category gains, mean ranks among the same {item.n_words:,} words"
    table = Table(caption, (Column("row", "Category", tip=True), MODEL, FAMILY, BASE, GAIN), rows)
    return Figure(
        name=f"{file_name(item.model)}-{item.lexicon}-among",
        title=f"{item.model} among {among_name(record)}, category by category",
        description=f"How many ranks each category gains in {item.model}, marked, and in {among_name(record)}.",
        build=lambda narrow: strip(table, order, "ranks gained when good things are asked for →", narrow),
        table=table,
        note="Mean rank when bad things are asked for less mean rank when good things are: above zero, a category gains by a "
        "good question. The star is this model.",
    )


def strip(table: Table, order: list[str], title: str, narrow: bool) -> Any:
    """A row of marks for each of `order`; where mine has a row of its own, a line through all rows marks it."""
    rows = table.drawn
    ends = [
        row[end]
        for row in rows
        for end in ("value", "low", "high")
        if row.get("mine") or end == "value"
        if row.get(end) is not None
    ]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False, zero=False)
    x = alt.X("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))
    families = sorted({row["family"] for row in rows if not row["mine"]})
    base = Chart(data(rows)).encode(x=x, y=rows_axis("row", order, narrow=narrow), tooltip=table.tips)
    own = base.transform_filter("datum.mine")
    layers = (
        [Chart(data([{}])).mark_rule(color=SOFT, strokeDash=[3, 3]).encode(x=alt.datum(0))]
        if min(ends) < 0 < max(ends)
        else []
    )
    if sum(row["mine"] for row in rows) == 1:
        value = next(row["value"] for row in rows if row["mine"])
        layers.append(Chart(data([{}])).mark_rule(color=INK, strokeWidth=1.5, opacity=0.5).encode(x=alt.datum(value)))
        reach = own.transform_filter("isValid(datum.low)").mark_rule(color=INK, strokeWidth=2)
        layers.append(reach.encode(x=alt.X("low:Q", title=title), x2="high:Q"))
    layers += [
        base.transform_filter("!datum.mine")
        .mark_point(filled=True, opacity=0.9, size=110)
        .encode(
            color=by_hue("family", families, FAMILY_HUES, narrow=narrow),
            shape=by_shape("family", families, narrow=narrow),
        ),
        own.mark_point(filled=True, shape=STAR, color=INK, size=230, opacity=1),
    ]
    if narrow:
        layers.append(names_above("row", order))
    return alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=(44 if narrow else 30) * len(order))


def _distances(item: Standing) -> Table:
    compared = any(other.difference is not None for other in item.others)
    word_by_word = item.basis == "score tables"
    columns = (
        Column("model", "Model"),
        Column("base_checkpoint", "Base checkpoint"),
        *((Column("mean_rank_contrast", "Contrast", signed),) if compared else ()),
        *(LESS[: 2 if word_by_word else 1] if compared else ()),
        *NEAR[: 2 if word_by_word else 1],
    )
    return Table(
        f"From the nearest to the farthest from {item.model}, by {item.lexicon}",
        columns,
        item.others,
        note="Distance: root mean square of the differences of mean ranks over categories and framings.",
    )


def _category_table(item: Standing) -> list[Table]:
    if len(item.categories) <= 2:
        return []
    rows = [
        {**place.model_dump(), "lowest": min(place.others.values()), "highest": max(place.others.values())}
        for place in item.by_category
    ]
    return [Table(f"What each category gains in {item.model}, and its place among them", CATEGORIES, rows)]
