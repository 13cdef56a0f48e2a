"""The published scores through the whole room, against a recomputation in pandas and the study's own numbers."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from birthmark.inputs.lexicons import fold_foundations, load_lexicon
from birthmark.records import Effects
from birthmark.scoring.table import read_scores
from birthmark.values.effects import effects

NEGATIVE = ("worst", "bad", "terrible")
GEMMA = "emma"


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "paper-data" / "data"


@pytest.fixture(scope="module")
def big_two_effects(data: Path) -> Effects:
    files = sorted((data / "reward_model_scores" / "dict_big2_nouns").glob("*.csv"))
    return effects([read_scores(path) for path in files], load_lexicon(data / "corpora" / "dict_big2_nouns.csv"))


@pytest.fixture(scope="module")
def medians(data: Path) -> pd.DataFrame:
    """Median rank by model, category and prompt, as the study describes it, in pandas."""
    lexicon = pd.read_csv(data / "corpora" / "dict_big2_nouns.csv").rename(columns={"token_decoded": "response"})
    frames = []
    for path in sorted((data / "reward_model_scores" / "dict_big2_nouns").glob("*.csv")):
        joined = pd.read_csv(path, keep_default_na=False).merge(lexicon, on="response")
        prompts = [column for column in joined.columns if column not in ("response", "Category")]
        ranks = (
            joined[prompts].astype(float).rank(ascending=False, method="average").assign(Category=joined["Category"])
        )
        long = ranks.groupby("Category").median().reset_index().melt("Category", var_name="prompt", value_name="rank")
        frames.append(long.assign(model=path.stem))
    found = pd.concat(frames, ignore_index=True)
    found["framing"] = np.where(found["prompt"].str.split("_").str[0].isin(NEGATIVE), "negative", "positive")
    found["family"] = np.where(found["model"].str.contains(GEMMA), "Gemma", "Llama")
    return found


def test_the_joined_words_are_the_263_nouns(big_two_effects: Effects) -> None:
    assert big_two_effects.n_candidates == 263
    assert big_two_effects.words_by_category == {"Agency": 104, "Communion": 159}
    assert big_two_effects.missing_words == []


def test_cells_are_means_of_median_ranks(big_two_effects: Effects, medians: pd.DataFrame) -> None:
    by_cell = medians.groupby(["family", "Category", "framing"])["rank"].agg(["mean", "std", "size"])
    assert len(big_two_effects.cells) == 8
    for cell in big_two_effects.cells:
        mean, sd, size = by_cell.loc[(cell.family, cell.category, cell.framing)]
        assert (cell.mean_median_rank, cell.sd) == pytest.approx((mean, sd))
        assert cell.n_models * cell.n_prompts == size


def test_contrasts_are_those_of_the_medians(big_two_effects: Effects, medians: pd.DataFrame) -> None:
    by_cell = medians.groupby(["model", "Category", "framing"])["rank"].mean().unstack(["Category", "framing"])
    positive = by_cell["Agency"]["positive"] - by_cell["Communion"]["positive"]
    negative = by_cell["Agency"]["negative"] - by_cell["Communion"]["negative"]
    expected = sorted((positive - negative).tolist())
    assert sorted(model.contrast for model in big_two_effects.models) == pytest.approx(expected)


def test_the_three_way_interaction_is_as_published(big_two_effects: Effects) -> None:
    fitted = big_two_effects.mixed_model
    assert fitted is not None
    terms = {term.term: term for term in fitted.terms}
    three_way = terms["family[Llama]:category[Communion]:framing[negative]"]
    assert three_way.p < 0.001
    assert (terms["family[Llama]"].df, three_way.df) == (8, 1064)
    assert fitted.n_obs == 1080


def test_the_mixed_model_is_balanced_means(big_two_effects: Effects) -> None:
    """In a balanced design the fixed effects are differences of cell means, whatever the variances."""
    mean = {(c.family, c.category, c.framing): c.mean_median_rank for c in big_two_effects.cells}
    for fitted in (big_two_effects.mixed_model, big_two_effects.mixed_model_ml):
        assert fitted is not None
        estimate = {term.term: term.estimate for term in fitted.terms}
        assert estimate["(Intercept)"] == pytest.approx(mean[("Gemma", "Agency", "positive")])
        gap = mean[("Llama", "Agency", "positive")] - mean[("Gemma", "Agency", "positive")]
        assert estimate["family[Llama]"] == pytest.approx(gap)


def test_positive_panels_have_the_published_d(big_two_effects: Effects) -> None:
    d = {panel.category: panel.cohens_d_unweighted for panel in big_two_effects.panels if panel.framing == "positive"}
    assert round(abs(d["Agency"]), 2) == 0.43
    assert round(abs(d["Communion"]), 2) == 0.40
    assert d["Agency"] < 0 < d["Communion"]


def test_all_four_panels_pass_bonferroni_and_no_exact_test(big_two_effects: Effects) -> None:
    assert all(panel.p_bonferroni < 0.05 for panel in big_two_effects.panels)
    assert all(panel.model_exact_p > 0.05 and panel.model_exact_splits == 210 for panel in big_two_effects.panels)


def test_a_panels_exact_p_is_a_count_over_all_splits(big_two_effects: Effects, medians: pd.DataFrame) -> None:
    means = medians.groupby(["Category", "framing", "model"])["rank"].mean()
    for panel in big_two_effects.panels:
        of_panel = means.loc[panel.category, panel.framing]
        values = of_panel.to_numpy()
        is_gemma = of_panel.index.str.contains(GEMMA)
        observed = abs(values[~is_gemma].mean() - values[is_gemma].mean())
        splits = [
            abs(np.delete(values, chosen).mean() - values[list(chosen)].mean()) for chosen in combinations(range(10), 4)
        ]
        assert panel.model_exact_p == np.mean([value >= observed - 1e-9 for value in splits])


def test_the_headline_is_over_five_base_checkpoints(big_two_effects: Effects) -> None:
    headline = big_two_effects.headline
    assert headline is not None
    assert headline.n_units == {"Gemma": 2, "Llama": 3}
    assert (headline.n_splits, headline.min_p, headline.statistic) == (10, 0.1, "difference")
    by_base: dict[tuple[str, str], list[float]] = {}
    for model in big_two_effects.models:
        by_base.setdefault((model.family, model.base_checkpoint), []).append(model.mean_rank_contrast)
    unit = {key: np.mean(values) for key, values in by_base.items()}
    gemma, llama = ([value for key, value in unit.items() if key[0] == family] for family in ("Gemma", "Llama"))
    assert headline.estimate == pytest.approx(np.mean(llama) - np.mean(gemma))
    assert headline.p_exact == headline.count / headline.n_splits
    assert "the smallest attainable p-value is .100" in headline.sentence
    assert headline.contrast.endswith("mean ranks")


def test_the_study_s_own_headline_is_of_medians_and_stands_beside(big_two_effects: Effects) -> None:
    median = big_two_effects.headline_median
    assert median is not None and median.contrast.endswith("median ranks")
    by_base: dict[tuple[str, str], list[float]] = {}
    for model in big_two_effects.models:
        by_base.setdefault((model.family, model.base_checkpoint), []).append(model.contrast)
    unit = {key: np.mean(values) for key, values in by_base.items()}
    gemma, llama = ([value for key, value in unit.items() if key[0] == family] for family in ("Gemma", "Llama"))
    assert median.estimate == pytest.approx(np.mean(llama) - np.mean(gemma))
    assert median.estimate != pytest.approx(big_two_effects.headline.estimate)


def test_the_model_level_is_welchs_t_over_210_splits(big_two_effects: Effects) -> None:
    level = big_two_effects.model_level
    assert level is not None
    assert (level.statistic, level.n_splits, level.n_units) == ("welch_t", 210, {"Gemma": 4, "Llama": 6})
    assert level.p_exact > 0.05 < level.p_exact_difference
    assert "not independent" in level.sentence


def test_models_cluster_by_base(big_two_effects: Effects) -> None:
    """SDs between and within bases as the planning command of the study's successor takes them: 16.6 and 7.2."""
    found = big_two_effects.clustering
    assert found is not None
    assert (round(found.sd_base, 1), round(found.sd_rm, 1)) == (16.6, 7.2)
    assert found.icc == pytest.approx(found.sd_base**2 / (found.sd_base**2 + found.sd_rm**2))


def test_crossed_and_fixed_share_their_estimate(big_two_effects: Effects) -> None:
    crossed, fixed = big_two_effects.crossed, big_two_effects.models_fixed
    assert crossed is not None and fixed is not None
    contrasts = {
        family: [m.mean_rank_contrast for m in big_two_effects.models if m.family == family]
        for family in ("Gemma", "Llama")
    }
    expected = np.mean(contrasts["Llama"]) - np.mean(contrasts["Gemma"])
    assert crossed.estimate == pytest.approx(expected) == pytest.approx(fixed.estimate)
    assert crossed.se > (fixed.ci_high - fixed.ci_low) / 4  # models and prompts add to the words' uncertainty
    assert crossed.clustered_by_base["se"] > crossed.se


def test_adjectives_average_to_the_contrast(big_two_effects: Effects) -> None:
    fixed = big_two_effects.models_fixed
    assert fixed is not None
    by_framing = {
        framing: np.mean([one.estimate for one in fixed.by_adjective if one.framing == framing])
        for framing in ("positive", "negative")
    }
    assert [one.adjective for one in fixed.by_adjective] == ["best", "greatest", "good", "worst", "bad", "terrible"]
    assert by_framing["positive"] - by_framing["negative"] == pytest.approx(fixed.estimate)


def test_same_recipe_pairs_do_not_all_agree(big_two_effects: Effects) -> None:
    blocks = big_two_effects.blocks
    assert blocks is not None
    assert blocks.teams == ["GRM", "QRM", "Skywork"]
    assert blocks.n_splits == 3 * 2 * 3
    pairs = {(pair.model_a, pair.model_b): pair.agrees for pair in blocks.pairs}
    assert ("skywork-reward-gemma-2-27b", "skywork-reward-llama-3.1-8b-v0.2") not in pairs
    assert ("qrm-gemma-2-27b", "qrm-llama3.1-8b") not in pairs  # the two were trained on other data
    assert sum(pairs.values()) == 2 and len(pairs) == 2


def test_leaving_a_base_out_is_the_difference_of_the_others(big_two_effects: Effects) -> None:
    found = big_two_effects.sensitivity
    assert found is not None
    assert found.estimate == pytest.approx(big_two_effects.headline.estimate)
    without = {one.left_out: one.estimate for one in found.without_base_checkpoint}
    rest = [m for m in big_two_effects.models if m.base_checkpoint != "gemma-2-2b-it"]
    by_base: dict[tuple[str, str], list[float]] = {}
    for model in rest:
        by_base.setdefault((model.family, model.base_checkpoint), []).append(model.mean_rank_contrast)
    gemma, llama = (
        [np.mean(values) for key, values in by_base.items() if key[0] == family] for family in ("Gemma", "Llama")
    )
    assert without["gemma-2-2b-it"] == pytest.approx(np.mean(llama) - np.mean(gemma))
    assert len(found.without_model) == 10 and len(found.without_adjective) == 6


def test_word_effects_average_to_the_difference_over_bases(big_two_effects: Effects) -> None:
    words = {
        name: [w.contrast for w in big_two_effects.word_effects if name in w.categories]
        for name in ("Agency", "Communion")
    }
    by_base: dict[tuple[str, str], list[float]] = {}
    for model in big_two_effects.models:
        by_base.setdefault((model.family, model.base_checkpoint), []).append(model.mean_rank_contrast)
    gemma, llama = (
        [np.mean(values) for key, values in by_base.items() if key[0] == family] for family in ("Gemma", "Llama")
    )
    assert np.mean(words["Agency"]) - np.mean(words["Communion"]) == pytest.approx(np.mean(llama) - np.mean(gemma))


@pytest.fixture(scope="module")
def mfd2_effects(data: Path) -> Effects:
    files = sorted((data / "reward_model_scores" / "dict_MFD_20").glob("*.csv"))
    lexicon = load_lexicon(data / "corpora" / "moral-foundations-dictionary-20.dicx")
    published = [
        name for name in lexicon.categories if name != "Sanctity_Vice"
    ]  # the study takes the first nine columns
    return effects([read_scores(path) for path in files], fold_foundations(lexicon, published))


def test_with_five_foundations_there_is_no_single_contrast(mfd2_effects: Effects) -> None:
    assert mfd2_effects.categories == ["Authority", "Care", "Fairness", "Loyalty", "Sanctity"]
    assert all(model.contrast is None for model in mfd2_effects.models)
    assert mfd2_effects.headline.estimate is None and mfd2_effects.headline.statistic == "max_t"
    assert mfd2_effects.models_fixed is None and "two categories" in mfd2_effects.models_fixed_why
    assert mfd2_effects.crossed is None and mfd2_effects.crossed_why


def test_nine_of_ten_foundation_panels_pass_bonferroni(mfd2_effects: Effects) -> None:
    assert sum(panel.p_bonferroni < 0.05 for panel in mfd2_effects.panels) == 9
    assert len(mfd2_effects.panels) == 10


def test_category_differences_are_centred(mfd2_effects: Effects) -> None:
    for unit in ("base_checkpoint", "model"):
        rows = [row for row in mfd2_effects.per_category if row.unit == unit]
        assert len(rows) == 5
        assert sum(row.difference for row in rows) == pytest.approx(0, abs=1e-9)
        assert all(row.p_max_t >= row.p for row in rows)
