"""What rounding does to scores: against closed forms, simulation, and scipy on data drawn here."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from birthmark.errors import BirthmarkError
from birthmark.scoring.precision import compare_precision

RNG = np.random.default_rng(5)


def compared(scored, reference, n=1000):
    return compare_precision(np.asarray(scored), np.asarray(reference), n, dtype="bfloat16")


def test_equal_scores_have_no_noise():
    scores = RNG.normal(size=(2, 50))
    found = compared(scores, scores)
    assert found.spearman == pytest.approx(1.0)
    assert (found.max_abs_diff, found.noise_floor_score, found.noise_floor_rank) == (0.0, 0.0, 0.0)
    assert found.pairs_below_noise == 0.0


def test_a_shift_that_all_share_is_in_the_difference_and_not_in_the_noise():
    scores = RNG.normal(size=(1, 50))
    found = compared(scores + 3.0, scores)
    assert found.max_abs_diff == pytest.approx(3.0)
    assert found.noise_floor_score == pytest.approx(0.0, abs=1e-9) and found.noise_floor_rank == 0.0


def test_spearman_is_the_lowest_over_the_prompts():
    a, b = RNG.normal(size=(2, 3, 40))
    assert compared(a, b).spearman == pytest.approx(min(spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)))


def test_the_noise_floor_holds_95_of_100_differences_that_are_noise_alone():
    """Scores that differ by rounding only: of the pairwise differences of two rescorings 95 of 100 are below the floor."""
    wanted = np.zeros((4, 600))
    noisy = wanted + RNG.normal(scale=0.02, size=wanted.shape)
    floor = compared(noisy, wanted).noise_floor_score
    assert floor == pytest.approx(1.96 * np.sqrt(2) * 0.02, rel=0.05)
    again = RNG.normal(scale=0.02, size=(20_000, 2))
    assert np.mean(np.abs(again[:, 0] - again[:, 1]) < floor) == pytest.approx(0.95, abs=0.01)


def test_ranks_are_scaled_from_the_sample_to_all_candidates():
    wanted = RNG.normal(size=(3, 100))
    noisy = wanted + RNG.normal(scale=0.1, size=wanted.shape)
    hundred, thousand = compared(noisy, wanted, 100), compared(noisy, wanted, 1000)
    assert thousand.noise_floor_rank == pytest.approx(10 * hundred.noise_floor_rank)
    moves = np.argsort(np.argsort(-noisy, axis=1), axis=1) - np.argsort(np.argsort(-wanted, axis=1), axis=1)
    assert hundred.noise_floor_rank == pytest.approx(1.959964 * np.sqrt(2) * moves.std(), rel=1e-6)


def test_the_share_of_pairs_below_the_floor_is_that_of_brute_force():
    wanted = RNG.normal(size=(1, 12))
    noisy = wanted + RNG.normal(scale=0.2, size=wanted.shape)
    found = compared(noisy, wanted)
    pairs = [abs(a - b) for i, a in enumerate(noisy[0]) for b in noisy[0][i + 1 :]]
    assert found.pairs_below_noise == np.mean(np.array(pairs) < found.noise_floor_score)


def test_bfloat16_rounding_is_found_as_large_as_its_steps():
    import torch

    wanted = RNG.uniform(1, 2, size=(1, 2000))  # steps of 2^-7 there: an error uniform on ± 2^-8
    rounded = torch.tensor(wanted).to(torch.bfloat16).double().numpy()
    found = compared(rounded, wanted)
    assert found.max_abs_diff <= 2**-8
    assert found.noise_floor_score == pytest.approx(1.96 * np.sqrt(2) * 2**-7 / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize("shapes", [((1, 2), (1, 2)), ((1, 5), (1, 6)), ((5,), (5,))])
def test_too_few_or_different_scores_raise(shapes):
    with pytest.raises(BirthmarkError, match="three or more candidates"):
        compared(np.zeros(shapes[0]), np.zeros(shapes[1]))
