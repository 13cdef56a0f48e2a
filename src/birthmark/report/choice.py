"""The page of a choice between bases: performance against values, the trend with pairs, what is told apart.

Reads `choice.json` and computes nothing but the places of marks.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from birthmark.records import Choice, read_record
from birthmark.report.choice_figures import performance_figure, share_interval, trend_figures
from birthmark.report.columns import Column, Table, bare_p, number, yes
from birthmark.report.layout import Items, Page, Part, Text, Topic, write_page
from birthmark.values.formats import interval, listed, plural, signed
from birthmark.values.wording_choice import accuracy_sentence, forecast_sentence, points

BASES = Column(("base_b", "base_a"), "Bases", lambda b, a: f"{b} − {a}")
PAIRS = Column("pairs", "Pairs", number(","))
LEXICON = Column("lexicon", "Lexicon")
TEMPLATES = {"own": "its own", "given": "the one given", "plain": "the bundled plain"}


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
