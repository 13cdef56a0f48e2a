"""Values over training, drawn from `track.json` and `durability.json`: ranks by step, gaps, final ranks, words that moved.

Ranks grow downwards, so that better is higher. Steps are drawn on a scale that is linear near zero and logarithmic
beyond, since checkpoints double. It computes nothing: what it draws is in the records.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.records import Durability, GapCurve, HeadNull, QuantityCurve, Track, TrackedRun, TrackPoint, WordMoved
from birthmark.report.figure import INK, LINE, SOFT, Figure, Table, by_hue, by_shape, data, shape, tooltip
from birthmark.report.replication_training import RANK, grid, rank_tip
from birthmark.values.formats import interval, signed
from birthmark.values.wording_training import curve_name, quantity_name

FRAMINGS = {"positive": "asked for the best", "negative": "asked for the worst"}

DASHES = ((1, 0), (5, 3), (2, 2), (8, 3, 2, 3), (1, 4))


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
    sources = sorted({_facts(runs[point.run])["source"] for point in points})

    def panel(category: str, framing: str, narrow: bool) -> Any:
        rows = [
            {"run": p.run, "base": runs[p.run].base, "step": p.step, "rank": p.median_rank, **_facts(runs[p.run])}
            for p in points
            if p.category == category and p.framing == framing
        ]
        return (
            alt.Chart(data(rows))
            .mark_line(point=alt.OverlayMarkDef(size=26), strokeWidth=1.5, opacity=0.85)
            .encode(
                x=_step_axis(rows),
                y=_rank_axis(points),
                detail="run:N",
                color=by_hue("base", _bases(track.runs), narrow=narrow),
                strokeDash=_by_dash(sources, narrow),
                tooltip=[
                    *tooltip(base="base", source="source", pairs="pairs", run="run"),
                    alt.Tooltip("step:Q", format=","),
                    rank_tip(),
                ],
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
        table=Table(
            f"Median rank by step: {lexicon}",
            ("Run", "Base", "Step", "Words", "Prompts", "Median rank"),
            tuple(
                (p.run, runs[p.run].base, f"{p.step:,}", p.category, FRAMINGS[p.framing], f"{p.median_rank:,.1f}")
                for p in points
            ),
        ),
    )


def _by_dash(sources: Sequence[str], narrow: bool) -> alt.StrokeDash:
    """A dash a source, where there are several; their legend stands below, out of the way of the bases'."""
    if len(sources) < 2:
        return alt.StrokeDash()
    scale = alt.Scale(domain=list(sources), range=[list(dash) for dash in DASHES[: len(sources)]])
    legend = alt.Legend(
        title=None, orient="bottom", columns=1 if narrow else 3, symbolType="stroke", symbolStrokeColor=SOFT,
        symbolStrokeWidth=2,
    )  # fmt: skip
    return alt.StrokeDash("source:N", scale=scale, legend=legend)


def _facts(run: TrackedRun) -> dict[str, str]:
    return {"source": run.source or "not recorded", "pairs": f"{run.pairs:,}" if run.pairs is not None else "–"}


def _gaps(curves: Sequence[GapCurve], at: int) -> Figure:
    first = curves[0]
    names = [curve_name(curve) for curve in curves]
    rows = [
        {
            "curve": curve_name(curve),
            "step": point.step,
            "gap": point.gap,
            "low": point.ci_low if point.ci_low is not None else point.gap,
            "high": point.ci_high if point.ci_high is not None else point.gap,
        }
        for curve in curves
        for point in curve.points
    ]
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
                tooltip=[
                    *tooltip(curve="runs"),
                    alt.Tooltip("step:Q", format=","),
                    alt.Tooltip("gap:Q", format="+.1f"),
                    alt.Tooltip("low:Q", format="+.1f", title="95% from"),
                    alt.Tooltip("high:Q", format="+.1f", title="to"),
                ],
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
        table=Table(
            "The gap by step",
            ("Runs", "Step", "Pairs seen", "Gap", "95% over words", "SD over seeds", "Outside random heads"),
            tuple(
                (
                    curve_name(curve),
                    f"{point.step:,}",
                    "–" if point.pairs_seen is None else f"{point.pairs_seen:,}",
                    signed(point.gap),
                    interval(point.ci_low, point.ci_high),
                    "–" if point.sd_seeds is None else f"{point.sd_seeds:.1f}",
                    {None: "–", True: "yes", False: "no"}[point.outside_null],
                )
                for curve in curves
                for point in curve.points
            ),
        ),
        note=shaded.strip(),
    )


def _quantities(items: Sequence[QuantityCurve], curves: Sequence[GapCurve], at: int) -> Figure:
    first = items[0]
    names = [quantity_name(item) for item in items]
    counts = [f"{count:,}" for count in sorted({final.pairs for item in items for final in item.finals})]
    rows = [
        {
            "runs": quantity_name(item),
            "pairs": f"{final.pairs:,}",
            "gap": final.gap,
            "low": final.gap if final.ci_low is None else final.ci_low,
            "high": final.gap if final.ci_high is None else final.ci_high,
        }
        for item in items
        for final in item.finals
    ]
    nulls = [curve.null for curve in curves if curve.null is not None]
    title = f"{first.base_b} − {first.base_a}, ranks"

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(rows)).encode(
            x=alt.X("pairs:N", sort=counts, title="pairs", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("runs:N", sort=names),
            color=by_hue("runs", names, start=2, narrow=narrow),
        )
        gap = alt.Y("gap:Q", title=title)
        tips = [alt.Tooltip("gap:Q", format="+.1f"), *tooltip(runs="runs", pairs="pairs")]
        layers = [
            *([_null_band(nulls)] if nulls else []),
            alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(y=alt.Y("zero:Q", title=title)),
            base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
            base.mark_point(filled=True, size=90, opacity=1).encode(
                y=gap, shape=by_shape("runs", names, narrow=narrow), tooltip=tips
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
        table=Table(
            "The gap at the last step, by pair count",
            ("Runs", "Pairs", "Last gap", "95% over words", "Outside random heads"),
            tuple(
                (
                    quantity_name(item),
                    f"{final.pairs:,}",
                    signed(final.gap),
                    interval(final.ci_low, final.ci_high),
                    {None: "–", True: "yes", False: "no"}[final.outside_null],
                )
                for item in items
                for final in item.finals
            ),
        ),
        note=shaded,
    )


NULL_NOTE = "The grey band holds 95% of what random heads on the two bases give."


def _null_band(nulls: Sequence[HeadNull]) -> Any:
    """What random heads give, as a band: the widest where curves average over unlike numbers of runs."""
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
    sources = sorted({_facts(run)["source"] for run in runs})

    def panel(category: str, framing: str, narrow: bool) -> Any:
        rows = [
            {"run": p.run, "base": by_run[p.run].base, "rank": p.median_rank, **_facts(by_run[p.run])}
            for p in last
            if p.category == category and p.framing == framing
        ]
        scale = alt.Scale(domain=sources, range=[shape(at) for at in range(len(sources))])
        return (
            alt.Chart(data(rows))
            .mark_point(filled=True, size=90, opacity=0.9)
            .encode(
                x=alt.X("pairs:N", sort=counts, title="pairs", axis=alt.Axis(labelAngle=0)),
                xOffset=alt.XOffset("source:N", sort=sources),
                y=_rank_axis(last),
                color=by_hue("base", _bases(track.runs), narrow=narrow),
                shape=alt.Shape("source:N", scale=scale, legend=alt.Legend(title=None, symbolFillColor=SOFT)),
                tooltip=[*tooltip(base="base", source="source", pairs="pairs", run="run"), rank_tip()],
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
        table=Table(
            f"Median rank at the last step: {lexicon}",
            ("Base", "Source", "Pairs", "Seed", "Words", "Prompts", "Median rank"),
            tuple(
                (
                    by_run[p.run].base,
                    _facts(by_run[p.run])["source"],
                    _facts(by_run[p.run])["pairs"],
                    str(by_run[p.run].seed),
                    p.category,
                    FRAMINGS[p.framing],
                    f"{p.median_rank:,.1f}",
                )
                for p in last
            ),
        ),
    )


def _moved(words: Sequence[WordMoved], at: int) -> Figure:
    first = words[0]
    categories = sorted({", ".join(word.categories) for word in words})
    rows = [{"word": w.word, "category": ", ".join(w.categories), "change": w.first_rank - w.last_rank} for w in words]

    def build(narrow: bool) -> Any:
        return (
            alt.Chart(data(rows))
            .mark_bar()
            .encode(
                y=alt.Y("word:N", sort=[word.word for word in words], title=None),
                x=alt.X("change:Q", title="places gained in training"),
                color=by_hue("category", categories, start=6, narrow=narrow),
                tooltip=[*tooltip(word="word", category="category"), alt.Tooltip("change:Q", format="+.1f")],
            )
            .properties(width=190 if narrow else 380, height=18 * len(rows))
        )

    return Figure(
        name=f"{first.lexicon}-moved-{at + 1}",
        title=f"Words that moved most in training: {first.base}, {first.lexicon}",
        description="The words that gain and those that lose most places from the first to the last step, means over the runs "
        "of this base and over the prompts that ask for good things.",
        build=build,
        table=Table(
            "Mean ranks at the first and the last step",
            ("Word", "Category", "First", "Last"),
            tuple((w.word, ", ".join(w.categories), f"{w.first_rank:,.1f}", f"{w.last_rank:,.1f}") for w in words),
        ),
    )
