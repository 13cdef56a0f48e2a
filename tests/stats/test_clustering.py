"""Nested analysis of variance against R's aov (stored), simulation, and degenerate layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from published import big_two, contrasts

from birthmark.errors import BirthmarkError
from birthmark.stats.variance import NestedVariance, effective_number, nested_variance


def test_f_equals_r(oracle: Callable[[str], pl.DataFrame]) -> None:
    data = oracle("nested")
    found = nested_variance(data["y"].to_numpy(), data["base"].to_list(), data["family"].to_list())
    _, base, residual = oracle("nested_anova").iter_rows(named=True)
    assert (found.df_base, found.df_rm) == (base["df"], residual["df"])
    assert found.f == pytest.approx(base["f"], rel=1e-10)
    assert found.p == pytest.approx(base["p"], rel=1e-10)
    assert found.sd_rm == pytest.approx(np.sqrt(residual["ms"]), rel=1e-10)


def test_variances_are_unbiased_in_an_unbalanced_layout() -> None:
    """E MS base is linear in the variances: the mean estimate over many studies is the truth."""
    rng = np.random.default_rng(0)
    bases = np.repeat(["a", "b", "c", "d", "e"], [4, 1, 3, 1, 2])
    families = np.repeat(["A", "B"], [5, 6])
    code = np.unique(bases, return_inverse=True)[1]
    estimates = []
    for _ in range(1500):
        y = rng.normal(0, 20, 5)[code] + rng.normal(0, 5, 11)
        found = nested_variance(y, bases.tolist(), families.tolist())
        estimates.append((found.sd_base**2, found.sd_rm**2))
    base, rm = np.mean(estimates, axis=0)
    assert rm == pytest.approx(25, rel=0.05)
    assert base == pytest.approx(400, rel=0.1)  # truncation at 0 is rare here


def test_published_models_cluster_by_base_checkpoint(shared: Path) -> None:
    data = big_two(shared)
    found = nested_variance(contrasts(data), data.bases, data.families)
    assert (round(found.sd_base, 1), round(found.sd_rm, 1), round(found.icc, 2)) == (16.6, 7.2, 0.84)
    assert (found.df_base, found.df_rm) == (3, 5)


@pytest.mark.parametrize(("icc", "worth"), [(0.0, 10.0), (1.0, 1 / 0.625 + 36 / 14), (0.84, 4.6)])
def test_clustered_models_have_a_smaller_effective_number(icc: float, worth: float) -> None:
    bases, families = list("aaabcccdde"), ["Gemma"] * 4 + ["Llama"] * 6
    assert effective_number(bases, families, icc) == pytest.approx(worth, abs=0.01)


def test_effective_number_gives_the_variance_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([3, 2, 1])
    base = np.repeat(rng.normal(0, 2.0, (20_000, 3)), sizes, axis=1)
    means = (base + rng.normal(0, 1.0, base.shape)).mean(axis=1)
    worth = effective_number(list("aaabbc"), ["A"] * 6, icc=0.8)
    assert means.var() == pytest.approx(5.0 / worth, rel=0.05)


def test_no_base_with_two_models_leaves_all_null() -> None:
    found = nested_variance([1.0, 2.0, 3.0], ["a", "b", "c"], ["A", "A", "B"])
    assert found == NestedVariance(None, None, None, None, None, 1, 0)


def test_one_base_a_family_leaves_the_models_spread() -> None:
    found = nested_variance([1.0, 3.0, 5.0, 5.0], ["a", "a", "b", "b"], ["A", "A", "B", "B"])
    assert (found.sd_base, found.icc, found.f, found.p) == (None, None, None, None)
    assert found.sd_rm == pytest.approx(1.0)


def test_constant_values_have_no_variance_and_p_1() -> None:
    found = nested_variance([0.1] * 5, list("aabbc"), list("AAAAA"))
    assert (found.sd_base, found.sd_rm, found.icc, found.f, found.p) == (0.0, 0.0, None, None, 1.0)


def test_a_negative_variance_between_bases_is_set_to_zero() -> None:
    found = nested_variance([0.0, 10.0, 1.0, 9.0], list("aabb"), list("AAAA"))
    assert (found.sd_base, found.icc) == (0.0, 0.0)


def test_a_base_in_two_families_raises() -> None:
    with pytest.raises(BirthmarkError, match="two families"):
        nested_variance([1.0, 2.0], ["a", "a"], ["A", "B"])
