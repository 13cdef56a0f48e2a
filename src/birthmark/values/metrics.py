"""Ways to measure how two language models' probabilities of the same candidates differ.

Each metric is a function of two float64 arrays of one shape, the natural logarithms of p (first model, a) and q (second
model, b), and gives an array of that shape: positive where b prefers the candidate, zero where the two agree. Nothing
here knows which metric is best (that needs values planted on purpose) or how probabilities come about.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import rankdata

PROBABILITY_FLOOR = 1e-6

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


def log_ratio(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """log q − log p, in nats: the reward, up to a constant, whose KL-regularised optimum turns a into b (β = 1).

    Blind to how probable a candidate is: the rarest tokens have the largest values. Rafailov et al. 2023, eq. 5.
    """
    return log_q - log_p


def mwlr(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Mixture-weighted log-ratio, ½(p + q)(log q − log p), in nats. Its sum over a vocabulary is
    ½(KL(q‖p) − KL(p‖q)). Christian et al. 2026.
    """
    return 0.5 * (np.exp(log_p) + np.exp(log_q)) * (log_q - log_p)


def probability_difference(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """q − p, between −1 and 1. Its sum over a vocabulary is zero; half the sum of |q − p| is the total variation."""
    return np.exp(log_q) - np.exp(log_p)


def pointwise_kl_a(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """p(log q − log p), in nats: a candidate's share of −KL(p‖q), weighted by the first model. Kullback & Leibler 1951."""
    return np.exp(log_p) * (log_q - log_p)


def pointwise_kl_b(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """q(log q − log p), in nats: a candidate's share of KL(q‖p), weighted by the second model. Kullback & Leibler 1951."""
    return np.exp(log_q) * (log_q - log_p)


def pointwise_js(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """sign(q − p) · ½(p log(p/m) + q log(q/m)), m = ½(p + q), in nats: a candidate's share of the Jensen–Shannon
    divergence, given the sign of the difference. Lin 1991.
    """
    log_m = np.logaddexp(log_p, log_q) - np.log(2.0)
    share = 0.5 * (np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m))
    return np.sign(log_q - log_p) * share


def floored_log_ratio(log_p: np.ndarray, log_q: np.ndarray, floor: float = PROBABILITY_FLOOR) -> np.ndarray:
    """log max(q, f) − log max(p, f), in nats, with f a probability (10⁻⁶): zero where both models all but rule it out."""
    return np.maximum(log_q, np.log(floor)) - np.maximum(log_p, np.log(floor))


def rank_difference(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Rank under a minus rank under b among these candidates, 1 best, ties averaged: places by which b ranks it higher."""
    return rankdata(-log_p) - rankdata(-log_q)


def log_odds_ratio(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """log (q/(1 − q)) − log (p/(1 − p)), in nats: the odds ratio's logarithm; the log-ratio where both are rare."""
    return (log_q - _log1m(log_q)) - (log_p - _log1m(log_p))


def _log1m(log_p: np.ndarray) -> np.ndarray:
    """log(1 − p) from log p; a probability that rounds to 1 counts as the largest double below it."""
    return np.log(-np.expm1(np.minimum(log_p, -np.finfo(np.float64).epsneg)))


METRICS: Mapping[str, Metric] = {
    "log_ratio": log_ratio,
    "mwlr": mwlr,
    "probability_difference": probability_difference,
    "pointwise_kl_a": pointwise_kl_a,
    "pointwise_kl_b": pointwise_kl_b,
    "pointwise_js": pointwise_js,
    "floored_log_ratio": floored_log_ratio,
    "rank_difference": rank_difference,
    "log_odds_ratio": log_odds_ratio,
}
