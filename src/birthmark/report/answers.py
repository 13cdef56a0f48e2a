"""Values in sentences: the figure, the table and the topic of the page. It computes nothing."""

from functools import partial
from typing import Any

import altair as alt

from birthmark.records import AnswerFormats, ModelAnswers
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import (
    FAMILY_HUES,
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
from birthmark.report.layout import Fold, Part, Text, Topic
from birthmark.values.formats import interval, percent, signed

LEANS = (
    Column("model", "Model", tip=True),
    Column("row", "Format", tip=True),
    Column("text", "Answer", tip=True),
    Column("contrast", "Contrast", signed, tip=True),
    Column(("ci_low", "ci_high"), "95% over words", interval, tip=True),
    Column("rho", "ρ with the word alone", number(".2f"), tip=True),
)
VARIANCE = (
    Column("model", "Model"),
    Column("lexicon", "Word list"),
    Column("framing", "Asked for", lambda framing: {"positive": "the best", "negative": "the worst"}.get(framing, "–")),
    *(
        Column(key, title, percent)
        for key, title in (
            ("word", "Word"),
            ("word_template", "Word × answer"),
            ("word_prompt", "Word × prompt"),
            ("word_template_prompt", "The rest"),
        )
    ),
    *(
        column
        for over, title in (("prompts", "prompts"), ("templates", "answers"))
        for column in (
            Column(f"over_{over}", f"Reliability over {title}", number(".2f")),
            Column((f"over_{over}_low", f"over_{over}_high"), "95%", partial(interval, digits=2)),
            Column(f"over_{over}_needed", f"{title.capitalize()} for .8"),
        )
    ),
)


def answers_topic(record: AnswerFormats) -> Topic:
    """Whether the values hold in sentences: sentences, a figure a lexicon, and what the variance of ranks is."""
    parts: list[Part] = [Text(item.sentence, "lead second") for item in record.models]
    for lexicon in dict.fromkeys(item.lexicon for item in record.models):
        of_list = [item for item in record.models if item.lexicon == lexicon]
        if any(lean.contrast is not None for item in of_list for lean in item.formats):
            parts.append(answers_figure(of_list))
    rows = [_variance_row(item, at) for item in record.models for at in range(len(item.variance))]
    if rows:
        parts.append(Table("What the variance of ranks is, and how reliable the words' ranks are", VARIANCE, rows))
    parts += [
        Text(f"{item.model}, {item.lexicon}: {item.variance_why}.", "missing")
        for item in record.models
        if item.variance_why
    ]
    parts.append(Fold("What these numbers are", [Text(record.rule), Text(record.note)]))
    return Topic("answers", "Do these values hold in sentences?", parts, "In sentences")


def answers_figure(models: list[ModelAnswers]) -> Figure:
    """The contrast of each model under each answer format, with its interval over words."""
    rows = [row for item in models for row in _leans(item)]
    order = list(dict.fromkeys(row["row"] for row in rows))
    first, second = models[0].categories
    caption = f"Contrast {first} − {second} by answer format, mean ranks among {models[0].n_words:,} words"
    table = Table(caption, LEANS, rows)
    names = list(dict.fromkeys(item.model for item in models))
    return Figure(
        name=f"{models[0].lexicon}-answers",
        title="One-word values in sentences",
        description=f"The contrast between {first} and {second} of each model, for the word alone and in each sentence.",
        build=lambda narrow: _drawn(table, order, names, f"← {first}   ·   contrast, ranks   ·   {second} →", narrow),
        table=table,
        note=f"Below zero, {first} words gain on {second} words when good things are asked for. Lines are 95% intervals over "
        "words. A language model has no mark where a sentence begins like an earlier one: it reads the same before the word.",
    )


def _leans(item: ModelAnswers) -> list[dict[str, Any]]:
    at = [lean.format for lean in item.formats].index("word")
    found = []
    for place, lean in enumerate(item.formats):
        values = [matrix.matrix[at][place] for matrix in item.correlations]
        given = [value for value in values if value is not None]
        rho = sum(given) / len(given) if given else None
        text = lean.text or "{word}"
        found.append(
            {"model": item.model, "row": lean.format.replace("_", " "), **lean.model_dump(), "text": text, "rho": rho}
        )
    return found


def _drawn(table: Table, order: list[str], names: list[str], title: str, narrow: bool) -> Any:
    base = Chart(data(table.drawn)).encode(
        y=rows_axis("row", order, narrow=narrow),
        yOffset=alt.YOffset("model:N", sort=names),
        color=by_hue("model", names, FAMILY_HUES, narrow=narrow),
        tooltip=table.tips,
    )
    scale = alt.Scale(zero=False)
    layers = [
        Chart(data([{}])).mark_rule(color=SOFT, strokeDash=[3, 3]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("ci_low:Q", title=title, scale=scale), x2="ci_high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=alt.X("contrast:Q", title=title, scale=scale), shape=by_shape("model", names, narrow=narrow)
        ),
    ]
    if narrow:
        layers.append(names_above("row", order))
    height = (16 + 9 * len(names) + (16 if narrow else 0)) * len(order)
    return alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=height)


def _variance_row(item: ModelAnswers, at: int) -> dict[str, Any]:
    found = item.variance[at]
    row: dict[str, Any] = {"model": item.model, "lexicon": item.lexicon, "framing": found.framing, **found.shares}
    for over, value in (("prompts", found.over_prompts), ("templates", found.over_templates)):
        row |= {
            f"over_{over}": value.coefficient,
            f"over_{over}_low": value.ci_low,
            f"over_{over}_high": value.ci_high,
            f"over_{over}_needed": value.needed,
        }
    return row
