"""Words of any number of tokens: what the tables' word rows say of them."""

import numpy as np
import pytest

from birthmark.scoring.table import ScoreTable
from birthmark.values.implicit import implicit_rewards, word_rewards
from birthmark.values.metrics import METRICS


@pytest.fixture
def tables(make_table):
    """A token ` x`, then words; self-control takes three tokens in a and is no token anywhere."""
    texts, ids = ["x", "love", "self-control", "power"], [0, None, None, None]
    scores = {"a": [0.5, 0.1, 0.001, 0.2], "b": [0.4, 0.2, 0.004, 0.1]}
    found = []
    for name, values in scores.items():
        table = make_table(name, texts, np.log([[value] * 2 for value in values]), token_ids=ids, kind="logprob")
        record = table.record.model_copy(update={"word_tokens": {"love": 1, "self-control": 3, "power": 1}})
        found.append(ScoreTable(table.frame, record))
    return found


@pytest.fixture
def lexicon(make_lexicon):
    return make_lexicon({"love": "Communion", "self-control": "Agency", "power": "Agency", "absent": "Agency"})


def test_a_word_of_several_tokens_has_its_reward(tables, lexicon) -> None:
    frame = word_rewards(*tables, ["best_1"], lexicon).frame("best_1")
    row = next(row for row in frame.iter_rows(named=True) if row["candidate"] == "self-control")
    assert (row["tokens_a"], row["tokens_b"], row["categories"]) == (3, 3, "Agency")
    assert row["log_ratio"] == pytest.approx(np.log(4), rel=1e-5)
    assert row["mwlr"] == pytest.approx(0.0025 * np.log(4), rel=1e-5)


def test_words_are_best_first_with_every_metric(tables, lexicon) -> None:
    frame = word_rewards(*tables, ["best_1"], lexicon).frame("best_1")
    assert frame["mwlr"].is_sorted(descending=True)
    assert frame.columns[8:] == list(METRICS)
    assert frame["candidate"].to_list() == ["love", "self-control", "power"]


def test_the_record_lists_words_beside_the_candidates(tables, lexicon) -> None:
    prompt = implicit_rewards(*tables, ["best_1"], lexicons=[lexicon])[1].prompts[0]
    assert [row.candidate for row in prompt.top] == ["x"]
    assert [row.candidate for row in prompt.words_top] == ["love", "self-control", "power"]
    assert [row.candidate for row in prompt.words_bottom] == ["power", "self-control", "love"]


def test_a_word_in_two_lexicons_is_listed_once(tables, lexicon, make_lexicon) -> None:
    prompt = implicit_rewards(*tables, ["best_1"], lexicons=[lexicon, lexicon])[1].prompts[0]
    assert len(prompt.words_top) == 3


def test_a_word_that_is_impossible_in_one_model_is_left_out(tables, lexicon, make_table) -> None:
    c = make_table("c", ["love", "power"], [[-np.inf, -1], [-1, -1]], kind="logprob")
    assert list(word_rewards(tables[0], c, ["best_1"], lexicon).categories) == ["power"]
    assert list(word_rewards(tables[0], c, ["worst_1"], lexicon).categories) == ["love", "power"]


def test_tables_without_a_word_of_the_lexicon_have_none(tables, make_lexicon, make_table) -> None:
    assert word_rewards(*tables, ["best_1"], make_lexicon({"absent": "Agency"})) is None
    c = make_table("c", ["love"], [[-1, -1]], kind="logprob")
    d = make_table("d", ["power"], [[-1, -1]], kind="logprob")
    assert word_rewards(c, d, ["best_1"], make_lexicon({"love": "Communion", "power": "Agency"})) is None
