"""Recovery scores against scipy's Mann–Whitney U and against every order that tied candidates can stand in."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from birthmark.errors import BirthmarkError
from birthmark.values.planted import recovery

TIED = [
    ([3, 1, 2, 2, 0], [True, False, True, False, False]),
    ([1, 1, 1, 1, 1], [True, False, True, False, False]),
    ([2, 2, 2, 1, 1], [False, False, True, True, False]),
    ([0, 5, 5, 5, 5, -1], [True, True, False, True, False, False]),
]


def over_all_orders(scores: list[int], wanted: list[bool]) -> tuple[float, float]:
    """Precision at k and reciprocal rank, a mean over all orders of the candidates, each sorted stably by score."""
    k, precision, reciprocal = sum(wanted), [], []
    for order in permutations(range(len(scores))):
        ranked = [wanted[index] for index in sorted(order, key=lambda index: -scores[index])]
        precision.append(sum(ranked[:k]) / k)
        reciprocal.append(1 / (ranked.index(True) + 1))
    return float(np.mean(precision)), float(np.mean(reciprocal))


@pytest.mark.parametrize(("scores", "wanted"), TIED)
def test_ties_stand_in_every_order_equally_often(scores: list[int], wanted: list[bool]) -> None:
    found = recovery(np.array(scores), np.array(wanted))
    assert (found.precision_at_k, found.mrr) == pytest.approx(over_all_orders(scores, wanted))


@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_mann_whitneys_u(pairs: list[tuple[int, bool]]) -> None:
    scores, wanted = np.array([score for score, _ in pairs]), np.array([is_wanted for _, is_wanted in pairs])
    if wanted.all() or not wanted.any():
        return
    u = mannwhitneyu(scores[wanted], scores[~wanted]).statistic
    assert recovery(scores, wanted).auroc == pytest.approx(u / (wanted.sum() * (~wanted).sum()))


def test_words_on_top_are_recovered_perfectly() -> None:
    found = recovery(np.array([9.0, 8.0, 1.0, 0.0]), np.array([True, True, False, False]))
    assert (found.auroc, found.precision_at_k, found.mrr) == (1, 1, 1)


def test_words_at_the_bottom_are_not_recovered() -> None:
    found = recovery(np.array([0.0, 1.0, 8.0, 9.0, 7.0]), np.array([True, True, False, False, False]))
    assert (found.auroc, found.precision_at_k, found.mrr) == (0, 0, 1 / 4)


def test_a_score_that_says_nothing_finds_what_chance_finds() -> None:
    wanted = np.zeros(50_000, dtype=bool)
    wanted[:10] = True
    found = recovery(np.zeros(50_000), wanted)
    assert found.auroc == 0.5
    assert found.precision_at_k == pytest.approx(10 / 50_000)
    # J is past j where a draw of j candidates, without replacement, holds none of the ten
    j = np.arange(50_000)
    past = np.concatenate([[1.0], np.cumprod(np.maximum(50_000 - 10 - j, 0) / (50_000 - j))])
    assert found.mrr == pytest.approx(((past[:-1] - past[1:]) / (j + 1)).sum(), rel=1e-6)


def test_the_order_of_candidates_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    scores, wanted = rng.integers(0, 20, 200), rng.random(200) < 0.1
    order = rng.permutation(200)
    assert recovery(scores, wanted) == recovery(scores[order], wanted[order])


def test_only_the_order_of_scores_matters() -> None:
    rng = np.random.default_rng(2)
    scores, wanted = rng.normal(size=300), rng.random(300) < 0.1
    assert recovery(scores, wanted) == recovery(np.exp(scores), wanted)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(BirthmarkError, match="not a number"):
        recovery(np.array([np.nan, 1.0]), np.array([True, False]))


@pytest.mark.parametrize("wanted", [[True, True], [False, False]])
def test_there_must_be_something_to_find_and_something_else(wanted: list[bool]) -> None:
    with pytest.raises(BirthmarkError, match="of 2 candidates are to be found"):
        recovery(np.array([0.0, 1.0]), np.array(wanted))
