"""The claim of figure A3, that MWLR finds planted words best: judged by words that were planted here.

The study publishes neither the fine-tuned models' log-probabilities nor the code of its comparison, so its files cannot
tell. What `birthmark calibrate planted` found can, of the models and words that it took.
"""

from collections.abc import Sequence

from birthmark.paper.verdicts import judged, untestable
from birthmark.records import Claim
from birthmark.records.planted import PlantedMetric
from birthmark.values.planted_rows import FEWEST_SEEDS

CLAIM = "mwlr-most-sensitive"
JUDGED = "mwlr"
ABSENT = (
    "Neither the fine-tuned models' log-probabilities nor the code of the comparison is published: plant words with "
    "birthmark calibrate planted, and give replicate its folder with --planted."
)


def planted_claim(metrics: Sequence[PlantedMetric]) -> Claim:
    """`holds` where MWLR finds more than every other metric, `partly` where others cannot be told from it, `fails` where
    one finds more; told apart: the 95% interval over seeds of what is behind the best is above zero.

    `metrics` are `planted_metrics` of a `calibration.json`. Fewer than five seeds cannot tell: two that happen to agree
    would have an interval of no width.
    """
    if not metrics:
        return untestable(CLAIM, ABSENT)
    ranked = [row for row in metrics if row.base == metrics[0].base]
    best, mine = ranked[0], next(row for row in ranked if row.metric == JUDGED)
    if best.seeds < FEWEST_SEEDS:
        said = f"The words were planted with {best.seeds} seed{'s' * (best.seeds != 1)}, too few to tell metrics apart"
        return untestable(CLAIM, f"{said}: birthmark calibrate planted --seeds {FEWEST_SEEDS}.")
    level = [row for row in ranked if row is not best and not _is_behind(row)]
    leads = mine is best and not level
    return judged(
        CLAIM,
        reproduced=leads,
        partly=not leads and (mine is best or mine in level),
        sentence=f"Not from the study's files but from words planted here, with {best.seeds} seeds: "
        f"{_place(best, mine, level)}.{_of_bases(metrics)}",
    )


def _is_behind(row: PlantedMetric) -> bool:
    return row.behind_ci_low is not None and row.behind_ci_low > 0


def _place(best: PlantedMetric, mine: PlantedMetric, level: Sequence[PlantedMetric]) -> str:
    found = f"MWLR brings {_share(mine)} of them to the top k"
    if mine is best:
        others = f"{_names(level)} cannot be told from it" if level else "every other metric fewer"
        return f"{found}, {others}"
    apart = "which is more than chance allows" if _is_behind(mine) else "and the two cannot be told apart"
    return f"{found}, {best.metric} {_share(best)}, {apart}"


def _of_bases(metrics: Sequence[PlantedMetric]) -> str:
    """The leader in each base, where there are several."""
    bases = list(dict.fromkeys(row.base for row in metrics if row.base is not None))
    if len(bases) < 2:
        return ""
    first = {base: next(row for row in metrics if row.base == base) for base in bases}
    said = "; ".join(f"in {base} {row.metric} leads with {_share(row)}" for base, row in first.items())
    return f" {said[0].upper()}{said[1:]}."


def _share(row: PlantedMetric) -> str:
    return f"{row.precision_at_k:.1%}"


def _names(rows: Sequence[PlantedMetric]) -> str:
    return ", ".join(f"{row.metric} ({_share(row)})" for row in rows)
