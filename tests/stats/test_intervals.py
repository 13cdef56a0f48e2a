"""Intervals of columns against scipy. Reliability against closed forms, simulation and statsmodels; leave-one-out; halves of a lexicon."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.weightstats import DescrStatsW

from birthmark.errors import BirthmarkError
from birthmark.stats.intervals import (
    PromptIcc,
    column_differences,
    equivalence_bound,
    half_of_each,
    leave_one_out,
    prompt_icc,
    split_half,
)
from birthmark.stats.results import Without

# --- intervals


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


# --- sensitivity


def test_icc_equals_the_two_way_anova_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 1)) + rng.normal(size=(6, 5))
    row, column = (index.ravel() for index in np.indices(table.shape))
    data = pd.DataFrame({"y": table.ravel(), "row": row, "column": column})
    ms = anova_lm(ols("y ~ C(row) + C(column)", data).fit())["mean_sq"]
    rows, error = ms["C(row)"], ms["Residual"]
    found = prompt_icc(table)
    assert found.single == pytest.approx((rows - error) / (rows + 4 * error))
    assert found.average == pytest.approx((rows - error) / rows)


def test_icc_of_rows_that_keep_their_order_over_shifted_columns_is_1() -> None:
    found = prompt_icc(np.add.outer([1.0, 5.0, 9.0], [0.0, 100.0]))
    assert (found.single, found.average) == pytest.approx((1, 1))


def test_icc_is_null_where_rows_do_not_differ_or_are_too_few() -> None:
    assert prompt_icc(np.full((3, 4), 0.1)) == PromptIcc(None, None)
    assert prompt_icc(np.ones((1, 4))) == PromptIcc(None, None)


def test_split_half_recovers_the_reliability_of_simulated_models() -> None:
    """Contrasts of variance 1 measured by 2 × 50 words: the noise of a mean difference has variance 2 σ² / 50."""
    rng = np.random.default_rng(1)
    categories = ["a"] * 50 + ["b"] * 50
    contrast = rng.normal(size=(400, 1)) * np.where(np.array(categories) == "a", 0.5, -0.5)
    values = contrast + rng.normal(0, 4, (400, 100))
    found = split_half(values, categories, splits=20)
    assert found.spearman_brown == pytest.approx(1 / (1 + 2 * 16 / 50), abs=0.06)
    assert found.spearman_brown == pytest.approx(2 * found.half / (1 + found.half))


@pytest.mark.parametrize("shape", [(2, 4), (5, 2)])
def test_split_half_of_too_few_models_or_words_is_null(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(2).normal(size=shape)
    assert split_half(values, (["a", "b"] * 2)[: shape[1]]).half is None


def test_split_half_of_models_that_do_not_differ_is_null() -> None:
    assert split_half(np.full((4, 8), 0.3), ["a", "b"] * 4).half is None


def test_a_half_takes_half_of_each_category() -> None:
    categories = ["a"] * 7 + ["b"] * 4
    half = half_of_each(categories, np.random.default_rng(0))
    assert (half[:7].sum(), half[7:].sum()) == (3, 2)


def test_leave_one_out_reports_each_label_once() -> None:
    values = np.array([1.0, 2.0, 6.0])
    found = leave_one_out(["y", "x", "y"], lambda stay: values[stay].mean())
    assert found == [Without("x", 3.5), Without("y", 2.0)]


def test_leave_one_out_gives_the_reason_for_a_missing_estimate() -> None:
    def refuse(stay: np.ndarray) -> float:
        raise BirthmarkError("one family only")

    assert leave_one_out(["x"], refuse) == [Without("x", None, "one family only")]
