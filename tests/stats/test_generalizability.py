"""Generalizability against statsmodels' mean squares, Cronbach's α, Feldt's interval, and known variances."""

import numpy as np
import pandas as pd
import pytest
import scipy
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from birthmark.errors import BirthmarkError
from birthmark.stats.generalizability import generalizability, mean_squares

SDS = {"word": 2.0, "template": 0.7, "prompt": 0.5, "wt": 1.2, "wp": 0.8, "tp": 0.4, "e": 1.5}


def draw(rng: np.random.Generator, words: int, templates: int, prompts: int) -> np.ndarray:
    shapes = {
        "word": (words, 1, 1),
        "template": (1, templates, 1),
        "prompt": (1, 1, prompts),
        "wt": (words, templates, 1),
        "wp": (words, 1, prompts),
        "tp": (1, templates, prompts),
        "e": (words, templates, prompts),
    }
    return sum(SDS[name] * rng.standard_normal(shape) for name, shape in shapes.items())


def test_mean_squares_are_those_of_statsmodels() -> None:
    y = draw(np.random.default_rng(0), 5, 3, 4)
    w, t, p = (index.ravel() for index in np.indices(y.shape))
    data = pd.DataFrame({"y": y.ravel(), "word": w, "template": t, "prompt": p})
    fit = ols("y ~ (C(word) + C(template) + C(prompt)) ** 2", data=data).fit()  # the residual is the three-way term
    table = anova_lm(fit, typ=1)
    expected = {
        "_".join(part.strip()[2:-1] for part in term.split(":")): row["sum_sq"] / row["df"]
        for term, row in table.iterrows()
        if term != "Residual"
    }
    expected["word_template_prompt"] = table.loc["Residual", "sum_sq"] / table.loc["Residual", "df"]
    assert mean_squares(y) == pytest.approx(expected)


def test_components_are_right_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [generalizability(draw(rng, 20, 8, 8)).variances for _ in range(60)]
    names = ("word", "template", "prompt", "word_template", "word_prompt", "template_prompt", "word_template_prompt")
    for name, sd in zip(names, SDS.values(), strict=True):
        of_it = np.array([one[name] for one in found])
        assert abs(of_it.mean() - sd**2) < 4 * of_it.std() / np.sqrt(len(of_it)), name


@pytest.mark.parametrize("axis", [1, 2], ids=["over_prompts", "over_templates"])
def test_a_coefficient_with_one_facet_fixed_is_cronbachs_alpha(axis: int) -> None:
    y = draw(np.random.default_rng(2), 30, 4, 6)
    items = y.mean(axis=axis)  # [words, the conditions that vary]
    k = items.shape[1]
    alpha = k / (k - 1) * (1 - items.var(axis=0, ddof=1).sum() / items.sum(axis=1).var(ddof=1))
    found = generalizability(y)
    assert (found.over_prompts if axis == 1 else found.over_templates).coefficient == pytest.approx(alpha)


def test_the_interval_is_near_feldts_where_values_are_normal() -> None:
    y = draw(np.random.default_rng(3), 200, 4, 6)
    found = generalizability(y).over_prompts
    df = (199, 199 * 5)
    low, high = (1 - (1 - found.coefficient) * scipy.stats.f.ppf(q, *df) for q in (0.975, 0.025))
    assert found.ci_low == pytest.approx(low, abs=0.01)
    assert found.ci_high == pytest.approx(high, abs=0.01)


def test_the_interval_over_both_covers() -> None:
    rng = np.random.default_rng(4)
    error = SDS["wt"] ** 2 / 4 + SDS["wp"] ** 2 / 6 + SDS["e"] ** 2 / 24
    true = SDS["word"] ** 2 / (SDS["word"] ** 2 + error)
    found = [generalizability(draw(rng, 25, 4, 6)).over_both for _ in range(60)]
    covered = np.mean([one.ci_low <= true <= one.ci_high for one in found])
    assert 0.85 <= covered < 1.0  # 95% within 3 Monte Carlo errors (0.028 each)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_the_numbers_needed_are_the_first_that_reach_the_target(target: float) -> None:
    y = draw(np.random.default_rng(5), 60, 4, 6)
    found = generalizability(y, target=target)
    v = found.variances
    w, wt, wp, e = (v[name] for name in ("word", "word_template", "word_prompt", "word_template_prompt"))

    def over_prompts(n: int) -> float:
        universe = w + wt / 4
        return universe / (universe + (wp + e / 4) / n)

    def over_templates(n: int) -> float:
        universe = w + wp / 6
        return universe / (universe + (wt + e / 6) / n)

    def over_both(n: int) -> float:
        return w / (w + wp / 6 + (wt + e / 6) / n)

    for name, reached in (
        ("over_prompts", over_prompts),
        ("over_templates", over_templates),
        ("over_both", over_both),
    ):
        first = next((n for n in range(1, 2000) if reached(n) >= target), None)
        assert getattr(found, name).needed == first, name


def test_stems_that_are_copies_widen_the_interval() -> None:
    y = draw(np.random.default_rng(6), 25, 4, 6)
    twice, stems = np.concatenate([y, y]), [f"stem{index}" for index in range(25)] * 2
    alone, together = generalizability(twice).over_both, generalizability(twice, word_clusters=stems).over_both
    assert together.coefficient == alone.coefficient
    assert together.ci_high - together.ci_low > 1.2 * (alone.ci_high - alone.ci_low)


def test_ranks_have_no_variance_of_templates_and_prompts() -> None:
    y = scipy.stats.rankdata(draw(np.random.default_rng(7), 20, 3, 4), axis=0)
    found = generalizability(y)
    assert [found.variances[name] for name in ("template", "prompt", "template_prompt")] == [0, 0, 0]
    assert sum(found.shares.values()) == pytest.approx(1)


def test_noise_alone_cannot_reach_the_target() -> None:
    y = np.random.default_rng(8).standard_normal((40, 4, 6))
    y -= y.mean(axis=(1, 2), keepdims=True) * 0.9  # words differ less than noise makes them
    found = generalizability(y)
    assert (found.over_both.coefficient, found.over_both.needed, found.over_prompts.needed) == (0, None, None)


def test_values_that_agree_everywhere_need_one_of_each() -> None:
    y = np.broadcast_to(np.arange(5.0)[:, None, None], (5, 3, 4))
    found = generalizability(y)
    assert (found.over_both.coefficient, found.over_both.needed, found.over_prompts.needed) == (1, 1, 1)
    assert found.over_both.ci_low is None
    assert found.over_both.interval_why


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((5, 1, 4)), "two or more"),
        (np.zeros((5, 3)), "two or more"),
        (np.zeros((5, 3, 4)), "do not differ"),
        (np.full((5, 3, 4), np.nan), "every word"),
    ],
    ids=["one_template", "two_axes", "constant", "missing"],
)
def test_what_cannot_be_analysed_is_refused(values: np.ndarray, said: str) -> None:
    with pytest.raises(BirthmarkError, match=said):
        generalizability(values)
