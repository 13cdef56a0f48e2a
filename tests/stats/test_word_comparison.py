"""The test over words against scipy, statsmodels and a loop over all permutations; its interval; what ranks take from each other."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols

from birthmark.errors import BirthmarkError
from birthmark.stats.variance import crossed_variance
from birthmark.stats.words import WordTest, compare_words, compare_words_many, place_values, word_contrasts

CATEGORIES = ["Agency"] * 30 + ["Communion"] * 40
STEMS = [f"a{at // 3}" for at in range(30)] + [f"c{at // 2}" for at in range(40)]


def draw(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(np.where(np.array(CATEGORIES) == "Agency", 1.0, 0.0), 2.0)


def test_single_words_have_the_error_and_df_of_scipys_welch_test() -> None:
    values = draw()
    found = compare_words(values, CATEGORIES)
    other = stats.ttest_ind(values[:30], values[30:], equal_var=False)
    assert found.estimate == pytest.approx(values[:30].mean() - values[30:].mean())
    assert found.estimate / found.se == pytest.approx(other.statistic)
    assert found.df == pytest.approx(other.df)
    assert found.p == pytest.approx(other.pvalue, abs=0.01)
    assert found.n_stems == (30, 40)


def test_stems_have_the_cluster_robust_error_of_statsmodels() -> None:
    values = draw()
    variances = []
    for category in ("Agency", "Communion"):
        chosen = np.array(CATEGORIES) == category
        groups = np.unique(np.array(STEMS)[chosen], return_inverse=True)[1]
        data = pd.DataFrame({"y": values[chosen]})
        fit = ols("y ~ 1", data).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True})
        variances.append(float(fit.bse["Intercept"]) ** 2)
    found = compare_words(values, CATEGORIES, STEMS)
    assert found.se == pytest.approx(np.sqrt(sum(variances)))
    assert found.df == pytest.approx(sum(variances) ** 2 / (variances[0] ** 2 / 9 + variances[1] ** 2 / 19))


def test_stems_of_both_categories_are_pairs_as_in_scipys_paired_test() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 9)) + np.random.default_rng(2).normal(size=9)
    stems = [str(at) for at in range(9)] * 2
    found = compare_words(np.concatenate([a, b]), ["x"] * 9 + ["y"] * 9, stems)
    other = stats.ttest_rel(a, b)
    assert found.estimate / found.se == pytest.approx(other.statistic)
    assert found.df == pytest.approx(8)
    assert found.p == pytest.approx(other.pvalue, abs=0.05)


def test_p_and_interval_follow_scipys_list_of_all_permutations() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 3, size=4), rng.normal(size=7)
    centred = a - a.mean(), b - b.mean()
    listed = stats.permutation_test(
        centred,
        lambda x, y: stats.ttest_ind(x, y, equal_var=False).pvalue,
        alternative="less",
        n_resamples=np.inf,
    ).null_distribution
    observed = stats.ttest_ind(a, b, equal_var=False)
    found = compare_words(np.concatenate([a, b]), ["a"] * 4 + ["b"] * 7)
    assert len(listed) == 330
    assert found.p == pytest.approx(((listed <= observed.pvalue).sum() + 1) / 331)
    level = np.sort(listed)[15]  # 17 of 331 are more than 5%, and the observed one is counted
    interval = observed.confidence_interval(1 - level)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))


def loop(values: np.ndarray, labels: list[str], stems: list[str]) -> WordTest:
    """The same test, a word, a stem and a permutation at a time."""
    both = {s for s in stems if len({c for c, t in zip(labels, stems, strict=True) if t == s}) == 2}
    single = sorted({s for s in stems} - both)
    k = {c: len({s for d, s in zip(labels, stems, strict=True) if d == c}) for c in "ab"}
    alone = [s for s in single if labels[stems.index(s)] == "a"]

    def welch(x: np.ndarray, labels: list[str]) -> tuple[float, float, float]:
        words = {c: [at for at, d in enumerate(labels) if d == c] for c in "ab"}
        mean = {c: float(np.mean([x[at] for at in words[c]])) for c in "ab"}
        parts = {"a": 0.0, "b": 0.0, "both": 0.0}
        for s in {*stems}:
            added = 0.0
            for c, sign in (("a", 1), ("b", -1)):
                of = sum(x[at] - mean[c] for at in words[c] if stems[at] == s) / len(words[c])
                added += sign * of * np.sqrt(k[c] / (k[c] - 1))
            own = {c for c, t in zip(labels, stems, strict=True) if t == s}
            parts["both" if len(own) == 2 else own.pop()] += added**2
        n_both = len(both)
        df = {c: (k[c] - n_both) * (1 - 1 / k[c]) for c in "ab"} | {"both": n_both * (1 - 0.5 / k["a"] - 0.5 / k["b"])}
        variance = sum(parts.values())
        return mean["a"] - mean["b"], np.sqrt(variance), variance**2 / sum(parts[c] ** 2 / df[c] for c in parts)

    difference, se, df = welch(values, labels)
    means = {c: np.mean([x for x, d in zip(values, labels, strict=True) if d == c]) for c in "ab"}
    residuals = np.array([x - means[c] for x, c in zip(values, labels, strict=True)])
    found = []
    for in_a in combinations(single, len(alone)):
        for turned in product((False, True), repeat=len(both)):
            turn = dict(zip(sorted(both), turned, strict=True))
            new = [
                ("ba"["ab".index(c)] if turn[s] else c) if s in both else ("a" if s in in_a else "b")
                for c, s in zip(labels, stems, strict=True)
            ]
            d, e, f = welch(residuals, new)
            found.append(2 * stats.t.sf(abs(d / e), f))
    observed = 2 * stats.t.sf(abs(difference / se), df)
    m = len(found)
    p = (sum(one <= observed * (1 + 1e-9) for one in found) + 1) / (m + 1)
    reach = float(stats.t.isf(np.sort(found)[int(np.ceil(0.05 * (m + 1))) - 2] / 2, df)) * se
    return WordTest(difference, se, df, difference - reach, difference + reach, p, (k["a"], k["b"]), True)


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_equals_a_loop_over_all_permutations_with_stems_of_one_and_of_both_categories(shift: float) -> None:
    labels = list("aaaaabbbbbbbbb")
    stems = ["k", "k", "l", "m", "o", "p", "p", "q", "r", "s", "s", "s", "o", "t"]
    values = np.random.default_rng(5).normal(size=14) + shift * (np.array(labels) == "a")
    found, other = compare_words(values, labels, stems), loop(values, labels, stems)
    for name in ("estimate", "se", "df", "p", "ci_low", "ci_high"):
        assert getattr(found, name) == pytest.approx(getattr(other, name)), name
    assert found.n_stems == (4, 6)


@given(st.integers(0, 10_000), st.integers(6, 40), st.sampled_from([0.0, 1.0, 2.0]))
@settings(deadline=None, max_examples=60)
def test_p_is_below_05_exactly_where_the_interval_leaves_out_0(seed: int, n: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n) < max(2, n // 3), "a", "b")
    stems = rng.integers(0, n, n).astype(str)
    values = np.round(rng.normal(size=n) + shift * (labels == "a"), 1)
    try:
        found = compare_words(values, labels.tolist(), stems.tolist(), draws=199)
    except BirthmarkError:
        return
    assert (found.p < 0.05) == (found.ci_low > 0 or found.ci_high < 0)


def test_a_stems_second_form_that_says_the_same_adds_nothing() -> None:
    values = draw()
    one = compare_words(values, CATEGORIES)
    twice = compare_words(np.repeat(values, 2), np.repeat(CATEGORIES, 2).tolist(), np.repeat(range(70), 2).tolist())
    assert (twice.se, twice.df, twice.p) == pytest.approx((one.se, one.df, one.p))


def test_rows_are_tested_as_they_are_alone() -> None:
    rows = np.stack([draw(1), draw(2)])
    for found, row in zip(compare_words_many(rows, CATEGORIES, STEMS, 499, 3), rows, strict=True):
        alone = compare_words(row, CATEGORIES, STEMS, 499, 3)
        assert (found.se, found.df, found.ci_low, found.p) == pytest.approx((alone.se, alone.df, alone.ci_low, alone.p))


def test_the_test_is_seeded() -> None:
    one, same, other = (compare_words(draw(), CATEGORIES, seed=seed) for seed in (4, 4, 5))
    assert one == same != other


def test_swapping_the_categories_flips_the_interval() -> None:
    swapped = ["Communion" if name == "Agency" else "Agency" for name in CATEGORIES]
    one, other = compare_words(draw(), CATEGORIES, STEMS), compare_words(draw(), swapped, STEMS)
    assert (one.estimate, one.se, one.df) == pytest.approx((-other.estimate, other.se, other.df))
    assert one.ci_low == pytest.approx(-other.ci_high, abs=0.1)


def test_words_that_do_not_vary_have_a_point_for_an_interval_and_p_1() -> None:
    found = compare_words(np.full(70, 0.1), CATEGORIES)
    assert (found.estimate, found.ci_low, found.ci_high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_difference_without_spread_has_the_smallest_p() -> None:
    found = compare_words(np.where(np.array(CATEGORIES) == "Agency", 100.0, 0.1), CATEGORIES, draws=99)
    assert (found.p, found.ci_low) == (0.01, pytest.approx(99.9))


def test_too_few_permutations_leave_students_t() -> None:
    values = np.random.default_rng(6).normal(size=5)
    found = compare_words(values, ["a", "a", "b", "b", "b"])
    other = stats.ttest_ind(values[:2], values[2:], equal_var=False)
    assert found.p == pytest.approx(other.pvalue)
    assert found.ci_low == pytest.approx(other.confidence_interval().low)


def test_a_category_of_one_word_or_stem_has_no_interval() -> None:
    with pytest.raises(BirthmarkError, match="Communion has only one word"):
        compare_words(np.arange(3.0), ["Agency", "Agency", "Communion"])
    with pytest.raises(BirthmarkError, match="b has only one word"):
        compare_words(np.arange(4.0), ["a", "a", "b", "b"], ["k", "l", "m", "m"])


# --- values of places


def test_one_ranking_has_the_statistic_of_scipys_brunner_munzel_test() -> None:
    scores = np.round(np.random.default_rng(7).normal(np.arange(30) < 11, 2.0, size=30), 1)  # with ties
    ranks = stats.rankdata(-scores)[None, :, None]
    member = np.stack([np.arange(30) < 11, np.arange(30) >= 11])
    found = compare_words(place_values(ranks, member)[0, :, 0], ["a"] * 11 + ["b"] * 19)
    other = stats.brunnermunzel(-scores[:11], -scores[11:], distribution="t")
    assert found.estimate == pytest.approx(ranks[0, :11, 0].mean() - ranks[0, 11:, 0].mean())
    assert found.estimate / found.se == pytest.approx(-other.statistic)
    assert 2 * stats.t.sf(abs(found.estimate / found.se), found.df) == pytest.approx(other.pvalue)


def test_a_words_value_is_what_the_difference_changes_by_where_it_is_drawn_more_often() -> None:
    """The derivative by the word's weight of m_a − m_b, with ranks counted from weighted words; one word is in both."""
    rng = np.random.default_rng(8)
    scores = rng.normal(size=9)
    member = np.array([[1, 1, 1, 1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1]], dtype=bool)
    n = member.sum(axis=1)

    def difference(weight: np.ndarray) -> float:
        before = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)  # [v, w]
        coefficients = weight * (member[0] / n[0] - member[1] / n[1])
        return float((weight @ before) @ coefficients)

    step = 1e-6
    changes = np.array([(difference(1 + step * one) - difference(1 - step * one)) / (2 * step) for one in np.eye(9)])
    values = place_values(stats.rankdata(-scores)[None, :, None], member)[0, :, 0]
    of_first, of_second = values[:5] / n[0], values[5:] / n[1]
    shift = changes[0] - of_first[0], changes[4] + of_second[0]  # values are centred within categories
    assert of_first[:4] + shift[0] == pytest.approx(changes[:4], abs=1e-6)
    assert shift[1] - of_second[:4] == pytest.approx(changes[4:8], abs=1e-6)
    assert of_first[4] - of_second[4] + sum(shift) == pytest.approx(changes[8], abs=1e-6)


def test_word_contrasts_of_place_values_average_to_the_crossed_estimate() -> None:
    ranks = stats.rankdata(np.random.default_rng(0).random((4, 70, 6)), axis=1)
    families, framings = ["a", "b", "b", "a"], ["negative", "positive"] * 3
    member = np.stack([np.array(CATEGORIES) == name for name in ("Agency", "Communion")])
    words = word_contrasts(place_values(ranks, member), families, framings)
    estimate = words[:30].mean() - words[30:].mean()
    assert estimate == pytest.approx(crossed_variance(ranks, families, CATEGORIES, framings).estimate)
