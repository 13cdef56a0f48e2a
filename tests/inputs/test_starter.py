"""The starter lexicon: pairs of an agency and a communion word, alike in frequency, length and valence.

The words stand pair by pair in the file. Valence cannot be tested here without a published list of it;
`benchmarks/starter_matching.py` measures it against one that its reader brings.
"""

from statistics import mean

import numpy as np
import pytest
from scipy import stats
from wordfreq import zipf_frequency

import birthmark as bm
from birthmark.inputs.lexicon_check import check_lexicon
from birthmark.inputs.lexicons import load_lexicon

STARTER = load_lexicon("starter")
AGENCY = [word for word, categories in STARTER.entries.items() if categories == ("Agency",)]
COMMUNION = [word for word, categories in STARTER.entries.items() if categories == ("Communion",)]


def test_it_has_two_categories_of_at_least_sixty_words_and_says_that_it_is_not_validated() -> None:
    assert STARTER.categories == ("Agency", "Communion")
    assert len(AGENCY) == len(COMMUNION) >= 60
    assert len(AGENCY) + len(COMMUNION) == len(STARTER.words)
    assert not STARTER.validated
    assert STARTER.licence == "Apache-2.0"


def test_its_words_are_lower_case_letters_in_pairs() -> None:
    assert all(word.isascii() and word.isalpha() and word.islower() for word in STARTER.words)
    assert STARTER.words == tuple(word for pair in zip(AGENCY, COMMUNION, strict=True) for word in pair)


def test_neither_category_is_more_common() -> None:
    agency, communion = ([zipf_frequency(word, "en") for word in words] for words in (AGENCY, COMMUNION))
    assert abs(mean(agency) - mean(communion)) < 0.1
    assert max(abs(a - b) for a, b in zip(agency, communion, strict=True)) < 0.5
    assert np.corrcoef(agency, communion)[0, 1] > 0.9
    assert stats.ttest_ind(agency, communion).pvalue > 0.2
    assert stats.ttest_rel(agency, communion).pvalue > 0.1
    assert stats.ks_2samp(agency, communion).pvalue > 0.2


def test_neither_category_is_longer() -> None:
    agency, communion = ([len(word) for word in words] for words in (AGENCY, COMMUNION))
    assert abs(mean(agency) - mean(communion)) < 0.3
    assert max(abs(a - b) for a, b in zip(agency, communion, strict=True)) <= 2
    assert stats.ttest_ind(agency, communion).pvalue > 0.2
    assert stats.ttest_rel(agency, communion).pvalue > 0.1
    assert stats.ks_2samp(agency, communion).pvalue > 0.2


def test_an_author_would_be_told_of_nothing_to_mend() -> None:
    assert [str(finding) for finding in check_lexicon(STARTER) if finding.level != "note"] == []


@pytest.mark.real_model
@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_its_words_are_single_tokens_of_the_embedded_models(model: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bm.resolve(model).path)
    for words in (AGENCY, COMMUNION):
        pieces = [len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) for word in words]
        assert mean(count == 1 for count in pieces) >= 0.95
