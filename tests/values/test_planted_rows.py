"""Means over seeds against statsmodels, and what a run that diverged may not do."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from birthmark.records import NotApplicable
from birthmark.records.calibration import PlantedRun, PlantedScore, PlantedSetting
from birthmark.values.metrics import METRICS
from birthmark.values.planted import mean_interval, planted_results, rank_metrics

SETTING = PlantedSetting(
    name="small", strengths=[1, 2], batch_size=4, learning_rate=1e-3, rank=8, held_out=["greatest_ever_one"]
)


def score(strength: int, metric: str, precision: float) -> PlantedScore:
    return PlantedScore(
        strength=strength, metric=metric, auroc=0.9, precision_at_k=precision, mrr=0.5,
        unplanted_auroc=0.5, unplanted_precision_at_k=0.0, unplanted_mrr=0.001,
    )  # fmt: skip


def run(
    base: str, category: str, seed: int, precision: dict[str, float] | None = None, diverged: str | None = None
) -> PlantedRun:
    """A run in which a metric's precision at k is as given at strength 1 and 0.1 more at 2; 0.2 where not given."""
    scores = [
        score(strength, metric, (precision or {}).get(metric, 0.2) + 0.1 * (strength - 1))
        for strength in (1, 2)
        for metric in METRICS
    ]
    return PlantedRun(
        base=base, category=category, seed=seed, asked="", losses=[2.0, 1.0], diverged=diverged, scores=scores,
        words=["red", "blue"], n_candidates=100, seconds=1.0,
    )  # fmt: skip


def test_the_interval_is_students() -> None:
    values = [0.2, 0.5, 0.35, 0.4, 0.1]
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(DescrStatsW(values).tconfint_mean())


def test_one_seed_has_no_interval() -> None:
    assert mean_interval([0.4]) == (0.4, None, None)


def test_a_row_is_the_mean_over_its_seeds() -> None:
    runs = [run("a", "red", seed, {"mwlr": value}) for seed, value in enumerate((0.3, 0.5, 0.4))]
    (row,) = [row for row in planted_results(runs, SETTING).planted if (row.strength, row.metric) == (2, "mwlr")]
    assert row.precision_at_k == pytest.approx(0.5)
    assert (row.seeds, row.diverged, row.k, row.n_candidates) == (3, 0, 2, 100)
    expected = DescrStatsW([0.4, 0.6, 0.5]).tconfint_mean()
    assert (row.precision_at_k_ci_low, row.precision_at_k_ci_high) == pytest.approx(expected)


def test_intervals_stay_between_zero_and_one() -> None:
    runs = [run("a", "red", 0, {"mwlr": 0.0}), run("a", "red", 1, {"mwlr": 0.9})]
    for row in planted_results(runs, SETTING).planted:
        assert row.precision_at_k_ci_low is not None and row.precision_at_k_ci_low >= 0
        assert row.precision_at_k_ci_high is not None and row.precision_at_k_ci_high <= 1


def test_a_diverged_run_is_listed_and_moves_no_mean() -> None:
    sound = [run("a", "red", seed) for seed in (0, 1)]
    bad = run("a", "red", 2, {"mwlr": 0.9}, diverged="the loss rose from 1.00 to 2.00")
    with_bad, without = planted_results([*sound, bad], SETTING), planted_results(sound, SETTING)
    assert [(item.seed, item.why) for item in with_bad.planted_diverged] == [(2, "the loss rose from 1.00 to 2.00")]
    assert [row.precision_at_k for row in with_bad.planted] == [row.precision_at_k for row in without.planted]
    assert {(row.seeds, row.diverged) for row in with_bad.planted} == {(2, 1)}
    assert "1 of 3 runs diverged" in with_bad.planted_sentence


def test_a_category_with_a_diverged_run_is_left_out_of_the_ranking_for_all_seeds() -> None:
    runs = [run("a", "red", seed, {"mwlr": 0.4}) for seed in (0, 1)]
    runs += [run("a", "blue", 0, {"log_ratio": 0.8}), run("a", "blue", 1, diverged="the loss was not finite")]
    ranked = rank_metrics(runs)
    assert not isinstance(ranked, NotApplicable)
    assert ranked[0].metric == "mwlr"


def test_nothing_is_ranked_where_every_category_had_a_diverged_run() -> None:
    ranked = rank_metrics([run("a", "red", 0, diverged="the loss was not finite")])
    assert ranked == NotApplicable("in every category of every base a run diverged")


def test_metrics_are_ranked_for_all_bases_and_for_each() -> None:
    runs = [run("a", "red", seed, {"mwlr": 0.6}) for seed in (0, 1)]
    runs += [run("b", "red", seed, {"log_ratio": 0.9}) for seed in (0, 1)]
    ranked = rank_metrics(runs)
    best = {base: next(row.metric for row in ranked if row.base == base) for base in (None, "a", "b")}
    assert best == {None: "log_ratio", "a": "mwlr", "b": "log_ratio"}
    assert len(ranked) == 3 * len(METRICS)


def test_one_base_is_not_ranked_twice() -> None:
    ranked = rank_metrics([run("a", "red", 0)])
    assert [row.base for row in ranked] == ["a"] * len(METRICS)


def test_a_metric_is_behind_by_its_paired_difference_from_the_best() -> None:
    runs = [run("a", "red", seed, {"mwlr": m, "log_ratio": r}) for seed, (m, r) in enumerate([(0.6, 0.5), (0.4, 0.35)])]
    ranked = rank_metrics(runs)
    second = ranked[1]
    assert (ranked[0].metric, ranked[0].behind, second.metric) == ("mwlr", 0, "log_ratio")
    expected = DescrStatsW([0.1, 0.05]).tconfint_mean()
    assert (second.behind_ci_low, second.behind_ci_high) == pytest.approx(expected)


def test_the_sentence_names_what_is_not_told_apart() -> None:
    runs = [run("a", "red", seed, {"mwlr": 0.6, "log_ratio": r}) for seed, r in enumerate((0.55, 0.62, 0.6))]
    said = planted_results(runs, SETTING).planted_sentence
    assert "mwlr ranks 65% of the planted words in the top k" in said
    assert "not distinguishable from it: log_ratio. 3 seeds are too few: use 5 or more." in said
