"""Each category against all other words: scipy's Welch test, and a count of permutations done one by one."""

import numpy as np
import pytest
import scipy

from birthmark.stats.categories import against_others

rng = np.random.default_rng(1)
VALUES = rng.normal(size=30) + np.repeat([0.0, 0.0, 2.5], 10)
MEMBER = np.repeat(np.eye(3, dtype=bool), 10, axis=1)
WORDS = [f"word-{at}" for at in range(30)]


def test_estimate_and_interval_are_welchs() -> None:
    for row, found in zip(MEMBER, against_others(VALUES, MEMBER, WORDS), strict=True):
        test = scipy.stats.ttest_ind(VALUES[row], VALUES[~row], equal_var=False)
        interval = test.confidence_interval()
        assert found.estimate == pytest.approx(VALUES[row].mean() - VALUES[~row].mean())
        assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))


def test_p_is_the_share_of_permutations_whose_largest_t_is_as_large() -> None:
    draws, seed = 200, 5
    found = against_others(VALUES, MEMBER, WORDS, draws=draws, seed=seed)
    names = np.unique(WORDS)
    order = [WORDS.index(name) for name in names]
    x, member = VALUES[order], MEMBER[:, order]

    def largest(values: np.ndarray) -> list[float]:
        return [abs(scipy.stats.ttest_ind(values[row], values[~row], equal_var=False).statistic) for row in member]

    shuffled = np.random.default_rng(seed).permuted(np.tile(x - x.mean(), (draws, 1)), axis=1)
    most = np.array([max(largest(values)) for values in shuffled])
    expected = [(1 + (most >= t * (1 - 1e-9)).sum()) / (draws + 1) for t in largest(x)]
    assert [row.p_max_t for row in found] == pytest.approx(expected)
    assert found[2].p_max_t < 0.05


def test_words_of_one_stem_count_once_and_a_single_stem_has_no_interval() -> None:
    values, member = np.array([1.0, 3.0, 5.0, 7.0, 9.0]), np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], dtype=bool)
    first, second = against_others(values, member, ["care", "care", "a", "b", "c"])
    assert first.estimate == pytest.approx(2 - 7) and np.isnan(first.ci_low) and np.isnan(first.p_max_t)
    assert second.estimate == pytest.approx(7 - 2)
