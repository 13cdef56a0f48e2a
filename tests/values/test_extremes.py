"""Standings of candidates within a model and framing, against brute force."""

import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.records import PromptRecord, PromptSetRecord, ScoreRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.ranks import QUANTILE_SHARES, best_of_each, framings, shared_candidates, standings


def scored(scores: np.ndarray, framing_of: list[str | None], candidates: list[str] | None = None) -> ScoreTable:
    """A table of tokens, one column a prompt; `scores` [candidates, prompts]."""
    texts = candidates or [f"t{n}" for n in range(len(scores))]
    keys = [f"p{n}" for n in range(scores.shape[1])]
    frame = pl.DataFrame(
        {"candidate": texts, "token_id": list(range(len(texts)))}
        | {key: scores[:, at].astype(np.float32) for at, key in enumerate(keys)}
    )
    prompts = {
        key: PromptRecord.model_validate({"text": key, "framing": framing})
        for key, framing in zip(keys, framing_of, strict=True)
    }
    record = ScoreRecord.model_construct(slug="m", prompt_set=PromptSetRecord(name="p", sha256="", prompts=prompts))
    return ScoreTable(frame, record)


def brute_ranks(column: np.ndarray) -> list[float]:
    """1 + how many are better + half of how many are equal."""
    return [1 + (column > value).sum() + ((column == value).sum() - 1) / 2 for value in column]


def test_mean_and_median_ranks_are_those_of_brute_force() -> None:
    scores = np.random.default_rng(0).integers(-3, 3, size=(30, 5)).astype(float)
    scores[::2] *= np.where(scores[::2] == 0, -1, 1)  # a score of -0 is one of 0
    (item,) = standings(scored(scores, ["positive"] * 5), scored(scores, ["positive"] * 5).tokens)
    ranks = np.array([brute_ranks(scores[:, at]) for at in range(5)]).T
    np.testing.assert_allclose(item.frame["mean_rank"], ranks.mean(axis=1))
    np.testing.assert_allclose(item.frame["median_rank"], np.median(ranks, axis=1))
    np.testing.assert_allclose(item.frame["mean_score"], scores.mean(axis=1))


def test_each_framing_has_its_own_standing() -> None:
    table = scored(np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 1.0]]), ["positive", "negative", None])
    assert framings(table) == ["positive", "negative", None]
    first, second, third = standings(table, table.tokens)
    assert first.top(1)["candidate"].to_list() == third.top(1)["candidate"].to_list() == ["t0"]
    assert second.top(1)["candidate"].to_list() == ["t1"]
    assert (first.prompts, second.prompts, third.prompts) == (("p0",), ("p1",), ("p2",))


def test_top_is_best_first_and_bottom_worst_first_ties_in_the_tables_order() -> None:
    table = scored(np.array([[1.0], [5.0], [5.0], [3.0], [1.0]]), ["positive"])
    (item,) = standings(table, table.tokens)
    assert item.top(3)["candidate"].to_list() == ["t1", "t2", "t3"]
    assert item.bottom(3)["candidate"].to_list() == ["t0", "t4", "t3"]


def test_quantiles_run_from_the_best_median_rank_to_the_worst() -> None:
    table = scored(np.arange(1001.0)[:, None], ["positive"])
    (item,) = standings(table, table.tokens)
    np.testing.assert_allclose(item.quantiles(), 1 + 1000 * QUANTILE_SHARES)


def test_no_rows_no_standings() -> None:
    table = scored(np.ones((2, 1)), ["positive"])
    assert standings(table, table.words) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_without_a_rank_are_refused(bad: float) -> None:
    table = scored(np.array([[1.0], [bad]]), ["positive"])
    with pytest.raises(BirthmarkError):
        standings(table, table.tokens)


def test_shared_candidates_are_in_all_frames_once_in_the_first_ones_order() -> None:
    frames = [pl.DataFrame({"candidate": texts}) for texts in (["b", "a", "b", "c"], ["c", "b", "d"])]
    assert shared_candidates(frames) == ["b", "c"]
    assert shared_candidates([]) == []


def test_of_duplicates_the_best_counts() -> None:
    frame = pl.DataFrame({"candidate": ["a", "b", "a"], "median_rank": [3.0, 2.0, 1.0]})
    np.testing.assert_array_equal(best_of_each(frame, ["b", "a"]), [2.0, 1.0])
    assert np.isnan(best_of_each(frame, ["z"])[0])
