"""Findings about training: how long a gap lasts, what each stage explains, budgets, planted words.

Records in, sentences out.
"""

from collections.abc import Sequence

from birthmark.records import BudgetCheck, GapCurve, QuantityCurve, StagesOf, WordShift
from birthmark.records.calibration import PlantedDivergence, PlantedMetric
from birthmark.values.formats import interval, minus, p_words, percent, plural, signed
from birthmark.values.metrics import METRICS

NAMED = 5
FEWEST_SEEDS = 5


def curve_sentence(curve: GapCurve) -> str:
    """What one curve says, in a sentence or two."""
    last = curve.points[-1]
    known = [f"{curve.pairs:,} pairs" if curve.pairs is not None else None, curve.source, curve.loss]
    of_runs = f" ({', '.join(item for item in known if item)})" if any(known) else ""
    said = (
        f"{curve.base_b} − {curve.base_a}{of_runs}: the gap on {curve.lexicon} is {signed(last.gap)} ranks"
        f"{_within(last.ci_low, last.ci_high)} at step {last.step:,}"
    )
    if curve.null is not None:
        inside = "outside" if last.outside_null else "within"
        said += f", {inside} the range of random heads ({interval(curve.null.low, curve.null.high)})"
    if curve.start_step is None:
        return f"{said}, as at every step after 0." if len(curve.points) > 1 else f"{said}."
    if curve.start_gap is not None and curve.start_step != last.step:
        said += f"; it was {signed(curve.start_gap)} at step {curve.start_step:,}"
        if curve.below_step is not None:
            after = f" ({curve.below_pairs:,} pairs)" if curve.below_pairs is not None else ""
            said += f" and is below {percent(curve.fraction)} of that from step {curve.below_step:,}{after} on"
    if curve.settled_step is not None:
        said += f"; it settles at step {curve.settled_step:,}"
    return f"{said}."


def _within(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({interval(low, high)} over words)"


def quantity_sentence(item: QuantityCurve) -> str:
    """From which pair count on the last gap is below the stated fraction of the smallest count's, or why none is."""
    of = f"{item.base_b} − {item.base_a} on {item.lexicon} ({quantity_name(item)})"
    if item.below_pairs is not None:
        return (
            f"{of}: from {item.below_pairs:,} pairs on, the gap at the last step is below {percent(item.fraction)} of that "
            f"after {item.finals[0].pairs:,}."
        )
    return f"{of}: no pair count takes the gap below {percent(item.fraction)} of its start; {item.below_why}."


def curve_name(curve: GapCurve) -> str:
    """What tells curves of one pair of bases apart: source, pairs, loss."""
    known = (curve.source, f"{curve.pairs:,} pairs" if curve.pairs is not None else None, curve.loss)
    return ", ".join(item for item in known if item) or "all runs"


def quantity_name(item: QuantityCurve) -> str:
    """What tells series of pair counts apart: source and loss."""
    return ", ".join(part for part in (item.source, item.loss) if part) or "all runs"


def stages_sentence(found: StagesOf) -> str:
    """What each stage explains, what is left, and whether random heads do as well."""
    parts = []
    for at, fit in enumerate(found.stages):
        held = f"{percent(fit.added)}" if at == 0 else f"{percent(fit.added)} more"
        null = (
            "" if fit.added_null is None else f" (random heads {percent(fit.added_null)}, {p_words(fit.added_p_null)})"
        )
        parts.append(f"the {fit.stage} stage explains {held}{null}")
    return (
        f"{found.of}: of the variance of {found.n_words} words' ranks in the reward models, {', '.join(parts)}; "
        f"{percent(found.left)} is left to the preference data and to noise."
    )


def budget_sentence(check: BudgetCheck) -> str:
    """By how much the values moved, its interval and null, what the budget is, and the words that moved them."""
    what = check.quantity.replace("_", " ") + (f" of {check.cell}" if check.cell else "")
    verb = "moved" if not check.within else "stayed within the budget: it moved"
    named = ", ".join(f"{shift.word} {_pull(shift)}" for shift in check.words[:NAMED])
    return (
        f"the {what} ({check.lexicon}, {check.n_candidates} words) {verb} by {check.moved:.1f} ranks, from "
        f"{minus(check.reference_value)} in {check.reference} to {minus(check.new_value)} in {check.new}"
        f"{_reach(check)}; the budget is {check.limit:g}{_chance(check)}"
        + (f"; the words that moved it most: {named}" if named else "")
    )


def _reach(check: BudgetCheck) -> str:
    """The move's interval over words."""
    if check.ci_low is None or check.ci_high is None:
        return ""
    return f" (a change of {signed(check.new_value - check.reference_value)}, 95% over words {interval(check.ci_low, check.ci_high)})"


def _chance(check: BudgetCheck) -> str:
    """What chance gives, and that a move within the budget may be past it."""
    said = ""
    if check.null_95 is not None:
        said = f"; 95 of 100 random relabelings of the words move it by {check.null_95:.1f} ranks or less ({p_words(check.p_null)})"
        if check.limit < check.null_95:
            said += ", so this budget is narrower than chance"
    furthest = max((abs(end) for end in (check.ci_low, check.ci_high) if end is not None), default=0.0)
    if check.within and furthest > check.limit:
        said += "; with other words it could be past the budget"
    return said


def _pull(shift: WordShift) -> str:
    value = next(v for v in (shift.contrast, shift.positive, shift.negative) if v is not None)
    return signed(value, 0)


def planted_sentence(
    metrics: Sequence[PlantedMetric], why: str | None, diverged: Sequence[PlantedDivergence], n_runs: int
) -> str:
    """Which metric finds planted words best, which are not distinguishable from it, and how many runs diverged."""
    if not metrics:
        said = f"The metrics cannot be ranked: {why}."
    else:
        best, *rest = [row for row in metrics if row.base == metrics[0].base]
        apart = [row for row in rest if row.behind_ci_low is not None and row.behind_ci_low > 0]
        level = [row.metric for row in rest if row not in apart]
        said = (
            f"{best.metric} ranks {percent(best.precision_at_k)} of the planted words in the top k on held-out questions, the most of "
            f"{len(METRICS)} metrics over {plural(best.seeds, 'seed')}"
        )
        said += f"; not distinguishable from it: {', '.join(level)}." if level else "; every other metric found fewer."
        if best.seeds < FEWEST_SEEDS:
            said += f" {plural(best.seeds, 'seed')} {'are' if best.seeds > 1 else 'is'} too few: use {FEWEST_SEEDS} or more."
    if diverged:
        said += f" {len(diverged)} of {n_runs} runs diverged and are excluded from the means."
    return said
