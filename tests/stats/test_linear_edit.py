"""The closed form of an edit against brute-force optimisation, plain linear algebra and EleutherAI's concept-erasure."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.linear_edit import FOLDS, Covariance, choose_ridge, leace, reach, step

ORACLES = Path(__file__).parents[1] / "oracles"


def drawn(seed: int, n: int = 60, hidden: int = 7, m: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """States [n, hidden] of unequal variances, a head, C [m, hidden] and t [m]."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n, hidden)) @ rng.normal(size=(hidden, hidden)) + 5
    return states, rng.normal(size=hidden), rng.normal(size=(m, hidden)), rng.normal(size=m)


def sigma(states: np.ndarray, ridge: float) -> np.ndarray:
    found = np.cov(states.T, bias=True)
    return found + ridge * np.trace(found) / len(found) * np.eye(len(found))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ridge", [1e-4, 1.0])
def test_the_closed_form_is_what_optimisation_finds(seed: int, ridge: float) -> None:
    states, w, rows, t = drawn(seed)
    cost = sigma(states, ridge)
    found = scipy.optimize.minimize(
        lambda x: (x - w) @ cost @ (x - w),
        np.zeros_like(w),
        jac=lambda x: 2 * cost @ (x - w),
        constraints={"type": "eq", "fun": lambda x: rows @ x - t, "jac": lambda x: rows},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    edited = w + step(rows, t - rows @ w, Covariance.of(states).solve(rows, ridge))
    np.testing.assert_allclose(edited, found.x, atol=2e-5)
    assert (edited - w) @ cost @ (edited - w) <= found.fun * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_what_is_set_is_set_to_a_millionth(scale: float) -> None:
    states, w, rows, t = drawn(9, n=40, hidden=64, m=6)
    rows[1] = rows[0] + 1e-3 * rows[1]  # nearly the same direction
    for ridge in (1e-4, 1e2):
        edited = w + step(rows, scale * t - rows @ w, Covariance.of(states).solve(rows, ridge))
        assert np.abs(rows @ edited - scale * t).max() <= 1e-6 * max(1.0, scale)


def test_covariance_solves_as_linear_algebra_does_where_states_are_fewer_than_their_coordinates() -> None:
    states, w, rows, _ = drawn(3, n=12, hidden=20)
    found = Covariance.of(states)
    np.testing.assert_allclose(found.solve(rows, 0.3), np.linalg.solve(sigma(states, 0.3), rows.T))
    np.testing.assert_allclose(found.pseudo_solve(rows), np.linalg.pinv(sigma(states, 0.0)) @ rows.T, atol=1e-9)
    assert found.variance(w) == pytest.approx((states @ w).var())


def test_a_plain_projection_is_the_shortest_change() -> None:
    _, w, rows, t = drawn(5)
    np.testing.assert_allclose(step(rows, t - rows @ w, rows.T), np.linalg.pinv(rows) @ (t - rows @ w))


def test_the_same_direction_twice_is_one_and_asked_for_two_things_is_refused() -> None:
    states, w, rows, _ = drawn(6)
    twice = np.vstack([rows, rows[:1]])
    solved = Covariance.of(states).solve(twice, 0.1)
    np.testing.assert_allclose(
        step(twice, -twice @ w, solved), step(rows, -rows @ w, Covariance.of(states).solve(rows, 0.1)), atol=1e-9
    )
    with pytest.raises(BirthmarkError, match="depend on each other"):
        step(twice, np.array([1.0, 0.0, 0.0, -1.0]), solved)


@pytest.mark.parametrize("case", ["full", "deficient"])
def test_leace_is_that_of_concept_erasure(case: str) -> None:
    states = pl.read_csv(ORACLES / "leace_states.csv").filter(pl.col("case") == case)
    heads = pl.read_csv(ORACLES / "leace_heads.csv").filter(pl.col("case") == case)
    x, z = (states.select(pl.col(f"^{name}\\d$")).to_numpy() for name in "hz")
    rows = np.stack([x[of == 1].mean(axis=0) - x[of == -1].mean(axis=0) for of in z.T])
    w = heads["weight"].to_numpy()
    np.testing.assert_allclose(w + leace(rows, -rows @ w, x), heads["erased"].to_numpy(), atol=1e-9)


def test_the_ridge_is_the_one_that_costs_answers_left_out_least() -> None:
    states, w, rows, _ = drawn(7, n=30, hidden=24, m=2)
    groups = np.repeat(np.arange(15), 2)
    found = choose_ridge(states, groups, rows, -rows @ w, seed=4, ridges=(1e-3, 1e-1, 10.0))
    names = np.random.default_rng([4, 2]).permutation(15)
    for ridge, cost in found.tried.items():
        by_hand = []
        for fold in np.array_split(names, FOLDS):
            out = np.isin(groups, fold)
            inverse = np.linalg.inv(sigma(states[~out], ridge))
            d = -inverse @ rows.T @ np.linalg.inv(rows @ inverse @ rows.T) @ rows @ w
            by_hand.append((states[out] @ d).var())
        assert cost == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert found.tried[found.ridge] == min(found.tried.values())


def test_a_target_is_reached_by_the_shortest_way_or_the_range_is_told() -> None:
    def stairs(m: float) -> float:
        return float(np.clip(np.round(3 - 2 * m), -10, 10))

    size, (low, high) = reach(stairs, -4.0, unit=0.7)
    assert stairs(size) == -4 and (low, high) == (-10, 10)
    assert reach(stairs, 3.0, unit=0.7)[0] == 0
    assert stairs(reach(stairs, 40.0, unit=0.7)[0]) == 10


def test_answers_that_are_all_one_state_are_refused() -> None:
    with pytest.raises(BirthmarkError, match="all answers have the same last state"):
        Covariance.of(np.ones((8, 3))).solve(np.eye(3), 1.0)
