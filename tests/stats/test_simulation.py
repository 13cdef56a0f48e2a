"""Drawn studies: their ranks against scipy, their variances against what was asked for. The fit of variances against studies drawn from known ones, and on the published ranks."""

from pathlib import Path

import numpy as np
import pytest
from published import big_two
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.stats import simulation
from birthmark.stats.simulation import fit_rows
from birthmark.stats.variance import nested_variance

# --- simulation

WORDS = (20, 31)


def draw(variances: simulation.RowVariances, rms: list[int], studies: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return simulation.draw_family(rng, simulation.draw_shared(rng, studies, variances), rms, variances).latent


@pytest.fixture(scope="module")
def rows() -> simulation.RowVariances:
    return simulation.row_variances(4.0, 3.0, WORDS, 4, word_by_prompt=0.02, residual=0.03, leaning_prompt=0.01)


@pytest.mark.parametrize("words", [(20, 31), (21, 30), (7, 1)])
def test_median_ranks_equal_those_of_ranking_all_words(words: tuple[int, int]) -> None:
    latent = np.random.default_rng(0).normal(size=(3, 4, sum(words))).astype(np.float32)
    ranks = rankdata(-latent, axis=-1)
    expected = np.stack([np.median(part, axis=-1) for part in np.split(ranks, [words[0]], axis=-1)], axis=-2)
    assert simulation.median_ranks(latent, words).tolist() == expected.tolist()
    assert np.moveaxis(simulation.all_ranks(latent), -2, -1).tolist() == ranks.tolist()


def test_variances_of_a_category_and_framing_add_up_to_one(rows: simulation.RowVariances) -> None:
    parts = (rows.word, rows.word_by_base, rows.word_by_rm, rows.word_by_prompt, rows.residual)
    assert sum(parts) == pytest.approx(1)
    assert min(parts) >= 0


def test_row_variances_give_the_target_sds(rows: simulation.RowVariances) -> None:
    assert rows.contrast_sds() == pytest.approx((4.0, 3.0))
    scaled = rows.scaled(3.3)
    assert scaled.contrast_sds() == pytest.approx((13.2, 9.9))
    assert scaled.word_by_base == rows.word_by_base


def test_simulated_contrasts_have_the_target_sds() -> None:
    rows = simulation.row_variances(16.6, 7.2, (104, 159), 1)
    tuned, stated = simulation.tuned(np.random.default_rng(1), rows, 16.6, 7.2)
    assert stated == pytest.approx((16.6, 7.2), rel=0.06)
    values = simulation.contrasts(simulation.median_ranks(draw(tuned, [2] * 10, 40, seed=2), tuned.words))
    bases = np.repeat(np.arange(10), 2).astype(str).tolist()
    nested = [nested_variance(study, bases, ["a"] * 20) for study in values]
    within = np.sqrt(np.mean([one.sd_rm**2 for one in nested]))
    assert within == pytest.approx(7.2, rel=0.12)
    between = np.sqrt(values.reshape(40, 10, 2).mean(axis=2).var(axis=1, ddof=1).mean() - within**2 / 2)
    assert between == pytest.approx(16.6, rel=0.12)


def test_reward_models_of_different_bases_do_not_cluster_without_variance_between_bases() -> None:
    rows = simulation.row_variances(0.0, 18.0, (104, 159), 1)
    assert (rows.word_by_base, rows.leaning_base) == (0, 0)


@pytest.mark.parametrize("skewed", [False, True])
def test_a_shift_moves_the_contrasts_by_that_many_ranks(skewed: bool) -> None:
    rows = simulation.row_variances(16.6, 7.2, (104, 159), 1)
    rng = np.random.default_rng(3)
    drawn = simulation.draw_family(rng, simulation.draw_shared(rng, 30, rows), [2] * 10, rows, skewed)
    both = (drawn, drawn.shifted(20.0, rows))
    before, after = (simulation.contrasts(simulation.median_ranks(y.latent, rows.words)) for y in both)
    assert (after - before).mean() == pytest.approx(20, rel=0.1)


def test_the_limit_of_infinitely_many_words_is_near_that_of_many() -> None:
    words = (2_001, 3_001)
    rows = simulation.row_variances(100.0, 100.0, words, 2, word_by_prompt=0.1, residual=0.2, leaning_prompt=0.2)
    rng = np.random.default_rng(5)
    drawn = simulation.draw_family(rng, simulation.draw_shared(rng, 1, rows), [1, 1], rows)
    ranks = simulation.all_ranks(drawn.latent)  # [1, RMs, words, prompts]
    means = np.stack([ranks[..., :2_001, :].mean(axis=-2), ranks[..., 2_001:, :].mean(axis=-2)], axis=-2)
    expected = simulation.contrasts(means)
    assert drawn.mean_rank_contrasts(words) == pytest.approx(expected, abs=0.05 * sum(words))
    medians = simulation.median_ranks(drawn.latent, words)[..., 0, :]
    assert drawn.median_ranks_of_all_words(words) == pytest.approx(medians, abs=0.05 * sum(words))


def test_skewed_leanings_have_the_same_spread_and_a_long_tail(rows: simulation.RowVariances) -> None:
    drawn = simulation._leaning(np.random.default_rng(4), (200_000,), 4.0, skewed=True)
    standard = (drawn - drawn.mean()) / drawn.std()
    assert (drawn.mean(), drawn.std()) == pytest.approx((0, 2), abs=0.03)
    assert (standard**3).mean() == pytest.approx(2, abs=0.2)


def test_words_and_prompts_are_shared_within_a_study_only(rows: simulation.RowVariances) -> None:
    latent = draw(rows, [1, 1], 200)
    of_word = latent[:, :, :4].mean(axis=2)  # [studies, RMs, words]
    within = np.corrcoef(of_word[:, 0].ravel(), of_word[:, 1].ravel())[0, 1]
    between = np.corrcoef(of_word[:-1, 0].ravel(), of_word[1:, 0].ravel())[0, 1]
    assert within > 0.6
    assert abs(between) < 0.05


def test_same_seed_same_studies(rows: simulation.RowVariances) -> None:
    assert draw(rows, [2, 1]).tolist() == draw(rows, [2, 1]).tolist()


def test_a_spread_smaller_than_the_residuals_raises() -> None:
    with pytest.raises(BirthmarkError, match="SD of .* above"):
        simulation.row_variances(10.0, 0.1, (10, 10), 1, residual=0.5)


# --- row fit


def test_fit_finds_the_variances_that_a_study_was_drawn_from() -> None:
    truth = simulation.RowVariances(
        (150, 150), 20, word=0.6, word_by_base=0.2, word_by_rm=0.1, word_by_prompt=0.06, residual=0.04,
        leaning_overall=0.02, leaning_prompt=0.03, leaning_rm_prompt=0.01,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    drawn = simulation.draw_family(rng, simulation.draw_shared(rng, 1, truth), [2] * 12, truth)
    ranks = simulation.all_ranks(drawn.latent)[0]
    bases = np.repeat(np.arange(12), 2).astype(str).tolist()
    found = fit_rows(ranks, np.arange(300) < 150, np.arange(40) < 20, bases, ["x"] * 24)
    for name in ("word", "word_by_base", "word_by_rm", "word_by_prompt", "residual"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.15), name
    for name in ("leaning_overall", "leaning_prompt", "leaning_rm_prompt"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.5), name


def test_most_word_variance_of_the_published_models_is_shared(shared: Path) -> None:
    data = big_two(shared)
    found = fit_rows(data.ranks, data.categories == "Agency", data.framings == "positive", data.bases, data.families)
    assert found.word > found.word_by_base > found.word_by_rm > found.word_by_prompt
    assert found.word_by_base == pytest.approx(0.16, abs=0.02)


def test_models_that_share_no_base_checkpoint_raise() -> None:
    with pytest.raises(BirthmarkError, match="share a base checkpoint"):
        fit_rows(np.ones((2, 4, 2)), np.arange(4) < 2, np.arange(2) < 1, ["a", "b"], ["x", "y"])
