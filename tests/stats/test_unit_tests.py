"""Panels against R's t.test and p.adjust (stored), and what happens where nothing varies. Which test a layout of units gets, and its numbers on the published data."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two, contrasts
from scipy import stats

from birthmark.errors import BirthmarkError
from birthmark.stats.permutation import exact_permutation, max_t, permutation_f
from birthmark.stats.unit_tests import (
    GroupDifference,
    adjust,
    average_by_unit,
    compare_groups,
    family_test,
    welch_interval,
)

# --- panels

numbers = st.lists(st.integers(-1000, 1000).map(lambda x: x / 7), min_size=2, max_size=12)


def test_panels_equal_r(oracle: Callable[[str], pl.DataFrame]) -> None:
    medians = oracle("medians_unbalanced")
    for row in oracle("panels").iter_rows(named=True):
        cell = medians.filter((pl.col("category") == row["category"]) & (pl.col("framing") == row["framing"]))
        a, b = (cell.filter(pl.col("family") == name)["y"].to_numpy() for name in ("Gemma", "Llama"))
        found = compare_groups(a, b)
        for key, value in vars(found).items():
            assert value == pytest.approx(row[key], rel=1e-10), key
        assert welch_interval(a, b) == pytest.approx((row["ci_low"], row["ci_high"]), rel=1e-10)


@pytest.mark.parametrize("method", ["bonferroni", "holm"])
def test_corrections_equal_r(oracle: Callable[[str], pl.DataFrame], method: str) -> None:
    panels = oracle("panels")
    assert adjust(panels["welch_p"].to_list(), method) == pytest.approx(panels[f"p_{method}"].to_list(), rel=1e-12)


def test_corrections_skip_nulls() -> None:
    assert adjust([0.01, None, 0.04], "bonferroni") == [0.02, None, 0.08]
    assert adjust([None], "holm") == [None]
    assert adjust([], "holm") == []


def test_published_d_is_the_unweighted_one(shared: Path) -> None:
    data = big_two(shared)
    is_b = np.array(data.families) == "Llama"
    sizes = []
    for category in (0, 1):
        panel = data.medians[:, category][:, data.framings == "positive"]
        sizes.append(abs(compare_groups(panel[~is_b].ravel(), panel[is_b].ravel()).cohens_d_unweighted))
    assert [round(d, 2) for d in sizes] == [0.43, 0.40]


def test_some_panel_is_significant_in_174_of_210_relabellings(shared: Path) -> None:
    data = big_two(shared)
    panels = [data.medians[:, c][:, data.framings == f] for c in (0, 1) for f in ("positive", "negative")]
    significant = 0
    for chosen in combinations(range(10), 4):
        is_a = np.isin(np.arange(10), chosen)
        p = [compare_groups(panel[is_a].ravel(), panel[~is_a].ravel()).welch_p for panel in panels]
        significant += min(adjust(p, "bonferroni")) < 0.05
    assert significant == 174


@given(numbers, numbers)
@settings(deadline=None)
def test_swapping_the_groups_flips_every_sign(a: list[float], b: list[float]) -> None:
    one, other = compare_groups(a, b), compare_groups(b, a)
    assert one.difference == pytest.approx(-other.difference)
    for key in ("cohens_d", "cohens_d_unweighted", "welch_t"):
        left, right = getattr(one, key), getattr(other, key)
        assert left == right is None or left == pytest.approx(-right)
    assert one.welch_p == other.welch_p is None or one.welch_p == pytest.approx(other.welch_p)


def test_constant_equal_groups_have_p_1_and_no_scaled_size() -> None:
    constant = GroupDifference(0.0, None, None, None, None, 1.0)
    assert compare_groups([0.1] * 3, [0.1] * 5) == constant
    assert welch_interval([0.1] * 3, [0.1] * 5) is None


def test_constant_unequal_groups_have_a_difference_and_no_p() -> None:
    assert compare_groups([1.0] * 3, [2.0] * 3) == GroupDifference(1.0, None, None, None, None, None)


def test_one_value_in_a_group_leaves_welch_null() -> None:
    found = compare_groups([1.0, 2.0, 3.0], [5.0])
    assert (found.difference, found.cohens_d) == (3.0, 3.0)
    assert found.cohens_d_unweighted is found.welch_t is found.welch_df is found.welch_p is None
    assert welch_interval([1.0, 2.0], [5.0]) is None


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf]])
def test_empty_or_missing_values_raise(bad: list[float]) -> None:
    with pytest.raises(BirthmarkError, match="empty or has missing"):
        compare_groups([1.0, 2.0], bad)


# --- headline


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
