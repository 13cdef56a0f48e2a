"""The page of an edited model, drawn from its `birthmark.json`: what is left of the lean, what it costs, other ways. Computes nothing."""

from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Edit, Ensemble, LeanChange, read_record
from birthmark.report.columns import Column, Table, bare_p, drawn, number, tips
from birthmark.report.figure import INK, LINE, NARROW, WIDE, Figure, by_hue, by_shape, data, names_above, rows_axis
from birthmark.report.layout import Code, Fold, Items, Page, Part, Text, Topic, Warnings, write_page
from birthmark.report.text import renamed, short_names
from birthmark.values.formats import interval, minus, percent, signed
from birthmark.values.wording_edit import CANNOT, NAMES

WAYS = {**NAMES, "before": "Before"}
PARTS = {
    ("training", "training"): "Words and prompts of the estimate",
    ("training", "held-out"): "Held-out prompts",
    ("held-out", "training"): "Held-out words",
    ("held-out", "held-out"): "Held-out words and prompts",
    ("all", "all"): "All words and prompts",
}


def _part(words: str, prompts: str) -> str:
    return PARTS[words, prompts]


def _points(share: float | None) -> str:
    return "–" if share is None else signed(100 * share)


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _of(low: float, high: float) -> str:
    return interval(100 * low, 100 * high)


WAY = Column("method", "Way", lambda name: WAYS[name], tip=True)
WHERE = Column(("words", "prompts"), "Measured on", _part, tip=True)
LEANS = (
    WHERE,
    WAY,
    Column("before", "Before", number(",.1f"), tip=True),
    Column(("before_ci_low", "before_ci_high"), "95% over stems", interval),
    Column("after", "After", number(",.1f"), tip=True),
    Column(("after_ci_low", "after_ci_high"), "95% over stems", interval),
    Column("change", "Change", signed, tip=True),
    Column(("change_ci_low", "change_ci_high"), "95%, paired", interval),
    Column("remains", "Remains", _share, tip=True),
    Column("n_words", "Words"),
    Column("n_prompts", "Prompts"),
)
PAIRS = (
    WAY,
    Column("n_pairs", "Pairs"),
    Column("accuracy_before", "Accuracy before", number(".1%")),
    Column(("accuracy_before_ci_low", "accuracy_before_ci_high"), "95%, %", _of),
    Column("accuracy_after", "After", number(".1%")),
    Column(("accuracy_after_ci_low", "accuracy_after_ci_high"), "95%, %", _of),
    Column("accuracy_change", "Change, points", _points),
    Column(("accuracy_change_ci_low", "accuracy_change_ci_high"), "95%, paired", _of),
    Column("p_mcnemar", "McNemar's p", bare_p),
)
MARGINS = (
    WAY,
    Column("margin_before", "Margin before", number(".3f")),
    Column("margin_change", "Change", partial(signed, digits=3)),
    Column(("margin_change_ci_low", "margin_change_ci_high"), "95%, paired", partial(interval, digits=3)),
    Column("margin_sd", "SD of rewards", number(".3f")),
    Column("spearman", "Spearman", number(".3f")),
    Column("variance_added", "Variance added", number(".3f")),
    Column("moved", "Head moved", number(".1%")),
)


def _tidy(value: float) -> str:
    """Four digits, and a rounding error as 0."""
    return number(".4f")(round(value, 8) + 0.0)


ROWS = (
    Column("adjective", "Adjective"),
    Column("framing", "Framing"),
    Column("prompts", "Prompts"),
    Column("before", "Reward difference before", _tidy),
    Column("wanted", "Wanted (t)", _tidy),
    Column("after", "After (C w′)", _tidy),
)
RIDGES = (Column("ridge", "Ridge"), Column("cost", "Variance added", number(".4g")))
MEMBERS = (
    Column("model", "Reward model"),
    Column("contrast", "Contrast", number(",.1f")),
    Column("accuracy", "Accuracy on held-out pairs", number(".1%")),
)
TEN = MEMBERS[:2]
SENTENCES = (
    Column("format", "Sentence", lambda text: text or "The word alone"),
    *(column for column in LEANS if column not in (WHERE, WAY)),
)
CHOICES = (
    Column("category", "Words"),
    Column("policy", "Policy", number(",.1f")),
    Column("before", "Shift before", signed),
    Column(("before_ci_low", "before_ci_high"), "95% over questions", interval),
    Column("after", "Shift after", signed),
    Column(("after_ci_low", "after_ci_high"), "95% over questions", interval),
    Column("change", "Change", signed),
    Column(("change_ci_low", "change_ci_high"), "95%, paired", interval),
    Column("p_swapped", "p", bare_p),
)


def write_edit_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/birthmark.json`; returns the page's path."""
    record = read_record(out / "birthmark.json", Edit)
    others = record.ensemble.models if record.ensemble else ()
    named = short_names([record.name, *([record.target.model] if record.target.model else []), *others])
    edit = renamed(record, named).model_copy(update={"command_line": record.command_line})
    opening: list[Part] = [
        Text(edit.sentences[0], "lead"),
        Text(" ".join(edit.sentences[1:]), "lead second"),
        *([Warnings(edit.warnings)] if edit.warnings else []),
    ]
    return write_page(out, Page(f"An edit of {edit.name}", opening, _topics(edit), kicker="birthmark edit"))


def _topics(edit: Edit) -> list[Topic]:
    return [
        Topic("remains", "What is left of the lean", _remains(edit)),
        Topic("beyond", "Beyond single words", _beyond(edit)),
        Topic("cost", "What it costs", _cost(edit)),
        Topic("alternatives", "Alternatives", _alternatives(edit)),
        Topic("cannot", "What an edit of one layer cannot do", [Items(CANNOT)]),
        Topic("how", "How it was done", _how(edit)),
    ]


def _remains(edit: Edit) -> list[Part]:
    a, b = edit.categories
    leans = [{"method": way.method, **lean.model_dump()} for way in edit.methods for lean in way.lean]
    about = (
        f"A contrast is of mean ranks among {edit.methods[0].lean[0].scaled_to:,} words, 1 being best: {a} less {b} after prompts "
        f"that ask for good things, less the same after prompts that ask for bad ones. Below zero {a} is preferred. The edit "
        f"was estimated on {len(edit.training_words)} words and {len(edit.training_prompts)} prompts; {len(edit.held_out_words)} "
        f"words (by stem) and {len(edit.held_out_prompts)} prompts (by adjective) were held out."
    )
    table = Table("The contrast before and after, by way and by what it is measured on", LEANS, leans)
    found: list[Part] = [about, _figure(edit, table)]
    if edit.other is not None:
        other = {"method": "edit", **edit.other.lean.model_dump()}
        found.append(
            f"The lexicon {edit.other.lexicon} was not used; {edit.other.left_out} of its words share a stem with the words of the estimate and "
            "are left out. It is asked after held-out prompts."
        )
        columns = tuple(column for column in LEANS if column not in (WHERE, WAY))
        found.append(Table(f"A lexicon that was not used: {edit.other.lexicon}", columns, [other]))
    elif edit.other_why:
        found.append(f"There is no second lexicon: {edit.other_why}.")
    return found


def _beyond(edit: Edit) -> list[Part]:
    found: list[Part] = []
    if edit.in_sentences is None:
        found.append(f"In sentences: {edit.in_sentences_why}.")
    else:
        rows = [{**item.lean.model_dump(), "format": item.text} for item in edit.in_sentences]
        found += [
            "Held-out words after held-out prompts, alone and where they stand in a sentence.",
            Table("The contrast in sentences, before and after", SENTENCES, rows),
        ]
    chosen = edit.consequences
    if chosen is None:
        return [*found, f"What a policy would say: {edit.consequences_why}."]
    about = (
        f"{chosen.policy} answers {chosen.n_questions} open questions {chosen.n} times each, and the old and the new head choose "
        "among the answers, as far from the policy as each other. A shift is a category's words per 1,000 in what is chosen, "
        f"less those in all that the policy said; p swaps the two heads within questions. The folder {chosen.folder} beside the "
        "weights has the answers and a page of their own."
    )
    missing = [f"{item.category}: {item.change_why}." for item in chosen.changes if item.change_why]
    return [
        *found,
        about,
        Table("What is chosen among a policy's answers, before and after", CHOICES, chosen.changes),
        *missing,
    ]


def _figure(edit: Edit, table: Table) -> Figure:
    order = list(PARTS.values())
    ways = ["Before", *(NAMES[way.method] for way in edit.methods if way.lean)]
    points = [_dot("before", lean, "before") for lean in edit.methods[0].lean]
    points += [_dot(way.method, lean, "after") for way in edit.methods for lean in way.lean]
    columns = (
        Column("part", "Measured on", tip=True),
        Column("way", "Way", tip=True),
        Column("contrast", "Contrast", number(",.1f"), tip=True),
        Column(("low", "high"), "95% over stems", interval, tip=True),
    )
    rows = drawn(points, columns)
    goal = edit.target.ranks or 0.0

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(rows)).encode(
            y=rows_axis("part", order, narrow=narrow),
            yOffset=alt.YOffset("way:N", sort=ways),
        )
        hue, shape = by_hue("way", ways, narrow=narrow), by_shape("way", ways, narrow=narrow)
        line = alt.Chart(data([{"goal": goal}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="goal:Q")
        zero = alt.Chart(data([{"goal": 0.0}])).mark_rule(color=LINE).encode(x="goal:Q")
        bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q", title="Contrast, ranks"), x2="high:Q", color=hue)
        dots = base.mark_point(filled=True, size=70, opacity=1).encode(
            x="contrast:Q", color=hue, shape=shape, tooltip=tips(columns)
        )
        layers = [zero, line, bars, dots, *([names_above("part", order)] if narrow else [])]
        return alt.layer(*layers).properties(
            width=NARROW - 10 if narrow else WIDE - 180, height=(16 * len(ways) + (28 if narrow else 12)) * len(order)
        )

    return Figure(
        name="edit-lean",
        title="The contrast before and after",
        description=f"The contrast of {edit.categories[0]} and {edit.categories[1]} with 95% intervals over word stems, before and "
        "after, by way of changing the head and by which words and prompts it is measured on. A dashed line is the target.",
        build=build,
        table=table,
    )


def _dot(way: str, lean: LeanChange, moment: str) -> dict[str, Any]:
    value, low, high = (getattr(lean, f"{moment}{end}") for end in ("", "_ci_low", "_ci_high"))
    return {
        "part": PARTS[lean.words, lean.prompts],
        "way": WAYS[way],
        "contrast": value,
        "low": value if low is None else low,
        "high": value if high is None else high,
    }


def _cost(edit: Edit) -> list[Part]:
    rows = [
        {**way.model_dump(exclude={"pairs", "lean"}), **way.pairs.model_dump()} for way in edit.methods if way.pairs
    ]
    why = [f"{NAMES[way.method]} has no result: {way.why}." for way in edit.methods if way.why]
    trained = edit.dropped_pairs.get("trained on")
    known = (
        f"{trained:,} pairs of the file that the model was trained on, as its run.json says, are left out."
        if trained
        else "Whether the model was trained on them is not known here."
    )
    about = (
        f"Rewards of {edit.held_out_pairs} pairs of {edit.preferences} that the edit did not see. {known} A margin is the chosen "
        "answer's reward less the rejected one's; variance added is the variance of the change over that of the rewards before."
    )
    accuracy, margins = (
        Table("Accuracy on held-out pairs", PAIRS, rows),
        Table("Margins and rewards of held-out pairs", MARGINS, rows),
    )
    return [about, *why, accuracy, margins]


def _alternatives(edit: Edit) -> list[Part]:
    found: list[Part] = []
    if edit.ensemble is None:
        found.append(f"An ensemble over bases: {edit.ensemble_why}.")
    else:
        found += _together(edit.ensemble)
    if edit.among is None:
        found.append(f"The span of published reward models: {edit.among_why}.")
    else:
        rows = [{"model": model, "contrast": value} for model, value in edit.among.models.items()]
        rows += [
            {"model": "This model before", "contrast": edit.among.before},
            {"model": "This model after", "contrast": edit.among.after},
        ]
        rows.sort(key=lambda row: float(str(row["contrast"])))
        found.append(Table("Among published reward models", TEN, rows))
    return found


def _together(found: Ensemble) -> list[Part]:
    rows = [
        {"model": model, "contrast": value, "accuracy": found.accuracies.get(model)}
        for model, value in found.models.items()
    ]
    rows.append({"model": "Mean of their z-scores", "contrast": found.contrast, "accuracy": found.accuracy})
    correlation = found.pairwise_correlation
    alike = f" The models' z-scores correlate at {minus(correlation, 2)}." if correlation is not None else ""
    about = (
        "An ensemble changes no model: rewards are z-scored over the words after each prompt and averaged "
        f"({found.n_words} words, {found.n_prompts} prompts).{alike}"
    )
    table = Table("Reward models alone and together", MEMBERS, rows)
    return [about, table, *([f"It has no accuracy: {found.accuracy_why}."] if found.accuracy_why else [])]


def _how(edit: Edit) -> list[Part]:
    head = edit.head
    what = (
        f"w′ = w − Σ⁻¹Cᵀ(CΣ⁻¹Cᵀ)⁻¹(Cw − t), w the {head.hidden:,} weights of {head.tensor} in {head.file}. Rows of C are the "
        "difference of the two categories' mean last states by framing and adjective, over training words and prompts; Σ is the "
        f"covariance of the last states of {2 * edit.training_pairs} answers. {_aim(edit)} The head moved by "
        f"{percent(head.moved, 1)} of its length (cosine {minus(head.cosine, 3)}); stored in {head.dtype}, what was set is off by "
        f"at most {head.rounding:.1e}."
    )
    tried = [{"ridge": f"{float(ridge):.3g}", "cost": cost} for ridge, cost in edit.ridge_tried.items()]
    parts: list[Part] = [
        what,
        Table("What was set: reward differences by row of C", ROWS, edit.constraints),
        (
            f"The ridge is {edit.ridge:.3g} times the mean variance of a state's coordinate, the one that adds least variance to the "
            "rewards of answers left out, in five folds of pairs."
        ),
        Fold(
            "Ridges that were tried",
            [Table("The variance that an edit adds to the rewards of answers left out", RIDGES, tried)],
        ),
        Fold(
            "Words and prompts",
            [
                f"Estimated on: {', '.join(edit.training_words)}.",
                f"Held out: {', '.join(edit.held_out_words)}.",
                f"Prompts of the estimate: {', '.join(edit.training_prompts)}; held out: {', '.join(edit.held_out_prompts)}.",
            ],
        ),
    ]
    if edit.earlier:
        parts.append(
            "Earlier edits: " + " ".join(f"{one.lexicon} to {one.target}. {one.sentence}" for one in edit.earlier)
        )
    if edit.command_line:
        parts.append(Code(edit.command_line))
    return parts


def _aim(edit: Edit) -> str:
    if edit.target.ranks is None:
        return "The target is neutral: t = 0."
    whose = f", that of {edit.target.model} on the same words and prompts" if edit.target.model else ""
    return (
        f"The target is {minus(edit.target.ranks)} ranks{whose}: t is Cw with the same number added in every row of positive "
        "prompts and taken off in the others, until the contrast of ranks on the training words is there."
    )
