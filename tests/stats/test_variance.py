"""Crossed variance against lme4 (stored), simulation with known variances, and closed forms. Nested analysis of variance against R's aov (stored), simulation, and degenerate layouts. Type II analysis of variance against car's in R, against sums of squares by hand, and for what it cannot analyse."""

import csv
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two, contrasts
from scipy import stats

from birthmark.errors import BirthmarkError
from birthmark.stats.unit_tests import adjust, compare_groups
from birthmark.stats.variance import (
    NestedVariance,
    crossed_variance,
    effective_number,
    nested_variance,
    three_way_anova,
)

# --- crossed

FRAMINGS = ["positive", "negative"]


def layout(models: tuple[int, int], words: tuple[int, int], prompts: tuple[int, int]) -> tuple[list[str], ...]:
    return tuple(
        [name for name, n in zip(names, sizes, strict=True) for _ in range(n)]
        for names, sizes in (
            (("Gemma", "Llama"), models),
            (("Agency", "Communion"), words),
            (("positive", "negative"), prompts),
        )
    )


def signed(labels: list[str], plus: str) -> np.ndarray:
    names = np.array(labels)
    return np.array([(1 if name == plus else -1) / (names == name).sum() for name in labels])


def weights(labels: tuple[list[str], ...]) -> list[np.ndarray]:
    return [signed(x, plus) for x, plus in zip(labels, ("Llama", "Agency", "positive"), strict=True)]


def test_pooled_form_for_models_and_words_equals_lme4(oracle: Callable[[str], pl.DataFrame]) -> None:
    data = oracle("model_by_word")
    table = data.pivot(on="word", index=["model", "family"], values="y")
    words = data.unique("word", maintain_order=True)
    y = table.select(words["word"].to_list()).to_numpy()
    ranks = np.stack([y, np.zeros_like(y)], axis=2)  # one positive prompt, and a negative one without effect
    found = crossed_variance(
        ranks,
        table["family"].to_list(),
        words["category"].to_list(),
        FRAMINGS,
        random=("model", "word"),
        pooled=True,
    )
    row = oracle("crossed").filter(pl.col("term") == "f:c").row(0, named=True)
    assert found.estimate == pytest.approx(row["estimate"], rel=1e-9)
    assert found.se == pytest.approx(row["se"], rel=1e-7)


def test_pooled_form_on_the_published_ranks_is_lme4s(oracle: Callable[[str], pl.DataFrame], shared: Path) -> None:
    """Unequal groups make the two differ a little; both are 7.94."""
    data = big_two(shared)
    labels = (data.families, data.categories.tolist(), data.framings.tolist())
    found = crossed_variance(data.ranks, *labels, random=("model", "word"), pooled=True)
    row = oracle("big2_crossed").filter(pl.col("term") == "f:c").row(0, named=True)
    assert found.estimate == pytest.approx(row["estimate"], rel=1e-9)
    assert round(found.se, 2) == round(row["se"], 2) == 7.94


def test_published_contrast_with_all_three_random(shared: Path) -> None:
    data = big_two(shared)
    found = crossed_variance(data.ranks, data.families, data.categories.tolist(), data.framings.tolist())
    assert found.estimate == pytest.approx(-13.4456, abs=1e-4)
    assert found.se == pytest.approx(7.0807, abs=1e-4)
    assert found.df == pytest.approx(14.446, abs=1e-3)


def effect_patterns(rng: np.random.Generator, labels: tuple[list[str], ...], name: str) -> Iterator[np.ndarray]:
    """One array of ranks for each independent level of an effect (M, W, …, MWP): where that level has an effect, by how
    much. The size depends on the groups (a word of one category means something else to each family, and more to one
    than to the other), so effects are correlated, and unequal, over the cells that share a level."""
    codes = [np.unique(x, return_inverse=True)[1] for x in labels]
    size = rng.normal(1, 2, (2, 2, 2))[np.ix_(*codes)]
    inside = [mode in name for mode in "MWP"]
    for level in product(*(range(len(x)) if keep else [None] for x, keep in zip(labels, inside, strict=True))):
        pattern = np.zeros_like(size)
        where = tuple(slice(None) if at is None else at for at in level)
        pattern[where] = size[where]
        yield pattern


@pytest.mark.parametrize("name", ["M", "W", "P", "MW", "MP", "WP", "MWP"])
def test_variance_is_unbiased_for_every_effect(name: str) -> None:
    """V is a quadratic form r'Qr, and r a sum of independent levels' patterns times noise of variance 1: so E V is the
    sum of V over the patterns, and the variance of the estimate the sum of its squares, both without any noise."""
    labels = layout((3, 4), (3, 2), (2, 3))
    expected = truth = 0.0
    for pattern in effect_patterns(np.random.default_rng(11), labels, name):
        found = crossed_variance(pattern, *labels)
        expected += sum((-1) ** key.count("_") * value for key, value in found.variances.items())
        truth += found.estimate**2
    assert expected == pytest.approx(truth, rel=1e-9)


def test_intervals_cover_when_everything_is_a_sample() -> None:
    labels = layout((5, 5), (8, 8), (4, 4))
    sds = {"M": 2.0, "W": 4.0, "P": 1.5, "MW": 5.0, "MP": 2.0, "WP": 3.0, "MWP": 6.0}
    rng = np.random.default_rng(12)
    codes = [np.unique(x, return_inverse=True)[1] for x in labels]
    covered = []
    for _ in range(600):
        ranks = np.zeros([len(x) for x in labels])
        for name, sd in sds.items():
            inside = [mode in name for mode in "MWP"]
            effects = rng.normal(0, sd, [len(x) if keep else 2 for x, keep in zip(labels, inside, strict=True)])
            index = [np.arange(len(code)) if keep else code for code, keep in zip(codes, inside, strict=True)]
            ranks += effects[np.ix_(*index)]
        found = crossed_variance(ranks, *labels)
        covered.append(found.ci_low <= 0 <= found.ci_high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_model_variance_alone_is_the_welch_test_of_model_contrasts() -> None:
    labels = layout((4, 6), (5, 7), (3, 3))
    ranks = np.random.default_rng(0).normal(size=(10, 12, 6))
    found = crossed_variance(ranks, *labels, random=("model",))
    _, words, prompts = weights(labels)
    contrasts = np.einsum("ijk,j,k->i", ranks, words, prompts)
    other = stats.ttest_ind(contrasts[4:], contrasts[:4], equal_var=False)
    assert (found.t, found.df, found.p) == pytest.approx((other.statistic, other.df, other.pvalue))


def test_each_part_equals_the_sum_over_strata_of_mean_squares() -> None:
    """V_S written out in loops: deviations inside each stratum, squared, by its degrees of freedom and sizes."""
    labels = layout((3, 4), (4, 6), (2, 3))
    ranks = np.random.default_rng(1).normal(size=(7, 10, 5))
    found = crossed_variance(ranks, *labels).variances
    w = weights(labels)
    names = ("model", "word", "prompt")
    for flags in product((False, True), repeat=3):
        if not any(flags):
            continue
        table = ranks.copy()
        for axis in (2, 1, 0):
            if not flags[axis]:
                table = np.tensordot(table, w[axis], axes=(axis, 0))
        kept = [np.array(labels[axis]) for axis in range(3) if flags[axis]]
        total = 0.0
        for groups in product(*(sorted(set(x)) for x in kept)):
            block = table[np.ix_(*(x == g for x, g in zip(kept, groups, strict=True)))]
            for axis in range(block.ndim):
                block = block - block.mean(axis=axis, keepdims=True)
            df = np.prod([n - 1 for n in block.shape])
            total += (block**2).sum() / df / block.size
        key = "_".join(name for name, flag in zip(names, flags, strict=True) if flag)
        assert found[key] == pytest.approx(total), key


def test_clusters_of_one_change_nothing() -> None:
    labels = layout((3, 3), (5, 4), (3, 3))
    ranks = np.random.default_rng(2).normal(size=(6, 9, 6))
    one = crossed_variance(ranks, *labels)
    other = crossed_variance(ranks, *labels, word_clusters=[f"w{i}" for i in range(9)])
    assert (one.se, one.df) == pytest.approx((other.se, other.df))


def test_equal_clusters_are_the_analysis_of_their_means() -> None:
    labels, few = layout((3, 3), (8, 8), (3, 3)), layout((3, 3), (4, 4), (3, 3))
    ranks = np.random.default_rng(3).normal(size=(6, 16, 6))
    stems = [f"stem{i // 2}" for i in range(16)]
    one = crossed_variance(ranks, *labels, word_clusters=stems)
    other = crossed_variance(ranks.reshape(6, 8, 2, 6).mean(axis=2), *few)
    assert (one.estimate, one.se, one.df) == pytest.approx((other.estimate, other.se, other.df))


def test_repeated_words_add_no_precision_once_clustered() -> None:
    labels, twice = layout((3, 3), (6, 6), (3, 3)), layout((3, 3), (12, 12), (3, 3))
    ranks = np.random.default_rng(4).normal(size=(6, 12, 6))
    stems = [f"stem{i // 2}" for i in range(24)]
    one = crossed_variance(ranks, *labels)
    other = crossed_variance(np.repeat(ranks, 2, axis=1), *twice, word_clusters=stems)
    assert (one.se, one.df) == pytest.approx((other.se, other.df))


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_swapping_families_flips_the_sign_and_order_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    families, categories, framings = layout((3, 4), (4, 5), (3, 2))
    ranks = rng.normal(size=(7, 9, 5))
    one = crossed_variance(ranks, families, categories, framings)
    swapped = ["Llama" if x == "Gemma" else "Gemma" for x in families]
    other = crossed_variance(ranks, swapped, categories, framings)
    assert (one.estimate, one.se, one.p) == pytest.approx((-other.estimate, other.se, other.p))
    i, j, k = (rng.permutation(n) for n in (7, 9, 5))
    moved = crossed_variance(
        ranks[np.ix_(i, j, k)],
        *([labels[x] for x in order] for labels, order in ((families, i), (categories, j), (framings, k))),
    )
    assert (one.estimate, one.se, one.df) == pytest.approx((moved.estimate, moved.se, moved.df))


def test_a_negative_variance_falls_back_to_its_largest_part() -> None:
    for seed in range(200):
        found = crossed_variance(np.random.default_rng(seed).normal(size=(4, 4, 4)), *layout((2, 2), (2, 2), (2, 2)))
        if found.truncated:
            singles = [found.variances[name] for name in ("model", "word", "prompt")]
            assert found.se**2 == pytest.approx(max(singles))
            return
    pytest.fail("no draw came out below zero")


def test_the_largest_published_size_takes_seconds() -> None:
    labels = layout((4, 6), (1000, 1040), (27, 27))
    ranks = np.random.default_rng(0).random((10, 2040, 54))
    start = perf_counter()
    crossed_variance(ranks, *labels)
    assert perf_counter() - start < 15


def test_constant_ranks_raise() -> None:
    with pytest.raises(BirthmarkError, match="crossed variance is zero"):
        crossed_variance(np.full((4, 4, 4), 2.5), *layout((2, 2), (2, 2), (2, 2)))


def test_one_model_in_a_family_raises() -> None:
    with pytest.raises(BirthmarkError, match="two models"):
        crossed_variance(np.ones((3, 4, 4)), *layout((1, 2), (2, 2), (2, 2)))


def test_three_families_raise() -> None:
    with pytest.raises(BirthmarkError, match="compares two families; there are 3"):
        crossed_variance(np.ones((3, 4, 4)), ["a", "b", "c"], *layout((2, 2), (2, 2), (2, 2))[1:])


def test_missing_ranks_raise() -> None:
    with pytest.raises(BirthmarkError, match="a rank for every"):
        crossed_variance(np.full((4, 4, 4), np.nan), *layout((2, 2), (2, 2), (2, 2)))


# --- clustering


def test_f_equals_r(oracle: Callable[[str], pl.DataFrame]) -> None:
    data = oracle("nested")
    found = nested_variance(data["y"].to_numpy(), data["base"].to_list(), data["family"].to_list())
    _, base, residual = oracle("nested_anova").iter_rows(named=True)
    assert (found.df_base, found.df_rm) == (base["df"], residual["df"])
    assert found.f == pytest.approx(base["f"], rel=1e-10)
    assert found.p == pytest.approx(base["p"], rel=1e-10)
    assert found.sd_rm == pytest.approx(np.sqrt(residual["ms"]), rel=1e-10)


def test_variances_are_unbiased_in_an_unbalanced_layout() -> None:
    """E MS base is linear in the variances: the mean estimate over many studies is the truth."""
    rng = np.random.default_rng(0)
    bases = np.repeat(["a", "b", "c", "d", "e"], [4, 1, 3, 1, 2])
    families = np.repeat(["A", "B"], [5, 6])
    code = np.unique(bases, return_inverse=True)[1]
    estimates = []
    for _ in range(1500):
        y = rng.normal(0, 20, 5)[code] + rng.normal(0, 5, 11)
        found = nested_variance(y, bases.tolist(), families.tolist())
        estimates.append((found.sd_base**2, found.sd_rm**2))
    base, rm = np.mean(estimates, axis=0)
    assert rm == pytest.approx(25, rel=0.05)
    assert base == pytest.approx(400, rel=0.1)  # truncation at 0 is rare here


def test_published_models_cluster_by_base_checkpoint(shared: Path) -> None:
    data = big_two(shared)
    found = nested_variance(contrasts(data), data.bases, data.families)
    assert (round(found.sd_base, 1), round(found.sd_rm, 1), round(found.icc, 2)) == (16.6, 7.2, 0.84)
    assert (found.df_base, found.df_rm) == (3, 5)


@pytest.mark.parametrize(("icc", "worth"), [(0.0, 10.0), (1.0, 1 / 0.625 + 36 / 14), (0.84, 4.6)])
def test_clustered_models_have_a_smaller_effective_number(icc: float, worth: float) -> None:
    bases, families = list("aaabcccdde"), ["Gemma"] * 4 + ["Llama"] * 6
    assert effective_number(bases, families, icc) == pytest.approx(worth, abs=0.01)


def test_effective_number_gives_the_variance_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([3, 2, 1])
    base = np.repeat(rng.normal(0, 2.0, (20_000, 3)), sizes, axis=1)
    means = (base + rng.normal(0, 1.0, base.shape)).mean(axis=1)
    worth = effective_number(list("aaabbc"), ["A"] * 6, icc=0.8)
    assert means.var() == pytest.approx(5.0 / worth, rel=0.05)


def test_no_base_with_two_models_leaves_all_null() -> None:
    found = nested_variance([1.0, 2.0, 3.0], ["a", "b", "c"], ["A", "A", "B"])
    assert found == NestedVariance(None, None, None, None, None, 1, 0)


def test_one_base_a_family_leaves_the_models_spread() -> None:
    found = nested_variance([1.0, 3.0, 5.0, 5.0], ["a", "a", "b", "b"], ["A", "A", "B", "B"])
    assert (found.sd_base, found.icc, found.f, found.p) == (None, None, None, None)
    assert found.sd_rm == pytest.approx(1.0)


def test_constant_values_have_no_variance_and_p_1() -> None:
    found = nested_variance([0.1] * 5, list("aabbc"), list("AAAAA"))
    assert (found.sd_base, found.sd_rm, found.icc, found.f, found.p) == (0.0, 0.0, None, None, 1.0)


def test_a_negative_variance_between_bases_is_set_to_zero() -> None:
    found = nested_variance([0.0, 10.0, 1.0, 9.0], list("aabb"), list("AAAA"))
    assert (found.sd_base, found.icc) == (0.0, 0.0)


def test_a_base_in_two_families_raises() -> None:
    with pytest.raises(BirthmarkError, match="two families"):
        nested_variance([1.0, 2.0], ["a", "a"], ["A", "B"])


# --- three way

ORACLES = Path(__file__).parents[1] / "oracles"


def read(name: str) -> list[dict[str, str]]:
    with (ORACLES / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = read("three_way.csv")
Y = np.array([float(row["y"]) for row in ROWS])
FACTORS = {name: [row[name] for row in ROWS] for name in ("side", "category", "framing")}


def test_every_term_of_an_unbalanced_design_equals_r() -> None:
    found = three_way_anova(Y, FACTORS)
    expected = read("three_way_anova.csv")
    assert [term.term for term in found] == [row["term"].replace("Residuals", "Residual") for row in expected]
    for term, row in zip(found, expected, strict=True):
        assert (term.sum_sq, term.df) == (pytest.approx(float(row["sum_sq"]), rel=1e-9), int(row["df"]))
        if term.term != "Residual":
            assert (term.f, term.p) == (
                pytest.approx(float(row["f"]), rel=1e-9),
                pytest.approx(float(row["p"]), rel=1e-7),
            )


def test_cells_and_their_false_discovery_rate_equal_r() -> None:
    expected = read("three_way_cells.csv")
    found = []
    for row in expected:
        cell = np.array(
            [
                (c, f) == (row["category"], row["framing"])
                for c, f in zip(FACTORS["category"], FACTORS["framing"], strict=True)
            ]
        )
        llama = np.array(FACTORS["side"]) == "Llama"
        found.append(compare_groups(Y[cell & ~llama], Y[cell & llama]))
        assert found[-1].welch_t == pytest.approx(float(row["welch_t"]), rel=1e-9)
    adjusted = adjust([item.welch_p for item in found], "fdr_bh")
    assert adjusted == pytest.approx([float(row["p_fdr"]) for row in expected], rel=1e-9)


def test_a_terms_sum_of_squares_is_what_it_adds_to_all_terms_without_it() -> None:
    """Type II by hand: residual sums of squares of two least-squares fits, for the term side."""
    code = {name: (np.array(labels) == sorted(set(labels))[1]).astype(float) for name, labels in FACTORS.items()}
    one, b, c = np.ones_like(Y), code["category"], code["framing"]

    def rss(*columns: np.ndarray) -> float:
        x = np.column_stack(columns)
        return float(((Y - x @ np.linalg.lstsq(x, Y, rcond=None)[0]) ** 2).sum())

    without = rss(one, b, c, b * c)
    added = without - rss(one, b, c, b * c, code["side"])
    assert three_way_anova(Y, FACTORS)[0].sum_sq == pytest.approx(added)


def test_more_than_two_levels_take_their_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    labels = [(a, b, c) for a in "xy" for b in "klm" for c in "pn" for _ in range(4)]
    factors = {name: [row[at] for row in labels] for at, name in enumerate(("side", "category", "framing"))}
    found = {term.term: term.df for term in three_way_anova(rng.normal(size=len(labels)), factors)}
    assert (found["category"], found["side:category:framing"], found["Residual"]) == (2, 2, 36)


@pytest.mark.parametrize("values", [np.arange(8.0), np.zeros(8)])
def test_a_fit_that_leaves_no_residual_has_no_f(values: np.ndarray) -> None:
    labels = [(a, b, c) for a in "xy" for b in "kl" for c in "pn"]
    factors = {name: [row[at] for row in labels] for at, name in enumerate(("side", "category", "framing"))}
    assert three_way_anova(values, factors) == []


def test_values_that_do_not_vary_have_no_f() -> None:
    assert three_way_anova(np.full(len(Y), 3.0), FACTORS) == []


@pytest.mark.parametrize(
    ("values", "factors", "message"),
    [
        (Y, {**FACTORS, "side": ["a"] * len(Y)}, "two levels of side"),
        (np.where(np.arange(len(Y)) == 3, np.nan, Y), FACTORS, "missing or infinite"),
        (Y, {"side": FACTORS["side"]}, "three named factors"),
    ],
)
def test_what_cannot_be_analysed_raises(values, factors, message) -> None:
    with pytest.raises(BirthmarkError, match=message):
        three_way_anova(values, factors)
