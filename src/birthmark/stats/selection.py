"""What choosing among answers does: weights from rewards, the rate of something in what is chosen, and tests of it.

Rewards, weights and counts are [questions, answers]: every question has the same number n of answers, drawn from one
policy. A question's weights add up to 1; equal weights, 1/n, are the policy itself. Questions are what was sampled, and a
question's answers are nested in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from math import factorial, log

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.permutation import TIE, ExactTest, label_arrangements
from birthmark.stats.power import paired_power

LEVEL, POWER = 0.95, 0.8
SWAPS = 10_000
ORDERS = 40_320  # all of eight models


# ------------------------------------------------------------------------------------------------------------ weights


def best_of_n(rewards: np.ndarray) -> np.ndarray:
    """Weights of best-of-n [questions, n]: 1 on the answer with the highest reward, shared equally by ties."""
    best = rewards == rewards.max(axis=1, keepdims=True)
    return best / best.sum(axis=1, keepdims=True)


def best_of_n_kl(n: int) -> float:
    """log n − (n − 1)/n nats: the KL divergence from the policy of the best of n answers, where rewards have no ties.

    Source: Stiennon et al. (2020), appendix G.3.
    """
    return log(n) - (n - 1) / n


def kl_from_policy(weights: np.ndarray) -> np.ndarray:
    """Σ w log(n w) of each question [...], in nats: how far weights [..., n] are from the policy's n equal ones."""
    n = weights.shape[-1]
    return np.asarray(scipy.special.xlogy(weights, n * weights).sum(axis=-1))


@dataclass(frozen=True)
class SoftChoice:
    """Weights [questions, n] ∝ exp(reward / β), the β, and the mean KL from the policy over questions, in nats."""

    weights: np.ndarray
    beta: float
    kl: float


def soft_choice(rewards: np.ndarray, kl: float) -> SoftChoice:
    """Weights ∝ exp(r/β) within each question, with the β at which their mean KL from the policy over questions is `kl`.

    The weights do not depend on a question's mean reward or on the rewards' scale, which β takes up. The mean KL falls from
    the mean of log(n / number of ties at the top) to 0 as β grows. Raises `BirthmarkError` where ties leave no β that
    reaches `kl`, and where rewards do not vary within any question.
    """
    if not (rewards != rewards[:, :1]).any():
        raise BirthmarkError("the rewards do not vary within any question: there is nothing to choose by")
    most = float(kl_from_policy(best_of_n(rewards)).mean())
    weights, betas = soft_weights(rewards[None], kl)
    if np.isnan(betas[0]):
        raise BirthmarkError(
            f"so many rewards are equal within a question that the largest mean KL from the policy is {most:.3f} nats, and "
            f"{kl:.3f} is asked for"
        )
    return SoftChoice(weights[0], float(betas[0]), float(kl_from_policy(weights[0]).mean()))


def soft_weights(rewards: np.ndarray, kl: float) -> tuple[np.ndarray, np.ndarray]:
    """The weights of `soft_choice` for several sets of rewards [sets, questions, n], and each set's β [sets].

    β is found by bisection of its logarithm. Both are NaN for a set whose ties leave no β.
    """
    centred = rewards - rewards.max(axis=-1, keepdims=True)
    spread = centred.std(axis=-1).mean(axis=-1)
    scaled = centred / np.where(spread > 0, spread, 1.0)[:, None, None]
    low, high = np.full(len(rewards), -LOG_BETA), np.full(len(rewards), LOG_BETA)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _mean_kl(scaled, middle) > kl
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    lost = (spread == 0) | (_mean_kl(scaled, np.full(len(rewards), -LOG_BETA)) <= kl)
    beta = np.where(lost, np.nan, spread * np.exp(low))
    weights = _softmax(scaled, low)
    weights[lost] = np.nan
    return weights, beta


LOG_BETA, HALVINGS = 32.0, 64  # of β in standard deviations of rewards


def _softmax(scaled: np.ndarray, log_beta: np.ndarray) -> np.ndarray:
    """scaled: [sets, questions, n], at most 0 and 0 at the top of each question; log_beta: [sets]."""
    raised = np.exp(scaled * np.exp(-log_beta)[:, None, None])
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _mean_kl(scaled: np.ndarray, log_beta: np.ndarray) -> np.ndarray:
    return kl_from_policy(_softmax(scaled, log_beta)).mean(axis=-1)  # type: ignore[no-any-return]


def without_covariate(rewards: np.ndarray, covariate: np.ndarray) -> tuple[np.ndarray, float]:
    """Rewards [questions, n] less what a covariate explains within questions, and the slope.

    The slope is that of least squares with a mean for each question, Σ (x − x̄_q)(r − r̄_q) / Σ (x − x̄_q)²; the residuals keep
    each question's mean. A covariate that does not vary within any question explains nothing.
    """
    x = covariate - covariate.mean(axis=1, keepdims=True)
    squares = float((x**2).sum())
    slope = float((x * (rewards - rewards.mean(axis=1, keepdims=True))).sum()) / squares if squares > 0 else 0.0
    return rewards - slope * x, slope


def within_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r of two values [questions, n], each less its question's mean; None where one does not vary within."""
    x, y = (value - value.mean(axis=1, keepdims=True) for value in (a, b))
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / scale if scale > 0 else None


# -------------------------------------------------------------------------------------------------- rates and shifts


@dataclass(frozen=True)
class RateDifference:
    """The rates under two sets of weights, and their difference with its standard error and 95% interval over questions.

    `detectable`: the true difference that this standard error would find at .05 with 80% power. The error, the interval and
    `detectable` are None with a single question.
    """

    rate_a: float
    rate_b: float
    difference: float
    se: float | None
    ci_low: float | None
    ci_high: float | None
    detectable: float | None


def rate_difference(a: np.ndarray, b: np.ndarray, counts: np.ndarray, totals: np.ndarray) -> RateDifference:
    """Difference a − b of the rate Σ w c / Σ w t, sums over all questions and answers, with its interval over questions.

    a, b: weights [questions, n]; counts, totals: c and t [questions, n], such as a category's words and all words of an
    answer. With t = 1 the rate is the mean of c. The standard error is the ratio estimator's: a question's influence under
    weights w is (C_q − R T_q) / T̄ with C_q = Σ w c, T_q = Σ w t; the difference's is that under a less that under b, and
    SE = SD(influences) / √Q. The interval is ± t(.975, Q − 1) SE.

    Raises `BirthmarkError` where what is chosen has a total of 0. Source: Cochran (1977), Sampling Techniques, chapter 6.
    """
    (rate_a, of_a), (rate_b, of_b) = (_rate(weights, counts, totals) for weights in (a, b))
    difference, n = rate_a - rate_b, len(a)
    if n < 2:
        return RateDifference(rate_a, rate_b, difference, None, None, None, None)
    se = float((of_a - of_b).std(ddof=1)) / np.sqrt(n)
    reach = float(scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1)) * se
    return RateDifference(
        rate_a, rate_b, difference, float(se), difference - reach, difference + reach, detectable_difference(se, n)
    )


def _rate(weights: np.ndarray, counts: np.ndarray, totals: np.ndarray) -> tuple[float, np.ndarray]:
    """The rate and each question's influence on it [questions]."""
    count, total = (weights * counts).sum(axis=1), (weights * totals).sum(axis=1)
    if total.sum() == 0:
        raise BirthmarkError("what is chosen has no words")
    rate = float(count.sum() / total.sum())
    return rate, (count - rate * total) / total.mean()


def detectable_difference(se: float, n: int) -> float | None:
    """The true mean of n values that a two-sided t-test at .05 finds with 80% power, given the mean's standard error.

    By the noncentral t with n − 1 degrees of freedom; None for fewer than two values, 0 where se is 0.
    """
    if n < 2:
        return None
    return se * _detectable_in_errors(n)


@cache
def _detectable_in_errors(n: int) -> float:
    """`detectable_difference` of n values whose mean has a standard error of 1."""
    return float(scipy.optimize.brentq(lambda shift: paired_power(shift, float(np.sqrt(n)), n) - POWER, 0.0, 100.0))


# ---------------------------------------------------------------------------------------------------- nulls and tests


def swap_test(a: np.ndarray, b: np.ndarray, counts: np.ndarray, totals: np.ndarray, seed: int = 0) -> ExactTest:
    """Two-sided test that two sets of weights give one rate: their labels are swapped within questions.

    Arguments as for `rate_difference`. All 2^Q swaps where there are at most 10,000, else 9,999 random ones with the observed
    one added. The statistic is the difference of the rates after the swap.
    """
    q = len(a)
    pairs, exact = label_arrangements(np.tile([0, 1], q), [str(at // 2) for at in range(2 * q)], seed, limit=SWAPS)
    swapped = pairs[:, ::2].astype(float)  # [swaps, questions], 1 where a and b change places
    sums = [[(weights * values).sum(axis=1) for values in (counts, totals)] for weights in (a, b)]
    (count_a, total_a), (count_b, total_b) = sums

    def rates(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return first.sum() + swapped @ (second - first)  # type: ignore[no-any-return]

    drawn = rates(count_a, count_b) / rates(total_a, total_b) - rates(count_b, count_a) / rates(total_b, total_a)
    observed = rate_difference(a, b, counts, totals).difference
    return _tail(observed, drawn, exact)


def shuffled_weights(weights: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Weights [questions, n] shuffled within questions: [draws, questions, n].

    Shuffling rewards within questions is the same, since a question's weights depend on its own rewards alone.
    """
    rng = np.random.default_rng(seed)
    return rng.permuted(np.broadcast_to(weights, (draws, *weights.shape)), axis=2)


def rates_of(weights: np.ndarray, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Differences from the policy's rate under several sets of weights [sets, questions, n]: [sets, ...] for counts
    [..., questions, n]; NaN where what is chosen has a total of 0."""
    flat = weights.reshape(len(weights), -1)
    each = counts.reshape(*counts.shape[:-2], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = (flat @ np.moveaxis(each, -1, 0).reshape(flat.shape[1], -1)) / (flat @ totals.reshape(-1))[:, None]
    policy = each.sum(axis=-1).reshape(-1) / totals.sum()
    return np.asarray((rates - policy).reshape(len(weights), *counts.shape[:-2]))


def null_p(observed: float, drawn: np.ndarray) -> float:
    """(b + 1) / (m + 1), with b of m draws at least as far from 0 as the observed value; NaN draws do not count.

    Source: Phipson and Smyth (2010).
    """
    drawn = drawn[np.isfinite(drawn)]
    return float((np.sum(np.abs(drawn) >= abs(observed) * (1 - TIE) - 1e-15) + 1) / (len(drawn) + 1))


def rank_correlation(x: Sequence[float], y: Sequence[float], seed: int = 0) -> ExactTest:
    """Spearman's ρ (`observed`) and its two-sided permutation p: all orders of up to eight pairs, else 40,319 random ones.

    Raises `BirthmarkError` where one of the two does not vary.
    """
    a, b = (scipy.stats.rankdata(values) for values in (x, y))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if scale == 0:
        raise BirthmarkError("a correlation needs values that vary")
    exact = factorial(len(a)) <= ORDERS
    rng = np.random.default_rng(seed)
    orders = (
        np.array(list(permutations(range(len(a)))))
        if exact
        else rng.permuted(np.tile(np.arange(len(a)), (ORDERS - 1, 1)), axis=1)
    )
    return _tail(float(a @ b) / scale, b[orders] @ a / scale, exact)


def _tail(observed: float, drawn: np.ndarray, exact: bool) -> ExactTest:
    """The share of draws at least as far from 0; of random ones the observed one is added."""
    size, more = np.abs(drawn), int(not exact)
    count = int((size >= abs(observed) * (1 - TIE) - 1e-15).sum()) + more
    n = len(drawn) + more
    largest = float(size.max())
    min_p = float((size >= largest * (1 - TIE)).sum()) / n if exact else 1 / n
    return ExactTest(count / n, count, n, min_p, observed, exact)
