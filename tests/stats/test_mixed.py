"""The mixed model against nlme (stored), the package mixedlm, least squares at the boundary, and invariants."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from published import big_two, median_columns

from birthmark.errors import BirthmarkError
from birthmark.stats.mixed import MixedModelFit, fit_grouped, fit_mixed_model, group_cross_products, joint_f

FACTORS = ("family", "category", "framing")
LEVELS = {"framing": ["positive", "negative"]}
Oracle = Callable[[str], pl.DataFrame]


def fit_frame(frame: pl.DataFrame, method: str, y: np.ndarray | None = None) -> MixedModelFit:
    response = frame["y"].to_numpy() if y is None else y
    factors = {name: frame[name].to_list() for name in FACTORS}
    return fit_mixed_model(response, factors, frame["model"].to_list(), ["family"], method, LEVELS)


def r_name(name: str) -> str:
    return name.replace("[", "").replace("]", "")


def assert_equals_nlme(fit: MixedModelFit, terms: pl.DataFrame, fits: pl.DataFrame) -> None:
    assert [r_name(term.term) for term in fit.terms] == terms["term"].to_list()
    for term, row in zip(fit.terms, terms.iter_rows(named=True), strict=True):
        assert term.estimate == pytest.approx(row["estimate"], rel=1e-6)
        assert term.se == pytest.approx(row["se"], rel=1e-6)
        assert term.t == pytest.approx(row["t"], rel=2e-6)
        assert term.df == row["df"]
        assert term.p == pytest.approx(row["p"], rel=1e-4, abs=1e-12)
    row = fits.row(0, named=True)
    assert fit.n_obs == row["n_obs"]
    assert fit.sd_model == pytest.approx(row["sd_model"], rel=1e-5)
    assert fit.sd_residual == pytest.approx(row["sd_residual"], rel=1e-6)
    assert fit.loglik == pytest.approx(row["loglik"], rel=1e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("data", ["balanced", "unbalanced"])
def test_equals_nlme_on_synthetic_medians(oracle: Oracle, data: str, method: str) -> None:
    chosen = (pl.col("data") == data) & (pl.col("method") == method)
    fit = fit_frame(oracle(f"medians_{data}"), method)
    assert_equals_nlme(fit, oracle("mixed_model_terms").filter(chosen), oracle("mixed_model_fits").filter(chosen))


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("data", ["balanced", "unbalanced"])
def test_joint_f_equals_nlme_marginal_anova(oracle: Oracle, data: str, method: str) -> None:
    fit = fit_frame(oracle(f"medians_{data}"), method)
    rows = oracle("mixed_model_f").filter((pl.col("data") == data) & (pl.col("method") == method))
    for row in rows.filter(pl.col("term") != "(Intercept)").iter_rows(named=True):
        joint = joint_f(fit, row["term"].split(":"))
        assert (joint.df_num, joint.df_den) == (row["df_num"], row["df_den"])
        assert joint.f == pytest.approx(row["f"], rel=1e-5)
        assert joint.p == pytest.approx(row["p"], rel=1e-5)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_equals_nlme_on_the_published_medians(oracle: Oracle, shared: Path, method: str) -> None:
    y, factors, models = median_columns(big_two(shared))
    fit = fit_mixed_model(y, factors, models, ["family"], method, LEVELS)
    chosen = pl.col("method") == method
    assert_equals_nlme(fit, oracle("big2_terms").filter(chosen), oracle("big2_fits").filter(chosen))


def test_calls_140_of_210_relabellings_of_the_published_models_significant(shared: Path) -> None:
    y, factors, models = median_columns(big_two(shared))
    data = group_cross_products(y, {name: factors[name] for name in FACTORS[1:]}, models, LEVELS)
    significant = 0
    for chosen in combinations(data.groups, 4):
        family = {model: "Gemma" if model in chosen else "Llama" for model in data.groups}
        significant += joint_f(fit_grouped(data, {"family": family}), FACTORS).p < 0.05
    assert significant == 140


@pytest.mark.parametrize("reml", [True, False])
def test_equals_the_package_mixedlm_on_unbalanced_data(oracle: Oracle, reml: bool) -> None:
    mixedlm = pytest.importorskip("mixedlm")
    frame = oracle("medians_unbalanced")
    other = mixedlm.lmer("y ~ family*category*framing + (1|model)", frame.to_pandas(), REML=reml)
    fit = fit_mixed_model(
        frame["y"].to_numpy(),
        {name: frame[name].to_list() for name in FACTORS},
        frame["model"].to_list(),
        ["family"],
        "REML" if reml else "ML",
    )
    estimates = sorted(other.fixef().values())
    assert sorted(term.estimate for term in fit.terms) == pytest.approx(estimates, rel=1e-7)
    assert fit.sd_residual == pytest.approx(other.get_sigma(), rel=1e-6)


def test_boundary_is_least_squares(oracle: Oracle) -> None:
    frame = oracle("medians_boundary")
    ols = smf.ols("y ~ family*category*C(framing, Treatment('positive'))", frame.to_pandas()).fit()
    n, p = frame.height, 8
    for method, sigma2 in (("REML", ols.ssr / (n - p)), ("ML", ols.ssr / n)):
        fit = fit_frame(frame, method)
        assert fit.sd_model == 0
        assert fit.sd_residual == pytest.approx(np.sqrt(sigma2), rel=1e-12)
        assert sorted(term.estimate for term in fit.terms) == pytest.approx(sorted(ols.params), rel=1e-9)
        assert sorted(term.se for term in fit.terms) == pytest.approx(sorted(ols.bse), rel=1e-9)
        if method == "ML":
            assert fit.loglik == pytest.approx(ols.llf, rel=1e-12)


def test_balanced_estimates_are_the_closed_form_of_the_anova(oracle: Oracle) -> None:
    """REML: the variance between models is (MS models − MS residual) / rows a model, where positive."""
    frame = oracle("medians_balanced")
    cells = frame.with_columns(e=pl.col("y") - pl.col("y").mean().over(FACTORS))
    models = cells.group_by("model", "family").agg(pl.col("e").mean(), n=pl.len())
    rows = models["n"][0]
    ss_models = float((models["e"] ** 2).sum() * rows)
    ms_models = ss_models / (models.height - 2)
    ms_residual = (float((cells["e"] ** 2).sum()) - ss_models) / (frame.height - models.height - 6)
    fit = fit_frame(frame, "REML")
    assert fit.sd_residual == pytest.approx(np.sqrt(ms_residual), rel=1e-10)
    assert fit.sd_model == pytest.approx(np.sqrt((ms_models - ms_residual) / rows), rel=1e-10)


def test_swapping_family_labels_flips_the_signs_of_family_terms(oracle: Oracle) -> None:
    frame = oracle("medians_balanced")
    swapped = frame.with_columns(pl.col("family").replace({"Gemma": "Llama", "Llama": "Gemma"}))
    one, other = (fit_frame(x, "REML").terms[-1] for x in (frame, swapped))
    assert one.term == other.term == "family[Llama]:category[Communion]:framing[negative]"
    assert one.estimate == pytest.approx(-other.estimate, rel=1e-9)
    assert one.p == pytest.approx(other.p, rel=1e-9)


@given(shift=st.floats(-1e4, 1e4), scale=st.floats(1e-2, 1e2), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_row_order_shift_and_scale_change_nothing_but_units(shift: float, scale: float, seed: int) -> None:
    frame = pl.read_csv(Path(__file__).parents[1] / "oracles" / "medians_balanced.csv")
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    one = fit_frame(frame, "REML")
    other = fit_frame(shuffled, "REML", shift + scale * shuffled["y"].to_numpy())
    for a, b in list(zip(one.terms, other.terms, strict=True))[1:]:
        assert b.estimate == pytest.approx(scale * a.estimate, rel=1e-6, abs=1e-8 * scale)
        assert b.t == pytest.approx(a.t, rel=1e-6, abs=1e-8)
    assert other.sd_model == pytest.approx(scale * one.sd_model, rel=1e-6)


def test_terms_come_in_rs_order(oracle: Oracle) -> None:
    names = [term.term for term in fit_frame(oracle("medians_balanced"), "REML").terms]
    assert names[:4] == ["(Intercept)", "family[Llama]", "category[Communion]", "framing[negative]"]


def test_a_model_without_between_factors_fits() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c", "d"], 10).tolist()
    fit = fit_mixed_model(rng.normal(size=40), {"framing": ["x", "y"] * 20}, groups, [])
    assert [term.df for term in fit.terms] == [35, 35]


def test_constant_response_raises(oracle: Oracle) -> None:
    frame = oracle("medians_balanced")
    with pytest.raises(BirthmarkError, match="cannot be fitted"):
        fit_frame(frame, "REML", np.full(frame.height, 0.1))


def test_response_without_residual_variance_raises(oracle: Oracle) -> None:
    frame = oracle("medians_balanced")
    by_model = frame["model"].rank("dense").to_numpy() ** 2.0
    with pytest.raises(BirthmarkError, match="cannot be fitted"):
        fit_frame(frame, "ML", by_model)


def test_missing_values_raise(oracle: Oracle) -> None:
    frame = oracle("medians_balanced")
    y = frame["y"].to_numpy().copy()
    y[3] = np.nan
    with pytest.raises(BirthmarkError, match="missing or infinite"):
        fit_frame(frame, "REML", y)


def test_one_level_raises(oracle: Oracle) -> None:
    with pytest.raises(BirthmarkError, match="at least two levels of family"):
        fit_frame(oracle("medians_balanced").filter(pl.col("family") == "Gemma"), "REML")


def test_an_empty_cell_raises(oracle: Oracle) -> None:
    empty = (pl.col("family") == "Gemma") & (pl.col("framing") == "negative")
    with pytest.raises(BirthmarkError, match="empty cell"):
        fit_frame(oracle("medians_balanced").filter(~empty), "REML")


def test_a_model_in_two_families_raises(oracle: Oracle) -> None:
    frame = oracle("medians_balanced").with_columns(model=pl.lit("the same"))
    with pytest.raises(BirthmarkError, match="has two values of family"):
        fit_frame(frame, "REML")


def test_one_model_a_family_raises(oracle: Oracle) -> None:
    frame = oracle("medians_balanced").filter(pl.col("model").is_in(["Gemma-0", "Llama-0"]))
    with pytest.raises(BirthmarkError, match="more models than families"):
        fit_frame(frame, "REML")


def test_an_unknown_interaction_raises(oracle: Oracle) -> None:
    with pytest.raises(BirthmarkError, match="no term"):
        joint_f(fit_frame(oracle("medians_balanced"), "REML"), ["family", "team"])
