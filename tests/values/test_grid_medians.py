"""Figure 2's medians and their analyses, against numpy, scipy and every split of the models."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import rankdata, ttest_ind

from birthmark.values.grid_medians import framed_keys, grid_medians, no_framings
from birthmark.values.implicit_sides import make_sides

WORDS = ["care", "friend", "love", "power", "skill", "win"]
CATEGORIES = {"care": "Communion", "friend": "Communion", "love": "Communion"} | dict.fromkeys(WORDS[3:], "Agency")
PROMPTS = ["best_1", "best_2", "great_1", "worst_1", "worst_2", "bad_1"]
RNG = np.random.default_rng(12)
SCORES = RNG.normal(-8, 1, (5, len(WORDS), len(PROMPTS))).astype(np.float32)
SCORES[2:, 3:, :3] += 0.6  # Llama puts agency first where the best is asked for


@pytest.fixture
def sides(make_table):
    tables = [
        make_table(f"m{at}", WORDS, SCORES[at], prompts=PROMPTS, kind="logprob", family="Gemma" if at < 2 else "Llama")
        for at in range(5)
    ]
    return make_sides(tables[:2], tables[2:])


@pytest.fixture
def found(sides, make_lexicon):
    return grid_medians(sides, make_lexicon(CATEGORIES), PROMPTS)


def medians(model: int, category: str) -> np.ndarray:
    ranks = rankdata(-SCORES[model].astype(float), axis=0)
    return np.median(ranks[[CATEGORIES[word] == category for word in WORDS]], axis=0)


def test_a_row_a_model_category_and_prompt(found) -> None:
    assert len(found.medians) == 5 * 2 * 6 and found.n_words == 6
    for row in found.medians:
        assert row.median_rank == medians(int(row.model[1]), row.category)[PROMPTS.index(row.prompt)]
    assert {row.side for row in found.medians if row.model in ("m0", "m1")} == {"Gemma"}


def test_cells_are_welchs_tests_with_a_false_discovery_rate(found) -> None:
    """Benjamini and Hochberg written out: p times tests over rank, made monotone from the largest down."""
    cell = next(cell for cell in found.cells if (cell.category, cell.framing) == ("Agency", "positive"))
    first, second = (
        np.concatenate([medians(model, "Agency")[:3] for model in models]) for models in ((0, 1), (2, 3, 4))
    )
    test = ttest_ind(second, first, equal_var=False)
    assert (cell.welch_t, cell.welch_p) == (pytest.approx(test.statistic), pytest.approx(test.pvalue))
    assert (cell.mean_a, cell.mean_b) == (pytest.approx(first.mean()), pytest.approx(second.mean()))
    ordered = sorted(cell.welch_p for cell in found.cells)
    expected = [min(p * 4 / (rank + 1) for rank, p in list(enumerate(ordered))[at:]) for at in range(4)]
    assert sorted(cell.p_fdr for cell in found.cells) == pytest.approx(np.minimum(expected, 1))


def test_a_cells_labels_are_exchanged_between_models(found) -> None:
    cell = next(cell for cell in found.cells if (cell.category, cell.framing) == ("Communion", "negative"))
    values = np.array([medians(model, "Communion")[3:].mean() for model in range(5)])
    gaps = [abs(values[list(c)].mean() - np.delete(values, c).mean()) for c in combinations(range(5), 2)]
    assert (cell.model_exact_splits, cell.model_exact_count) == (10, sum(gap >= gaps[0] - 1e-9 for gap in gaps))


def test_the_three_way_contrast_is_over_models(found) -> None:
    contrast = np.array(
        [
            np.subtract(
                *(medians(m, name)[:3].mean() - medians(m, name)[3:].mean() for name in ("Agency", "Communion"))
            )
            for m in range(5)
        ]
    )
    assert found.level.estimate == pytest.approx(contrast[2:].mean() - contrast[:2].mean())
    gaps = [abs(contrast[list(c)].mean() - np.delete(contrast, c).mean()) for c in combinations(range(5), 2)]
    assert (found.level.n_splits, found.level.count) == (10, sum(gap >= gaps[0] - 1e-9 for gap in gaps))


def test_the_published_layout_has_the_published_degrees_of_freedom(make_table, make_lexicon) -> None:
    """Two models, two categories, 54 prompts: F(1, 208)."""
    rng = np.random.default_rng(1)
    prompts = [f"{name}_{at}" for name in ("best", "worst") for at in range(27)]
    tables = [
        make_table(name, WORDS, rng.normal(-8, 1, (6, 54)), prompts=prompts, kind="logprob", family=name)
        for name in ("Gemma", "Llama")
    ]
    found = grid_medians(make_sides(tables[:1], tables[1:]), make_lexicon(CATEGORIES), prompts)
    rows = {term.term: term for term in found.anova}
    assert (rows["side:category:framing"].df, rows["Residual"].df) == (1, 208)
    assert "not about families" in found.sentence


def test_with_a_prompt_a_framing_there_is_no_analysis_of_variance(sides, make_lexicon) -> None:
    pair = make_sides(sides.first[:1], sides.second[:1])
    found = grid_medians(pair, make_lexicon(CATEGORIES), ["best_1", "worst_1"])
    assert found.anova is None and "ask more prompts" in found.anova_why
    assert all(cell.welch_t is None for cell in found.cells)


def test_one_category_is_not_analysed(sides, make_lexicon) -> None:
    found = grid_medians(sides, make_lexicon({"love": "Communion", "care": "Communion"}), PROMPTS)
    assert (found.anova, found.level) == (None, None) and "one category" in found.anova_why


def test_a_word_of_one_category_too_many_counts_in_each(sides, make_lexicon) -> None:
    found = grid_medians(sides, make_lexicon({**CATEGORIES, "win": "Agency+Third"}), PROMPTS)
    assert found.categories == ["Agency", "Communion", "Third"]
    assert found.level.estimate is None and {term.term: term.df for term in found.anova}["category"] == 2


def test_words_are_those_that_all_tables_have(sides, make_table, make_lexicon) -> None:
    few = make_table("few", WORDS[1:5], SCORES[0, 1:5], prompts=PROMPTS, kind="logprob", family="Llama")
    assert grid_medians(make_sides(sides.first, [few]), make_lexicon(CATEGORIES), PROMPTS).n_words == 4
    none = make_table("none", ["zebra"], SCORES[0, :1], prompts=PROMPTS, kind="logprob", family="Llama")
    assert grid_medians(make_sides(sides.first, [none]), make_lexicon(CATEGORIES), PROMPTS) is None


def test_single_tokens_are_token_rows_only(make_table, make_lexicon) -> None:
    tables = [
        make_table(
            name,
            [*WORDS, "win"],
            np.vstack([SCORES[at], SCORES[at, :1]]),
            prompts=PROMPTS,
            kind="logprob",
            family=name,
            token_ids=[0, 1, 2, 3, 4, None, None],
        )
        for at, name in enumerate(("Gemma", "Llama"))
    ]
    lexicon, sides = make_lexicon(CATEGORIES), make_sides(tables[:1], tables[1:])
    assert [grid_medians(sides, lexicon, PROMPTS, single_tokens=single).n_words for single in (True, False)] == [5, 6]


def test_prompts_without_a_framing_are_left_out(make_table) -> None:
    table = make_table("a", ["x"], [[-1.0] * 3], prompts=["best_1", "odd_1", "bad_1"], kind="logprob")
    other = make_table("b", ["x"], [[-1.0] * 3], prompts=["best_1", "odd_1", "bad_1"], kind="logprob")
    sides = make_sides([table], [other])
    assert framed_keys(sides, table.prompt_keys) == ["best_1", "bad_1"]
    assert no_framings(sides, table.prompt_keys) is None
    assert "--prompt all" in no_framings(sides, ["best_1", "odd_1"])
