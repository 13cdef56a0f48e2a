import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from birthmark.errors import BirthmarkError
from birthmark.values.ranks import category_means, category_medians, contrast, lexicon_scores, membership, rank


def test_the_highest_score_has_rank_one() -> None:
    assert rank(np.array([[0.1], [2.0], [-3.0]])).tolist() == [[2.0], [1.0], [3.0]]


def test_tied_scores_share_the_average_of_their_ranks() -> None:
    assert rank(np.array([[5.0], [1.0], [5.0], [1.0], [1.0]])).ravel().tolist() == [1.5, 4, 1.5, 4, 4]


def test_constant_scores_are_all_ties() -> None:
    assert (rank(np.zeros((5, 2))) == 3.0).all()


@given(arrays(np.float32, (7, 3), elements=st.floats(-4, 4, width=16)))
def test_a_rank_is_one_plus_the_better_plus_half_the_other_tied(scores: np.ndarray) -> None:
    better = (scores[None] > scores[:, None]).sum(axis=1)
    tied = (scores[None] == scores[:, None]).sum(axis=1) - 1
    np.testing.assert_array_equal(rank(scores), 1 + better + tied / 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_has_no_rank(value: float) -> None:
    with pytest.raises(BirthmarkError, match="no rank"):
        rank(np.array([[1.0], [value]]))


def test_a_words_own_row_counts_before_its_tokens(make_table, make_lexicon) -> None:
    table = make_table("m", ["love", "love", "power"], [[1, 1], [9, 9], [2, 2]], token_ids=[None, 5, 6])
    found = lexicon_scores(table, make_lexicon({"love": "Communion", "power": "Agency"}))
    assert found.words == ("love", "power")
    assert found.scores.tolist() == [[1, 1], [2, 2]]
    assert found.from_tokens == ("power",)
    assert found.duplicates == ()


def test_of_tokens_with_one_text_the_most_probable_counts_after_each_prompt(make_table, make_lexicon) -> None:
    table = make_table("m", ["love", "love", "power"], [[1, 9], [5, 2], [2, 2]], token_ids=[4, 5, 6])
    found = lexicon_scores(table, make_lexicon({"love": "Communion", "power": "Agency"}))
    assert found.scores.tolist() == [[5, 9], [2, 2]]
    assert found.duplicates == ("love",)


def test_candidates_outside_the_lexicon_are_not_ranked(make_table, make_lexicon) -> None:
    table = make_table("m", ["table", "love", "power"], [[9, 9], [1, 2], [2, 1]])
    found = lexicon_scores(table, make_lexicon({"love": "Communion", "power": "Agency"}))
    assert found.words == ("love", "power")


def test_a_score_that_is_not_a_number_is_refused_with_model_and_candidate(make_table, make_lexicon) -> None:
    table = make_table("m", ["love", "power"], [[1, np.nan], [2, 1]])
    with pytest.raises(BirthmarkError, match="m gives 'love' the score nan after worst_1"):
        lexicon_scores(table, make_lexicon({"love": "Communion", "power": "Agency"}))


def test_a_table_without_the_lexicons_words_is_refused(make_table, make_lexicon) -> None:
    with pytest.raises(BirthmarkError, match="no word of the lexicon"):
        lexicon_scores(make_table("m", ["table"], [[1, 1]]), make_lexicon({"love": "Communion"}))


def test_a_word_in_two_categories_counts_in_both() -> None:
    member = membership({"a": ("X",), "b": ("X", "Y"), "c": ("Y",)}, ["X", "Y"])
    ranks = np.array([[1.0], [2.0], [3.0]])
    assert category_means(ranks, member).tolist() == [[1.5], [2.5]]


def test_medians_are_of_each_category_after_each_prompt() -> None:
    member = np.array([[True, True, True, False, False], [False, False, False, True, True]])
    ranks = np.array([[1.0, 5], [2, 4], [5, 3], [3, 2], [4, 1]])
    assert category_medians(ranks, member).tolist() == [[2, 4], [3.5, 1.5]]


def test_a_contrast_is_first_less_second_positive_less_negative() -> None:
    values = np.array([[10.0, 14.0, 3.0], [1.0, 3.0, 8.0]])
    assert contrast(values, ["positive", "positive", "negative"]) == (12 - 2) - (3 - 8)


def test_prompts_without_framing_enter_no_contrast() -> None:
    values = np.array([[10.0, 99.0, 3.0], [1.0, 77.0, 8.0]])
    assert contrast(values, ["positive", None, "negative"]) == (10 - 1) - (3 - 8)


def test_a_word_row_is_found_however_the_table_spells_it(make_table, make_lexicon):
    lexicon = make_lexicon({"café": "A", "love": "A", "peace": "B"})
    table = make_table("m", ["cafe\u0301", "lo\u00adve", "peace"], np.arange(6).reshape(3, 2))
    found = lexicon_scores(table, lexicon)
    assert found.words == ("café", "love", "peace")
    assert found.scores.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert set(found.respelled) == {"café", "love"}


def test_a_token_and_a_second_spelling_are_what_they_are(make_table, make_lexicon):
    lexicon = make_lexicon({"café": "A", "love": "A", "peace": "B"})
    scores = np.arange(8).reshape(4, 2)
    table = make_table("m", ["cafe\u0301", "café", "\u200blove", "peace"], scores, token_ids=[None, None, 7, 8])
    found = lexicon_scores(table, lexicon)
    assert found.words == ("café", "peace")
    assert found.scores.tolist() == [[2, 3], [6, 7]]
    assert found.respelled == ()
