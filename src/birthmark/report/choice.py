"""The page of a choice between bases: performance against values, the trend with pairs, what is told apart.

Reads `choice.json` and computes nothing but where marks stand.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Choice, read_record
from birthmark.report.columns import Column, Table, bare_p, number, yes
from birthmark.report.figure import NARROW, SOFT, WIDE, Chart, Figure, by_hue, by_shape, data
from birthmark.report.layout import Items, Page, Part, Text, Topic, write_page
from birthmark.values.formats import interval, listed, percent, plural, signed
from birthmark.values.wording_choice import accuracy_sentence, forecast_sentence, points

BASES = Column(("base_b", "base_a"), "Bases", lambda b, a: f"{b} − {a}")
PAIRS = Column("pairs", "Pairs", number(","))
LEXICON = Column("lexicon", "Lexicon")
TEMPLATES = {"own": "its own", "given": "the one given", "plain": "the bundled plain"}
ROOM = 0.08  # of the range of what is drawn, left free on either side
GUESS = 0.5
INTERVALS = (
    "Thick bars: 95% over held-out pairs (up) and over words (across). Thin bars: 95% over seeds, cut at the frame."
)


def write_choice_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `choice.json`; returns the page's path."""
    choice = read_record(out / "choice.json", Choice)
    most = choice.pairs[-1]
    apart: list[Part] = [
        Items([row.sentence for row in choice.differences if row.pairs == most]),
        Items([text for text in choice.sentences if "random heads give (" in text and "ranks towards" in text]),
        *_apart(choice),
    ]
    topics = [
        Topic(
            "performance", "Performance against values", [performance_figure(choice, name) for name in choice.lexicons]
        ),
        Topic("apart", "What is told apart", [APART, *apart], link="Told apart"),
        Topic("trend", "With more pairs", trend_figures(choice), link="Trend"),
        Topic(
            "needed", "What it would take", [NEEDED, Items([row.sentence for row in choice.needed]), *_needed(choice)]
        ),
    ]
    if choice.target is not None:
        topics.append(Topic("target", "Distance from the target", _target(choice), link="Target"))
    topics += [
        Topic("forecast", "Forecast from other bases", _forecasts(choice), link="Forecast"),
        Topic(
            "bases",
            "The bases",
            [_bases(choice), *(accuracy_sentence(item) for item in choice.accuracies if item.pairs == most)],
        ),
    ]
    if choice.warnings:
        topics.append(Topic("notes", "Notes", list(choice.warnings)))
    return write_page(
        out, Page("Which base to build on", [Text(choice.sentences[0], "lead"), Text(_study(choice))], topics)
    )


APART = (
    "Two bases are told apart where their difference holds for other held-out pairs (or other words) and for other seeds: the "
    "larger of the two p values, after Holm over all pairs of bases, is below .05. Seeds are the same for all bases, so that "
    "differences over seeds are of runs with the same pairs in the same order. Whether a lean is outside what random heads give "
    "is another question: a lean that these have too is no evidence of learning from the pairs, and is the base's all the same."
)
NEEDED = (
    "Numbers for 80% power, each with the others as they are, if the bases differ by as much as they seem to. A difference that "
    "was estimated from few seeds is itself uncertain: read these as orders of magnitude."
)


def _study(choice: Choice) -> str:
    names = listed([item.base for item in choice.bases])
    counts = listed([f"{count:,}" for count in choice.pairs])
    return (
        f"{names}: {plural(len(choice.seeds), 'reward model')} each on {counts} pairs of {choice.preferences}, the same pairs in "
        f"the same order; accuracy on {choice.held_out:,} held-out pairs, each of a question that no run was trained on."
    )


def _apart(choice: Choice) -> list[Table]:
    rows: list[dict[str, Any]] = [
        row.model_dump() | {"what": "accuracy" if row.lexicon is None else f"lean, {row.lexicon}"}
        for row in choice.differences
    ]
    columns = (
        Column("what", "Of"),
        BASES,
        PAIRS,
        Column(
            ("difference", "measured"),
            "Difference",
            lambda value, of: points(value) if of == "accuracy" else signed(value),
        ),
        Column(("sample_low", "sample_high", "measured"), "95% over pairs or words", _scaled),
        Column(("seeds_low", "seeds_high", "measured"), "95% over seeds", _scaled),
        Column("p_holm", "p", bare_p),
        Column("told_apart", "Told apart", yes),
        Column("outside_heads", "Outside random heads", yes),
    )
    return [Table("Every difference: accuracies in points, leans in ranks", columns, rows)]


def _scaled(low: float | None, high: float | None, measured: str) -> str:
    return share_interval(low, high) if measured == "accuracy" else interval(low, high)


def _needed(choice: Choice) -> list[Table]:
    columns = (
        Column(
            ("measured", "lexicon"),
            "Of",
            lambda measured, lexicon: measured if lexicon is None else f"{measured}, {lexicon}",
        ),
        BASES,
        Column(
            ("difference", "measured"),
            "Difference",
            lambda value, of: points(value) if of == "accuracy" else signed(value),
        ),
        Column("seeds", "Seeds", number(",")),
        Column(("detectable", "measured"), "These seeds find", _detectable),
        Column("held_out", "Held-out pairs", number(",")),
        Column("bases", "Base checkpoints a family", number(",")),
    )
    return [Table("What it would take", columns, choice.needed)]


def _detectable(value: float | None, measured: str) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f} points" if measured == "accuracy" else f"{value:.1f} ranks"


def _target(choice: Choice) -> list[Part]:
    columns = (
        Column("base", "Base"),
        LEXICON,
        Column("target", "Target", signed),
        Column("distance", "Distance", number(".1f")),
        Column("within_words", "The target in the interval over words", yes),
        Column("within_seeds", "In that over seeds", yes),
    )
    nearer = (
        LEXICON,
        BASES,
        Column("difference", "Difference of the distances", signed),
        Column("nearer", "Nearer", lambda name: name or "cannot be told"),
    )
    said = (
        f"{choice.nearest} is the nearest to the target." if choice.nearest else f"None is named: {choice.nearest_why}."
    )
    return [
        said,
        Table(f"Distances from the target, {choice.target}, in ranks", columns, choice.distances),
        Table("Which of two is nearer, over words and over seeds", nearer, choice.nearer),
    ]


def _forecasts(choice: Choice) -> Sequence[Part]:
    if choice.forecasts_why is not None:
        return [f"No forecast: {choice.forecasts_why}."]
    columns = (
        Column("base", "Base"),
        LEXICON,
        Column("base_lean", "As a language model", signed),
        Column("forecast", "Forecast", signed),
        Column(("low", "high"), "Interval", interval),
        Column("level", "Level", number(".0%")),
        Column("bases", "Base checkpoints"),
        Column("seen", "Here", signed),
        Column("held", "Held", yes),
    )
    return [
        Items([forecast_sentence(item) for item in choice.forecasts]),
        Table("Forecasts, in ranks", columns, choice.forecasts),
    ]


def _bases(choice: Choice) -> Table:
    leans = {(item.base, item.lexicon): item for item in choice.language}
    rows = [
        {
            **base.model_dump(include={"base", "family", "chat_template", "frame"}),
            **leans[base.base, lexicon].model_dump(include={"lexicon", "lean", "words_low", "words_high"}),
        }
        for base in choice.bases
        for lexicon in choice.lexicons
    ]
    columns = (
        Column("base", "Base"),
        Column("family", "Family"),
        LEXICON,
        Column("lean", "Lean as a language model", partial(signed)),
        Column(("words_low", "words_high"), "95% over words", interval),
        Column("frame", "Frame"),
        Column("chat_template", "Chat template of its reward models", TEMPLATES.__getitem__),
    )
    return Table("The bases as language models, in one frame", columns, rows)


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
