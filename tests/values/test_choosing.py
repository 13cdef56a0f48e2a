"""Two bases told apart or not: against scipy's paired tests, the test over words, and leans that are known."""

import numpy as np
import pytest
import scipy

from birthmark.stats.words import compare_words
from birthmark.values.choosing import (
    Leanings,
    Trained,
    accuracies,
    differences,
    distances,
    leans,
    nearer_bases,
    what_it_takes,
)
from birthmark.values.wording_choice import best_of, nearest_of, verdict

CATEGORIES = ("first",) * 8 + ("second",) * 8
STEMS = tuple(f"word{at}" for at in range(16))


def trained(base, rates, *, pairs=32, held_out=400, seed=0):
    """A reward model a rate, right on this share of the held-out pairs."""
    rng = np.random.default_rng(seed)
    correct = np.stack([(rng.permutation(held_out) < rate * held_out).astype(float) for rate in rates])
    return Trained(
        base, pairs, pairs, tuple(range(len(rates))), tuple(f"{base}{at}" for at in range(len(rates))), correct
    )


def leanings(by_seed, *, spread=1.0, heads=None, seed=1):
    """Leans by seed; each word adds the mean over seeds and something of its own, so that the categories differ by it."""
    rng = np.random.default_rng(seed)
    of_words = {}
    for cell, values in by_seed.items():
        own = rng.normal(0, spread, 16)
        own -= np.repeat([own[:8].mean(), own[8:].mean()], 8)
        of_words[cell] = own + np.repeat([np.mean(values) / 2, -np.mean(values) / 2], 8)
    arrays = {cell: np.asarray(values, dtype=float) for cell, values in by_seed.items()}
    n_seeds = len(next(iter(arrays.values())))
    return Leanings("small", arrays, of_words, tuple(range(n_seeds)), CATEGORIES, STEMS, 16, heads or {})


def test_an_accuracy_of_one_seed_has_wilsons_interval_and_none_over_seeds():
    (found,) = accuracies([trained("a", [0.6])])
    exact = scipy.stats.binomtest(240, 400).proportion_ci(method="wilson")
    assert (found.accuracy, found.pairs_low, found.pairs_high) == pytest.approx((0.6, exact.low, exact.high))
    assert found.seeds_low is None and "two or more" in found.seeds_why


def test_accuracies_are_compared_pair_by_pair_and_seed_by_seed():
    a, b = trained("a", [0.55, 0.58, 0.56]), trained("b", [0.70, 0.74, 0.71], seed=5)
    (row,) = differences([a, b], [])
    over_pairs = scipy.stats.ttest_rel(b.correct.mean(axis=0), a.correct.mean(axis=0))
    over_seeds = scipy.stats.ttest_rel(b.correct.mean(axis=1), a.correct.mean(axis=1))
    assert (row.p_sample, row.p_seeds) == pytest.approx((over_pairs.pvalue, over_seeds.pvalue))
    assert (row.seeds_low, row.seeds_high) == pytest.approx(tuple(over_seeds.confidence_interval()))
    assert row.p == max(row.p_sample, row.p_seeds) and row.told_apart
    assert "told apart after 32 pairs" in row.sentence and "cannot" not in row.sentence


def test_what_only_one_of_the_two_samples_shows_is_not_told_apart():
    a, b = trained("a", [0.5, 0.9, 0.5]), trained("b", [0.9, 0.5, 0.95], seed=5)
    (row,) = differences([a, b], [])
    assert row.p_sample < 0.05 < row.p_seeds and not row.told_apart and "cannot be told apart" in row.sentence


def test_with_one_seed_nothing_is_told_apart():
    (row,) = differences([trained("a", [0.5]), trained("b", [0.99], seed=5)], [])
    assert not row.told_apart and row.p is None and row.p_seeds is None and "--seeds 3" in row.seeds_why


def test_seeds_that_give_the_same_do_not_make_a_difference_sure():
    (row,) = differences([trained("a", [0.5, 0.5]), trained("b", [0.9, 0.9], seed=5)], [])
    assert row.seeds_low is None and "all seeds give the same" in row.seeds_why and not row.told_apart


def test_holm_counts_the_pairs_of_bases_at_one_pair_count():
    three = [trained(name, rates, seed=at) for at, (name, rates) in enumerate(
        {"a": [0.50, 0.53], "b": [0.60, 0.62], "c": [0.80, 0.84]}.items()
    )]  # fmt: skip
    rows = differences([*three, *(trained(item.base, [0.5, 0.6], pairs=64, seed=9) for item in three)], [])
    of_count = [row for row in rows if row.pairs == 32]
    ordered = sorted(row.p for row in of_count)
    expected = np.maximum.accumulate([min(1.0, p * (3 - at)) for at, p in enumerate(ordered)])
    assert sorted(row.p_holm for row in of_count) == pytest.approx(list(expected))


def test_leans_are_compared_over_words_and_over_seeds_and_held_against_random_heads():
    heads = {"a": np.linspace(-1, 1, 201), "b": np.linspace(-2, 2, 201)}
    one = leanings({("a", 32): [0.1, 0.2, 0.0], ("b", 32): [6.0, 6.4, 6.1]}, heads=heads)
    first, second = leans(one)
    assert not first.outside_heads and second.outside_heads
    assert second.heads_high == pytest.approx(1.96 * heads["b"].std() / 3**0.5, abs=0.15)  # a mean of three heads
    alone = compare_words(one.of_words["b", 32], CATEGORIES, STEMS)
    assert (second.words_low, second.words_high) == pytest.approx((alone.ci_low, alone.ci_high))
    row = differences([trained("a", [0.5, 0.6, 0.55]), trained("b", [0.5, 0.6, 0.58])], [one])[-1]
    together = compare_words(one.of_words["b", 32] - one.of_words["a", 32], CATEGORIES, STEMS)
    assert (row.sample_low, row.p_sample) == pytest.approx((together.ci_low, together.p))
    assert row.p_seeds == pytest.approx(scipy.stats.ttest_rel([6.0, 6.4, 6.1], [0.1, 0.2, 0.0]).pvalue)
    assert row.told_apart and row.outside_heads and "outside what random heads give" in row.sentence


@pytest.mark.parametrize(
    ("a", "b", "target", "expected"),
    [
        ([5.0, 5.2], [9.0, 9.3], 0.0, "a"),
        ([5.0, 5.2], [9.0, 9.3], 12.0, "b"),
        ([-9.0, -9.2], [3.0, 3.1], 0.0, "b"),
        ([-3.0, -3.2], [3.0, 3.25], 0.0, None),
    ],
)
def test_the_nearer_base_is_named_where_words_and_seeds_agree(a, b, target, expected):
    one = leanings({("a", 32): a, ("b", 32): b}, spread=0.3)
    (row,) = nearer_bases([one], ["a", "b"], 32, {"small": target})
    apart = np.abs(np.mean(b) - target) - np.abs(np.mean(a) - target)
    assert row.nearer == expected and row.difference == pytest.approx(apart)
    found = distances(leans(one), 32, {"small": target})
    assert [item.distance for item in found] == pytest.approx([abs(np.mean(a) - target), abs(np.mean(b) - target)])


def test_what_it_takes_is_for_the_difference_that_is_seen():
    a, b = trained("a", [0.55, 0.61, 0.52]), trained("b", [0.57, 0.60, 0.56], seed=5)
    one = leanings({("a", 32): [0.0, 3.0, 1.0], ("b", 32): [1.0, 3.5, 4.0]})
    accuracy, lean = what_it_takes(differences([a, b], [one]), [a, b], [one])
    assert accuracy.seeds > 3 and accuracy.held_out > 400 and accuracy.bases is None and accuracy.bases_why
    assert lean.seeds > 3 and lean.bases > 2 and lean.held_out is None and "80% power takes" in lean.sentence


def test_no_winner_is_named_where_none_can_be():
    one, two = trained("a", [0.55, 0.58, 0.56]), trained("b", [0.70, 0.74, 0.71], seed=5)
    near = [trained("a", [0.55, 0.58, 0.56]), trained("b", [0.56, 0.57, 0.58], seed=5)]
    assert best_of(differences([one, two], []), accuracies([one, two])) == ("b", None)
    best, why = best_of(differences(near, []), accuracies(near))
    assert best is None and "cannot be told apart" in why
    assert nearest_of([], ["a", "b"])[0] is None
    assert verdict(None, why, None, "", None).startswith("No base is named")
    assert "both the most accurate and the nearest" in verdict("b", None, "b", None, "neutral")
