"""What planting showed, drawn from `calibration.json`: which metric finds planted words, and from what strength on.

Computes nothing: means, intervals and order are in the record.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt

from birthmark.records import Calibration
from birthmark.records.calibration import PlantedMetric
from birthmark.report.columns import Column, Table, drawn, number, tips
from birthmark.report.figure import NARROW, SOFT, WIDE, Figure, by_hue, by_shape, data, names_above, rows_axis
from birthmark.report.layout import Topic
from birthmark.values.formats import interval, sentence

ALL_BASES = "all bases"
METRICS = {
    "log_ratio": "Log-ratio",
    "mwlr": "MWLR",
    "probability_difference": "Probability difference",
    "pointwise_kl_a": "Pointwise KL, by the first",
    "pointwise_kl_b": "Pointwise KL, by the second",
    "pointwise_js": "Pointwise Jensen–Shannon",
    "floored_log_ratio": "Log-ratio above a floor",
    "rank_difference": "Rank difference",
    "log_odds_ratio": "Odds ratio",
}


def _name(metric: str) -> str:
    return METRICS.get(metric, metric)


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f} ({interval(low, high, 3)})"


def _estimate(key: str, title: str) -> Column:
    return Column((key, f"{key}_ci_low", f"{key}_ci_high"), title, _with_interval)


BASE = Column("base", "Base", lambda base: base or ALL_BASES, tip=True)
METRIC = Column("metric", "Metric", _name, tip=True)
CATEGORY, STEPS, SEEDS = (
    Column("category", "Category", tip=True),
    Column("strength", "Steps", str, tip=True),
    Column("seeds", "Seeds"),
)
RANKED = (
    BASE,
    METRIC,
    Column("precision_at_k", "Precision at k", number(".3f"), tip=True),
    Column(("precision_at_k_ci_low", "precision_at_k_ci_high"), "95% interval", partial(interval, digits=3)),
    Column(("behind", "behind_ci_low", "behind_ci_high"), "Behind the best", _with_interval),
    Column("auroc", "AUROC", number(".4f")),
    Column("mrr", "Reciprocal rank", number(".3f")),
    SEEDS,
)
BY_STRENGTH = (
    BASE,
    CATEGORY,
    STEPS,
    METRIC,
    Column("precision_at_k", "Precision at k, taught", number(".3f"), tip=True),
    Column("unplanted_precision_at_k", "Precision at k, not taught", number(".3f"), tip=True),
    Column("auroc", "AUROC, taught", number(".3f")),
    Column("unplanted_auroc", "AUROC, not taught", number(".3f")),
)
ROWS = (
    BASE,
    CATEGORY,
    STEPS,
    METRIC,
    _estimate("auroc", "AUROC"),
    _estimate("precision_at_k", "Precision at k"),
    _estimate("mrr", "Reciprocal rank"),
    SEEDS,
)
DIVERGED = (BASE, CATEGORY, Column("seed", "Seed"), Column("why", "Why"))


def planted_topic(record: Calibration) -> Topic:
    """The topic of planted values, for a record that has some."""
    said = [
        text for text in (_how(record), record.planted_metrics_why and sentence(record.planted_metrics_why)) if text
    ]
    tables = [
        Table("How well each metric finds the planted words, with 95% intervals over seeds", ROWS, record.planted)
    ]
    if record.planted_diverged:
        tables.append(Table("Runs that diverged and are not averaged in", DIVERGED, record.planted_diverged))
    heading = "Which metric recovers planted words"
    return Topic("planted", heading, [*said, *planted_figures(record), *tables])


def planted_figures(record: Calibration) -> list[Figure]:
    """The metrics ranked, and each metric by base, category and strength."""
    ranked = [_ranking(record.planted_metrics)] if record.planted_metrics else []
    return [*ranked, *([_by_strength(record)] if record.planted else [])]


def _how(record: Calibration) -> str | None:
    setting = record.planted_setting
    if setting is None:
        return None
    return (
        f"Each run teaches one category's words as answers to questions (LoRA of rank {setting.rank}, {setting.batch_size} "
        f"answers a step, learning rate {setting.learning_rate:g}) and asks {len(setting.held_out)} others after "
        f"{', '.join(map(str, setting.strengths))} steps: the implicit reward from the original to the taught model ranks "
        "the whole vocabulary. Precision at k is the share of the k taught words among the k best; beside them stand others of "
        "the same frequency that were not taught."
    )


def _ranking(metrics: Sequence[PlantedMetric]) -> Figure:
    table = Table("The metrics, best first", RANKED, [row.model_dump() for row in metrics])
    values = [
        {
            "name": _name(row.metric),
            "base": row.base or ALL_BASES,
            "metric": row.metric,
            "precision_at_k": row.precision_at_k,
            "low": row.precision_at_k if row.precision_at_k_ci_low is None else row.precision_at_k_ci_low,
            "high": row.precision_at_k if row.precision_at_k_ci_high is None else row.precision_at_k_ci_high,
        }
        for row in metrics
    ]
    values = drawn(values, RANKED)
    order = list(dict.fromkeys(str(row["name"]) for row in values))
    bases = list(dict.fromkeys(str(row["base"]) for row in values))

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(values)).encode(y=rows_axis("name", order, narrow=narrow), yOffset=alt.YOffset("base:N"))
        hue, shape = by_hue("base", bases, narrow=narrow), by_shape("base", bases, narrow=narrow)
        bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q", color=hue)
        dots = base.mark_point(filled=True, size=70, opacity=1).encode(
            x=alt.X(
                "precision_at_k:Q",
                title="Planted words among the k best",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=[0, 1]),
            ),
            color=hue,
            shape=shape,
            tooltip=tips(RANKED),
        )
        layers = [bars, dots, *([names_above("name", order)] if narrow else [])]
        height = (20 if narrow else 14) + 14 * len(bases)
        return alt.layer(*layers).properties(width=NARROW - 10 if narrow else WIDE - 180, height=height * len(order))

    return Figure(
        name="planted-metrics",
        title="Which metric finds planted words",
        description="Share of the k planted words among the k best candidates of the vocabulary by each metric, mean over "
        "categories and strengths, with 95% intervals over seeds.",
        build=build,
        table=table,
    )


def _by_strength(record: Calibration) -> Figure:
    values = [
        {
            "name": _name(row.metric),
            "metric": row.metric,
            "base": row.base,
            "category": row.category,
            "panel": f"{row.category}, {row.base}",
            "strength": row.strength,
            "precision_at_k": row.precision_at_k,
            "unplanted_precision_at_k": row.unplanted_precision_at_k,
            "said": f"{100 * row.precision_at_k:.0f}",
        }
        for row in record.planted
    ]
    ranked = dict.fromkeys(_name(row.metric) for row in record.planted_metrics)
    order = list(ranked or dict.fromkeys(str(row["name"]) for row in values))
    bases = list(dict.fromkeys(row.base for row in record.planted))
    categories = list(dict.fromkeys(row.category for row in record.planted))
    panels = list(dict.fromkeys(str(row["panel"]) for row in values))

    def build(narrow: bool) -> Any:
        base = alt.Chart().encode(
            x=alt.X("strength:O", title="Steps", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=130 if narrow else 170)),
        )
        cells = base.mark_rect().encode(
            color=alt.Color(
                "precision_at_k:Q",
                title="Precision at k",
                legend=alt.Legend(format="%", titleColor=SOFT),
                scale=alt.Scale(scheme="tealblues", domain=[0, 1]),
            ),
            tooltip=tips(BY_STRENGTH),
        )
        light = (
            base.transform_filter("datum.precision_at_k > 0.6")
            .mark_text(fontSize=10, color="white")
            .encode(text="said:N")
        )
        dark = (
            base.transform_filter("datum.precision_at_k <= 0.6")
            .mark_text(fontSize=10, color="black")
            .encode(text="said:N")
        )
        panel = alt.layer(cells, dark, light, data=data(drawn(values, BY_STRENGTH))).properties(
            width=alt.Step(26), height=alt.Step(16 if narrow else 18)
        )
        if not narrow:
            row, column = (
                alt.Row("base:N", sort=bases, title=None),
                alt.Column("category:N", sort=categories, title=None),
            )
            return panel.facet(row=row, column=column)
        return panel.facet(facet=alt.Facet("panel:N", sort=panels, title=None), columns=1)

    return Figure(
        name="planted-by-strength",
        title="From how much teaching on each metric finds the words",
        description="Precision at k of each metric by base, category and steps of fine-tuning, mean over seeds.",
        build=build,
        table=Table("Words that were taught and words as frequent that were not", BY_STRENGTH, record.planted),
        note="Numbers are percentages of the planted words.",
    )
