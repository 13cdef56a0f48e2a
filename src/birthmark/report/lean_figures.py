"""What two families differ by, drawn from a lexicon's effects record: by adjective, word and sample.

Each point names itself in a tooltip. It computes nothing: what it draws is in the record.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt

from birthmark.records import Effects
from birthmark.report.columns import Column, Table, bare_p
from birthmark.report.figure import (
    FRAMING_HUES,
    FRAMING_TITLES,
    NARROW,
    SOFT,
    WIDE,
    Chart,
    Figure,
    by_hue,
    by_shape,
    data,
    figure_name,
    names_above,
    rows_axis,
)
from birthmark.report.lexicon_tables import differences
from birthmark.values.formats import asked_for, interval, places, signed

SHOWN_WORDS = 12
SHORT_NAME = 14
MANY_ROWS = 12

ADJECTIVES = (
    Column("row", "Adjective", tip=True),
    Column("framing", "Asked for", asked_for, tip=True),
    Column("said", "Compared", tip=True, table=False),
    Column("value", "Places", signed),
)
WORDS = (
    Column("row", "Word", tip=True),
    Column("categories", "Categories", ", ".join, tip=True),
    Column("said", "Is", tip=True, table=False),
    Column("value", "Ranks", partial(signed, digits=0)),
    Column(("low", "high"), "95% over base checkpoints", partial(interval, digits=0), tip=True),
)
SAMPLES = (
    Column("row", "Sample", tip=True),
    Column("value", "Difference, places", signed, tip=True),
    Column(("low", "high"), "95% interval", interval, tip=True),
    Column("p", "p", bare_p, tip=True),
)


def adjective_figure(effects: Effects) -> Figure | None:
    """The two families' difference (b − a) adjective by adjective; null unless there is one over words."""
    if effects.models_fixed is None or len(effects.categories) != 2 or not effects.models_fixed.by_adjective:
        return None
    first, second = effects.categories
    b = effects.families[1]
    items = sorted(effects.models_fixed.by_adjective, key=lambda item: item.framing == "negative")
    rows = [
        {
            "row": item.adjective,
            "framing": item.framing,
            "group": FRAMING_TITLES[item.framing],
            "value": item.estimate,
            "said": f"{b} ranks {first if item.estimate < 0 else second} higher, by {places(item.estimate)}",
        }
        for item in items
    ]
    framings = [title for title in FRAMING_TITLES.values() if any(row["group"] == title for row in rows)]
    order = [item.adjective for item in items]
    ends = (f"{b} more {first}", f"{b} more {second}")
    caption = f"{b} minus {effects.families[0]}: mean rank of {first} minus mean rank of {second}"
    table = Table(caption, ADJECTIVES, rows)
    return Figure(
        name=figure_name(effects, "adjectives"),
        title="The difference, adjective by adjective",
        description=f"For each adjective of the questions, how {b} differs from {effects.families[0]}, in places.",
        build=lambda narrow: lollipops(table, order, framings, FRAMING_HUES, ends, narrow),
        table=table,
        note=(
            f"{b} against {effects.families[0]}: mean rank of {first} words less that of {second} words. A difference in "
            "values shows as opposite signs for best and worst; one sign throughout is a taste for the words themselves."
        ),
    )


def word_figure(effects: Effects) -> Figure | None:
    """The words that carry the families' difference most, either way; null where there are none."""
    words = sorted(
        (item for item in effects.word_effects if item.contrast is not None), key=lambda item: item.contrast or 0
    )
    if len(words) < 2 or len(effects.families) != 2:
        return None
    a, b = effects.families
    n = min(SHOWN_WORDS, len(words) // 2)
    chosen = [*words[:n], *words[-n:]]
    rows = [
        {
            "row": item.word,
            "group": item.categories[0] if item.categories else "none",
            "categories": item.categories,
            "value": item.contrast,
            "low": item.ci_low,
            "high": item.ci_high,
            "said": f"{abs(item.contrast or 0.0):.0f} ranks better in {b if (item.contrast or 0) < 0 else a}",
        }
        for item in chosen
    ]
    ends = (f"{b} prefers", f"{a} prefers")
    order = [item.word for item in chosen]
    table = Table(f"Rank in {b} minus rank in {a}, best minus worst; below zero {b} prefers the word", WORDS, rows)
    return Figure(
        name=figure_name(effects, "words"),
        title="The words that carry the difference",
        description=f"The words that {b} and {a} rank most differently when asked for the best rather than the worst.",
        build=lambda narrow: lollipops(table, order, effects.categories, 0, ends, narrow),
        table=table,
        note="The extremes of many words: some are there by chance. Read them as examples, not as findings.",
    )


def evidence_figure(effects: Effects) -> Figure | None:
    """The families' difference by what is taken as a sample, with intervals; null where there is one way only."""
    evidence = [item for item in differences(effects) if item.estimate is not None]
    if len(evidence) < 2 or len(effects.categories) != 2 or len(effects.families) != 2:
        return None
    first, second = effects.categories
    b = effects.families[1]
    rows = [
        {
            "row": item.sample,
            "group": "headline" if at == 0 and effects.headline is not None else "beside it",
            "value": item.estimate,
            "low": item.low,
            "high": item.high,
            "p": item.p,
        }
        for at, item in enumerate(evidence)
    ]
    order = [item.sample for item in evidence]
    table = Table("The families' difference in places, by what is taken as a sample", SAMPLES, rows)
    groups = list(dict.fromkeys(str(row["group"]) for row in rows))
    ends = (f"{b} more {first}", f"{b} more {second}")
    return Figure(
        name=figure_name(effects, "evidence"),
        title="How sure, by what is taken as a sample",
        description="The families' difference with its interval, one row for each way of taking samples.",
        build=lambda narrow: lollipops(table, order, groups, FRAMING_HUES, ends, narrow),
        table=table,
        note=(
            "Models that share a base checkpoint are not independent, and words are few: the more is taken as given, the "
            "surer a difference looks."
        ),
    )


def lollipops(
    table: Table,
    order: Sequence[str],
    groups: Sequence[str],
    first_hue: int,
    ends: tuple[str, str],
    narrow: bool,
) -> Any:
    """A stem from zero, a head and, where there is one, an interval a row; `ends` say what left and right mean.

    The table's rows have `row`, `group`, `value` and, where there is an interval, `low` and `high`.
    """
    rows = table.drawn
    values = [abs(row[end]) for row in rows for end in ("value", "low", "high") if row.get(end) is not None]
    reach = 1.12 * max(values) or 1.0
    middle = "   ·   places   ·   " if not narrow else "  ·  "
    title = f"← {ends[0]}{middle}{ends[1]} →"
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=[-reach, reach], nice=False),
        title=title,
        axis=alt.Axis(tickCount=3 if narrow else 5),
    )
    beside = not narrow or max(len(name) for name in order) <= SHORT_NAME
    base = Chart(data(rows)).encode(
        y=rows_axis("row", order, narrow=not beside),
        color=by_hue("group", groups, first_hue, narrow=narrow),
        tooltip=table.tips,
    )
    zero = Chart(data([{}])).mark_rule(color=SOFT).encode(x=alt.datum(0))
    layers = [
        zero,
        base.mark_rule(strokeWidth=3, opacity=0.4).encode(x=x, x2=alt.datum(0)),
        base.mark_point(filled=True, opacity=1, size=120).encode(x=x, shape=by_shape("group", groups, narrow=narrow)),
    ]
    if any(row.get("low") is not None for row in rows):
        spread = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1)
        layers.insert(2, spread.encode(x=alt.X("low:Q", title=title), x2="high:Q"))
    if not beside:
        layers.append(names_above("row", order))
    step = 42 if not beside else 28 if len(order) <= MANY_ROWS else 22
    width = WIDE if not narrow else NARROW - 95 if beside else NARROW
    return alt.layer(*layers).properties(width=width, height=step * len(order))
