import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from birthmark.values.metrics import METRICS, floored_log_ratio, log_odds_ratio, rank_difference

RNG = np.random.default_rng(3)
P, Q = (RNG.dirichlet(np.ones(50) / 2) for _ in range(2))
LOG_P, LOG_Q = np.log(P), np.log(Q)


@pytest.mark.parametrize("name", METRICS)
def test_identical_models_have_no_reward(name: str) -> None:
    assert (METRICS[name](LOG_P, LOG_P) == 0).all()


@pytest.mark.parametrize("name", METRICS)
def test_swapping_the_models_turns_the_sign(name: str) -> None:
    swapped = {"pointwise_kl_a": "pointwise_kl_b", "pointwise_kl_b": "pointwise_kl_a"}.get(name, name)
    np.testing.assert_allclose(METRICS[swapped](LOG_Q, LOG_P), -METRICS[name](LOG_P, LOG_Q), atol=1e-15)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("rank_difference", "floored_log_ratio")])
def test_positive_where_the_second_model_is_likelier(name: str) -> None:
    np.testing.assert_array_equal(np.sign(METRICS[name](LOG_P, LOG_Q)), np.sign(Q - P))


def test_mwlr_is_the_mean_of_both_pointwise_kl() -> None:
    mean = (METRICS["pointwise_kl_a"](LOG_P, LOG_Q) + METRICS["pointwise_kl_b"](LOG_P, LOG_Q)) / 2
    np.testing.assert_allclose(METRICS["mwlr"](LOG_P, LOG_Q), mean)


def test_pointwise_metrics_sum_to_their_divergences() -> None:
    assert METRICS["pointwise_kl_a"](LOG_P, LOG_Q).sum() == pytest.approx(-entropy(P, Q))
    assert METRICS["pointwise_kl_b"](LOG_P, LOG_Q).sum() == pytest.approx(entropy(Q, P))
    assert np.abs(METRICS["pointwise_js"](LOG_P, LOG_Q)).sum() == pytest.approx(jensenshannon(P, Q) ** 2)
    assert METRICS["mwlr"](LOG_P, LOG_Q).sum() == pytest.approx((entropy(Q, P) - entropy(P, Q)) / 2)
    assert METRICS["probability_difference"](LOG_P, LOG_Q).sum() == pytest.approx(0, abs=1e-12)


def test_a_worked_example_of_mwlr() -> None:
    assert METRICS["mwlr"](np.log([0.25]), np.log([0.5]))[0] == pytest.approx(0.375 * np.log(2))


def test_below_the_floor_nothing_differs() -> None:
    rare = floored_log_ratio(np.log([1e-9, 1e-9]), np.log([1e-7, 1e-3]), floor=1e-6)
    assert rare == pytest.approx([0, np.log(1e3)])


def test_rank_difference_counts_places_gained() -> None:
    assert rank_difference(np.log([0.5, 0.3, 0.2]), np.log([0.2, 0.3, 0.5])).tolist() == [-2, 0, 2]


def test_log_odds_ratio_is_that_of_the_probabilities() -> None:
    expected = np.log(Q / (1 - Q)) - np.log(P / (1 - P))
    np.testing.assert_allclose(log_odds_ratio(LOG_P, LOG_Q), expected)


def test_a_probability_of_one_has_finite_log_odds() -> None:
    assert np.isfinite(log_odds_ratio(np.array([0.0]), np.array([-1.0]))).all()
