import numpy as np

from birthmark.values.effects import median_interval


def test_a_single_word_has_no_interval() -> None:
    assert median_interval(np.array([[3.0, 4.0]])) == (None, None)


def test_the_interval_holds_the_median() -> None:
    ranks = np.argsort(np.random.default_rng(1).normal(size=(40, 5)), axis=0) + 1.0
    low, high = median_interval(ranks)
    assert low <= np.median(ranks, axis=0).mean() <= high


def test_equal_ranks_have_no_interval() -> None:
    assert median_interval(np.full((9, 2), 5.0)) == (None, None)


def test_the_interval_covers_a_populations_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(600):
        words = rng.gamma(2, size=(60, 1)) + 0.3 * rng.normal(size=(60, 8))
        low, high = median_interval(words)
        covered += low <= POPULATION <= high
    assert 0.92 <= covered / 600 <= 0.99


POPULATION = float(
    np.median(np.random.default_rng(0).gamma(2, size=2_000_000) + 0.3 * np.random.default_rng(9).normal(size=2_000_000))
)
