"""Findings about power and error rates: what a test can detect, plans of a study, calibrations.

Records in, sentences out.
"""

import math

from birthmark.records import Calibration, Coverage, ModelsFixed, NullRate, Plan
from birthmark.values.formats import capital, decimal, listed, p_number, percent

ENOUGH_STEMS = 4
FEW_STEMS = {2: "0% to 10%", 3: "4% to 7%"}
"""How often the test over words rejects true null hypotheses at .05, by the stems of the smaller category: the rates of
`birthmark calibrate tests`, which are near 5% from `ENOUGH_STEMS` on."""
WITHIN = {2: "2% to 13%", 3: "2% to 8%"}
WITHIN_FROM_FOUR = "1% to 7%"
"""The same where Student's t gives the p: every stem of the smaller category is in the larger one too."""
LITTLE = (1 - 0.5**0.5) / 2  # half of what twice the base checkpoints take off the standard error
PUBLISHED_LAYOUT = "published icc=0.85"


def detectable_over_units(
    n_units: tuple[int, int], n_splits: int, min_p: float, detectable: float, sd: float, source: str, *, several: bool
) -> str:
    """The difference that the test over base checkpoints detects with 80% power; `several`: in one of many categories."""
    what = "difference in one category" if several else "contrast"
    if min_p > 0.05:
        said = (
            f"With {n_units[0]} and {n_units[1]} base checkpoints ({n_splits:,} splits), no difference can reach p = .05: the "
            f"smallest attainable p-value is {p_number(min_p)}. {minimum_detectable(what, detectable, 'at that level and 80% power')}"
        )
    else:
        said = minimum_detectable(what, detectable)
    return f"{said} This assumes an SD of {sd:.1f} ranks between base checkpoints of one family, {source}."


def minimum_detectable(what: str, value: float, power: str = "at 80% power") -> str:
    """`Minimum detectable contrast at 80% power: 9 ranks.`"""
    return f"Minimum detectable {what} {power}: {value:.0f} ranks."


def detectable_over_words(detectable: float, n_models: int, why: str | None) -> str:
    """The same of a comparison of models as run; `why` says why there is no test of families."""
    them = "two models" if n_models == 2 else "models"
    said = minimum_detectable("contrast", detectable, f"between these {them} at 80% power, over words")
    return f"{said} {capital(why)}." if why else said


def relabelings(fixed: ModelsFixed) -> str:
    """Where `p_words` comes from, in a few words, with its rate of errors where a category has very few stems."""
    n, rate = fewest_stems(fixed), error_rate(fixed)
    said = f"; with {n} stems it rejects {rate} of true nulls at .05" if rate else ""
    return f"random relabelings of whole word stems{said}" if fixed.permuted else f"Student's t over word stems{said}"


def few_stems(fixed: ModelsFixed) -> str:
    """A sentence on how often `p_words` errs, where a category has very few stems; else nothing."""
    n, rate = fewest_stems(fixed), error_rate(fixed)
    if not rate:
        return ""
    names = listed([name for name, stems in fixed.n_stems.items() if stems == n])
    if n >= ENOUGH_STEMS:
        return (
            f"Every word stem of {names} is in the other category too and none can change places, so p is from Student's t: "
            f"it rejects {rate} of true null hypotheses at .05."
        )
    return f"With only {n} word stems in {names}, this test rejects {rate} of true null hypotheses at .05."


def error_rate(fixed: ModelsFixed) -> str:
    """How often the test over words rejects true null hypotheses at .05, where that is not known to be 5%; else nothing."""
    n = fewest_stems(fixed)
    return FEW_STEMS.get(n, "") if fixed.permuted else WITHIN.get(n, WITHIN_FROM_FOUR)


def fewest_stems(fixed: ModelsFixed) -> int:
    """The stems of the category that has fewest; 0 where the record is too old to say."""
    return min(fixed.n_stems.values(), default=0)


def plan_sentences(record: Plan) -> list[str]:
    """The plan's power, the base checkpoints that are needed, what more of each would do, and same-recipe pairs."""
    return [_power_said(record), _needed_said(record), _more_said(record), *_pairs_said(record)]


def _power_said(record: Plan) -> str:
    a, b = record.bases
    units = f"With {a} and {b} base checkpoints and {record.rms_per_base} RM{'s' * (record.rms_per_base > 1)} on each"
    if record.power is None:
        said = f"{units}, no difference can be significant at {decimal(record.alpha, None)}: {record.power_why}."
        if record.power_welch is not None:
            said += f" Welch's t, which assumes normal contrasts, has a power of {p_number(record.power_welch)}."
        return said
    found = f" {minimum_detectable('contrast', record.detectable)}" if record.detectable else ""
    return (
        f"{units}, the exact test has a power of {p_number(record.power)} to detect a contrast of {abs(record.shift):g} ranks at "
        f"the {decimal(record.alpha, None)} level.{found}"
    )


def _needed_said(record: Plan) -> str:
    if record.bases_needed is None:
        return f"For 80% power, {record.bases_needed_why}."
    return f"For 80% power, each family needs {record.bases_needed} base checkpoints."


def _more_said(record: Plan) -> str:
    """What twice as many of each would do, to the power and against twice the base checkpoints."""
    by_name = {row.design: row.power_welch for row in record.alternatives}
    sds = {row.design: row.sd_unit for row in record.alternatives}
    now, more_bases = record.power_welch, by_name["twice the base checkpoints"]
    if now is None or more_bases is None:
        return "A family of one base checkpoint allows no conclusion about families, whatever is trained on it: add base checkpoints."
    less = {
        "twice the words": "words",
        "twice the prompts": "prompts",
        "twice the RMs on each base checkpoint": "RMs per base checkpoint",
    }
    gains = {what: (by_name[name] or 0.0) - now for name, what in less.items()}
    little = [what for name, what in less.items() if sds[name] > (1 - LITTLE) * record.sd_unit]
    told = ", ".join(f"{p_number(now + gain)} with twice the {what}" for what, gain in gains.items())
    begin = f"More {listed(little, 'or')} barely help: " if little else ""
    return (
        f"{begin}the power of Welch's t is {p_number(now)} as planned, {told}, and {p_number(more_bases)} with twice the base "
        f"checkpoints. Any number of RMs on these base checkpoints gives at most "
        f"{p_number(by_name['any number of RMs on each base checkpoint'])}."
    )


def _pairs_said(record: Plan) -> list[str]:
    said = []
    if record.confounded is not None:
        said.append(
            "A better design uses same-recipe pairs: one recipe and data set on base checkpoints of both families. Where each "
            "family's RMs come from a team of their own, differences between recipes look like differences between families: "
            f"{percent(record.confounded)} of studies without any difference are significant at {decimal(record.alpha, None)}."
        )
    best = record.pairs[-1]
    if best.power_welch is not None and record.power_welch is not None:
        more = "a gain" if best.power_welch > record.power_welch + 0.005 else "no gain"
        said.append(
            f"{best.bases[0]} such pairs of base checkpoints, matched in size and year (if these explain half of their "
            f"spread), have a power of {p_number(best.power_welch)} by the paired t-test, against {p_number(record.power_welch)}: {more}."
        )
    if best.power is None and best.bases[0] > 1:
        said.append(
            f"Exchanging labels within {best.bases[0]} pairs cannot give p below {p_number(2 / 2 ** best.bases[0])}; "
            f"{_fewest_pairs(record.alpha)} pairs are the fewest that can reach {decimal(record.alpha, None)}."
        )
    return said


def _fewest_pairs(alpha: float) -> int:
    return math.ceil(1 - math.log2(alpha) - 1e-9)


def coarse_reason(bases: tuple[int, int], n_splits: int, min_p: float) -> str:
    """Why an exact test with so few splits has no power."""
    return (
        f"the exact test of {bases[0]} and {bases[1]} base checkpoints has {n_splits:,} splits, so the smallest attainable "
        f"p-value is {p_number(min_p)}"
    )


def calibration_sentence(record: Calibration) -> str:
    """Relabellings, false positives and coverage on the published layout, in a few sentences."""
    said = [_shuffled(record), _rates(record), _coverages(record), _words(record)]
    return " ".join(text for text in said if text)


def _shuffled(record: Calibration) -> str:
    rows = {row.test: row for row in record.label_shuffle if row.lexicon == "big2" and row.alpha == 0.05}
    mixed, panels = rows.get("mixed_model_three_way"), rows.get("any_panel_bonferroni")
    if mixed is None or panels is None or mixed.significant is None or panels.significant is None:
        return ""
    return (
        f"Of the {mixed.splits} ways to relabel the published models as two families, the published mixed model finds "
        f"{mixed.significant} significant on the Big Two, and some Bonferroni panel {panels.significant}."
    )


def _rates(record: Calibration) -> str:
    named = {
        "the mixed model": ("mixed_model_three_way", "model", 0.05),
        "some panel": ("any_panel_bonferroni", "model", 0.05),
        "the exact test over models": ("model_level", "model", 0.05),
        "the exact test over base checkpoints, at its smallest attainable p-value, .1,": (
            "headline",
            "base_checkpoint",
            0.1,
        ),
    }
    found = {
        name: null_rate(record, PUBLISHED_LAYOUT, test, unit, alpha) for name, (test, unit, alpha) in named.items()
    }
    told = [f"{name} in {percent(row.rate)}" for name, row in found.items() if row is not None]
    if not told:
        return ""
    return (
        "In simulated studies of the published layout, clustered as published and without a difference between families, a "
        f"difference is found (at 5% unless stated otherwise) by {listed(told)}."
    )


def _coverages(record: Calibration) -> str:
    named = {
        "over base checkpoints": "headline",
        "over models": "model_level",
        "crossed": "crossed",
    }
    found = {name: covered(record, PUBLISHED_LAYOUT, interval) for name, interval in named.items()}
    told = [f"{name} {percent(row.coverage)}" for name, row in found.items() if row is not None]
    return f"Of 95% intervals for families, these shares contain the true value: {listed(told)}." if told else ""


def _words(record: Calibration) -> str:
    """Over how many layouts of words `p_words` was counted, and the range of its rates, by the stems of a category."""
    rows = [row for row in record.null_studies if row.design.words is not None]
    if not rows:
        return ""
    enough, few = (
        [row.rate for row in rows if (_fewest_stems(row) >= ENOUGH_STEMS) == is_enough] for is_enough in (1, 0)
    )
    told = [
        f"{percent(min(rates))} to {percent(max(rates))} in {len(rates)} layouts where {of_stems}"
        for rates, of_stems in (
            (enough, f"both categories have {ENOUGH_STEMS} word stems or more"),
            (few, "one has fewer"),
        )
        if rates
    ]
    return f"The test over words, at 5%, finds a difference between two models that do not differ in {listed(told)}."


def _fewest_stems(row: NullRate) -> int:
    return min(row.design.words.stems) if row.design.words is not None else 0


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
