"""What a calibration says in words: how often the published tests and ours err on the published layout.

Reads the record only.
"""

from birthmark.records import Calibration, Coverage, NullRate

PUBLISHED_LAYOUT = "published icc=0.85"


def null_rate(
    record: Calibration, layout: str, test: str, unit: str | None = None, alpha: float = 0.05
) -> NullRate | None:
    """The row of one layout, test and unit at one level."""
    rows = (
        row
        for row in record.null_studies
        if (row.layout, row.test) == (layout, test) and unit in (None, row.unit) and abs(row.alpha - alpha) < 1e-9
    )
    return next(rows, None)


def covered(record: Calibration, layout: str, interval: str) -> Coverage | None:
    """The first row of one layout and interval."""
    return next((row for row in record.coverage if (row.layout, row.interval) == (layout, interval)), None)


def calibration_sentence(record: Calibration) -> str:
    """Relabellings, false positives and coverage on the published layout, in a few sentences."""
    said = [_shuffled(record), _rates(record), _coverages(record)]
    return " ".join(text for text in said if text)


def _shuffled(record: Calibration) -> str:
    rows = {row.test: row for row in record.label_shuffle if row.lexicon == "big2" and row.alpha == 0.05}
    mixed, panels = rows.get("mixed_model_three_way"), rows.get("any_panel_bonferroni")
    if mixed is None or panels is None or mixed.significant is None or panels.significant is None:
        return ""
    return (
        f"Of the {mixed.splits} ways to call the published models by either family's name the published mixed model finds "
        f"{mixed.significant} significant on the Big Two, some Bonferroni panel {panels.significant}."
    )


def _rates(record: Calibration) -> str:
    named = {
        "the mixed model": ("mixed_model_three_way", "model", 0.05),
        "some panel": ("any_panel_bonferroni", "model", 0.05),
        "the exact test over models": ("model_level", "model", 0.05),
        "the exact test over base checkpoints, at its smallest p, .1,": ("headline", "base_checkpoint", 0.1),
    }
    found = {
        name: null_rate(record, PUBLISHED_LAYOUT, test, unit, alpha) for name, (test, unit, alpha) in named.items()
    }
    told = [f"{name} in {row.rate:.0%}" for name, row in found.items() if row is not None]
    if not told:
        return ""
    return (
        "In simulated studies of the published layout without a difference between families, clustered as the published "
        f"ones, a difference is found (at 5%, where nothing else is said) by {_listed(told)}."
    )


def _coverages(record: Calibration) -> str:
    named = {
        "over base checkpoints": "headline",
        "over models": "model_level",
        "crossed": "crossed",
    }
    found = {name: covered(record, PUBLISHED_LAYOUT, interval) for name, interval in named.items()}
    told = [f"{name} {row.coverage:.0%}" for name, row in found.items() if row is not None]
    return f"Of 95% intervals for families these hold the truth: {_listed(told)}." if told else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
