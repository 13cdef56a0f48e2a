"""The data behind the search box, against ranks counted one by one."""

import json

import numpy as np
import pytest

from birthmark.report.models import search_data
from birthmark.values.ranks import standings
from report_outs import NASTY, table


@pytest.fixture(scope="module")
def tables():
    return [table("a", "Gemma", "a", seed=1), table("b", "Llama", "b", seed=2)]


def everything(tables, **options):
    return search_data(
        [item for one in tables for item in standings(one, one.tokens)],
        [item for one in tables for item in standings(one, one.words)],
        **options,
    )


def test_a_column_is_a_model_and_framing(tables) -> None:
    columns = everything(tables).data["tokens"]["columns"]
    assert [(column["model"], column["framing"]) for column in columns] == [
        ("a", "positive"),
        ("a", "negative"),
        ("b", "positive"),
        ("b", "negative"),
    ]
    assert {column["n"] for column in columns} == {tables[0].tokens.height}


def test_a_words_rank_is_the_median_of_ranks_counted_one_by_one(tables) -> None:
    words = everything(tables).data["words"]
    frame = tables[0].words
    negative = [key for key in tables[0].prompt_keys if tables[0].prompts[key].framing == "negative"]
    at = frame["candidate"].to_list().index("love")
    ranks = [1 + int((frame[key] > frame[key][at]).sum()) for key in negative]
    assert words["ranks"][1][words["texts"].index("love")] == np.median(ranks)


def test_nothing_is_left_out_where_there_is_room(tables) -> None:
    found = everything(tables)
    assert found.n_kept == found.n_shared == tables[0].tokens["candidate"].n_unique()
    assert set(NASTY) <= set(found.data["tokens"]["texts"])


def test_without_room_lexicon_words_and_the_best_word_like_tokens_stay(tables) -> None:
    found = everything(tables, budget=40 * 20)
    assert found.n_kept == 20
    assert len(found.data["words"]["texts"]) == 20
    kept = found.data["tokens"]["texts"]
    assert all(text.strip().isalpha() for text in kept)
    assert len(kept) == len(set(kept)) == 20


def test_the_budget_is_kept_to_with_many_models() -> None:
    tables = [table(f"model-{n}", "Gemma", "a", seed=n) for n in range(10)]
    found = everything(tables, budget=20_000)
    assert len(json.dumps(found.data["tokens"]["ranks"]).replace(" ", "")) < 20_000


def test_quantiles_place_the_best_at_the_top_and_the_worst_at_the_bottom(tables) -> None:
    data = everything(tables).data
    column = data["tokens"]["columns"][0]
    ranks = data["tokens"]["ranks"][0]
    assert len(column["quantiles"]) == len(data["shares"])
    assert column["quantiles"] == sorted(column["quantiles"])
    assert column["quantiles"][0] == min(ranks)
    assert column["quantiles"][-1] == max(ranks)


def test_words_of_one_model_only_have_no_rank_in_the_other() -> None:
    one = table("a", "Gemma", "a", words={"X": ["love", "peace"], "Y": ["power", "skill"]}, tokens=False)
    two = table("b", "Llama", "b", words={"X": ["love"], "Y": ["power"]}, tokens=False)
    words = everything([one, two]).data["words"]
    assert words["ranks"][2][words["texts"].index("peace")] is None


def test_no_tables_no_data() -> None:
    found = search_data([], [])
    assert found.n_words == found.n_shared == found.n_kept == 0
    assert found.data["tokens"]["texts"] == []
