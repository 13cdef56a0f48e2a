"""Power against statsmodels, scipy and the binomial distribution."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from birthmark.stats import power


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.5, 3.0])
def test_welch_with_equal_families_is_the_pooled_tests_power(n: int, effect: float) -> None:
    other = TTestIndPower().power(effect, n, 0.05, ratio=1.0)
    assert power.welch_power(7 * effect, 7, 7, n, n) == pytest.approx(other, abs=1e-9)


def test_welch_power_of_unequal_families_is_near_the_simulated_rate() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20_000, 6)), rng.normal(2.5, 3.0, size=(20_000, 9))
    rate = (stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert power.welch_power(2.5, 1, 3, 6, 9) == pytest.approx(rate, abs=0.015)


@pytest.mark.parametrize("n", [3, 6])
def test_paired_power_equals_statsmodels(n: int) -> None:
    assert power.paired_power(12, 10, n) == pytest.approx(TTestPower().power(1.2, n, 0.05), abs=1e-9)


def test_power_of_a_huge_difference_is_1_and_never_nan() -> None:
    assert [power.welch_power(shift, 1, 1, 3, 3) for shift in (1e2, 1e3, 1e6)] == pytest.approx([1, 1, 1])


def test_power_without_variance_is_certain() -> None:
    assert power.welch_power(1, 0, 0, 3, 3) == power.paired_power(1, 0, 3) == 1.0
    assert power.welch_power(0, 0, 0, 3, 3) == 0.05


def test_error_of_a_rate_is_the_binomial_sd() -> None:
    assert power.mc_error(0.3, 400) == pytest.approx(stats.binom(400, 0.3).std() / 400)
    assert power.mc_error(0.0, 100) == 0


@pytest.mark.parametrize(
    ("n_a", "n_b", "expected"),
    [(2, 3, (10, 0.1)), (4, 4, (70, 2 / 70)), (3, 4, (35, 1 / 35)), (30, 30, (100_000, 1e-5))],
)
def test_splits_and_their_smallest_p(n_a: int, n_b: int, expected: tuple[int, float]) -> None:
    assert power.splits(n_a, n_b) == pytest.approx(expected)


def test_exact_test_without_a_difference_rejects_at_its_attainable_level() -> None:
    level = 6 / 126  # the largest of 1/126, 2/126, … up to .05
    rate = power.exact_power(0.0, 4, 5)
    assert rate == pytest.approx(level, abs=4 * power.mc_error(level, power.STUDIES))


def test_exact_power_grows_with_the_difference_and_nears_welchs() -> None:
    rates = [power.exact_power(shift, 8, 8) for shift in (0.0, 0.8, 1.6, 2.4)]
    assert rates == sorted(rates)
    assert rates[2] == pytest.approx(power.welch_power(1.6, 1, 1, 8, 8), abs=0.03)


def test_nothing_is_detectable_where_the_smallest_p_is_larger_than_alpha() -> None:
    assert power.detectable_exact(2, 3) is None
    assert power.detectable_exact(1, 1) is None


def test_minimum_detectable_difference_has_the_target_power() -> None:
    found = power.detectable_exact(4, 4)
    assert found is not None
    assert power.exact_power(found, 4, 4) == pytest.approx(0.8, abs=0.03)
    assert found > TTestIndPower().solve_power(nobs1=4, alpha=0.05, power=0.8)  # the exact test of 70 splits is coarse
