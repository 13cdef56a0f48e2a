"""Choosing among answers, against closed forms, statsmodels, scipy, jackknives and brute force."""

from itertools import permutations, product

import numpy as np
import pytest
import scipy
import statsmodels.api as sm
from statsmodels.stats.power import TTestPower

from birthmark.errors import BirthmarkError
from birthmark.stats.selection import (
    best_of_n,
    best_of_n_kl,
    detectable_difference,
    kl_from_policy,
    null_p,
    rank_correlation,
    rate_difference,
    rates_of,
    shuffled_weights,
    soft_choice,
    soft_weights,
    swap_test,
    within_correlation,
    without_covariate,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def uniform(q: int, n: int) -> np.ndarray:
    return np.full((q, n), 1 / n)


def test_the_best_has_all_weight_and_ties_share_it() -> None:
    weights = best_of_n(np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 1.0], [0.0, 0.0, 0.0]]))
    assert weights.tolist() == [[0, 1, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]
    assert kl_from_policy(weights) == pytest.approx([np.log(3), np.log(1.5), 0.0])


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_kl_of_the_best_of_n_is_that_of_its_density(n: int) -> None:
    """The best of n has the density n uⁿ⁻¹ of the policy's quantile u: KL = ∫ n uⁿ⁻¹ log(n uⁿ⁻¹) du."""
    integral, _ = scipy.integrate.quad(lambda u: scipy.special.xlogy(n * u ** (n - 1), n * u ** (n - 1)), 0, 1)
    assert best_of_n_kl(n) == pytest.approx(integral, abs=1e-8)


def test_the_soft_choice_of_two_answers_solves_its_closed_form() -> None:
    """With two answers a gap of g apart, w = 1 / (1 + exp(−g/β)), and KL = log 2 − H(w)."""
    found = soft_choice(np.array([[0.0, 3.0]]), 0.2)
    wanted = scipy.optimize.brentq(lambda w: np.log(2) - scipy.stats.entropy([w, 1 - w]) - 0.2, 0.5, 1 - 1e-9)
    assert found.weights[0] == pytest.approx([1 - wanted, wanted])
    assert found.beta == pytest.approx(3 / np.log(wanted / (1 - wanted)))
    assert found.kl == pytest.approx(0.2)


def test_every_reward_model_has_the_same_kl_whatever_its_scale(rng: np.random.Generator) -> None:
    rewards = rng.standard_normal((12, 8))
    base = soft_choice(rewards, best_of_n_kl(8))
    scaled = soft_choice(1e-3 * rewards + rng.standard_normal((12, 1)), best_of_n_kl(8))
    odd = soft_choice(rewards**9, best_of_n_kl(8))
    assert scaled.weights == pytest.approx(base.weights)
    assert scaled.beta == pytest.approx(base.beta / 1e3)
    assert base.weights == pytest.approx(scipy.special.softmax(rewards / base.beta, axis=1))
    assert [item.kl for item in (base, scaled, odd)] == pytest.approx([best_of_n_kl(8)] * 3)


def test_rewards_that_are_too_equal_are_refused_and_left_out_of_many() -> None:
    tied = np.array([[1.0, 1.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    with pytest.raises(
        BirthmarkError, match="so many rewards are equal within a question that the largest mean KL .* 0.144"
    ):
        soft_choice(tied, 0.6)
    with pytest.raises(BirthmarkError, match="do not vary"):
        soft_choice(np.ones((2, 4)) * [[1], [5]], 0.6)
    weights, betas = soft_weights(np.stack([tied, np.arange(8.0).reshape(2, 4)]), 0.6)
    assert np.isnan(betas[0]) and np.isnan(weights[0]).all()
    assert weights[1] == pytest.approx(soft_choice(np.arange(8.0).reshape(2, 4), 0.6).weights)


def test_what_length_explains_is_the_slope_of_least_squares_with_a_mean_a_question(rng: np.random.Generator) -> None:
    length, rewards = rng.standard_normal((2, 9, 5))
    rewards += 0.7 * length + rng.standard_normal((9, 1))
    dummies = np.kron(np.eye(9), np.ones((5, 1)))
    fit = sm.OLS(rewards.ravel(), np.column_stack([length.ravel(), dummies])).fit()
    rest, slope = without_covariate(rewards, length)
    assert slope == pytest.approx(fit.params[0])
    assert rest - rest.mean(axis=1, keepdims=True) == pytest.approx(fit.resid.reshape(9, 5))
    assert within_correlation(rest, length) == pytest.approx(0, abs=1e-12)
    assert without_covariate(rewards, np.ones_like(length)) == (pytest.approx(rewards), 0.0)
    assert within_correlation(rewards, np.ones_like(length)) is None


def test_a_share_has_the_interval_of_the_paired_t_test(rng: np.random.Generator) -> None:
    has = rng.integers(0, 2, (15, 6)).astype(float)
    weights = rng.dirichlet(np.ones(6), 15)
    found = rate_difference(weights, uniform(15, 6), has, np.ones_like(has))
    test = scipy.stats.ttest_rel((weights * has).sum(axis=1), has.mean(axis=1))
    interval = test.confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))
    assert found.rate_a - found.rate_b == pytest.approx(found.difference)


def test_a_rate_has_the_standard_error_of_the_ratio_estimator_and_nearly_the_jackknifes(
    rng: np.random.Generator,
) -> None:
    """Cochran's SE of a ratio, by its own formula; then the difference of two against leaving out each question."""
    totals = rng.integers(20, 60, (80, 4)).astype(float)
    counts = rng.binomial(totals.astype(int), rng.uniform(0.02, 0.2, (80, 1))).astype(float)
    a, b = rng.dirichlet(np.ones(4), 80), uniform(80, 4)
    c, t = (a * counts).sum(axis=1), (a * totals).sum(axis=1)
    ratio = c.sum() / t.sum()
    cochran = np.sqrt(((c - ratio * t) ** 2).sum() / 79 / 80) / t.mean()
    found = rate_difference(a, b, counts, totals)
    assert found.rate_a == pytest.approx(ratio)
    of_b = ((b * counts).sum(axis=1) - found.rate_b * totals.mean(axis=1)) / totals.mean()
    of_a = (c - ratio * t) / t.mean()
    assert np.sqrt((of_a**2).sum() / 79 / 80) == pytest.approx(cochran)
    assert found.se == pytest.approx(np.std(of_a - of_b, ddof=1) / np.sqrt(80))

    def without(at: int) -> float:
        kept = np.arange(80) != at
        return rate_difference(a[kept], b[kept], counts[kept], totals[kept]).difference

    left = np.array([without(at) for at in range(80)])
    jackknife = np.sqrt(79 / 80 * ((left - left.mean()) ** 2).sum())
    assert found.se == pytest.approx(jackknife, rel=0.03)


def test_the_interval_of_a_shift_covers_its_truth(rng: np.random.Generator) -> None:
    """Simulated studies in which the answers chosen have 20 words in 1,000 more: 95% intervals hold it in 95%."""
    hits = 0
    for _ in range(300):
        totals = rng.integers(30, 70, (40, 2)).astype(float)
        rates = rng.gamma(4, 0.01, (40, 1)) + [[0.0, 0.04]]
        counts = rng.poisson(rates * totals).astype(float)
        found = rate_difference(np.tile([0.0, 1.0], (40, 1)), uniform(40, 2), counts, totals)
        hits += found.ci_low <= 0.02 <= found.ci_high  # type: ignore[operator]
    assert 0.91 <= hits / 300 <= 0.985


@pytest.mark.parametrize("n", [2, 5, 60])
def test_the_detectable_shift_is_that_of_statsmodels(n: int) -> None:
    effect = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable_difference(0.3, n) == pytest.approx(effect * 0.3 * np.sqrt(n), rel=1e-3)
    assert detectable_difference(0.3, 1) is None


def test_swapping_labels_is_every_swap_by_hand(rng: np.random.Generator) -> None:
    a, b = (rng.dirichlet(np.ones(3), 6) for _ in range(2))
    counts, totals = rng.integers(0, 5, (6, 3)).astype(float), rng.integers(5, 20, (6, 3)).astype(float)

    def difference(swap: tuple[int, ...]) -> float:
        side = np.array(swap, dtype=bool)[:, None]
        first, second = np.where(side, b, a), np.where(side, a, b)
        return (first * counts).sum() / (first * totals).sum() - (second * counts).sum() / (second * totals).sum()

    every = np.array([difference(swap) for swap in product((0, 1), repeat=6)])
    found = swap_test(a, b, counts, totals)
    assert (found.exact, found.n_splits) == (True, 64)
    assert found.observed == pytest.approx(every[0])
    assert found.p == pytest.approx(np.mean(np.abs(every) >= abs(every[0]) - 1e-12))
    assert found.min_p == pytest.approx(2 / 64)
    same = swap_test(a, a, counts, totals)
    assert same.p == 1
    many = swap_test(np.tile(a, (3, 1)), np.tile(b, (3, 1)), np.tile(counts, (3, 1)), np.tile(totals, (3, 1)))
    assert (many.exact, many.n_splits, many.min_p) == (False, 10_000, 1e-4)


def test_shuffling_keeps_each_questions_weights_and_its_mean_is_the_policy(rng: np.random.Generator) -> None:
    weights = best_of_n(rng.standard_normal((4, 3)))
    counts, totals = rng.integers(0, 5, (2, 4, 3)).astype(float), np.ones((4, 3))
    drawn = shuffled_weights(weights, 4_000, seed=1)
    assert (np.sort(drawn, axis=2) == np.sort(weights, axis=1)).all()
    rates = rates_of(drawn, counts, totals)
    every = [
        np.mean([counts[0, at, place] for at, place in enumerate(places)]) - counts[0].mean()
        for places in product(range(3), repeat=4)
    ]
    assert rates.shape == (4_000, 2)
    assert rates[:, 0].mean() == pytest.approx(0, abs=0.05) and rates[:, 0].std() == pytest.approx(
        np.std(every), rel=0.05
    )
    one = rates_of(weights[None], counts, totals)[0]
    assert one[1] == pytest.approx(rate_difference(weights, uniform(4, 3), counts[1], totals).difference)


def test_a_null_p_counts_the_observed_value_too() -> None:
    assert null_p(2.0, np.array([-3.0, 2.0, 1.0, np.nan])) == pytest.approx(3 / 4)
    assert null_p(9.0, np.zeros(99)) == pytest.approx(0.01)


def test_a_rank_correlation_is_scipys_and_its_p_every_order() -> None:
    x, y = [3.0, 1.0, 4.0, 1.5, 9.0], [2.0, 7.0, 1.0, 2.5, 0.0]
    found = rank_correlation(x, y)
    every = np.array([scipy.stats.spearmanr(x, order).statistic for order in permutations(y)])
    assert found.observed == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert (found.exact, found.n_splits) == (True, 120)
    assert found.p == pytest.approx(np.mean(np.abs(every) >= abs(found.observed) - 1e-12))
    drawn = rank_correlation([*x, 10, 11, 12.5, 13], [*y, 3, 4, 5, 6])
    assert not drawn.exact and drawn.min_p == 1 / drawn.n_splits
    with pytest.raises(BirthmarkError, match="vary"):
        rank_correlation([1, 1, 1], [1, 2, 3])


def test_chosen_answers_without_a_word_are_refused() -> None:
    with pytest.raises(BirthmarkError, match="no words"):
        rate_difference(np.array([[1.0, 0.0]]), uniform(1, 2), np.zeros((1, 2)), np.array([[0.0, 3.0]]))
