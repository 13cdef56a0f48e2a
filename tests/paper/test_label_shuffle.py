"""Relabelling the published models: counts known from elsewhere, and what exact tests keep to by construction."""

from pathlib import Path

import numpy as np
import pytest

from birthmark.paper import scores as shuffle
from birthmark.paper.data import study_data
from birthmark.records import LabelShuffle
from birthmark.stats.unit_tests import family_test
from birthmark.values.joined import Joined, join_tables


@pytest.fixture(scope="module")
def big_two(shared: Path) -> Joined:
    study = study_data(shared / "paper-data")
    return join_tables(study.big_two_tables, study.lexicon("dict_big2_nouns"))


@pytest.fixture(scope="module")
def rows(big_two: Joined) -> dict[tuple[str, float], LabelShuffle]:
    return {(row.test, row.alpha): row for row in shuffle.shuffle_rows("big2", big_two)}


@pytest.mark.parametrize(("test", "count"), [("mixed_model_three_way", 140), ("any_panel_bonferroni", 174)])
def test_published_tests_call_most_relabellings_significant(
    rows: dict[tuple[str, float], LabelShuffle], test: str, count: int
) -> None:
    assert (rows[test, 0.05].significant, rows[test, 0.05].splits) == (count, 210)


@pytest.mark.parametrize("test", ["model_level", "any_panel_max_t"])
def test_exact_tests_over_models_keep_to_their_level(rows: dict[tuple[str, float], LabelShuffle], test: str) -> None:
    assert rows[test, 0.05].significant == 10
    assert rows[test, 0.05].splits == 210


def test_base_checkpoints_cannot_reach_05_and_reject_once_in_ten_at_their_level(
    rows: dict[tuple[str, float], LabelShuffle],
) -> None:
    assert (rows["headline", 0.05].significant, rows["headline", 0.05].splits) == (0, 10)
    assert rows["headline", 0.1].significant == 1


def test_the_true_labels_are_among_the_relabellings(big_two: Joined) -> None:
    is_a = np.array(big_two.model_families) == "Gemma"
    at = int(np.flatnonzero((shuffle.relabellings(10, 4) == is_a).all(axis=1))[0])
    found = shuffle.permutation_p(shuffle.Relabelled(big_two.contrasts[:, None], shuffle.relabellings(10, 4)))
    assert found[at] == family_test(big_two.contrasts, big_two.model_families).p_exact


def drawn(categories: int) -> Joined:
    """Five models on four base checkpoints, six words a category, two prompts a framing."""
    words = tuple(f"w{at:02d}" for at in range(6 * categories))
    scores = np.random.default_rng(0).normal(size=(5, len(words), 4))
    return Joined(
        ranks=scores.argsort(axis=1).argsort(axis=1) + 1.0,
        member=np.repeat(np.eye(categories, dtype=bool), 6, axis=1),
        models=tuple("vwxyz"),
        model_families=("A", "A", "B", "B", "B"),
        model_bases=("1", "2", "3", "3", "4"),
        words=words,
        categories=tuple("abcdef"[:categories]),
        prompts=("p", "q", "r", "s"),
        framings=("positive", "positive", "negative", "negative"),
        adjectives=(None,) * 4,
        missing=(),
        warnings=(),
    )


@pytest.mark.parametrize("categories", [2, 3])
def test_every_test_has_a_row_and_what_does_not_apply_says_why(categories: int) -> None:
    rows = shuffle.shuffle_rows("drawn", drawn(categories))
    by_test = {row.test: row for row in rows if row.alpha == 0.05}
    assert set(by_test) == {
        *("mixed_model_three_way", "any_panel_bonferroni", "any_panel_max_t", "model_level", "headline", "crossed")
    }
    assert (by_test["crossed"].significant is None) == (categories == 3)
    assert ("3 categories" in (by_test["crossed"].significant_why or "")) == (categories == 3)
    assert {row.splits for row in rows if row.unit == "model"} == {10}
    assert by_test["headline"].splits == 6
