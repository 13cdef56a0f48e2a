"""The page of `birthmark calibrate tests`: figures of rates, power and coverage."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Calibration, Coverage, Fitted, LabelShuffle, NullRate, RowModel, read_record
from birthmark.report.columns import Column, Table, drawn, number, tips
from birthmark.report.figure import INK, NARROW, SOFT, WIDE, Figure, by_hue, by_shape, data, names_above, rows_axis
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.report.planted import planted_topic
from birthmark.values.formats import decimal, signed

TESTS = {
    "mixed_model_three_way": "Mixed model (published)",
    "any_panel_bonferroni": "Some panel, Bonferroni (published)",
    "any_panel_max_t": "Some panel, max |t|, models",
    "model_level": "Exact, models",
    "headline": "Exact, base checkpoints",
    "welch_t model": "Welch's t, models",
    "welch_t base_checkpoint": "Welch's t, base checkpoints",
    "crossed": "Crossed",
    "crossed_clustered_by_adjective": "Crossed, by adjective",
    "crossed_clustered_by_base": "Crossed, by base checkpoint",
    "words": "Words, models as run",
}


INTERVALS = {
    "headline": "Base checkpoints (headline)",
    "model_level": "Models",
    "crossed": "Crossed",
    "crossed_clustered_by_adjective": "Crossed, by adjective",
    "crossed_clustered_by_base": "Crossed, by base checkpoint",
    "models_fixed": "Words, models as run",
    "model_cells": "Words, a model's median rank",
    "word_effects": "Base checkpoints, a single word",
    "forecast_jackknife_plus": "Forecast of a reward model's lean from its base's",
}


LEXICONS = {
    "big2": "Big Two",
    "mfd2_as_published": "Moral foundations, as published",
    "mfd2_all_columns": "Moral foundations, all columns",
}


def test_name(test: str, unit: str) -> str:
    """A test as a reader knows it."""
    return TESTS.get(test) or TESTS.get(f"{test} {unit}") or test


def interval_name(name: str) -> str:
    return INTERVALS.get(name, name)


LAYOUT, TEST = Column("layout", "Layout"), Column(("test", "unit"), "Test", test_name, tip=True)
LEVEL, ERROR = Column("alpha", "Level", number(".3g")), Column("mc_error", "Error", lambda error: f"± {error:.3f}")
STUDIES = Column("studies", "Studies", number(","))
RATES = (LAYOUT, TEST, LEVEL, Column("rate", "False positives", number(".3f")), ERROR, STUDIES)
OF_FORECASTS = (
    LAYOUT,
    Column("level", "Nominal", number(".3f")),
    Column("coverage", "Coverage", number(".3f")),
    ERROR,
    Column("width", "Mean width", number(".1f")),
    STUDIES,
)
COVERAGE = (
    LAYOUT,
    Column("interval", "Interval", interval_name),
    Column("target", "Of"),
    Column("coverage", "Coverage", number(".3f")),
    ERROR,
    Column("width", "Mean width", number(".1f")),
    STUDIES,
)
POWER = (
    LAYOUT,
    TEST,
    LEVEL,
    Column("shift", "Difference", partial(signed, digits=0)),
    Column("power", "Power", number(".3f")),
    ERROR,
)
DOTS = (
    Column("name", "Of", tip=True),
    Column("icc", "Clustering", tip=True),
    Column("value", "Share", number(".1%"), tip=True),
)
BY_DESIGN = (
    Column("test", "Test", tip=True),
    Column("bases", "Base checkpoints a family", str, tip=True),
    Column("rate", "Called significant", number(".1%"), tip=True),
    Column("alpha", "Level", number(".3f"), tip=True),
)
FOUND = (
    Column("bases", "Base checkpoints", tip=True),
    Column("shift", "Difference in ranks", number("g"), tip=True),
    Column("power", "Found", number(".0%"), tip=True),
)


def calibration_figures(record: Calibration) -> list[Figure]:
    """The figures that the record holds numbers for."""
    of_units = [row for row in record.null_studies if _is_plain(row)]
    published = [row for row in of_units if row.layout.startswith("published")]
    designs = [row for row in of_units if not row.layout.startswith("published")]
    coverage = [row for row in record.coverage if _is_plain(row) and row.layout.startswith("published")]
    made = (
        _published_rates(published) if published else None,
        _rates_by_design(designs) if designs else None,
        _power(record) if record.power else None,
        _coverage(coverage) if coverage else None,
    )
    return [figure for figure in made if figure is not None]


def _forecasts(record: Calibration) -> list[Table]:
    """How often the intervals of `birthmark choose --history` hold a new reward model on a new base."""
    rows = [row for row in record.coverage if row.rows == "forecast"]
    return [Table("Forecasts of a reward model's lean from its base's", OF_FORECASTS, rows)] if rows else []


def clustering_name(icc: float) -> str:
    """`intraclass correlation .85`."""
    return f"intraclass correlation {decimal(icc, None)}"


def _is_plain(row: NullRate | Coverage) -> bool:
    return row.design.sd_ratio == 1 and not row.design.skewed and row.design.words is None


def _published_rates(rows: Sequence[NullRate]) -> Figure:
    """At 5%, and at the attainable level for a test that cannot have it."""
    shown = [
        row for row in rows if row.alpha > 0.05 or (row.alpha == 0.05 and (row.attainable or row.test != "headline"))
    ]
    values = [
        {
            "name": test_name(row.test, row.unit) + (f", at {row.alpha:.2g}" if row.alpha > 0.051 else ""),
            "icc": clustering_name(row.design.icc),
            "value": row.rate,
            "low": max(0.0, row.rate - 2 * row.mc_error),
            "high": min(1.0, row.rate + 2 * row.mc_error),
        }
        for row in shown
    ]
    return _dots(
        name="false-positives",
        title="False positives of every test on the published layout",
        description="Share of simulated studies without any difference between families in which each test finds one, by "
        "how much reward models on one base checkpoint resemble each other.",
        values=values,
        axis="Share of null studies called significant",
        line=0.05,
        table=Table("False positives on the published layout", RATES, rows),
        note="The line is 5%. Two and three base checkpoints, four and six reward models; the published data have .84.",
    )


def _coverage(rows: Sequence[Coverage]) -> Figure:
    values = [
        {
            "name": interval_name(row.interval) + (", read as of families" if "not what" in row.target else ""),
            "icc": clustering_name(row.design.icc),
            "value": row.coverage,
            "low": max(0.0, row.coverage - 2 * row.mc_error),
            "high": min(1.0, row.coverage + 2 * row.mc_error),
        }
        for row in rows
    ]
    return _dots(
        name="coverage",
        title="How often each 95% interval holds the truth",
        description="Coverage of the intervals of a report in simulated studies of the published layout.",
        values=values,
        axis="Share of intervals that hold the true value",
        line=0.95,
        table=Table("Coverage of 95% intervals on the published layout", COVERAGE, rows),
        note="The line is 95%.",
    )


def _dots(
    *,
    name: str,
    title: str,
    description: str,
    values: list[dict[str, Any]],
    axis: str,
    line: float,
    table: Table,
    note: str,
) -> Figure:
    values = drawn(values, DOTS)
    order = list(dict.fromkeys(str(row["name"]) for row in values))
    iccs = _in_order(values)

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(values)).encode(y=rows_axis("name", order, narrow=narrow), yOffset=alt.YOffset("icc:N"))
        x = alt.X("value:Q", title=axis, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
        hue, shape = by_hue("icc", iccs, narrow=narrow), by_shape("icc", iccs, narrow=narrow)
        bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q", color=hue)
        dots = base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x,
            color=hue,
            shape=shape,
            tooltip=tips(DOTS),
        )
        rule = alt.Chart(data([{"at": line}])).mark_rule(color=SOFT, strokeDash=[4, 3]).encode(x="at:Q")
        layers = [rule, bars, dots, *([names_above("name", order)] if narrow else [])]
        return alt.layer(*layers).properties(
            width=NARROW - 10 if narrow else WIDE - 180, height=(56 if narrow else 44) * len(order)
        )

    return Figure(name=name, title=title, description=description, build=build, table=table, note=note)


def _in_order(values: list[dict[str, Any]]) -> list[str]:
    """Clusterings from none up."""
    return sorted({str(row["icc"]) for row in values}, key=lambda name: float(name.split()[-1]))


def _rates_by_design(rows: Sequence[NullRate]) -> Figure:
    shown = [row for row in rows if row.attainable and row.alpha <= 0.051]
    values = [
        {
            "bases": row.design.bases[0],
            "test": test_name(row.test, row.unit),
            "icc": clustering_name(row.design.icc),
            "rate": row.rate,
            "alpha": row.alpha,
        }
        for row in shown
    ]
    values = drawn(values, BY_DESIGN)
    order = [name for name in TESTS.values() if name in {row["test"] for row in values}]
    iccs = _in_order(values)

    def build(narrow: bool) -> Any:
        base = alt.Chart().encode(
            x=alt.X("bases:Q", title="Base checkpoints a family", axis=alt.Axis(tickMinStep=1, grid=False)),
            y=alt.Y("rate:Q", title="Called significant", axis=alt.Axis(format="%", grid=True)),
            color=by_hue("test", order, narrow=narrow),
        )
        dots = base.mark_point(filled=True, size=60, opacity=1).encode(
            shape=by_shape("test", order, narrow=narrow),
            tooltip=tips(BY_DESIGN),
        )
        rule = alt.Chart().mark_rule(color=SOFT, strokeDash=[4, 3]).encode(y=alt.datum(0.05))
        layered = alt.layer(rule, base.mark_line(strokeWidth=1.5), dots, data=data(values)).properties(
            width=NARROW - 60 if narrow else 150, height=170
        )
        return layered.facet(facet=alt.Facet("icc:N", title=None, sort=iccs), columns=1 if narrow else 3)

    return Figure(
        name="false-positives-by-design",
        title="False positives by the number of base checkpoints",
        description="Share of null studies called significant at 5%, or at the largest level below it that an exact test "
        "can have, with two reward models on each base checkpoint.",
        build=build,
        table=Table("False positives by design, two RMs on each base checkpoint", RATES, shown),
        note="Over models, more base checkpoints do not help: their reward models are still taken for independent.",
    )


def _power(record: Calibration) -> Figure:
    rows = [
        row
        for row in record.power
        if row.test == "headline" and row.attainable and row.alpha <= 0.051 and "+" in row.layout
    ]
    values = [
        {"shift": row.shift, "power": row.power, "bases": f"{row.design.bases[0]} and {row.design.bases[1]}"}
        for row in rows
    ]
    values = drawn(values, FOUND)
    order = list(dict.fromkeys(str(row["bases"]) for row in values))

    def build(narrow: bool) -> Any:
        base = alt.Chart(data(values)).encode(
            x=alt.X(
                "shift:Q", title="Difference between the families' contrasts, in ranks", scale=alt.Scale(zero=True)
            ),
            y=alt.Y("power:Q", title="Found", axis=alt.Axis(format="%", grid=True), scale=alt.Scale(domain=[0, 1])),
            color=by_hue("bases", order, narrow=narrow),
        )
        dots = base.mark_point(filled=True, size=70, opacity=1).encode(
            shape=by_shape("bases", order, narrow=narrow),
            tooltip=tips(FOUND),
        )
        goal = alt.Chart(data([{"at": 0.8}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(y="at:Q")
        return alt.layer(goal, base.mark_line(), dots).properties(width=NARROW - 50 if narrow else WIDE, height=260)

    return Figure(
        name="power",
        title="What the exact test over base checkpoints can detect",
        description="Share of simulated studies in which the exact test over base checkpoints finds a difference of so many "
        "ranks, by the number of base checkpoints of either family.",
        build=build,
        table=Table("Power of every test", POWER, record.power),
        note="The line is 80% power. Designs whose exact test cannot reach 5% are not drawn.",
    )


def write_calibration_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/calibration.json`; returns the page's path."""
    record = read_record(out / "calibration.json", Calibration)
    figures = {figure.name: figure for figure in calibration_figures(record)}

    def named(*names: str) -> list[Part]:
        return [figures[name] for name in names if name in figures]

    topics = []
    if record.label_shuffle:
        topics.append(
            Topic("relabelled", "The published models, relabelled", [_SHUFFLE, _shuffle_table(record.label_shuffle)])
        )
    if record.null_studies:
        words = [row for row in record.null_studies if row.design.words is not None]
        unlike = [row for row in record.null_studies if not _is_plain(row) and row not in words]
        others = (("Families with different spread, or skewed", unlike), ("Words as the sample, two models", words))
        of_others = [Table(title, RATES, rows) for title, rows in others if rows]
        rates = named("false-positives", "false-positives-by-design")
        topics += [
            Topic("false-positives", "False positives", [_NULL, *rates, *of_others]),
            Topic("power", "Power", named("power")),
            Topic("coverage", "Coverage", [*named("coverage"), *_forecasts(record)]),
        ]
    if record.fitted is not None:
        tables = _truth_tables(record.fitted, record.row_models)
        topics.append(Topic("drawn-from", "What the studies are drawn from", [_DRAWN, *tables]))
    if record.planted or record.planted_diverged:
        topics.append(planted_topic(record))
    return write_page(out, Page("What the instrument can see", [Text(record.summary(), "lead")], topics))


_SHUFFLE = (
    "Every way to call as many of the published reward models by the first family's name. A test that errs in one case of "
    "twenty calls about 10 of 210 significant. Exact tests over the models keep to that by construction; what they assume, "
    "that models are exchangeable, is tested below."
)


_NULL = (
    "Base checkpoints, reward models, words and prompts are drawn anew for every study and ranked; families do not differ. "
    "Exact tests with few units cannot have a level of 5%: their rate is given at the level that they can have. The test over "
    "words has studies of its own: two models that do not differ, categories of unequal size and spread, stems of one to "
    "three forms."
)


_DRAWN = (
    "Variances of latent scores, of which a category's words have 1 in each framing; contrasts are in ranks. Compact rows "
    "have one prompt a framing: their words' variances are set so that contrasts spread as in full ones."
)


def _shuffle_table(rows: list[LabelShuffle]) -> Table:
    lexicons = list(dict.fromkeys(row.lexicon for row in rows))
    found = {(row.test, row.unit, row.alpha, row.lexicon): row for row in rows}
    why = dict.fromkeys(
        f"{test_name(row.test, row.unit)}: {row.significant_why}." for row in rows if row.significant_why
    )
    shuffles = [
        {
            "test": test,
            "unit": unit,
            "alpha": alpha,
            **{f"list {at}": found.get((test, unit, alpha, name)) for at, name in enumerate(lexicons)},
        }
        for test, unit, alpha in dict.fromkeys((row.test, row.unit, row.alpha) for row in rows)
    ]
    lists = [Column(f"list {at}", LEXICONS.get(name, name), _of_splits) for at, name in enumerate(lexicons)]
    columns = (TEST, Column("alpha", "Level", number(".2g")), *lists)
    return Table("Relabellings called significant", columns, shuffles, note=" ".join(why))


def _of_splits(row: LabelShuffle | None) -> str:
    return "–" if row is None or row.significant is None else f"{row.significant} of {row.splits}"


def _truth_tables(fitted: Fitted, models: list[RowModel]) -> list[Table]:
    name = Column("name", "Variance or SD", lambda name: name.replace("_", " "))
    fit = Table(
        f"Fitted to {fitted.source}",
        (name, Column("value", "Value", number(".4g"))),
        [{"name": key, "value": value} for key, value in fitted.model_dump().items() if isinstance(value, float)],
    )
    shown = [
        key
        for key in RowModel.model_fields
        if key not in ("name", "words", "prompts") and any(getattr(model, key) for model in models)
    ]
    of_models = [Column(f"model {at}", model.name, number(".4g")) for at, model in enumerate(models)]
    rows = [{"name": key, **{f"model {at}": getattr(model, key) for at, model in enumerate(models)}} for key in shown]
    return [fit, Table("Drawn from", (name, *of_models), rows)]
