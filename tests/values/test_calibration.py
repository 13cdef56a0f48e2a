"""The simulations as records: what is in them, errors, seeds, and rates that are known beforehand."""

from collections import Counter

import pytest

from birthmark.stats.power import mc_error
from birthmark.stats.simulation import RowFit
from birthmark.values import calibration
from birthmark.values.calibration import Results, Truth
from birthmark.values.coverage import full_intervals

FIT = RowFit(0.66, 0.17, 0.1, 0.02, 0.02, 0.01, 0.01, 0.001)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth((30, 41), 6, 6.0, 4.0, FIT)


@pytest.fixture(scope="module")
def compact(truth: Truth) -> Results:
    return calibration.compact_studies(truth, 0.85, False, 400, seed=0)


@pytest.fixture(scope="module")
def full(truth: Truth) -> Results:
    return calibration.full_studies(truth, 0.85, 200, seed=0)


def test_each_layout_test_and_level_has_one_row(compact: Results) -> None:
    for rows in (compact.null_studies, compact.power):
        keys = [(row.layout, row.test, row.unit, row.alpha, getattr(row, "shift", 0)) for row in rows]
        assert max(Counter(keys).values()) == 1


def test_errors_are_the_binomial_ones(compact: Results) -> None:
    assert all(row.mc_error == mc_error(row.rate, row.studies) for row in compact.null_studies)
    assert all(row.mc_error == mc_error(row.power, row.studies) for row in compact.power)
    assert {row.studies for row in compact.null_studies} == {400}


def test_designs_run_from_two_to_ten_base_checkpoints_and_over_ratios_of_spread(compact: Results) -> None:
    plain = [row.design for row in compact.null_studies]
    assert {tuple(design.bases) for design in plain} == {(2, 3), *((n, n) for n in (2, 3, 4, 5, 6, 8, 10))}
    assert {round(design.sd_ratio, 3) for design in plain} == {1.0, 3.3, 0.303}
    published = next(design for design in plain if design.bases == [2, 3])
    assert published.rms == [[3, 1], [3, 2, 1]]


def test_the_exact_test_over_base_checkpoints_keeps_its_level(compact: Results) -> None:
    rows = [
        row
        for row in compact.null_studies
        if row.test == "headline" and row.attainable and row.design.sd_ratio == 1 and row.alpha <= 0.34
    ]
    assert len(rows) == 8
    for row in rows:
        assert row.rate == pytest.approx(row.alpha, abs=4 * mc_error(row.alpha, row.studies)), row.layout


def test_two_against_three_never_reject_at_05(compact: Results) -> None:
    row = next(
        row
        for row in compact.null_studies
        if (row.layout, row.test, row.alpha) == ("published icc=0.85", "headline", 0.05)
    )
    assert (row.rate, row.attainable) == (0.0, False)


def test_tests_over_models_err_more_where_models_cluster(compact: Results, truth: Truth) -> None:
    independent = calibration.compact_studies(truth, 0.0, False, 400, seed=0)
    rates = [
        next(row.rate for row in found.null_studies if row.layout.startswith("published") and row.test == "model_level")
        for found in (independent, compact)
    ]
    assert rates[0] < 0.09
    assert rates[1] > 0.14


def test_power_grows_with_the_shift(compact: Results) -> None:
    rows = [row for row in compact.power if (row.layout, row.test) == ("10+10 icc=0.85", "headline")]
    assert [row.power for row in rows] == sorted(row.power for row in rows)
    assert rows[-1].power > 0.9


def test_intervals_over_base_checkpoints_hold_the_truth_and_those_over_models_do_not(compact: Results) -> None:
    by_name = {row.interval: row for row in compact.coverage if row.layout == "5+5 icc=0.85"}
    assert by_name["headline"].coverage == pytest.approx(0.95, abs=0.04)
    assert by_name["model_level"].coverage < 0.9


def test_tests_that_take_prompts_for_a_sample_err_most_of_the_time(full: Results) -> None:
    by_name = {row.test: row.rate for row in full.null_studies if row.alpha == 0.05}
    assert by_name["any_panel_bonferroni"] > by_name["any_panel_max_t"]
    assert by_name["mixed_model_three_way"] > 0.3


def test_the_spread_as_drawn_is_stated_beside_the_asked_one(compact: Results, truth: Truth) -> None:
    (rows,) = compact.row_models
    assert (rows.sd_base, rows.sd_rm) == pytest.approx(truth.sds(0.85))
    assert (rows.drawn_sd_base, rows.drawn_sd_rm) == pytest.approx(truth.sds(0.85), rel=0.15)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(truth: Truth) -> None:
    one, same, other = (calibration.compact_studies(truth, 0.5, True, 40, seed) for seed in (1, 1, 2))
    assert one == same
    assert one.null_studies != other.null_studies


def test_every_interval_of_a_report_is_covered(truth: Truth) -> None:
    found = full_intervals(truth, 0.5, 3, seed=0)
    assert {row.interval for row in found.coverage} == {
        *("crossed", "crossed_clustered_by_adjective", "crossed_clustered_by_base"),
        *("models_fixed", "model_cells", "word_effects"),
    }
    assert all(0 <= row.coverage <= 1 and row.width > 0 for row in found.coverage)
