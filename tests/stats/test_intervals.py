"""Intervals over words against loops and scipy, and what they do where nothing varies."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from birthmark.errors import BirthmarkError
from birthmark.stats.intervals import (
    bootstrap_words,
    column_differences,
    equivalence_bound,
    word_contrasts,
    word_label_p,
)
from birthmark.stats.variance import crossed_variance

CATEGORIES = ["Agency"] * 30 + ["Communion"] * 40


def draw(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(np.where(np.array(CATEGORIES) == "Agency", 1.0, 0.0), 2.0)


def test_word_contrasts_average_to_the_crossed_estimate() -> None:
    ranks = np.random.default_rng(0).random((4, 70, 6))
    families, framings = ["a", "b", "b", "a"], ["negative", "positive"] * 3
    words = word_contrasts(ranks, families, framings)
    estimate = words[:30].mean() - words[30:].mean()
    assert estimate == pytest.approx(crossed_variance(ranks, families, CATEGORIES, framings).estimate)


def test_bootstrap_agrees_with_scipys() -> None:
    values = draw()
    found = bootstrap_words(values, CATEGORIES)
    other = stats.bootstrap(
        (values[:30], values[30:]),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.estimate == pytest.approx(values[:30].mean() - values[30:].mean())
    assert (found.ci_low, found.ci_high) == pytest.approx((other.low, other.high), abs=0.04)


def test_clustered_bootstrap_agrees_with_a_loop_over_drawn_stems() -> None:
    values, rng = draw(), np.random.default_rng(2)
    stems = np.array([f"s{i // 3}" for i in range(30)] + [f"s{i // 5}" for i in range(40)])
    draws = []
    for _ in range(1500):
        means = []
        for category in ("Agency", "Communion"):
            chosen = np.array(CATEGORIES) == category
            names = np.unique(stems[chosen])
            words = [values[chosen][stems[chosen] == name] for name in rng.choice(names, len(names))]
            means.append(np.concatenate(words).mean())
        draws.append(means[0] - means[1])
    found = bootstrap_words(values, CATEGORIES, stems.tolist())
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.15)


def test_bootstrap_is_seeded() -> None:
    assert bootstrap_words(draw(), CATEGORIES, seed=4) == bootstrap_words(draw(), CATEGORIES, seed=4)
    assert bootstrap_words(draw(), CATEGORIES, seed=4) != bootstrap_words(draw(), CATEGORIES, seed=5)


def test_words_that_do_not_vary_have_a_point_for_an_interval() -> None:
    found = bootstrap_words(np.full(70, 3.0), CATEGORIES)
    assert (found.estimate, found.ci_low, found.ci_high) == (0.0, 0.0, 0.0)


def test_a_category_of_one_word_has_no_interval() -> None:
    with pytest.raises(BirthmarkError, match="Communion has only one word"):
        bootstrap_words(np.arange(3.0), ["Agency", "Agency", "Communion"])


def test_label_p_agrees_with_every_split_of_few_words() -> None:
    values = np.random.default_rng(3).normal(size=9)
    labels = ["Agency"] * 4 + ["Communion"] * 5
    splits = [np.isin(np.arange(9), b) for b in combinations(range(9), 4)]
    sizes = np.abs([values[b].mean() - values[~b].mean() for b in splits])
    assert word_label_p(values, labels, seed=1) == pytest.approx((sizes >= sizes[0] - 1e-12).mean(), abs=0.02)


def test_label_p_of_a_large_difference_is_the_smallest() -> None:
    values = np.where(np.array(CATEGORIES) == "Agency", 100.0, 0.0)
    assert word_label_p(values, CATEGORIES, draws=99) == 1 / 100


def test_label_p_of_constant_words_is_1() -> None:
    assert word_label_p(np.full(70, 0.1), CATEGORIES, draws=99) == 1.0


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_swapping_category_names_flips_the_interval(seed: int) -> None:
    values = draw(seed)
    swapped = ["Communion" if x == "Agency" else "Agency" for x in CATEGORIES]
    one, other = bootstrap_words(values, CATEGORIES, draws=500), bootstrap_words(values, swapped, draws=500)
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.ci_low == pytest.approx(-other.ci_high, abs=0.3)


def test_column_differences_equal_scipys_welch_interval() -> None:
    values = np.random.default_rng(5).normal(size=(9, 4))
    is_b = np.arange(9) < 4
    found = column_differences(values, is_b)
    other = stats.ttest_ind(values[is_b], values[~is_b], equal_var=False).confidence_interval()
    assert found.ci_low == pytest.approx(other.low)
    assert found.ci_high == pytest.approx(other.high)


def test_column_differences_of_one_row_or_constant_columns_have_no_interval() -> None:
    assert np.isnan(column_differences(np.ones((3, 2)), np.array([True, False, False])).ci_low).all()
    assert np.isnan(column_differences(np.ones((4, 2)), np.array([True, True, False, False])).ci_low).all()


def test_equivalence_bound_is_where_two_one_sided_tests_just_reject() -> None:
    values = np.random.default_rng(6).normal(0.2, 1, 30)
    se, df = values.std(ddof=1) / np.sqrt(30), 29
    bound = equivalence_bound(float(values.mean()), float(se), df)
    assert DescrStatsW(values).ttost_mean(-bound, bound)[0] == pytest.approx(0.05)
