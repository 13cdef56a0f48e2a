"""Ways to measure how two language models' probabilities of the same candidates differ.

Each metric is a function of two float64 arrays of one shape, the natural logarithms of p (first model, a) and q (second
model, b), all finite, and gives an array of that shape: positive where b prefers the candidate, zero where the two agree;
with the models swapped, all but the pointwise KLs (which change places) turn their sign. Which metric
is best was found out with values planted on purpose (`birthmark calibrate planted`); how probabilities come about is not
known here.
"""

from collections.abc import Callable, Mapping

import numpy as np
import scipy

PROBABILITY_FLOOR = 1e-6

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


def log_ratio(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Log-ratio: the reward, up to a constant, whose KL-regularised optimum turns a into b.

    Formula: log q − log p.
    Unit: nats (the reward is in units of the penalty β).
    Sign: positive where b gives the candidate more probability. Blind to how much: the rarest tokens have the largest values.
    Source: Rafailov et al. 2023, equation 5.
    """
    return log_q - log_p


def mwlr(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Mixture-weighted log-ratio: the log-ratio, weighted by how probable the two models make the candidate.

    Formula: ½(p + q)(log q − log p); its sum over a vocabulary is ½(KL(q‖p) − KL(p‖q)).
    Unit: nats.
    Sign: positive where b gives the candidate more probability.
    Source: Christian et al. 2026, figure 3.
    """
    return 0.5 * (np.exp(log_p) + np.exp(log_q)) * (log_q - log_p)


def probability_difference(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Probability difference: what the candidate gains from a to b.

    Formula: q − p; over a vocabulary it sums to zero, and half the sum of |q − p| is the total variation distance.
    Unit: probability, −1 to 1.
    Sign: positive where b gives the candidate more probability.
    Source: Gibbs & Su 2002, on total variation.
    """
    return np.exp(log_q) - np.exp(log_p)


def pointwise_kl_a(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Pointwise KL, weighted by the first model: a candidate's share of −KL(p‖q).

    Formula: p(log q − log p).
    Unit: nats.
    Sign: positive where b gives the candidate more probability.
    Source: Kullback & Leibler 1951; as a score of words, Tomokiyo & Hurst 2003.
    """
    return np.exp(log_p) * (log_q - log_p)


def pointwise_kl_b(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Pointwise KL, weighted by the second model: a candidate's share of KL(q‖p).

    Formula: q(log q − log p).
    Unit: nats.
    Sign: positive where b gives the candidate more probability.
    Source: Kullback & Leibler 1951; as a score of words, Tomokiyo & Hurst 2003.
    """
    return np.exp(log_q) * (log_q - log_p)


def pointwise_js(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Pointwise Jensen–Shannon: a candidate's share of the divergence, given the sign of the difference.

    Formula: sign(q − p) · ½(p log(p/m) + q log(q/m)), m = ½(p + q).
    Unit: nats.
    Sign: positive where b gives the candidate more probability.
    Source: Lin 1991; as a score of words, Gallagher et al. 2021.
    """
    log_m = np.logaddexp(log_p, log_q) - np.log(2.0)
    share = 0.5 * (np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m))
    return np.sign(log_q - log_p) * np.maximum(share, 0.0)  # a share below zero is rounding


def floored_log_ratio(log_p: np.ndarray, log_q: np.ndarray, floor: float = PROBABILITY_FLOOR) -> np.ndarray:
    """Log-ratio above a probability floor: zero where both models all but rule the candidate out.

    Formula: log max(q, f) − log max(p, f), with f = 10⁻⁶.
    Unit: nats.
    Sign: positive where b gives the candidate more probability, and more than f.
    Source: birthmark's own; in the spirit of the plausibility constraint of Li et al. 2023.
    """
    return np.maximum(log_q, np.log(floor)) - np.maximum(log_p, np.log(floor))


def rank_difference(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Rank difference: places that the candidate gains from a to b, among the candidates given.

    Formula: rank under a − rank under b, 1 the most probable, ties averaged.
    Unit: places; its range grows with the number of candidates.
    Sign: positive where b ranks the candidate higher.
    Source: after Dodds et al. 2023 (rank-turbulence divergence), undamped.
    """
    return scipy.stats.rankdata(-log_p) - scipy.stats.rankdata(-log_q)


def log_odds_ratio(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Odds ratio, as its logarithm: the log-ratio where both probabilities are small, more where one is near 1.

    Formula: log(q/(1 − q)) − log(p/(1 − p)).
    Unit: nats (log-odds).
    Sign: positive where b gives the candidate more probability.
    Source: Monroe, Colaresi & Quinn 2008, without a prior.
    """
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

RELATIVE = ("rank_difference",)
"""Metrics whose value of a candidate depends on which others there are."""

LEADING_METRIC = "mwlr"
"""The metric that reports lead with, by what `birthmark calibrate planted` found (docs/implicit.md; small setting, five seeds,
four categories, both embedded models): MWLR and the pointwise KL weighted by the second model bring the most planted words
to the top, a difference of 0.000 (−0.002 to 0.002) in precision at k; of the two only MWLR turns its sign with the models.
"""
