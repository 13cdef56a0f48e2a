"""The calibration's own report: relabelled studies, false positives, power, coverage, and what planting showed.

Reads `calibration.json` and computes nothing.
"""

from pathlib import Path

from birthmark.records import Calibration, Fitted, LabelShuffle, RowModel, read_record
from birthmark.report.calibration_figures import calibration_figures, rate_table, test_name
from birthmark.report.drawing import Table
from birthmark.report.plain_page import Section, write_plain_page
from birthmark.report.planted_figures import planted_section

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
                [rate_table("Families that spread unlike, or skewed", unlike)] if unlike else [],
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
