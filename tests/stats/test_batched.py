"""Tests done for many studies at once, each against the same test done for one study."""

import numpy as np
import pytest

from birthmark.stats import power as batched
from birthmark.stats.mixed import fit_mixed_model, joint_f
from birthmark.stats.permutation import label_arrangements, max_t
from birthmark.stats.unit_tests import adjust, compare_groups, family_test, welch_interval

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
