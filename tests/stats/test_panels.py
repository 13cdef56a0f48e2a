"""Panels against R's t.test and p.adjust (stored), and what happens where nothing varies."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two

from birthmark.errors import BirthmarkError
from birthmark.stats.unit_tests import GroupDifference, adjust, compare_groups, welch_interval

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
