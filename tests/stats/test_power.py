"""Power against statsmodels, scipy and the binomial distribution. Tests done for many studies at once, each against the same test done for one study."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from birthmark.stats import power
from birthmark.stats import power as batched
from birthmark.stats.mixed import fit_mixed_model, joint_f
from birthmark.stats.permutation import label_arrangements, max_t
from birthmark.stats.unit_tests import adjust, compare_groups, family_test, welch_interval

# --- power


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.5, 3.0])
def test_welch_with_equal_families_is_the_pooled_tests_power(n: int, effect: float) -> None:
    other = TTestIndPower().power(effect, n, 0.05, ratio=1.0)
    assert power.welch_power(7 * effect, 7, 7, n, n) == pytest.approx(other, abs=1e-9)


def test_welch_power_of_unequal_families_is_near_the_simulated_rate() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20_000, 6)), rng.normal(2.5, 3.0, size=(20_000, 9))
    rate = (stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert power.welch_power(2.5, 1, 3, 6, 9) == pytest.approx(rate, abs=0.015)


@pytest.mark.parametrize("n", [3, 6])
def test_paired_power_equals_statsmodels(n: int) -> None:
    assert power.paired_power(12, 10, n) == pytest.approx(TTestPower().power(1.2, n, 0.05), abs=1e-9)


def test_power_of_a_huge_difference_is_1_and_never_nan() -> None:
    assert [power.welch_power(shift, 1, 1, 3, 3) for shift in (1e2, 1e3, 1e6)] == pytest.approx([1, 1, 1])


def test_power_without_variance_is_certain() -> None:
    assert power.welch_power(1, 0, 0, 3, 3) == power.paired_power(1, 0, 3) == 1.0
    assert power.welch_power(0, 0, 0, 3, 3) == 0.05


def test_error_of_a_rate_is_the_binomial_sd() -> None:
    assert power.mc_error(0.3, 400) == pytest.approx(stats.binom(400, 0.3).std() / 400)
    assert power.mc_error(0.0, 100) == 0


@pytest.mark.parametrize(
    ("n_a", "n_b", "expected"),
    [(2, 3, (10, 0.1)), (4, 4, (70, 2 / 70)), (3, 4, (35, 1 / 35)), (30, 30, (100_000, 1e-5))],
)
def test_splits_and_their_smallest_p(n_a: int, n_b: int, expected: tuple[int, float]) -> None:
    assert power.splits(n_a, n_b) == pytest.approx(expected)


def test_exact_test_without_a_difference_rejects_at_its_attainable_level() -> None:
    level = 6 / 126  # the largest of 1/126, 2/126, … up to .05
    rate = power.exact_power(0.0, 4, 5)
    assert rate == pytest.approx(level, abs=4 * power.mc_error(level, power.STUDIES))


def test_exact_power_grows_with_the_difference_and_nears_welchs() -> None:
    rates = [power.exact_power(shift, 8, 8) for shift in (0.0, 0.8, 1.6, 2.4)]
    assert rates == sorted(rates)
    assert rates[2] == pytest.approx(power.welch_power(1.6, 1, 1, 8, 8), abs=0.03)


def test_nothing_is_detectable_where_the_smallest_p_is_larger_than_alpha() -> None:
    assert power.detectable_exact(2, 3) is None
    assert power.detectable_exact(1, 1) is None


def test_minimum_detectable_difference_has_the_target_power() -> None:
    found = power.detectable_exact(4, 4)
    assert found is not None
    assert power.exact_power(found, 4, 4) == pytest.approx(0.8, abs=0.03)
    assert found > TTestIndPower().solve_power(nobs1=4, alpha=0.05, power=0.8)  # the exact test of 70 splits is coarse


# --- batched

STUDIES = 12


def two_families(n_a: int, n_b: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(STUDIES, n_a)), rng.normal(0.7, 2.0, size=(STUDIES, n_b))


def medians(n_a: int, n_b: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Medians [studies, models, 2 categories, 6 prompts]; spread: SD of the models' own means."""
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=(STUDIES, n, 2, 6)) for n in (n_a, n_b))
    slope = rng.normal(size=(STUDIES, n_a + n_b, 2, 1)) * np.repeat([1, -1], 3)
    a, b = a + slope[:, :n_a], b + slope[:, n_a:] + 0.5 * np.repeat([1, -1], 3)
    own = rng.normal(scale=spread, size=(STUDIES, n_a + n_b, 1, 1))
    return a + own[:, :n_a], b + own[:, n_a:]


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 3), (3, 3), (3, 4), (4, 6), (5, 5)])
def test_batched_headline_tests_equal_single_ones(n_a: int, n_b: int) -> None:
    a, b = two_families(n_a, n_b)
    found = batched.headline_test(a, b)
    families = ["a"] * n_a + ["b"] * n_b
    single = [family_test(np.concatenate(pair), families) for pair in zip(a, b, strict=True)]
    assert found.p.tolist() == [test.p_exact for test in single]


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 3), (4, 6), (5, 5)])
def test_batched_welch_tests_equal_single_ones(n_a: int, n_b: int) -> None:
    a, b = two_families(n_a, n_b)
    found = batched.welch(a, b)
    for at in range(STUDIES):
        one = compare_groups(a[at], b[at])
        assert (found.difference[at], found.df[at], found.p[at]) == pytest.approx(
            (one.difference, one.welch_df, one.welch_p)
        )
        assert (found.ci_low[at], found.ci_high[at]) == pytest.approx(welch_interval(a[at], b[at]))


def test_units_that_do_not_vary_are_no_evidence() -> None:
    found = batched.welch(np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([[3.0, 3.0], [3.0, 5.0]]))
    assert found.p[0] == 1
    assert (found.ci_low[0], found.difference[0], found.ci_high[0]) == (2, 2, 2)
    assert 0 < found.p[1] < 1


def test_many_splits_are_drawn_and_keep_the_level() -> None:
    a, b = two_families(9, 9)
    found = batched.headline_test(a - a.mean(), b - b.mean())
    assert found.attainable == 0.05
    assert (found.p >= 1 / batched.LIMIT).all()
    exact = batched._permutation_p(
        (x := np.concatenate([a, b], axis=1)) - x.mean(axis=1, keepdims=True),
        9,
        label_arrangements(np.repeat([0, 1], 9))[0].astype(float),
        True,
        True,
    )
    assert batched.headline_test(a, b).p == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize(
    ("n_splits", "paired", "level"), [(10, False, 0.1), (20, True, 0.1), (35, False, 1 / 35), (252, True, 12 / 252)]
)
def test_attainable_levels_of_coarse_tests(n_splits: int, paired: bool, level: float) -> None:
    assert batched.attainable_level(n_splits, paired) == pytest.approx(level)


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 6), (2, 3)])
@pytest.mark.parametrize("spread", [0.0, 0.1, 3.0])
def test_three_way_f_equals_the_fitted_mixed_model(n_a: int, n_b: int, spread: float) -> None:
    a, b = medians(n_a, n_b, spread)
    found = batched.mixed_model_three_way(a, b)
    models = np.arange(n_a + n_b)
    factors = {
        "family": np.repeat(["a"] * n_a + ["b"] * n_b, 12).tolist(),
        "category": np.tile(np.repeat(["x", "y"], 6), len(models)).tolist(),
        "framing": np.tile(["positive"] * 3 + ["negative"] * 3, 2 * len(models)).tolist(),
    }
    boundary = 0
    for at in range(STUDIES):
        y = np.concatenate([a[at], b[at]]).reshape(-1)
        fit = fit_mixed_model(y, factors, np.repeat(models, 12).astype(str).tolist(), ["family"])
        boundary += fit.sd_model == 0
        assert found[at] == pytest.approx(joint_f(fit, list(factors)).p, rel=1e-6)
    assert (boundary > 0) == (spread < 3)


def test_batched_panel_tests_equal_single_ones() -> None:
    a, b = medians(4, 6, 0.3)
    some_panel, joint = batched.any_panel_bonferroni(a, b), batched.any_panel_max_t(a, b)
    for at in range(STUDIES):
        sides = [(x[at][:, c, f].ravel(), y[at][:, c, f].ravel()) for x, y in [(a, b)] for c in (0, 1) for f in HALVES]
        p = adjust([compare_groups(x, y).welch_p for x, y in sides], "bonferroni")
        assert some_panel[at] == pytest.approx(min(p))
        both = np.concatenate([a[at], b[at]])
        values = np.stack([both[:, c, f].mean(axis=1) for c in (0, 1) for f in HALVES], axis=1)
        assert joint[at] == pytest.approx(max_t(values, np.arange(10) >= 4).p_adjusted.min())


HALVES = (slice(None, 3), slice(3, None))
