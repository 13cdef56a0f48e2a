"""Exact permutation against brute force with itertools and scipy, and its invariants."""

from collections import Counter
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two, panel_values
from scipy import stats

from birthmark.errors import BirthmarkError
from birthmark.stats import permutation
from birthmark.stats.permutation import exact_permutation, label_arrangements, max_t, pair_permutation, permutation_f

values_and_split = st.lists(st.integers(-50, 50), min_size=5, max_size=8).flatmap(
    lambda values: st.tuples(st.just(values), st.integers(2, len(values) - 2))
)


def brute_force(values: np.ndarray, n_b: int, statistic: str) -> tuple[float, int]:
    """p and splits with the last n_b units in b, one split at a time."""

    def size(b: tuple[int, ...]) -> float:
        is_b = np.isin(np.arange(len(values)), b)
        if statistic == "difference":
            return abs(values[is_b].mean() - values[~is_b].mean())
        return abs(stats.ttest_ind(values[is_b], values[~is_b], equal_var=statistic == "pooled").statistic)

    sizes = np.array([size(b) for b in combinations(range(len(values)), n_b)])
    observed = size(tuple(range(len(values) - n_b, len(values))))
    return float(np.mean(sizes >= observed - 1e-9)), len(sizes)


@pytest.mark.parametrize("statistic", ["difference", "welch_t"])
@pytest.mark.parametrize(("n", "n_b"), [(5, 3), (6, 3), (10, 4)])
def test_equals_brute_force(statistic: str, n: int, n_b: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    is_b = np.arange(n) >= n - n_b
    p, n_splits = brute_force(values, n_b, statistic)
    found = exact_permutation(values, is_b, statistic)
    assert (found.p, found.n_splits) == (pytest.approx(p), n_splits)
    assert found.p == found.count / found.n_splits


def test_equals_scipys_permutation_test() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=4), rng.normal(1, size=5)
    other = stats.permutation_test((b, a), lambda x, y: abs(np.mean(x) - np.mean(y)), alternative="greater")
    found = exact_permutation(np.concatenate([a, b]), [False] * 4 + [True] * 5)
    assert found.p == pytest.approx(other.pvalue)
    assert found.observed == pytest.approx(b.mean() - a.mean())


@given(values_and_split, st.sampled_from(["difference", "welch_t"]))
@settings(deadline=None)
def test_swapping_labels_flips_the_sign_and_keeps_p(case: tuple[list[int], int], statistic: str) -> None:
    values, n_b = case
    is_b = np.arange(len(values)) >= len(values) - n_b
    one, other = (exact_permutation(values, labels, statistic) for labels in (is_b, ~is_b))
    assert one.observed == pytest.approx(-other.observed)
    assert (one.p, one.count, one.n_splits) == (other.p, other.count, other.n_splits)
    assert one.count >= 1
    assert one.min_p <= one.p


@given(values_and_split, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_units_changes_nothing(case: tuple[list[int], int], random: object) -> None:
    values, n_b = case
    pairs = list(zip(values, np.arange(len(values)) >= len(values) - n_b, strict=True))
    shuffled = random.sample(pairs, len(pairs))
    one, other = (exact_permutation([v for v, _ in x], [b for _, b in x], "welch_t") for x in (pairs, shuffled))
    assert (one.p, one.n_splits, one.min_p) == (other.p, other.n_splits, other.min_p)


@given(values_and_split, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_shift_and_scale_change_no_p(case: tuple[list[int], int], scale: float, shift: float) -> None:
    values, n_b = case
    is_b = np.arange(len(values)) >= len(values) - n_b
    moved = shift + scale * np.array(values, dtype=float)
    for statistic in ("difference", "welch_t"):
        assert exact_permutation(values, is_b, statistic).p == exact_permutation(moved, is_b, statistic).p


@pytest.mark.parametrize("statistic", ["difference", "welch_t"])
def test_constant_values_give_p_1(statistic: str) -> None:
    found = exact_permutation([0.1] * 7, [True] * 3 + [False] * 4, statistic)
    assert (found.p, found.observed) == (1.0, 0.0)


def test_smallest_p_of_two_against_three_is_a_tenth() -> None:
    found = exact_permutation([1.0, 2.0, 10.0, 11.0, 13.0], [False, False, True, True, True])
    assert (found.p, found.n_splits, found.min_p) == (0.1, 10, 0.1)


def test_smallest_p_of_equal_groups_is_two_splits() -> None:
    found = exact_permutation([1.0, 2.0, 3.5, 10.0, 11.0, 13.0], [False] * 3 + [True] * 3)
    assert (found.p, found.n_splits, found.min_p) == (0.1, 20, 0.1)


def test_one_unit_a_family_gives_p_1() -> None:
    found = exact_permutation([1.0, 5.0], [False, True])
    assert (found.p, found.n_splits, found.min_p) == (1.0, 2, 1.0)


def test_many_splits_are_drawn_with_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=12)
    is_b = np.arange(12) < 6
    exact = exact_permutation(values, is_b)
    monkeypatch.setattr(permutation, "label_arrangements", lambda *x: label_arrangements(*x, limit=500))
    drawn = exact_permutation(values, is_b, seed=1)
    assert (drawn.n_splits, drawn.exact, drawn.min_p) == (500, False, 1 / 500)
    assert drawn.p == drawn.count / 500
    assert drawn.p == pytest.approx(exact.p, abs=0.08)
    assert drawn == exact_permutation(values, is_b, seed=1)


def test_more_than_a_hundred_thousand_splits_are_drawn() -> None:
    values = np.random.default_rng(0).normal(size=20)
    found = exact_permutation(values, np.arange(20) < 10)
    assert (found.exact, found.n_splits) == (False, 100_000)


def test_arrangements_are_all_distinct_label_sequences() -> None:
    codes = np.array([0, 0, 1, 1, 2, 0])
    arrangements, exact = label_arrangements(codes)
    assert exact
    assert {tuple(row) for row in arrangements.tolist()} == set(permutations(codes.tolist()))
    assert len(arrangements) == 60


def test_arrangements_within_blocks_keep_each_blocks_labels() -> None:
    codes, blocks = np.array([0, 1, 0, 0, 1, 1]), ["x", "x", "y", "y", "y", "z"]
    arrangements, _ = label_arrangements(codes, blocks)
    assert len({tuple(row) for row in arrangements.tolist()}) == len(arrangements) == 2 * 3
    for row in arrangements:
        assert Counter(zip(blocks, row.tolist(), strict=True)) == Counter(zip(blocks, codes.tolist(), strict=True))


def test_blocked_test_equals_brute_force_over_pairs() -> None:
    """With one unit of each family a block it is the sign-flip test of the pairs' differences."""
    differences = np.array([3.0, -1.0, 4.0, 1.5])
    values = np.column_stack([np.zeros(4), differences]).ravel()
    found = exact_permutation(values, [False, True] * 4, blocks=np.repeat(list("abcd"), 2).tolist())
    signs = np.array([[1 if i >> k & 1 else -1 for k in range(4)] for i in range(16)])
    sums = np.abs(signs @ differences)
    assert (found.n_splits, found.count) == (16, int((sums >= abs(differences.sum()) - 1e-9).sum()))


def test_f_of_two_groups_is_the_test_of_their_difference() -> None:
    values = np.random.default_rng(5).normal(size=9)
    is_b = np.arange(9) < 4
    f, t = permutation_f(values, ["b" if x else "a" for x in is_b]), exact_permutation(values, is_b)
    assert (f.p, f.count, f.n_splits, f.min_p) == (t.p, t.count, t.n_splits, t.min_p)


def test_f_of_three_groups_equals_brute_force() -> None:
    values, labels = np.random.default_rng(6).normal(size=7), ["a", "a", "b", "b", "b", "c", "c"]

    def f(names: tuple[str, ...]) -> float:
        return stats.f_oneway(*(values[[n == g for n in names]] for g in "abc")).statistic

    sizes = np.array([f(names) for names in set(permutations(labels))])
    found = permutation_f(values, labels)
    assert found.observed == pytest.approx(f(tuple(labels)))
    assert (found.n_splits, found.count) == (210, int((sizes >= found.observed - 1e-9).sum()))


def test_f_of_constant_values_is_p_1() -> None:
    assert permutation_f([2.0] * 5, list("aabbc")).p == 1.0
    assert permutation_f(np.ones((4, 3)), list("aabb")).p == 1.0


def test_f_of_several_columns_ignores_their_order_and_sign() -> None:
    values = np.random.default_rng(7).normal(size=(6, 3))
    one, other = permutation_f(values, list("aaabbb")), permutation_f(-values[:, ::-1], list("aaabbb"))
    assert (one.p, one.observed) == (other.p, pytest.approx(other.observed))


def test_max_t_equals_brute_force() -> None:
    values = np.random.default_rng(8).normal(size=(7, 3))
    splits = [np.isin(np.arange(7), b) for b in combinations(range(7), 3)]
    t = np.abs([stats.ttest_ind(values[b], values[~b]).statistic for b in splits])  # [splits, panels], pooled
    observed = t[0]  # units 0, 1, 2
    found = max_t(values, np.arange(7) < 3)
    assert found.p == pytest.approx((t >= observed - 1e-9).mean(axis=0))
    assert found.p_adjusted == pytest.approx((t.max(axis=1)[:, None] >= observed - 1e-9).mean(axis=0))
    assert found.count / found.n_splits == found.p_adjusted.min()


def test_max_t_of_one_panel_is_its_own_test() -> None:
    values = np.random.default_rng(9).normal(size=(8, 1))
    found = max_t(values, np.arange(8) < 3)
    assert found.p == found.p_adjusted == exact_permutation(values[:, 0], np.arange(8) < 3).p


def test_max_t_of_a_constant_panel_is_1() -> None:
    values = np.column_stack([np.random.default_rng(1).normal(size=5), np.full(5, 0.3)])
    found = max_t(values, np.arange(5) < 2)
    assert (found.p[1], found.p_adjusted[1]) == (1.0, 1.0)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_max_t_adjusts_upwards_and_ignores_the_direction_of_labels(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(6, 4))
    is_b = np.arange(6) < 2
    one, other = max_t(values, is_b), max_t(values, ~is_b)
    assert (one.p_adjusted >= one.p).all()
    assert one.p_adjusted.tolist() == other.p_adjusted.tolist()


def test_published_agency_and_communion_panels_correlate_at_minus_nine_tenths(shared: Path) -> None:
    correlation = np.corrcoef(panel_values(big_two(shared)).T)
    assert (round(correlation[0, 2], 2), round(correlation[1, 3], 2)) == (-0.98, -0.90)


@pytest.mark.parametrize("values", [[1.0, np.nan, 2.0], [1.0, np.inf, 2.0]])
def test_missing_values_raise(values: list[float]) -> None:
    with pytest.raises(BirthmarkError, match="missing or infinite"):
        exact_permutation(values, [True, False, False])


def test_an_empty_group_raises() -> None:
    with pytest.raises(BirthmarkError, match="both groups"):
        exact_permutation([1.0, 2.0], [True, True])
    with pytest.raises(BirthmarkError, match="both groups"):
        exact_permutation([1.0, 2.0, 3.0], [True, False, False], "welch_t")
    with pytest.raises(BirthmarkError, match="two groups"):
        permutation_f([1.0, 2.0], ["a", "a"])


# ---------------------------------------------------------------------------------------- pairs across two groups


@pytest.mark.parametrize(("n", "n_a"), [(10, 3), (6, 3), (5, 1), (2, 1)])
def test_pair_permutation_equals_brute_force_over_splits(n: int, n_a: int) -> None:
    """Brute force: of every choice of the first group the mean over its pairs with the rest."""
    values = np.random.default_rng(n).normal(size=(n, n))  # of ordered pairs: nothing is assumed of the reverse
    means = {
        chosen: np.mean([values[i, j] for i in chosen for j in range(n) if j not in chosen])
        for chosen in combinations(range(n), n_a)
    }
    observed = means[tuple(range(n_a))]
    test = pair_permutation(values, np.arange(n) >= n_a)
    assert test.observed == pytest.approx(observed)
    assert test.n_splits == len(means)
    assert test.count == sum(abs(mean) >= abs(observed) - 1e-12 for mean in means.values())


def test_p_of_unanimous_pairs_is_bounded_by_the_splits() -> None:
    """21 pairs of 3 and 7 models: independent pairs would give p = 2^-20, ten exchangeable models 1 in 120."""
    place = np.array([0, 1, 2, 10, 11, 12, 13, 14, 15, 16.0])
    test = pair_permutation(np.sign(place[None, :] - place[:, None]), np.arange(10) >= 3)
    assert (test.observed, test.count, test.n_splits, test.p) == (1.0, 2, 120, 2 / 120)


def test_pairs_permuted_are_a_permutation_of_units_where_values_are_differences() -> None:
    """With one value a unit, the mean over pairs is the difference of the groups' means."""
    unit = np.random.default_rng(5).normal(size=9)
    is_b = np.arange(9) >= 4
    pairs, units = pair_permutation(unit[None, :] - unit[:, None], is_b), exact_permutation(unit, is_b)
    assert (pairs.count, pairs.n_splits) == (units.count, units.n_splits)
    assert pairs.observed == pytest.approx(units.observed)


@pytest.mark.parametrize(
    ("values", "is_b", "message"),
    [
        (np.full((2, 2), np.nan), [False, True], "missing or infinite"),
        (np.ones((3, 3)), [True, True, True], "both groups"),
    ],
)
def test_pairs_that_cannot_be_tested_raise(values, is_b, message) -> None:
    with pytest.raises(BirthmarkError, match=message):
        pair_permutation(values, is_b)
