"""How well metrics find words that were planted: AUROC, precision at k, reciprocal rank, means over seeds, a ranking."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.records import Calibration, NotApplicable
from birthmark.records.calibration import (
    PlantedDivergence,
    PlantedMetric,
    PlantedRow,
    PlantedRun,
    PlantedScore,
    PlantedSetting,
)
from birthmark.values.metrics import METRICS
from birthmark.values.wording_training import planted_sentence


@dataclass(frozen=True)
class Recovery:
    """`auroc` .5 is chance and 1 perfect; `precision_at_k` and `mrr` lie between 0 and 1, and are near 0 by chance."""

    auroc: float
    precision_at_k: float
    mrr: float


def recovery(scores: np.ndarray, wanted: np.ndarray) -> Recovery:
    """How the wanted candidates stand among all by a score, higher being better.

    `scores` [candidates], `wanted` bool [candidates]; k is the number of wanted ones.

    - AUROC: the probability that a wanted candidate scores above another, ties counting half (Hanley & McNeil 1982).
    - Precision at k: the share of wanted ones among the k best.
    - Reciprocal rank: 1 ÷ the rank of the best wanted candidate; its mean over questions is MRR (Voorhees 1999).

    For tied scores the last two are expectations over their random order (McSherry & Najork 2008). Raises
    `BirthmarkError` for a score that is NaN, and where none or all of the candidates are wanted.
    """
    scores, wanted = np.asarray(scores, dtype=np.float64), np.asarray(wanted, dtype=bool)
    k, n = int(wanted.sum()), len(scores)
    if not 0 < k < n:
        raise BirthmarkError(f"{k} of {n} candidates are to be found: there must be some, and others beside them")
    if np.isnan(scores).any():
        raise BirthmarkError("a candidate's score is not a number, so candidates cannot be ranked")
    found = scores[wanted]
    above = np.array([(scores > score).sum() for score in found])  # [k], of all candidates
    tied = np.array([(scores == score).sum() for score in found])  # [k], itself included
    wanted_above = (found[None, :] > found[:, None]).sum(axis=1)
    wanted_tied = (found[None, :] == found[:, None]).sum(axis=1)
    others_above = (above - wanted_above) + 0.5 * (tied - wanted_tied)
    first = int(found.argmax())
    return Recovery(
        auroc=float(1 - others_above.mean() / (n - k)),
        precision_at_k=float(np.clip((k - above) / tied, 0, 1).mean()),
        mrr=_expected_reciprocal_rank(int(above[first]), int(tied[first]), int(wanted_tied[first])),
    )


def _expected_reciprocal_rank(above: int, tied: int, wanted: int) -> float:
    """E[1 ÷ (above + J)], J the place of the first of `wanted` among `tied` in random order.

    P(J = j) = C(tied − j, wanted − 1) ÷ C(tied, wanted).
    """
    places = np.arange(1, tied - wanted + 2)
    log_p = _log_choose(tied - places, wanted - 1) - _log_choose(np.array(tied), wanted)
    return float((np.exp(log_p) / (above + places)).sum())


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return scipy.special.gammaln(n + 1) - scipy.special.gammaln(k + 1) - scipy.special.gammaln(n - k + 1)


LEVEL = 0.95


"""With fewer, two runs that happen to agree make an interval of no width."""


MEASURES = (
    *("auroc", "precision_at_k", "mrr"),
    *("unplanted_auroc", "unplanted_precision_at_k", "unplanted_mrr"),
)


Interval = tuple[float, float | None, float | None]


def planted_results(runs: Sequence[PlantedRun], setting: PlantedSetting) -> Calibration:
    """The planted part of a calibration: rows of base × category × strength × metric, and the metrics' ranking."""
    diverged = [
        PlantedDivergence(base=run.base, category=run.category, seed=run.seed, why=run.diverged)
        for run in runs
        if run.diverged is not None
    ]
    found = Calibration.build(
        planted=[row for of_cell in _by_cell(runs).values() for row in _rows(of_cell)],
        planted_setting=setting,
        planted_metrics=rank_metrics(runs),
        planted_diverged=diverged,
    )
    said = planted_sentence(found.planted_metrics, found.planted_metrics_why, diverged, len(runs))
    return found.model_copy(update={"planted_sentence": said})


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of independent numbers and its t interval, mean ± t(n − 1) · s ÷ √n; no interval for fewer than two."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, None, None
    reach = float(scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, mean - reach, mean + reach


def rank_metrics(runs: Sequence[PlantedRun]) -> list[PlantedMetric] | NotApplicable:
    """The metrics by precision at k for all bases together (`base` null, where there are several) and for each base.

    A base's category in which a run diverged is left out for all seeds, so that every seed averages over the same."""
    whole = [of_cell for of_cell in _by_cell(runs).values() if all(run.diverged is None for run in of_cell)]
    if not whole:
        return NotApplicable("in every category of every base a run diverged" if runs else "there are no runs")
    bases = list(dict.fromkeys(of_cell[0].base for of_cell in whole))
    groups: list[str | None] = [*bases] if len(bases) == 1 else [None, *bases]
    return [
        row
        for base in groups
        for row in _ranked(base, [run for of_cell in whole for run in of_cell if base in (None, run.base)])
    ]


def _by_cell(runs: Sequence[PlantedRun]) -> dict[tuple[str, str], list[PlantedRun]]:
    """(base, category) → its runs, a seed each, in the order in which they came."""
    cells: dict[tuple[str, str], list[PlantedRun]] = {}
    for run in runs:
        cells.setdefault((run.base, run.category), []).append(run)
    return cells


def _rows(of_cell: Sequence[PlantedRun]) -> list[PlantedRow]:
    sound = [run for run in of_cell if run.diverged is None]
    grouped: dict[tuple[int, str], list[PlantedScore]] = {}
    for score in (score for run in sound for score in run.scores):
        grouped.setdefault((score.strength, score.metric), []).append(score)
    return [
        PlantedRow(
            base=of_cell[0].base,
            category=of_cell[0].category,
            strength=strength,
            metric=metric,
            seeds=len(scores),
            diverged=len(of_cell) - len(sound),
            k=len(of_cell[0].words),
            n_candidates=of_cell[0].n_candidates,
            **_intervals(scores),
        )
        for (strength, metric), scores in grouped.items()
    ]


def _intervals(scores: Sequence[PlantedScore]) -> dict[str, Any]:
    """Each measure with its interval, which is cut to 0 … 1."""
    fields: dict[str, Any] = {}
    for measure in MEASURES:
        mean, low, high = mean_interval([getattr(score, measure) for score in scores])
        fields[measure] = mean
        fields[f"{measure}_ci_low"] = None if low is None else max(0.0, low)
        fields[f"{measure}_ci_high"] = None if high is None else min(1.0, high)
    return fields


def _ranked(base: str | None, runs: Sequence[PlantedRun]) -> list[PlantedMetric]:
    """Best first by precision at k; metrics that are equal stay in the order of `METRICS`."""
    by_seed = {
        seed: list(of_seed)
        for seed, of_seed in groupby(sorted(runs, key=lambda run: run.seed), key=lambda run: run.seed)
    }
    means = {
        metric: {
            measure: np.array([_mean_of(of_seed, metric, measure) for of_seed in by_seed.values()])
            for measure in MEASURES[:3]
        }
        for metric in METRICS
    }
    order = sorted(METRICS, key=lambda metric: -means[metric]["precision_at_k"].mean())
    best = means[order[0]]["precision_at_k"]
    rows = []
    for metric in order:
        precision = mean_interval(means[metric]["precision_at_k"].tolist())
        behind = mean_interval((best - means[metric]["precision_at_k"]).tolist())
        rows.append(
            PlantedMetric(
                base=base,
                metric=metric,
                auroc=float(means[metric]["auroc"].mean()),
                precision_at_k=precision[0],
                precision_at_k_ci_low=None if precision[1] is None else max(0.0, precision[1]),
                precision_at_k_ci_high=None if precision[2] is None else min(1.0, precision[2]),
                mrr=float(means[metric]["mrr"].mean()),
                behind=behind[0],
                behind_ci_low=behind[1],
                behind_ci_high=behind[2],
                seeds=len(by_seed),
            )
        )
    return rows


def _mean_of(runs: Sequence[PlantedRun], metric: str, measure: str) -> float:
    """Over the runs and strengths of one seed."""
    return float(np.mean([getattr(score, measure) for run in runs for score in run.scores if score.metric == metric]))
