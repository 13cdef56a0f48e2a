"""Forecasts against plain least squares and the jackknife+ written out by hand; coverage on data drawn here."""

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.stats.forecast import attainable, jackknife_plus


def drawn(rng, groups, members=1):
    at = np.repeat(np.arange(groups), members)
    x = rng.normal(0, 10, groups)[at]
    return x, 3 + 0.6 * x + rng.normal(0, 4, groups)[at] + rng.normal(0, 2, len(at)), at


def by_hand(x, y, new, level):
    """Barber et al. (2021), written out: refit without each point by numpy's polyfit, order statistics of the ends."""
    n, low, high = len(x), [], []
    for out in range(n):
        slope, intercept = np.polyfit(np.delete(x, out), np.delete(y, out), 1)
        residual = abs(y[out] - intercept - slope * x[out])
        low.append(intercept + slope * new - residual)
        high.append(intercept + slope * new + residual)
    k = int(np.ceil(level * (n + 1) - 1e-9))
    return -np.sort(-np.array(low))[k - 1], np.sort(high)[k - 1]


@pytest.mark.parametrize(("groups", "level"), [(6, 0.95), (12, 0.8), (25, 0.95)])
def test_with_one_reward_model_a_base_it_is_the_jackknife_plus(groups, level):
    x, y, at = drawn(np.random.default_rng(groups), groups)
    found = jackknife_plus(x, y, at, np.array([-4.0, 30.0]), level)
    slope, intercept = np.polyfit(x, y, 1)
    assert found.level == attainable(groups, level)
    np.testing.assert_allclose(found.estimate, intercept + slope * np.array([-4.0, 30.0]))
    for place, new in enumerate((-4.0, 30.0)):
        expected = by_hand(x, y, new, found.level)
        assert (found.low[place], found.high[place]) == pytest.approx(expected)


def test_members_of_a_group_share_its_weight():
    x, y, at = drawn(np.random.default_rng(4), 8)
    once, twice = (jackknife_plus(np.repeat(x, n), np.repeat(y, n), np.repeat(at, n), np.array([1.0])) for n in (1, 3))
    assert (once.low, once.high, once.slope) == (
        pytest.approx(twice.low),
        pytest.approx(twice.high),
        pytest.approx(twice.slope),
    )


@pytest.mark.parametrize(("groups", "members"), [(6, 1), (20, 2)])
def test_it_holds_a_new_reward_model_about_as_often_as_it_says(groups, members):
    rng, held = np.random.default_rng(7), []
    for _ in range(600):
        x, y, at = drawn(rng, groups + 1, members)
        old = at < groups
        found = jackknife_plus(x[old], y[old], at[old], x[-1:])
        held.append(found.low[0] <= y[-1] <= found.high[0])
    assert np.mean(held) == pytest.approx(attainable(groups), abs=0.045)


def test_the_level_is_what_so_few_bases_can_give():
    assert attainable(6) == pytest.approx(6 / 7) and attainable(40) == 0.95


def test_five_bases_give_no_forecast():
    x, y, at = drawn(np.random.default_rng(0), 5)
    with pytest.raises(BirthmarkError, match="6 base checkpoints or more, and there are 5"):
        jackknife_plus(x, y, at, np.array([0.0]))


def test_bases_that_are_all_alike_give_no_forecast():
    with pytest.raises(BirthmarkError, match="nothing to forecast from"):
        jackknife_plus(np.array([1.0] * 6 + [2.0]), np.arange(7.0), np.arange(7), np.array([0.0]))
