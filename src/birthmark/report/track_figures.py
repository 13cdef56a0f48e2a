"""Values over training, drawn from `track.json` and `durability.json`: ranks by step, gaps, final ranks, words that moved.

Ranks grow downwards, so that better is higher. Steps are drawn on a scale that is linear near zero and logarithmic
beyond, since checkpoints double. It computes nothing: what it draws is in the records.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt

from birthmark.records import (
    Durability,
    FinalGap,
    GapCurve,
    GapPoint,
    HeadNull,
    QuantityCurve,
    Track,
    TrackedRun,
    TrackPoint,
    WordMoved,
)
from birthmark.report.columns import Column, Table, number, yes
from birthmark.report.figure import INK, LINE, SOFT, Figure, by_hue, by_shape, data, shape
from birthmark.report.replication_training import RANK, RANKED, STEP, WORD_MOVES, grid, moves_chart
from birthmark.values.formats import interval, signed
from birthmark.values.wording_training import curve_name, quantity_name

FRAMINGS = {"positive": "asked for the best", "negative": "asked for the worst"}

DASHES = ((1, 0), (5, 3), (2, 2), (8, 3, 2, 3), (1, 4))


def _runs(source: str | None, pairs: int | None, loss: str | None) -> str:
    """What tells curves of one pair of bases apart."""
    known = (source, f"{pairs:,} pairs" if pairs is not None else None, loss)
    return ", ".join(item for item in known if item) or "all runs"


BASES = Column(("base_b", "base_a"), "Bases", lambda b, a: f"{b} − {a}")
RUNS = Column(("source", "pairs", "loss"), "Runs", _runs, tip=True)
OVER_WORDS = Column(("ci_low", "ci_high"), "95% over words", interval, tip=True)
OUTSIDE = Column("outside_null", "Outside random heads", yes)
BASE, SOURCE = Column("base", "Base", tip=True), Column("source", "Source", tip=True)
PAIRS = Column("pairs", "Pairs", number(","), tip=True)
RUN, WORDS = Column("run", "Run", tip=True), Column("category", "Words")
ASKED = Column("framing", "Prompts", FRAMINGS.__getitem__)
RANKS = (RUN, BASE, SOURCE, PAIRS, STEP, WORDS, ASKED, RANKED)
FINALS = (
    BASE,
    SOURCE,
    PAIRS,
    Column("seed", "Seed"),
    WORDS,
    ASKED,
    Column("run", "Run", tip=True, table=False),
    RANKED,
)
GAPS = (
    RUNS,
    STEP,
    Column("pairs_seen", "Pairs seen", number(",")),
    Column("gap", "Gap", signed, tip=True),
    OVER_WORDS,
    Column("sd_seeds", "SD over seeds", number(".1f")),
    OUTSIDE,
)
QUANTITIES = (
    Column(("source", "loss"), "Runs", lambda source, loss: _runs(source, None, loss), tip=True),
    PAIRS,
    Column("gap", "Last gap", signed, tip=True),
    OVER_WORDS,
    OUTSIDE,
)


def rank_figures(track: Track) -> list[Figure]:
    """Median rank by category over steps, a figure a lexicon."""
    return [_ranks(track, lexicon) for lexicon in track.lexicons if any(p.lexicon == lexicon for p in track.points)]


def gap_figures(lasting: Durability) -> list[Figure]:
    """The gap between two bases over steps, a figure a lexicon and two bases."""
    keys = list(dict.fromkeys((curve.lexicon, curve.base_a, curve.base_b) for curve in lasting.curves))
    return [
        _gaps([c for c in lasting.curves if (c.lexicon, c.base_a, c.base_b) == key], at) for at, key in enumerate(keys)
    ]


def quantity_figures(lasting: Durability) -> list[Figure]:
    """The gap at the last step by pair count and source, a figure a lexicon and two bases."""
    keys = list(dict.fromkeys((item.lexicon, item.base_a, item.base_b) for item in lasting.quantities))
    return [
        _quantities(
            [item for item in lasting.quantities if (item.lexicon, item.base_a, item.base_b) == key],
            [curve for curve in lasting.curves if (curve.lexicon, curve.base_a, curve.base_b) == key],
            at,
        )
        for at, key in enumerate(keys)
    ]


def final_figures(track: Track) -> list[Figure]:
    """Median rank at the last step by number of pairs, source and base, where pair counts are known."""
    known = [run for run in track.runs if run.pairs is not None]
    return [_finals(track, known, lexicon) for lexicon in track.lexicons] if known else []


def moved_figures(track: Track) -> list[Figure]:
    """The words that moved most, a figure a lexicon and base."""
    keys = list(dict.fromkeys((word.lexicon, word.base) for word in track.moved))
    return [_moved([w for w in track.moved if (w.lexicon, w.base) == key], at) for at, key in enumerate(keys)]


def _bases(runs: Sequence[TrackedRun]) -> list[str]:
    return sorted({run.base for run in runs})


def _rank_axis(points: Sequence[TrackPoint]) -> alt.Y:
    """1 is best and on top; the same places in every panel."""
    ranks = [point.median_rank for point in points]
    return alt.Y(
        "rank:Q", scale=alt.Scale(domain=[min(ranks), max(ranks)], reverse=True, zero=False, nice=True), title=RANK
    )


def _step_axis(rows: Sequence[dict[str, Any]]) -> alt.X:
    """Steps on a scale that spreads the early ones; a tick a checkpoint, as many as have room."""
    steps = sorted({row["step"] for row in rows})
    axis = alt.Axis(values=steps, labelOverlap=True, format="d")
    return alt.X("step:Q", title="step", scale=alt.Scale(type="symlog", constant=1), axis=axis)


def _ranks(track: Track, lexicon: str) -> Figure:
    runs = {run.run: run for run in track.runs}
    points = [point for point in track.points if point.lexicon == lexicon]
    categories = sorted({point.category for point in points})
    framings = [framing for framing in FRAMINGS if any(point.framing == framing for point in points)]
    sources = sorted({runs[point.run].source or "not recorded" for point in points})

    table = Table(f"Median rank by step: {lexicon}", RANKS, [_point(point, runs[point.run]) for point in points])

    def panel(category: str, framing: str, narrow: bool) -> Any:
        rows = _of_panel(table.drawn, category, framing)
        return (
            alt.Chart(data(rows))
            .mark_line(point=alt.OverlayMarkDef(size=26), strokeWidth=1.5, opacity=0.85)
            .encode(
                x=_step_axis(rows),
                y=_rank_axis(points),
                detail="run:N",
                color=by_hue("base", _bases(track.runs), narrow=narrow),
                strokeDash=_by_dash(sources, narrow),
                tooltip=table.tips,
            )
            .properties(width=250, height=200, title=f"{category}, {FRAMINGS[framing]}")
        )

    return Figure(
        name=f"{lexicon}-ranks-by-step",
        title=f"Median rank by category over the steps: {lexicon}",
        description="Median rank of each category's words at every checkpoint, a line a run, by base model and source. Means over the "
        "prompts of one framing; 1 is best.",
        build=lambda narrow: grid(
            [[panel(category, framing, narrow) for category in categories] for framing in framings], narrow
        ),
        table=table,
    )


def _point(point: TrackPoint, run: TrackedRun) -> dict[str, Any]:
    """A measured rank with what is known of its run, for figure and table."""
    return {
        "run": point.run,
        "base": run.base,
        "source": run.source or "not recorded",
        "pairs": run.pairs,
        "seed": run.seed,
        "step": point.step,
        "category": point.category,
        "framing": point.framing,
        "rank": point.median_rank,
    }


def _of_panel(rows: Sequence[dict[str, Any]], category: str, framing: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["category"] == category and row["framing"] == framing]


def _by_dash(sources: Sequence[str], narrow: bool) -> alt.StrokeDash | alt.StrokeDashValue:
    """A dash a source, where there are several; their legend stands below, out of the way of the bases'."""
    if len(sources) < 2:
        return alt.StrokeDashValue([1, 0])
    scale = alt.Scale(domain=list(sources), range=[list(dash) for dash in DASHES[: len(sources)]])
    legend = alt.Legend(
        title=None, orient="bottom", columns=1 if narrow else 3, symbolType="stroke", symbolStrokeColor=SOFT,
        symbolStrokeWidth=2,
    )  # fmt: skip
    return alt.StrokeDash("source:N", scale=scale, legend=legend)


def _gaps(curves: Sequence[GapCurve], at: int) -> Figure:
    first = curves[0]
    names = [curve_name(curve) for curve in curves]
    table = Table(
        "The gap by step",
        GAPS,
        [
            {
                "source": curve.source,
                "pairs": curve.pairs,
                "loss": curve.loss,
                **point.model_dump(),
                "curve": name,
                **_ends(point),
            }
            for curve, name in zip(curves, names, strict=True)
            for point in curve.points
        ],
    )
    rows = table.drawn
    nulls = [curve.null for curve in curves if curve.null is not None]
    title = f"{first.base_b} − {first.base_a}, ranks"

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(rows))
        hue = by_hue("curve", names, start=2, narrow=narrow)
        layers = [
            base.mark_area(opacity=0.12).encode(
                x=_step_axis(rows), y=alt.Y("low:Q", title=title), y2="high:Q", color=hue
            ),
            alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(y="zero:Q"),
            base.mark_line(point=alt.OverlayMarkDef(size=36)).encode(
                x=_step_axis(rows),
                y="gap:Q",
                color=hue,
                tooltip=table.tips,
            ),
        ]
        if nulls:
            layers.insert(0, _null_band(nulls))
        return alt.layer(*layers).properties(width=310 if narrow else 540, height=260)

    shaded = f" {NULL_NOTE}" if nulls else ""
    return Figure(
        name=f"{first.lexicon}-gap-{at + 1}",
        title=f"The gap between {first.base_a} and {first.base_b} over the steps: {first.lexicon}",
        description=f"{title}: difference of mean-rank contrasts at every step, with its 95% interval over words.{shaded}",
        build=build,
        table=table,
        note=shaded.strip(),
    )


def _ends(item: GapPoint | FinalGap) -> dict[str, float]:
    """The drawn interval, of no length where there is none."""
    return {
        "low": item.gap if item.ci_low is None else item.ci_low,
        "high": item.gap if item.ci_high is None else item.ci_high,
    }


def _quantities(items: Sequence[QuantityCurve], curves: Sequence[GapCurve], at: int) -> Figure:
    first = items[0]
    names = [quantity_name(item) for item in items]
    counts = [f"{count:,}" for count in sorted({final.pairs for item in items for final in item.finals})]
    table = Table(
        "The gap at the last step, by pair count",
        QUANTITIES,
        [
            {
                "source": item.source,
                "loss": item.loss,
                **final.model_dump(),
                "runs": quantity_name(item),
                "count": f"{final.pairs:,}",
                **_ends(final),
            }
            for item in items
            for final in item.finals
        ],
    )
    nulls = [curve.null for curve in curves if curve.null is not None]
    title = f"{first.base_b} − {first.base_a}, ranks"

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(table.drawn)).encode(
            x=alt.X("count:N", sort=counts, title="pairs", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("runs:N", sort=names),
            color=by_hue("runs", names, start=2, narrow=narrow),
        )
        gap = alt.Y("gap:Q", title=title)
        layers = [
            *([_null_band(nulls)] if nulls else []),
            alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(y=alt.Y("zero:Q", title=title)),
            base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
            base.mark_point(filled=True, size=90, opacity=1).encode(
                y=gap, shape=by_shape("runs", names, narrow=narrow), tooltip=table.tips
            ),
        ]
        return alt.layer(*layers).properties(width=300 if narrow else 540, height=240)

    shaded = NULL_NOTE if nulls else ""
    return Figure(
        name=f"{first.lexicon}-final-gap-{at + 1}",
        title=f"The gap at the last step, by source and quantity: {first.lexicon}",
        description=f"{title}: difference of mean-rank contrasts at the last step by number of preference pairs (places on the "
        f"axis, not to scale) and source, with its 95% interval over words. {shaded}".strip(),
        build=build,
        table=table,
        note=shaded,
    )


NULL_NOTE = "The grey band holds 95% of what random heads on the two bases give."


def _null_band(nulls: Sequence[HeadNull]) -> Any:
    """What random heads give, as a band: the widest where curves average over different numbers of runs."""
    widest = {"low": min(item.low for item in nulls), "high": max(item.high for item in nulls)}
    return alt.Chart(data([widest])).mark_rect(color=LINE, opacity=0.6).encode(y="low:Q", y2="high:Q")


def _finals(track: Track, runs: Sequence[TrackedRun], lexicon: str) -> Figure:
    by_run = {run.run: run for run in runs}
    last: list[TrackPoint] = [
        point
        for point in track.points
        if point.lexicon == lexicon and point.run in by_run and point.step == by_run[point.run].steps[-1]
    ]
    categories = sorted({point.category for point in last})
    framings = [framing for framing in FRAMINGS if any(point.framing == framing for point in last)]
    counts = [f"{count:,}" for count in sorted({run.pairs or 0 for run in runs})]
    sources = sorted({run.source or "not recorded" for run in runs})
    points = [{**_point(point, by_run[point.run]), "count": f"{by_run[point.run].pairs or 0:,}"} for point in last]
    table = Table(f"Median rank at the last step: {lexicon}", FINALS, points)

    def panel(category: str, framing: str, narrow: bool) -> Any:
        rows = _of_panel(table.drawn, category, framing)
        scale = alt.Scale(domain=sources, range=[shape(at) for at in range(len(sources))])
        return (
            alt.Chart(data(rows))
            .mark_point(filled=True, size=90, opacity=0.9)
            .encode(
                x=alt.X("count:N", sort=counts, title="pairs", axis=alt.Axis(labelAngle=0)),
                xOffset=alt.XOffset("source:N", sort=sources),
                y=_rank_axis(last),
                color=by_hue("base", _bases(track.runs), narrow=narrow),
                shape=alt.Shape("source:N", scale=scale, legend=alt.Legend(title=None, symbolFillColor=SOFT)),
                tooltip=table.tips,
            )
            .properties(width=250, height=200, title=f"{category}, {FRAMINGS[framing]}")
        )

    return Figure(
        name=f"{lexicon}-final-by-quantity",
        title=f"At the last step, by source and quantity: {lexicon}",
        description="Median rank of each category's words at the last checkpoint, by number of preference pairs (places on the "
        "axis, not to scale), source and base model; a point a run.",
        build=lambda narrow: grid(
            [[panel(category, framing, narrow) for category in categories] for framing in framings], narrow
        ),
        table=table,
    )


def _moved(words: Sequence[WordMoved], at: int) -> Figure:
    first = words[0]
    moves = [
        {
            "word": item.word,
            "category": ", ".join(item.categories),
            "first_rank": item.first_rank,
            "last_rank": item.last_rank,
            "change": item.first_rank - item.last_rank,
        }
        for item in words
    ]
    table = Table("Mean ranks at the first and the last step", WORD_MOVES, moves)
    hue = partial(by_hue, "category", sorted({str(move["category"]) for move in moves}), start=6)
    return Figure(
        name=f"{first.lexicon}-moved-{at + 1}",
        title=f"Words that moved most in training: {first.base}, {first.lexicon}",
        description="The words that gain and those that lose most places from the first to the last step, means over the runs "
        "of this base and over the prompts that ask for good things.",
        build=lambda narrow: moves_chart(table, hue(narrow=narrow), 190 if narrow else 380),
        table=table,
    )
