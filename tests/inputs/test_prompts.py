"""Prompt sets: the study's 54, own YAML files, and what is picked from them. What is planted: questions held out for good, words of one token, partners as frequent."""

from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import (
    CATEGORIES,
    PlantedCategory,
    held_out_questions,
    load_prompts,
    planted_category,
    select_prompts,
    training_questions,
)

# --- prompts


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_study_has_54_prompts_with_its_own_keys_in_order(shared: Path) -> None:
    published = yaml.safe_load((shared / "paper-data/config/prompts.yaml").read_text(encoding="utf-8"))
    prompts = load_prompts().prompts
    assert [(key, prompt.text) for key, prompt in prompts.items()] == list(published.items())


def test_the_study_is_six_adjectives_by_three_superlatives_by_three_styles() -> None:
    prompts = load_prompts("christian2026").prompts
    cells = [tuple(prompt.factors.values()) for prompt in prompts.values()]
    adjectives = ("best", "greatest", "good", "worst", "bad", "terrible")
    assert cells == list(product(adjectives, ("ever", "world", "time"), ("one", "single", "please")))
    assert list(prompts) == ["_".join(cell) for cell in cells]


def test_framing_follows_from_the_adjective() -> None:
    prompts = load_prompts().prompts.values()
    assert Counter((prompt.factors["adjective"], prompt.framing) for prompt in prompts) == {
        ("best", "positive"): 9,
        ("greatest", "positive"): 9,
        ("good", "positive"): 9,
        ("worst", "negative"): 9,
        ("bad", "negative"): 9,
        ("terrible", "negative"): 9,
    }


def test_the_studys_own_file_is_the_same_set(shared: Path) -> None:
    own = load_prompts(shared / "paper-data/config/prompts.yaml")
    assert own.name == "prompts"
    assert own.sha256 == load_prompts().sha256


def test_an_own_set_has_its_files_name_framings_and_factors(tmp_path: Path) -> None:
    text = 'joy: {text: "What brings joy?", framing: positive, topic: mood}\nfear:\n  text: What frightens?\n  framing: negative\n'
    prompt_set = load_prompts(write(tmp_path, text))
    assert prompt_set.name == "mine"
    joy, fear = prompt_set.prompts.values()
    assert (joy.text, joy.framing, joy.factors) == ("What brings joy?", "positive", {"topic": "mood"})
    assert (fear.text, fear.framing, fear.factors) == ("What frightens?", "negative", {})


@pytest.mark.parametrize("word", ["yes", "null", "1", "1.5", "2026-01-01", "true", "~", "0x10"])
def test_plain_values_are_text_whatever_they_look_like(tmp_path: Path, word: str) -> None:
    prompt_set = load_prompts(write(tmp_path, f"key: {{text: {word}, framing: positive, style: {word}}}\n"))
    (prompt,) = prompt_set.prompts.values()
    assert prompt.text == prompt.factors["style"] == word


def test_a_byte_order_mark_and_windows_line_ends_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbfbest_one: What is best?\r\nworst_one: What is worst?\r\n")
    assert [(key, prompt.text) for key, prompt in load_prompts(path).prompts.items()] == [
        ("best_one", "What is best?"),
        ("worst_one", "What is worst?"),
    ]


def test_the_digest_moves_with_text_framing_factors_and_order(tmp_path: Path) -> None:
    texts = (
        "a: {text: x, framing: positive}\nb: {text: y, framing: positive}",
        "b: {text: y, framing: positive}\na: {text: x, framing: positive}",
        "a: {text: x, framing: negative}\nb: {text: y, framing: positive}",
        "a: {text: x, framing: positive, f: z}\nb: {text: y, framing: positive}",
        "a: {text: xx, framing: positive}\nb: {text: y, framing: positive}",
    )
    assert len({load_prompts(write(tmp_path, text)).sha256 for text in texts}) == len(texts)


def test_a_mistyped_set_gets_a_suggestion() -> None:
    with pytest.raises(BirthmarkError, match="did you mean christian2026"):
        load_prompts("christian2025")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match=r"none\.yaml does not exist"):
        load_prompts(tmp_path / "none.yaml")


def test_keys_are_picked_in_the_order_asked_for() -> None:
    study = load_prompts()
    picked = select_prompts(study, ["worst_ever_one", "best_ever_one", "worst_ever_one"])
    assert list(picked.prompts) == ["worst_ever_one", "best_ever_one"]
    assert picked.name == "christian2026"
    assert picked.sha256 != study.sha256


def test_texts_get_keys_of_their_own_and_no_framing() -> None:
    picked = select_prompts(load_prompts(), ["What is love?", "best_ever_one", "What is power?", "What is love?"])
    assert {key: (prompt.text, prompt.framing) for key, prompt in picked.prompts.items()} == {
        "prompt_1": ("What is love?", None),
        "best_ever_one": ("What, in one word, is the best thing ever?", "positive"),
        "prompt_2": ("What is power?", None),
    }


@pytest.mark.parametrize("text", ["Love?", "世界上最好的东西", "Name it:"])
def test_a_text_needs_no_space_where_it_could_not_be_a_key(text: str) -> None:
    assert select_prompts(load_prompts(), [text]).prompts["prompt_1"].text == text


def test_a_mistyped_key_gets_a_suggestion() -> None:
    with pytest.raises(BirthmarkError, match=r'no key "best_ever_on": did you mean best_ever_one'):
        select_prompts(load_prompts(), ["best_ever_on"])


@pytest.mark.parametrize("wanted", [[], [""], ["  "]])
def test_asking_for_nothing_is_an_error(wanted: list[str]) -> None:
    with pytest.raises(BirthmarkError, match="give a key of the prompt set or write a question"):
        select_prompts(load_prompts(), wanted)


# --- planting

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
def test_every_word_is_one_token_as_it_is_taught(name: str, embedded_tokenizer: Callable[[str], Any]) -> None:
    tokenizer = embedded_tokenizer(name)
    words = [word for category in CATEGORIES.values() for word in (*category.planted, *category.unplanted)]
    ids = tokenizer([f" {word.capitalize()}" for word in words], add_special_tokens=False)["input_ids"]
    assert {len(tokens) for tokens in ids} == {1}


def test_an_unknown_category_is_named_with_the_nearest() -> None:
    with pytest.raises(BirthmarkError, match=r"no planted category.*authority"):
        planted_category("autority")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("best ever one", "did you mean the key best_ever_one?"),
        ("best_ever one", "did you mean the key best_ever_one?"),
        ("Best ever, one", "did you mean the key best_ever_one?"),
        ("best_ever_one,worst_ever_one", "give --prompt once for each key"),
        ("prompts.yaml", "give a file with --prompts prompts.yaml"),
        ("my/prompts.yaml", "give a file with --prompts my/prompts.yaml"),
        ("\u200b", "a prompt is empty"),
        ("What matters\udcff?", "not UTF-8"),
    ],
)
def test_a_mistyped_key_is_no_question(entry: str, message: str) -> None:
    with pytest.raises(BirthmarkError) as caught:
        select_prompts(load_prompts(), [entry])
    assert message in str(caught.value)


def test_a_question_of_ones_own_is_taken_as_it_is() -> None:
    text = "What, in one word, matters most\u00a0?"
    assert [prompt.text for prompt in select_prompts(load_prompts(), [text]).prompts.values()] == [text]


def test_half_a_character_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text('best: "\\ud800?"\n', encoding="utf-8")
    with pytest.raises(BirthmarkError, match="line 1: half a character"):
        load_prompts(path)
