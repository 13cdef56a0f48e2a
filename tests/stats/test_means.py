"""Intervals of shares and means against scipy and hand calculations; sample sizes against the power they are for."""

import numpy as np
import pytest
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.means import detectable, mean_of, needed, wilson
from birthmark.stats.power import paired_power


@pytest.mark.parametrize(("k", "n"), [(0, 10), (7, 10), (150, 200), (200, 200)])
def test_wilsons_interval_is_scipys(k, n):
    found = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k / n, n) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.mark.parametrize(("share", "n"), [(1.1, 5), (-0.1, 5), (0.5, 0)])
def test_what_is_no_share_is_refused(share, n):
    with pytest.raises(BirthmarkError, match="not a share"):
        wilson(share, n)


def test_a_mean_over_three_seeds_has_students_interval_with_two_degrees_of_freedom():
    found = mean_of([1.0, 2.0, 6.0])
    reach = 4.302653 * np.sqrt(7.0) / np.sqrt(3.0)  # t(.975, 2) from a table; SD² = 7
    assert (found.estimate, found.ci_low, found.ci_high) == pytest.approx((3.0, 3 - reach, 3 + reach), abs=1e-5)
    assert found.p == pytest.approx(scipy.stats.ttest_1samp([1.0, 2.0, 6.0], 0).pvalue)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_one_value_and_values_all_alike_have_no_interval(values):
    assert mean_of(values) is None


@pytest.mark.parametrize(("shift", "sd"), [(1.0, 1.0), (0.5, 2.0), (10.0, 1.0)])
def test_the_number_needed_is_the_first_that_has_the_power(shift, sd):
    n = needed(shift, sd)
    assert paired_power(shift, sd, n) >= 0.8 and (n == 2 or paired_power(shift, sd, n - 1) < 0.8)


def test_no_number_finds_no_difference_and_the_largest_one_may_not_be_enough():
    assert needed(0.0, 1.0) is None and needed(0.01, 1.0, most=100) is None


def test_the_detectable_difference_is_found_in_eight_of_ten_studies():
    assert paired_power(detectable(3.0, 5), 3.0, 5) == pytest.approx(0.8, abs=1e-6)
    with pytest.raises(BirthmarkError, match="two values"):
        detectable(1.0, 1)
