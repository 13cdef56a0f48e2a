"""How calibrations and plans look in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.cli.show import gigabytes
from birthmark.cli.terminal import print_rows, say
from birthmark.values.formats import minutes

if TYPE_CHECKING:
    from birthmark.records import Calibration, Plan
    from birthmark.records.calibration import PlantedPlan


def print_calibration(record: Calibration, out: Path | None) -> None:
    """The answer in words, the published layout's rates, and where the rest is."""
    say(record.summary(), bold=True)
    rows = [
        (row.layout, row.test, row.unit.replace("_", " "), round(row.alpha, 3), row.rate, row.mc_error)
        for row in record.null_studies
        if row.layout.startswith("published") and row.design.sd_ratio == 1 and not row.design.skewed
    ]
    if rows:
        print_rows(
            ("layout", "test", "unit", "alpha", "false positives", "±"), rows, title="Studies without a difference"
        )
    held = [
        (row.interval, row.target, row.coverage, row.mc_error)
        for row in record.coverage
        if row.layout == "published icc=0.85"
    ]
    if held:
        print_rows(("interval", "of", "coverage", "±"), held, title="95% intervals, published layout, icc .85")
    found = [
        (row.base or "all bases", row.metric, row.precision_at_k, row.behind, row.auroc, row.mrr)
        for row in record.planted_metrics
    ]
    if found:
        print_rows(
            ("base", "metric", "precision at k", "behind the best", "AUROC", "MRR"), found, title="Planted words found"
        )
    if out is not None:
        say(f"Written to {out}; look at {out / 'report.html'}")


def print_planting(plans: Sequence[PlantedPlan]) -> None:
    """What planting would take, a row a base: nothing is fetched, loaded or written."""
    rows = [
        (
            plan.base,
            ", ".join(plan.categories),
            f"{plan.runs} ({plan.finished} done)" if plan.finished else plan.runs,
            f"{plan.steps} × {plan.batch_size} answers",
            f"{plan.held_out}, after steps {', '.join(map(str, plan.strengths))}",
            plan.device,
            minutes(plan.seconds),
            gigabytes(plan.memory_bytes),
        )
        for plan in plans
    ]
    columns = (
        "base",
        "categories",
        "runs",
        "each of",
        "held-out questions",
        "device",
        "minutes, about",
        "memory, about",
    )
    print_rows(columns, rows)
    say("Nothing was done. Times are good to a factor of two.")


def print_plan(record: Plan) -> None:
    """The answer in words, then a row a design."""
    say(record.sentence, bold=True)
    for sentence in record.sentences[2:]:
        say(sentence)
    rows = [
        (row.design, f"{row.bases[0]} and {row.bases[1]}", row.power, row.power_welch, row.detectable)
        for row in (*record.alternatives, *record.pairs)
    ]
    print_rows(("design", "bases", "power, exact", "power, t", "detectable at 80%"), rows)
