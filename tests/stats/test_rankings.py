"""Rank-biased overlap against its definition, counted out over all ways to break ties. Classical scaling against known places, matrix regression against least squares and counted-out permutations."""

from itertools import permutations, product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.stats.rankings import (
    classical_scaling,
    least_stress,
    matrix_regression,
    overlap_profile,
    rank_biased_overlap,
    stress,
)

# --- overlap


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


# --- matrices


def distances(places: np.ndarray) -> np.ndarray:
    return np.linalg.norm(places[:, None] - places[None, :], axis=-1)


def symmetric(rng: np.random.Generator, n: int) -> np.ndarray:
    matrix = rng.normal(size=(n, n))
    return (matrix + matrix.T) / 2


def test_coordinates_in_a_plane_are_recovered() -> None:
    places = np.random.default_rng(0).normal(size=(8, 2))
    found = classical_scaling(distances(places))
    assert distances(found) == pytest.approx(distances(places))
    assert stress(distances(places), found) == pytest.approx(0.0, abs=1e-9)


def test_stress_is_kruskals() -> None:
    places = np.random.default_rng(1).normal(size=(5, 3))
    wanted, found = distances(places), classical_scaling(distances(places))
    pairs = [(a, b) for a in range(5) for b in range(a)]
    top = sum((wanted[pair] - distances(found)[pair]) ** 2 for pair in pairs)
    assert stress(wanted, found) == pytest.approx(np.sqrt(top / sum(wanted[pair] ** 2 for pair in pairs)))


def test_least_stress_is_below_classical_scaling_and_a_local_minimum() -> None:
    """Against scipy's minimizer, started where the steps end."""
    wanted = distances(np.random.default_rng(1).normal(size=(9, 6)))
    found = least_stress(wanted)
    assert stress(wanted, found) < stress(wanted, classical_scaling(wanted)) - 0.05
    best = minimize(lambda x: stress(wanted, x.reshape(-1, 2)), found.ravel())
    assert stress(wanted, found) == pytest.approx(best.fun, abs=1e-4)


def test_least_stress_recovers_a_plane_and_handles_coinciding_points() -> None:
    places = np.random.default_rng(0).normal(size=(8, 2))
    assert distances(least_stress(distances(places))) == pytest.approx(distances(places), abs=1e-6)
    twins = distances(places[[0, 0, 1, 2]])
    assert distances(least_stress(twins)) == pytest.approx(twins, abs=1e-3)
    assert least_stress(np.array([[0.0, 2.0], [2.0, 0.0]])).shape == (2, 2)


def test_two_things_lie_on_a_line() -> None:
    assert np.abs(classical_scaling(np.array([[0.0, 2.0], [2.0, 0.0]]))[:, 0]) == pytest.approx([1.0, 1.0])


def test_coefficients_are_those_of_least_squares_on_pairs() -> None:
    rng = np.random.default_rng(2)
    y, a, b = (symmetric(rng, 7) for _ in range(3))
    pairs = np.triu_indices(7, 1)
    fit = sm.OLS(y[pairs], sm.add_constant(np.column_stack([a[pairs], b[pairs]]))).fit()
    found = matrix_regression(y, [a, b], shuffles=9)
    assert [test.coefficient for test in found] == pytest.approx(fit.params[1:].tolist())
    assert found[0].simple_r == pytest.approx(np.corrcoef(y[pairs], a[pairs])[0, 1])


def test_p_is_near_the_share_over_all_permutations_by_refitting() -> None:
    rng = np.random.default_rng(3)
    n = 5
    pairs = np.triu_indices(n, 1)
    x, z = symmetric(rng, n), symmetric(rng, n)
    y = symmetric(rng, n) + 0.8 * x
    auxiliary = sm.OLS(x[pairs], sm.add_constant(z[pairs])).fit()
    residual = np.zeros((n, n))
    residual[pairs] = auxiliary.resid
    residual += residual.T

    def t_of(matrix: np.ndarray) -> float:
        return float(
            abs(sm.OLS(y[pairs], sm.add_constant(np.column_stack([matrix[pairs], z[pairs]]))).fit().tvalues[1])
        )

    observed = t_of(residual)
    every = [np.array(order) for order in permutations(range(n))]
    exact = np.mean([t_of(residual[np.ix_(order, order)]) >= observed - 1e-9 for order in every])
    simple = np.mean(
        [
            abs(np.corrcoef(y[pairs], x[np.ix_(order, order)][pairs])[0, 1])
            >= abs(np.corrcoef(y[pairs], x[pairs])[0, 1]) - 1e-9
            for order in every
        ]
    )
    found = matrix_regression(y, [x, z], shuffles=20_000)[0]
    assert found.p == pytest.approx(exact, abs=0.015)
    assert found.simple_p == pytest.approx(simple, abs=0.015)


def test_without_an_effect_p_is_uniform() -> None:
    rng = np.random.default_rng(4)
    n, studies = 8, 400
    p = []
    for seed in range(studies):
        heat = rng.normal(size=n)  # things have levels of their own, so that pairs depend on each other
        y = symmetric(rng, n) + heat[:, None] + heat[None, :]
        labels = rng.permutation([0, 0, 0, 1, 1, 1, 2, 2])
        p.append(matrix_regression(y, [(labels[:, None] == labels).astype(float)], shuffles=99, seed=seed)[0].p)
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / studies))


def test_a_predictor_that_others_determine_raises() -> None:
    rng = np.random.default_rng(5)
    y, a = symmetric(rng, 6), symmetric(rng, 6)
    with pytest.raises(BirthmarkError, match="determined by the others"):
        matrix_regression(y, [a, 2 * a])
