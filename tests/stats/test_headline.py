"""Which test a layout of units gets, and its numbers on the published data."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two, contrasts
from scipy import stats

from birthmark.errors import BirthmarkError
from birthmark.stats.permutation import exact_permutation, max_t, permutation_f
from birthmark.stats.unit_tests import average_by_unit, family_test


def test_two_units_in_a_family_take_the_difference() -> None:
    found = family_test([1.0, 2.0, 4.0, 8.0, 9.0], ["A", "A", "B", "B", "B"])
    assert (found.statistic, found.n_units, found.n_splits, found.min_p) == ("difference", {"A": 2, "B": 3}, 10, 0.1)
    assert found.p_exact == found.p_exact_difference == found.count / found.n_splits


def test_three_units_a_family_take_welch() -> None:
    values, families = np.array([1.0, 3.0, 2.0, 30.0, 4.0, 5.0, 6.0]), list("AAABBBB")
    found = family_test(values, families)
    is_b = np.array(families) == "B"
    assert found.statistic == "welch_t"
    assert found.p_exact == exact_permutation(values, is_b, "welch_t").p
    assert found.p_exact_difference == exact_permutation(values, is_b, "difference").p


def test_interval_is_welchs_over_units() -> None:
    a, b = [1.0, 3.0, 2.0], [30.0, 4.0, 5.0, 6.0]
    found = family_test(a + b, list("AAABBBB"))
    other = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((other.low, other.high))
    assert found.estimate == pytest.approx(np.mean(b) - np.mean(a))


def test_one_unit_in_a_family_has_no_interval() -> None:
    found = family_test([1.0, 5.0, 7.0], list("ABB"))
    assert found.ci_low is found.ci_high is None
    assert (found.estimate, found.n_splits) == (5.0, 3)


def test_three_families_take_f() -> None:
    values, families = np.random.default_rng(0).normal(size=7), list("AABBCCC")
    found, other = family_test(values, families), permutation_f(values, families)
    assert (found.statistic, found.p_exact, found.n_splits) == ("permutation_f", other.p, 210)
    assert found.estimate is found.ci_low is found.p_exact_difference is None


def test_several_categories_take_max_t() -> None:
    values, families = np.random.default_rng(0).normal(size=(7, 4)), list("AAABBBB")
    found, other = family_test(values, families), max_t(values, families)
    assert (found.statistic, found.estimate) == ("max_t", None)
    assert found.p_exact == min(other.p_adjusted) == found.count / found.n_splits


def test_constant_units_give_p_1_and_no_interval() -> None:
    found = family_test([0.3] * 7, list("AAABBBB"))
    assert (found.p_exact, found.estimate, found.ci_low) == (1.0, 0.0, None)


def test_one_family_raises() -> None:
    with pytest.raises(BirthmarkError, match="only one family"):
        family_test([1.0, 2.0], ["A", "A"])


def test_units_are_averaged_within_their_family() -> None:
    means, units, families = average_by_unit(np.array([1.0, 3.0, 5.0]), ["x", "x", "a"], ["A", "A", "B"])
    assert (means.tolist(), units, families) == ([2.0, 5.0], ["x", "a"], ["A", "B"])


def test_a_unit_in_two_families_raises() -> None:
    with pytest.raises(BirthmarkError, match="x is in two families"):
        average_by_unit(np.array([1.0, 3.0]), ["x", "x"], ["A", "B"])


@given(st.lists(st.integers(-20, 20), min_size=6, max_size=8))
@settings(deadline=None, max_examples=25)
def test_swapping_family_names_flips_the_estimate_and_keeps_p(values: list[int]) -> None:
    families = ["A"] * 3 + ["B"] * (len(values) - 3)
    swapped = ["B" if family == "A" else "A" for family in families]
    one, other = family_test(values, families), family_test(values, swapped)
    assert one.estimate == pytest.approx(-other.estimate)
    assert (one.p_exact, one.p_exact_difference) == (other.p_exact, other.p_exact_difference)
    if one.ci_low is not None:
        assert one.ci_low == pytest.approx(-other.ci_high)


def test_published_headline_over_base_checkpoints(shared: Path) -> None:
    data = big_two(shared)
    values, _, families = average_by_unit(contrasts(data), data.bases, data.families)
    found = family_test(values, families)
    assert (found.n_units, found.count, found.n_splits, found.min_p) == ({"Gemma": 2, "Llama": 3}, 2, 10, 0.1)
    assert found.estimate == pytest.approx(-27.3796, abs=1e-4)


def test_published_models_as_units(shared: Path) -> None:
    data = big_two(shared)
    found = family_test(contrasts(data), data.families)
    assert (found.statistic, found.count, found.n_splits) == ("welch_t", 12, 210)
    assert found.estimate == pytest.approx(-19.8279, abs=1e-4)
    assert found.p_exact_difference == 16 / 210
