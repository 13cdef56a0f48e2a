"""Rank-biased overlap against its definition, counted out over all ways to break ties."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.stats.rankings import overlap_profile, rank_biased_overlap


def by_definition(a: list[int], b: list[int], p: float) -> float:
    """RBO of two orders of the same items, as Webber et al. write it; below the last item they agree fully."""
    n = len(a)
    agreement = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, n + 1)]
    return (1 - p) * sum(p ** (d - 1) * agreement[d - 1] for d in range(1, n + 1)) + p**n


def orders(ranks: np.ndarray) -> list[list[int]]:
    """Every order of the items that breaks the ties of `ranks`."""
    groups = [np.flatnonzero(ranks == value).tolist() for value in np.unique(ranks)]
    return [[item for group in chosen for item in group] for chosen in product(*(permutations(g) for g in groups))]


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_without_ties_it_is_the_definition(p: float) -> None:
    rng = np.random.default_rng(0)
    a, b = rankdata(rng.random(40)), rankdata(rng.random(40))
    found = rank_biased_overlap(overlap_profile(a, p), overlap_profile(b, p))
    assert found == pytest.approx(by_definition(orders(a)[0], orders(b)[0], p), abs=1e-11)


def test_with_ties_it_is_the_mean_over_all_ways_to_break_them() -> None:
    a, b = rankdata([3, 1, 1, 2, 2, 2]), rankdata([1, 1, 2, 3, 3, 1])
    expected = np.mean([by_definition(x, y, 0.8) for x in orders(a) for y in orders(b)])
    assert rank_biased_overlap(overlap_profile(a, 0.8), overlap_profile(b, 0.8)) == pytest.approx(expected)


def test_a_ranking_agrees_fully_with_itself() -> None:
    profile = overlap_profile(rankdata(np.arange(5000)), 0.9)
    assert rank_biased_overlap(profile, profile) == pytest.approx(1.0)


def test_a_reversed_long_ranking_has_almost_no_overlap() -> None:
    ranks = rankdata(np.arange(5000))
    assert rank_biased_overlap(overlap_profile(ranks, 0.9), overlap_profile(5001 - ranks, 0.9)) < 1e-9


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0, float("nan")])
def test_a_persistence_outside_zero_and_one_raises(p: float) -> None:
    with pytest.raises(BirthmarkError, match="between 0 and 1"):
        overlap_profile(np.array([1.0, 2.0]), p)


def test_rankings_of_different_length_raise() -> None:
    with pytest.raises(BirthmarkError, match="same items"):
        rank_biased_overlap(overlap_profile(np.array([1.0, 2.0]), 0.9), overlap_profile(np.array([1.0, 2.0, 3.0]), 0.9))
