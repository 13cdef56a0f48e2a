"""Bases compared, drawn from `choice.json`: accuracy against lean with both intervals of each, and the trend with pairs."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.records import Choice
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import NARROW, SOFT, WIDE, Chart, Figure, by_hue, by_shape, data
from birthmark.values.formats import interval, percent, signed

ROOM = 0.08  # of the range of what is drawn, left free on either side
GUESS = 0.5
INTERVALS = (
    "Thick bars: 95% over held-out pairs (up) and over words (across). Thin bars: 95% over seeds, cut at the frame."
)


def share_interval(low: float | None, high: float | None) -> str:
    """An interval of shares in percentage points."""
    return "–" if low is None or high is None else interval(100 * low, 100 * high)


def _percent(value: float) -> str:
    return percent(value, 1)


COLUMNS = (
    Column("base", "Base", tip=True),
    Column("pairs", "Pairs", number(","), tip=True),
    Column("accuracy", "Accuracy", _percent, tip=True),
    Column(("pairs_low", "pairs_high"), "95% over held-out pairs", share_interval, tip=True),
    Column(("accuracy_low", "accuracy_high"), "95% over seeds", share_interval, tip=True),
    Column("lean", "Lean, ranks", signed, tip=True),
    Column(("words_low", "words_high"), "Lean, 95% over words", interval, tip=True),
    Column(("seeds_low", "seeds_high"), "Lean, 95% over seeds", interval, tip=True),
    Column(("heads_low", "heads_high"), "Random heads, 95%", interval, tip=True),
)


def _rows(choice: Choice, lexicon: str) -> list[dict[str, Any]]:
    leans = {(item.base, item.pairs): item for item in choice.leans if item.lexicon == lexicon}
    return [
        {
            **leans[item.base, item.pairs].model_dump(exclude={"by_seed", "seeds"}),
            **item.model_dump(include={"accuracy", "pairs_low", "pairs_high"}),
            "accuracy_low": item.seeds_low,
            "accuracy_high": item.seeds_high,
        }
        for item in choice.accuracies
    ]


def performance_figure(choice: Choice, lexicon: str) -> Figure:
    """Accuracy against lean after the most pairs, a point a base, over the random heads' band of each."""
    rows = [row for row in _rows(choice, lexicon) if row["pairs"] == choice.pairs[-1]]
    table = Table(f"Accuracy and lean on {lexicon} after {choice.pairs[-1]:,} pairs", COLUMNS, rows)
    targets = sorted({item.target for item in choice.distances if item.lexicon == lexicon})
    names = [item.base for item in choice.bases]

    def build(narrow: bool) -> Any:
        across = _scale(rows, ("lean", "words_low", "words_high", "heads_low", "heads_high"), targets)
        up = _scale(rows, ("accuracy", "pairs_low", "pairs_high"), [GUESS])
        x, y = (
            (lambda field: alt.X(f"{field}:Q", scale=across, title="lean, ranks")),
            (
                lambda field: alt.Y(
                    f"{field}:Q", scale=up, axis=alt.Axis(format=".0%"), title="accuracy on held-out pairs"
                )
            ),
        )
        base = Chart(data(table.drawn)).encode(color=by_hue("base", names, narrow=narrow), tooltip=table.tips)
        known = base.transform_filter("isValid(datum.heads_low)")
        layers = [
            known.mark_rect(opacity=0.09).encode(x=x("heads_low"), x2="heads_high"),
            Chart(data([{}])).mark_rule(color=SOFT, strokeDash=[2, 3]).encode(y=alt.datum(GUESS)),
            *(
                Chart(data([{}])).mark_rule(color=SOFT, strokeDash=[6, 4]).encode(x=alt.datum(value))
                for value in targets
            ),
            *_bars(base, x, y, "accuracy", ("words_low", "words_high"), ("seeds_low", "seeds_high"), across_first=True),
            *_bars(
                base, x, y, "lean", ("pairs_low", "pairs_high"), ("accuracy_low", "accuracy_high"), across_first=False
            ),
            base.mark_point(filled=True, opacity=1, size=130).encode(
                x=x("lean"), y=y("accuracy"), shape=by_shape("base", names, narrow=narrow)
            ),
        ]
        return alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=300 if narrow else 360)

    ends = next((item for item in choice.sentences if "ranks towards" in item), "")
    return Figure(
        name=f"{lexicon}-performance-against-values",
        title=f"Accuracy against lean: {lexicon}",
        description=f"A point a base: how its reward models lean on {lexicon}, across, and how often they are right on held-out pairs, up.",
        build=build,
        table=table,
        note=(
            f"{INTERVALS} Shaded: what 95% of random heads on each base give. Dotted: guessing"
            + ("; dashed: the target." if targets else ".")
            + (" Below zero is towards the first category of the lexicon, above towards the second." if ends else "")
        ),
    )


def _bars(
    base: Any, x: Any, y: Any, at: str, sample: tuple[str, str], seeds: tuple[str, str], *, across_first: bool
) -> list[Any]:
    """The two intervals of one measure: the sample's thick, the seeds' thin; missing ones are not drawn."""
    drawn = []
    for (low, high), width in ((seeds, 1.0), (sample, 3.0)):
        part = base.transform_filter(f"isValid(datum.{low})").mark_rule(strokeWidth=width, opacity=0.75, clip=True)
        drawn.append(
            part.encode(x=x(low), x2=high, y=y(at)) if across_first else part.encode(y=y(low), y2=high, x=x(at))
        )
    return drawn


def _scale(rows: Sequence[dict[str, Any]], fields: Sequence[str], more: Sequence[float]) -> alt.Scale:
    """A scale that holds all of these values, with room on either side."""
    values = [*more, *(row[field] for row in rows for field in fields if row.get(field) is not None)]
    room = ROOM * (max(values) - min(values)) or 0.1
    return alt.Scale(domain=[min(values) - room, max(values) + room], nice=False, zero=False)


def trend_figures(choice: Choice) -> list[Figure]:
    """Accuracy by pair count, then each lexicon's lean, a line a base."""
    first = _rows(choice, choice.lexicons[0])
    found = [
        _trend(
            choice, first, "accuracy", ("pairs_low", "pairs_high"), "accuracy on held-out pairs", "accuracy", [GUESS]
        )
    ]
    for name in choice.lexicons:
        found.append(
            _trend(
                choice,
                _rows(choice, name),
                "lean",
                ("words_low", "words_high"),
                "lean, ranks",
                f"lean on {name}",
                [0.0],
            )
        )
    return found


def _trend(
    choice: Choice,
    rows: list[dict[str, Any]],
    field: str,
    ends: tuple[str, str],
    title: str,
    what: str,
    more: Sequence[float],
) -> Figure:
    table = Table(f"{what[:1].upper()}{what[1:]} by pair count", COLUMNS, rows)
    names = [item.base for item in choice.bases]

    def build(narrow: bool) -> Any:
        axis = alt.Axis(format=".0%") if field == "accuracy" else alt.Axis()
        scale = _scale(rows, (field, *ends), more)
        x = alt.X("pairs:O", title="pairs trained on", axis=alt.Axis(labelAngle=0))
        beside = alt.XOffset("base:N", sort=names)
        base = Chart(data(table.drawn)).encode(x=x, color=by_hue("base", names, narrow=narrow), tooltip=table.tips)
        y = alt.Y(f"{field}:Q", scale=scale, axis=axis, title=title)
        spread = base.transform_filter(f"isValid(datum.{ends[0]})").mark_rule(strokeWidth=3, opacity=0.5)
        layers = [
            Chart(data([{}])).mark_rule(color=SOFT, strokeDash=[2, 3]).encode(y=alt.datum(more[0])),
            spread.encode(xOffset=beside, y=alt.Y(f"{ends[0]}:Q", scale=scale, axis=axis, title=title), y2=ends[1]),
            base.mark_line(strokeWidth=1.5, opacity=0.6).encode(y=y, xOffset=beside, detail="base:N"),
            base.mark_point(filled=True, opacity=1, size=90).encode(
                y=y, xOffset=beside, shape=by_shape("base", names, narrow=narrow)
            ),
        ]
        return alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=240)

    over = "held-out pairs" if field == "accuracy" else "words"
    return Figure(
        name=f"trend-{what}",
        title=f"{what[:1].upper()}{what[1:]} with more pairs",
        description=f"How the {what} of each base's reward models changes with the number of pairs they were trained on.",
        build=build,
        table=table,
        note=f"Means over seeds; bars: 95% over {over}.",
    )
