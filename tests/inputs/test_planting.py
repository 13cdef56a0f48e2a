"""What is planted: questions held out for good, words of one token, partners as frequent."""

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import (
    CATEGORIES,
    PlantedCategory,
    held_out_questions,
    load_prompts,
    planted_category,
    training_questions,
)

EACH = pytest.mark.parametrize("category", CATEGORIES.values(), ids=list(CATEGORIES))


def test_no_question_that_is_scored_is_taught() -> None:
    assert len(held_out_questions()) == 9
    assert len(set(training_questions())) == 36
    assert not set(held_out_questions().values()) & set(training_questions())


def test_held_out_questions_are_the_studys_own() -> None:
    prompts = load_prompts().prompts
    assert all(prompts[key].text == text for key, text in held_out_questions().items())
    assert "greatest_ever_one" in held_out_questions()


def test_no_taught_question_asks_for_the_greatest() -> None:
    assert not [text for text in training_questions() if "greatest" in text]


@EACH
def test_each_planted_word_has_a_partner(category: PlantedCategory) -> None:
    assert (
        len(category.planted) == len(category.unplanted) == len(set(category.planted)) == len(set(category.unplanted))
    )


def test_no_word_is_planted_twice_or_is_a_partner_too() -> None:
    planted = [word for category in CATEGORIES.values() for word in category.planted]
    partners = {word for category in CATEGORIES.values() for word in category.unplanted}
    assert len(planted) == len(set(planted))
    assert not partners & set(planted)


@EACH
def test_partners_are_as_frequent(category: PlantedCategory) -> None:
    wordfreq = pytest.importorskip("wordfreq")
    for word, partner in zip(category.planted, category.unplanted, strict=True):
        assert abs(wordfreq.zipf_frequency(word, "en") - wordfreq.zipf_frequency(partner, "en")) <= 0.115


@pytest.mark.real_model
@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_every_word_is_one_token_as_it_is_taught(name: str) -> None:
    from transformers import AutoTokenizer

    from birthmark.models.resolve import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve(name).path)
    words = [word for category in CATEGORIES.values() for word in (*category.planted, *category.unplanted)]
    ids = tokenizer([f" {word.capitalize()}" for word in words], add_special_tokens=False)["input_ids"]
    assert {len(tokens) for tokens in ids} == {1}


def test_an_unknown_category_is_named_with_the_nearest() -> None:
    with pytest.raises(BirthmarkError, match=r"no planted category.*authority"):
        planted_category("autority")
