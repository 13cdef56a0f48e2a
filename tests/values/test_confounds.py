"""Frequency, length and token count by category. Zipf values are those that wordfreq's own documentation gives."""

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values import confounds as module
from birthmark.values.confounds import confounds, token_counts, word_lengths, zipf_frequencies
from birthmark.values.effects import effects
from birthmark.values.joined import join_tables

WORDS = {"café": "Communion", "the": "Communion", "power": "Agency"}


def with_tokens(table, counts):
    table.record.word_tokens = counts
    return table


def test_zipf_frequency_is_log10_of_occurrences_in_a_billion_words() -> None:
    pytest.importorskip("wordfreq")
    from wordfreq import word_frequency

    found = zipf_frequencies(["the", " The ", "freedom", "qzxvj"])
    assert found[0] == found[1] == 7.73
    assert found[2] == pytest.approx(np.log10(word_frequency("freedom", "en") * 1e9), abs=0.006)
    assert found[3] == 0


def test_length_is_in_characters_not_bytes_and_without_spaces() -> None:
    assert word_lengths(["café", " love"]).tolist() == [4, 4]


def test_each_category_has_the_means_of_its_words(make_table, make_lexicon) -> None:
    pytest.importorskip("wordfreq")
    table = with_tokens(make_table("m", list(WORDS), [[1, 2], [2, 1], [3, 3]]), {"café": 2, "the": 1, "power": 1})
    agency, communion = confounds(join_tables([table], make_lexicon(WORDS)), [table])
    assert (communion.category, communion.n_words, communion.length) == ("Communion", 2, 3.5)
    assert communion.tokens == {"m": 1.5} and communion.tokens_why is None
    assert communion.frequency == pytest.approx(zipf_frequencies(["café", "the"]).mean())
    assert (agency.length, agency.tokens) == (5, {"m": 1})


def test_tokens_are_by_model_and_null_where_a_table_does_not_say(make_table, make_lexicon) -> None:
    known = with_tokens(make_table("known", list(WORDS), [[1, 2], [2, 1], [3, 3]]), {"café": 2, "the": 1, "power": 3})
    published = make_table("published", list(WORDS), [[1, 2], [2, 1], [3, 3]])
    agency, _ = confounds(join_tables([known, published], make_lexicon(WORDS)), [known, published])
    assert agency.tokens == {"known": 3, "published": None}
    assert "published" in agency.tokens_why and "known" not in agency.tokens_why


def test_a_word_that_took_its_tokens_row_is_one_token(make_table) -> None:
    table = with_tokens(make_table("m", ["love", "power"], [[1, 1], [2, 2]], token_ids=[7, None]), {"power": 2})
    assert token_counts(table, ["love", "power"]).tolist() == [1, 2]
    assert token_counts(table, ["absent"]) is None


def test_without_wordfreq_frequency_is_null_and_the_reason_says_what_to_install(
    make_table, make_lexicon, monkeypatch
) -> None:
    monkeypatch.setattr(module, "has_frequency", lambda: False)
    table = make_table("m", list(WORDS), [[1, 2], [2, 1], [3, 3]])
    found = confounds(join_tables([table], make_lexicon(WORDS)), [table])[0]
    assert found.frequency is None and "birthmark[frequency]" in found.frequency_why
    with pytest.raises(BirthmarkError, match="pip install"):
        zipf_frequencies(["love"])


def test_every_effects_record_holds_them(make_table, make_lexicon) -> None:
    table = make_table("m", list(WORDS), [[1, 2], [2, 1], [3, 3]])
    record = effects([table], make_lexicon(WORDS))
    assert [row.category for row in record.confounds] == record.categories
