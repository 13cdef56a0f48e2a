"""Findings about power and error rates: what a test can detect, plans of a study, calibrations.

Records in, sentences out.
"""

import math

from birthmark.records import Calibration, Coverage, NullRate, Plan
from birthmark.values.formats import capital, decimal, listed, p_number, percent

LITTLE = (1 - 0.5**0.5) / 2  # half of what twice the base checkpoints take off the standard error
PUBLISHED_LAYOUT = "published icc=0.85"


def detectable_over_units(
    n_units: tuple[int, int], n_splits: int, min_p: float, detectable: float, sd: float, source: str, *, several: bool
) -> str:
    """The difference that the test over base checkpoints finds four times in five; `several`: in one of many categories."""
    what = "a difference in one category" if several else "a contrast"
    if min_p > 0.05:
        units = f"{n_units[0]} and {n_units[1]} base checkpoints"
        said = (
            f"With these units ({units}, {n_splits:,} splits) the test cannot reach .05, whatever the difference; at its "
            f"smallest p, {p_number(min_p)}, it can find {what} of {detectable:.0f} ranks four times in five."
        )
    else:
        said = f"With these units the test can find {what} of {detectable:.0f} ranks four times in five."
    return f"{said} Base checkpoints of one family are taken to differ by an SD of {sd:.1f} ranks, as {source}."


def detectable_over_words(detectable: float, n_models: int, why: str | None) -> str:
    """The same of a comparison of models as run; `why` says why there is no test of families."""
    them = "two models" if n_models == 2 else "models"
    about_families = f" {capital(why)}." if why else ""
    return (
        f"With these words the comparison of these {them} can find a contrast of {detectable:.0f} ranks four times in "
        f"five.{about_families}"
    )


def plan_sentences(record: Plan) -> list[str]:
    """The plan's power, the base checkpoints that are needed, what more of each would do, and same-recipe pairs."""
    return [_power_said(record), _needed_said(record), _more_said(record), *_pairs_said(record)]


def _power_said(record: Plan) -> str:
    a, b = record.bases
    units = f"With {a} and {b} base checkpoints and {record.rms_per_base} RM{'s' * (record.rms_per_base > 1)} on each"
    if record.power is None:
        said = f"{units} no difference can be found at {decimal(record.alpha, None)}: {record.power_why}."
        if record.power_welch is not None:
            said += f" Welch's t, which takes contrasts for normal, has a power of {p_number(record.power_welch)}."
        return said
    found = f"; it can find a contrast of {record.detectable:.0f} ranks four times in five" if record.detectable else ""
    return (
        f"{units}, the exact test finds a contrast of {abs(record.shift):g} ranks at {decimal(record.alpha, None)} with a power of "
        f"{p_number(record.power)}{found}."
    )


def _needed_said(record: Plan) -> str:
    if record.bases_needed is None:
        return f"For a power of .8, {record.bases_needed_why}."
    return f"For a power of .8 a family needs {record.bases_needed} base checkpoints."


def _more_said(record: Plan) -> str:
    """What twice as many of each would do, to the power and against twice the base checkpoints."""
    by_name = {row.design: row.power_welch for row in record.alternatives}
    sds = {row.design: row.sd_unit for row in record.alternatives}
    now, more_bases = record.power_welch, by_name["twice the base checkpoints"]
    if now is None or more_bases is None:
        return "One base checkpoint a family says nothing of families, whatever is added on it: add base checkpoints."
    less = {
        "twice the words": "words",
        "twice the prompts": "prompts",
        "twice the RMs on each base checkpoint": "RMs a base checkpoint",
    }
    gains = {what: (by_name[name] or 0.0) - now for name, what in less.items()}
    little = [what for name, what in less.items() if sds[name] > (1 - LITTLE) * record.sd_unit]
    told = ", ".join(f"twice the {what} to {p_number(now + gain)}" for what, gain in gains.items())
    begin = f"More {listed(little, 'or')} barely help: " if little else ""
    return (
        f"{begin}of the power of Welch's t, {p_number(now)}, {told}, twice the base checkpoints to {p_number(more_bases)}; "
        f"any number of RMs on these base checkpoints to {p_number(by_name['any number of RMs on each base checkpoint'])}."
    )


def _pairs_said(record: Plan) -> list[str]:
    said = []
    if record.confounded is not None:
        said.append(
            "The better design is same-recipe pairs, one recipe and data set on base checkpoints of either family: where "
            "each family's RMs come from a team of their own, the teams' recipes pass for families, and of studies without "
            f"any difference {percent(record.confounded)} come out significant at {decimal(record.alpha, None)}."
        )
    best = record.pairs[-1]
    if best.power_welch is not None and record.power_welch is not None:
        more = "a gain" if best.power_welch > record.power_welch + 0.005 else "no gain"
        said.append(
            f"{best.bases[0]} such pairs of base checkpoints alike in size and year, if that is half of their spread, have "
            f"a power of {p_number(best.power_welch)} by the paired t against {p_number(record.power_welch)}: {more}."
        )
    if best.power is None and best.bases[0] > 1:
        said.append(
            f"Labels exchanged within {best.bases[0]} pairs cannot give p below {p_number(2 / 2 ** best.bases[0])}; "
            f"{_fewest_pairs(record.alpha)} pairs are the fewest for {decimal(record.alpha, None)}."
        )
    return said


def _fewest_pairs(alpha: float) -> int:
    return math.ceil(1 - math.log2(alpha) - 1e-9)


def coarse_reason(bases: tuple[int, int], n_splits: int, min_p: float) -> str:
    """Why an exact test with so few splits has no power."""
    return (
        f"the exact test of {bases[0]} and {bases[1]} base checkpoints has {n_splits:,} splits, so that no p is below "
        f"{p_number(min_p)}"
    )


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
    told = [f"{name} in {percent(row.rate)}" for name, row in found.items() if row is not None]
    if not told:
        return ""
    return (
        "In simulated studies of the published layout without a difference between families, clustered as the published "
        f"ones, a difference is found (at 5%, where nothing else is said) by {listed(told)}."
    )


def _coverages(record: Calibration) -> str:
    named = {
        "over base checkpoints": "headline",
        "over models": "model_level",
        "crossed": "crossed",
    }
    found = {name: covered(record, PUBLISHED_LAYOUT, interval) for name, interval in named.items()}
    told = [f"{name} {percent(row.coverage)}" for name, row in found.items() if row is not None]
    return f"Of 95% intervals for families these hold the truth: {listed(told)}." if told else ""


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
