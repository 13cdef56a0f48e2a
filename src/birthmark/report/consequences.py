"""The page of `birthmark consequences`: shifts with intervals, words that rose and fell, example pairs, what the policy said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.foreign import shortened
from birthmark.records import Consequences, ExamplePair, ShiftLink, WordRate, read_record
from birthmark.report.columns import Column, Table, bare_p, drawn, number, tips, yes
from birthmark.report.figure import (
    INK,
    LINE,
    NARROW,
    SOFT,
    WIDE,
    Figure,
    by_hue,
    by_shape,
    data,
    names_above,
    rows_axis,
)
from birthmark.report.layout import Custom, Fold, Page, Part, Text, Topic, Warnings, write_page
from birthmark.report.text import renamed, short_names
from birthmark.values.consequences import is_main
from birthmark.values.formats import interval
from birthmark.values.wording_consequences import (
    about_answers,
    difference_sentence,
    family_reason,
    length_sentence,
    link_sentence,
    method_sentences,
    title,
)

MODEL, CATEGORY = Column("model", "Reward model", tip=True), Column("category", "Category", tip=True)


def within(low: float | None, high: float | None) -> str:
    return interval(low, high, 2)


RATES = {"per_thousand_words": "words per 1,000 words", "share_of_answers": "share of answers with any"}
SHIFT = Column("shift", "Shift", number("+.2f"), tip=True)
INTERVAL = Column(("ci_low", "ci_high"), "95% interval", within, tip=True)
MAIN = (
    MODEL,
    CATEGORY,
    Column("policy", "Policy", number(".2f"), tip=True),
    Column("chosen", "Chosen", number(".2f"), tip=True),
    SHIFT,
    INTERVAL,
    Column("p_adjusted", "p, rewards shuffled (Holm)", bare_p, tip=True),
    Column(("heads_low", "heads_high"), "95% of random heads", within),
    Column("p_heads", "p, random heads", bare_p),
    Column("detectable", "Detectable", number(".2f")),
)
EVERY = (
    MODEL,
    Column("lexicon", "Lexicon"),
    CATEGORY,
    Column("rule", "Chosen", lambda rule: "softly" if rule == "soft" else "best of n"),
    Column("rate", "Rate", lambda rate: RATES[rate]),
    Column("length_fixed", "Length held fixed", yes),
    Column("about", "Questions", lambda about: about or "all"),
    Column("policy", "Policy", number(".3f")),
    Column("shift", "Shift", number("+.3f")),
    Column(("ci_low", "ci_high"), "95% interval", lambda low, high: interval(low, high, 3)),
    Column("p_shuffled", "p, shuffled", bare_p),
    Column("p_adjusted", "Holm", bare_p),
    Column("p_heads", "p, random heads", bare_p),
    Column("detectable", "Detectable", number(".3f")),
    Column("shift_why", "Why not"),
)
CHOOSERS = (
    MODEL,
    Column("beta", "β", number(".3g")),
    Column("kl_soft", "KL, softly", number(".2f")),
    Column("kl_best", "KL, best of n", number(".2f")),
    Column("length_r", "Reward and length (r)", number("+.2f")),
    Column("mean_words_soft", "Words chosen softly", number(".1f")),
    Column("mean_words_best", "Best of n", number(".1f")),
    Column("mean_words_length_fixed", "Length held fixed", number(".1f")),
    Column("equal_questions", "Questions with one reward", number(",.0f")),
)
WORDS = (
    Column("word", "Word"),
    Column("categories", "Category", lambda names: ", ".join(names) or "–"),
    Column("n_answers", "Answers with it", number(",.0f")),
    Column("policy", "Policy", number(".2f")),
    Column("chosen", "Chosen", number(".2f")),
    Column("shift", "Shift", number("+.2f")),
    Column("t", "Shift ÷ SE", number("+.1f")),
)
FAMILIES = (
    Column("category", "Category"),
    Column(("family_b", "family_a"), "Families", lambda b, a: f"{b} less {a}"),
    Column("difference", "Difference", number("+.2f")),
    Column("n_units", "Base checkpoints", lambda units: ", ".join(f"{name} {n}" for name, n in units.items())),
    Column("p_exact", "p", bare_p),
    Column("min_p", "Smallest p there could be", bare_p),
)
LINK = (MODEL, Column("contrast", "One-word contrast (ranks)", number("+.1f"), tip=True), SHIFT)


def shift_figure(record: Consequences, lexicon: str) -> Figure:
    """Soft shifts with intervals, a band a reward model, a mark a category; the grey bar is what random heads give."""
    shifts = [item for item in record.shifts if is_main(item) and item.lexicon == lexicon and item.shift is not None]
    categories = list(dict.fromkeys(item.category for item in shifts))
    rows = drawn(
        [{**item.model_dump(), "row": f"{item.model} · {item.category}"} for item in shifts], MAIN
    )  # fmt: skip
    order = [row["row"] for row in rows]

    def build(narrow: bool) -> Any:
        y = rows_axis("row", order, narrow=narrow)
        base = alt.Chart(data(rows)).encode(y=y)
        axis = alt.Axis(tickCount=4 if narrow else 7)
        heads = base.mark_bar(color=LINE, height=14).encode(
            x=alt.X("heads_low:Q", title="Words per 1,000, chosen less said", axis=axis), x2="heads_high:Q"
        )
        rules = base.mark_rule(strokeWidth=2, color=SOFT).encode(x="ci_low:Q", x2="ci_high:Q")
        points = base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X("shift:Q", axis=axis),
            color=by_hue("category", categories, 4, narrow=narrow),
            shape=by_shape("category", categories, narrow=narrow),
            tooltip=tips(MAIN),
        )
        zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, strokeDash=[3, 3]).encode(x="zero:Q")
        layers = [heads, zero, rules, points, *([names_above("row", order)] if narrow else [])]
        height = (46 if narrow else 30) * max(1, len(order))
        return alt.layer(*layers).properties(width=NARROW - 20 if narrow else WIDE - 120, height=height)

    return Figure(
        name=f"shifts-{lexicon}",
        title="How far each reward model would shift the policy's words",
        description="The rate of each category's words in what a reward model chooses softly, less that in what the policy said.",
        note="A line is the 95% interval over questions; the pale bar holds 95% of random heads on the same states. Where the "
        "line leaves out 0 and the point is outside the bar, the reward model shifts words further than chance, and further than "
        "an untrained direction.",
        build=build,
        table=Table(f"Soft shifts of {lexicon}, words per 1,000 words", MAIN, shifts),
    )


def link_figure(link: ShiftLink) -> Figure:
    """A point a reward model."""
    rows = drawn([point.model_dump() for point in link.points], LINK)

    def build(narrow: bool) -> Any:
        return (
            alt.Chart(data(rows))
            .mark_point(filled=True, size=110, opacity=1, color=INK)
            .encode(
                x=alt.X("contrast:Q", title="One-word contrast (ranks)", axis=alt.Axis(tickCount=4 if narrow else 7)),
                y=alt.Y("shift:Q", title="Shift, first less second"),
                tooltip=tips(LINK),
            )
            .properties(width=NARROW - 60 if narrow else 420, height=240)
        )

    return Figure(
        name=f"link-{link.lexicon}",
        title="Do one-word contrasts predict shifts?",
        description=f"One-word contrasts ({' less '.join(link.categories)}) against soft shifts, a point a reward model.",
        note=link_sentence(link),
        build=build,
        table=Table(f"One-word contrasts and shifts, {link.lexicon}", LINK, link.points),
    )


def word_parts(words: Sequence[WordRate], model: str) -> list[Part]:
    """The words that rose and fell the most under one reward model, then those of the lexicons."""
    mine = [item for item in words if item.model == model]
    rose = [item for item in mine if item.shift > 0 and not _of_lexicon_only(item, mine)][:12]
    fell = [item for item in reversed(mine) if item.shift < 0 and not _of_lexicon_only(item, mine)][:12]
    of_lexicons = sorted((item for item in mine if item.categories), key=lambda item: -item.shift)
    parts: list[Part] = [
        Table(f"Words that rose: {model}", WORDS, rose),
        Table(f"Words that fell: {model}", WORDS, fell),
    ]
    if of_lexicons:
        parts.append(
            Fold(f"The lexicons' words: {model}", [Table(f"The lexicons' words: {model}", WORDS, of_lexicons)])
        )
    return parts


def _of_lexicon_only(item: WordRate, mine: Sequence[WordRate]) -> bool:
    """Whether a word is listed for its category and not for its shift: those follow the two ends."""
    return bool(item.categories) and mine.index(item) >= 24


def example(pair: ExamplePair) -> Part:
    """One question with what was chosen and what the policy would have said, each text cut where it is long."""
    choices = [(f"{pair.a} chooses", pair.chosen_by_a)]
    if pair.b is not None:
        choices.append((f"{pair.b} chooses" + (" the same" if pair.same else ""), pair.chosen_by_b or ""))
    choices.append(("The policy might have said", pair.policy))
    shown = [(name, shortened(text, line=900) if text else "") for name, text in choices]
    return Custom("answers", {"question": pair.text, "answers": shown})


def differences_part(record: Consequences) -> list[Part]:
    """Every difference in words, folded up where they are many."""
    said = [difference_sentence(item) for item in record.differences]
    if len(said) <= 8:
        return list(said)
    return [*said[:4], Fold(f"All {len(said)} differences", list(said))]


def write_consequences_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/consequences.json`; returns the page's path."""
    record = read_record(out / "consequences.json", Consequences)
    record = renamed(record, short_names([record.policy.model, *(item.model for item in record.choosers)]))
    opening: list[Part] = [
        Text(record.sentences[0], "lead"),
        *(Text(text, "lead second") for text in record.sentences[1:]),
    ]
    if record.warnings:
        opening.append(Warnings(record.warnings))
    shifts: list[Part] = []
    for lexicon in record.lexicons:
        missing = [item for item in record.shifts if is_main(item) and item.lexicon == lexicon and item.shift is None]
        if len(missing) < sum(is_main(item) and item.lexicon == lexicon for item in record.shifts):
            shifts.append(shift_figure(record, lexicon))
        shifts += [Text(f"{item.model}, {item.category}: {item.shift_why}.", "missing") for item in missing]
    every = Table("Every shift", EVERY, record.shifts)
    shifts += [
        *method_sentences(record),
        Fold("Every shift: both rules and rates, length held fixed, by group", [every]),
    ]
    topics = [Topic("shifts", "The shifts", shifts)]
    if record.differences:
        topics.append(Topic("differences", "Between reward models", differences_part(record)))
    families: list[Part] = [family_reason(record)] if record.families_why else []
    if record.families:
        families.append(Table("Families, over base checkpoints: words per 1,000 words", FAMILIES, record.families))
    topics.append(Topic("families", "Between families", families))
    words = [part for item in record.choosers for part in word_parts(record.words, item.model)]
    note = "Of words in at least five answers to three questions, those with the largest shift for its standard error. A list of "
    topics.append(
        Topic("words", "Words that rose and fell", [Text(note + "many words has large ones by chance."), *words])
    )
    drawn_by = Text(
        f"{len(record.examples)} questions, drawn by the seed and not picked; what is chosen is the best of n."
    )
    topics.append(Topic("examples", "Examples", [drawn_by, *map(example, record.examples)]))
    lengths = [length_sentence(item, record.counts.mean_words) for item in record.choosers]
    topics.append(Topic("length", "Length", [*lengths, Table("The reward models' choices", CHOOSERS, record.choosers)]))
    links: list[Part] = []
    for item in record.links:
        links.append(link_figure(item) if item.points else link_sentence(item))
    topics.append(Topic("link", "From words to behaviour", links, link="Words and behaviour"))
    topics.append(Topic("policy", "What the policy said", list(about_answers(record.counts))))
    kicker = f"{record.policy.model} answers {record.counts.questions} questions {record.policy.n} times"
    return write_page(out, Page(title(record), opening, topics, kicker=kicker))
