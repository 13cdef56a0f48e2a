"""The page of `birthmark calibrate tests`: figures of rates, power and coverage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import Calibration, Coverage, Fitted, LabelShuffle, NullRate, RowModel, read_record
from birthmark.report.figure import (
    INK,
    NARROW,
    SOFT,
    WIDE,
    Figure,
    Table,
    by_hue,
    by_shape,
    data,
    names_above,
    rows_axis,
)
from birthmark.report.layout import Section, write_plain_page
from birthmark.report.planted import planted_section
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
}


def calibration_figures(record: Calibration) -> list[Figure]:
    """The figures that the record holds numbers for."""
    published = [row for row in record.null_studies if _is_plain(row) and row.layout.startswith("published")]
    designs = [row for row in record.null_studies if _is_plain(row) and not row.layout.startswith("published")]
    coverage = [row for row in record.coverage if _is_plain(row) and row.layout.startswith("published")]
    made = (
        _published_rates(published) if published else None,
        _rates_by_design(designs) if designs else None,
        _power(record) if record.power else None,
        _coverage(coverage) if coverage else None,
    )
    return [figure for figure in made if figure is not None]


def test_name(test: str, unit: str) -> str:
    """A test as a reader knows it."""
    return TESTS.get(test) or TESTS.get(f"{test} {unit}") or test


def clustering_name(icc: float) -> str:
    """`intraclass correlation .85`."""
    return f"intraclass correlation {decimal(icc, None)}"


def _is_plain(row: NullRate | Coverage) -> bool:
    return row.design.sd_ratio == 1 and not row.design.skewed


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
        table=rate_table("False positives on the published layout", rows),
        note="The line is 5%. Two and three base checkpoints, four and six reward models; the published data have .84.",
    )


def _coverage(rows: Sequence[Coverage]) -> Figure:
    values = [
        {
            "name": INTERVALS.get(row.interval, row.interval)
            + (", read as of families" if "not what" in row.target else ""),
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
        table=coverage_table("Coverage of 95% intervals on the published layout", rows),
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
            tooltip=[
                alt.Tooltip("name:N", title="of"),
                alt.Tooltip("icc:N", title="clustering"),
                alt.Tooltip("value:Q", format=".1%", title="share"),
            ],
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
            tooltip=[
                alt.Tooltip("test:N"),
                alt.Tooltip("bases:Q", title="base checkpoints a family"),
                alt.Tooltip("rate:Q", format=".1%", title="called significant"),
                alt.Tooltip("alpha:Q", format=".3f", title="level"),
            ],
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
        table=rate_table("False positives by design, two RMs on each base checkpoint", shown),
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
            tooltip=[
                alt.Tooltip("bases:N", title="base checkpoints"),
                alt.Tooltip("shift:Q", title="difference in ranks"),
                alt.Tooltip("power:Q", format=".0%", title="found"),
            ],
        )
        goal = alt.Chart(data([{"at": 0.8}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(y="at:Q")
        return alt.layer(goal, base.mark_line(), dots).properties(width=NARROW - 50 if narrow else WIDE, height=260)

    table_rows = tuple(
        (
            row.layout,
            test_name(row.test, row.unit),
            f"{row.alpha:.3g}",
            signed(row.shift, 0),
            f"{row.power:.3f}",
            _pm(row.mc_error),
        )
        for row in record.power
    )
    return Figure(
        name="power",
        title="What the exact test over base checkpoints can detect",
        description="Share of simulated studies in which the exact test over base checkpoints finds a difference of so many "
        "ranks, by the number of base checkpoints of either family.",
        build=build,
        table=Table("Power of every test", ("Layout", "Test", "Level", "Difference", "Power", "Error"), table_rows),
        note="The line is 80% power. Designs whose exact test cannot reach 5% are not drawn.",
    )


def rate_table(caption: str, rows: Sequence[NullRate]) -> Table:
    """A row a layout, test and level."""
    cells = tuple(
        (
            row.layout,
            test_name(row.test, row.unit),
            f"{row.alpha:.3g}",
            f"{row.rate:.3f}",
            _pm(row.mc_error),
            f"{row.studies:,}",
        )
        for row in rows
    )
    return Table(caption, ("Layout", "Test", "Level", "False positives", "Error", "Studies"), cells)


def coverage_table(caption: str, rows: Sequence[Coverage]) -> Table:
    """A row a layout and interval."""
    cells = tuple(
        (
            row.layout,
            INTERVALS.get(row.interval, row.interval),
            row.target,
            f"{row.coverage:.3f}",
            _pm(row.mc_error),
            f"{row.width:.1f}",
            f"{row.studies:,}",
        )
        for row in rows
    )
    return Table(caption, ("Layout", "Interval", "Of", "Coverage", "Error", "Mean width", "Studies"), cells)


def _pm(error: float) -> str:
    return f"± {error:.3f}"


LEXICONS = {
    "big2": "Big Two",
    "mfd2_as_published": "Moral foundations, as published",
    "mfd2_all_columns": "Moral foundations, all columns",
}


def write_calibration_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/calibration.json`; returns the page's path."""
    record = read_record(out / "calibration.json", Calibration)
    figures = {figure.name: figure for figure in calibration_figures(record)}

    def drawn(*names: str) -> list:  # type: ignore[type-arg]
        return [figures[name] for name in names if name in figures]

    sections = []
    if record.label_shuffle:
        sections.append(
            Section(
                "relabelled",
                "The published models, relabelled",
                [_SHUFFLE],
                tables=[_shuffle_table(record.label_shuffle)],
            )
        )
    if record.null_studies:
        unlike = [row for row in record.null_studies if row.design.sd_ratio != 1 or row.design.skewed]
        sections += [
            Section(
                "false-positives",
                "False positives",
                [_NULL],
                drawn("false-positives", "false-positives-by-design"),
                [rate_table("Families with different spread, or skewed", unlike)] if unlike else [],
            ),
            Section("power", "Power", [], drawn("power")),
            Section("coverage", "Coverage", [], drawn("coverage")),
        ]
    if record.fitted is not None:
        sections.append(
            Section(
                "drawn-from",
                "What the studies are drawn from",
                [_DRAWN],
                tables=_truth_tables(record.fitted, record.row_models),
            )
        )
    if record.planted or record.planted_diverged:
        sections.append(planted_section(record))
    return write_plain_page(out, "What the instrument can see", record.summary(), sections)


_SHUFFLE = (
    "Every way to call as many of the published reward models by the first family's name. A test that errs in one case of "
    "twenty calls about 10 of 210 significant. Exact tests over the models keep to that by construction; what they assume, "
    "that models are exchangeable, is tested below."
)


_NULL = (
    "Base checkpoints, reward models, words and prompts are drawn anew for every study and ranked; families do not differ. "
    "Exact tests with few units cannot have a level of 5%: their rate is given at the level that they can have."
)


_DRAWN = (
    "Variances of latent scores, of which a category's words have 1 in each framing; contrasts are in ranks. Compact rows "
    "have one prompt a framing: their words' variances are set so that contrasts spread as in full ones."
)


def _shuffle_table(rows: list[LabelShuffle]) -> Table:
    lexicons = list(dict.fromkeys(row.lexicon for row in rows))
    found = {(row.test, row.unit, row.alpha, row.lexicon): row for row in rows}
    cells = tuple(
        (
            test_name(test, unit),
            f"{alpha:.2g}",
            *(_of_splits(found.get((test, unit, alpha, name))) for name in lexicons),
        )
        for test, unit, alpha in dict.fromkeys((row.test, row.unit, row.alpha) for row in rows)
    )
    headers = ("Test", "Level", *(LEXICONS.get(name, name) for name in lexicons))
    why = dict.fromkeys(
        f"{test_name(row.test, row.unit)}: {row.significant_why}." for row in rows if row.significant_why
    )
    return Table("Relabellings called significant", headers, cells, note=" ".join(why))


def _of_splits(row: LabelShuffle | None) -> str:
    return "–" if row is None or row.significant is None else f"{row.significant} of {row.splits}"


def _truth_tables(fitted: Fitted, models: list[RowModel]) -> list[Table]:
    names = [name for name, value in fitted.model_dump().items() if isinstance(value, float)]
    fit = Table(
        f"Fitted to {fitted.source}",
        ("Variance or SD", "Value"),
        tuple((name.replace("_", " "), f"{getattr(fitted, name):.4g}") for name in names),
    )
    shown = [
        name
        for name in RowModel.model_fields
        if name not in ("name", "words", "prompts") and any(getattr(model, name) for model in models)
    ]
    rows = tuple((name.replace("_", " "), *(_number(getattr(model, name)) for model in models)) for name in shown)
    return [fit, Table("Drawn from", ("Variance or SD", *(model.name for model in models)), rows)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
