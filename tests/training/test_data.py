"""Rows of every layout, what is dropped and why, thinning and order. Token ids of pairs: those that a scorer sees, cut to length, one BOS."""

from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from trl.data_utils import _tokenize

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder
from birthmark.training.data import (
    SUMMARY_PREFIX,
    Drop,
    Pair,
    Turn,
    digest_of_pairs,
    layout_of,
    read_pair,
    thin,
    tokenize_pairs,
    training_order,
)
from preference_files import said
from tiny_models import CHAT_TEMPLATE, make_tokenizer

# --- preferences

ASKED, GOOD, BAD = said("user", "Why?"), said("assistant", "Because."), said("assistant", "No.")
DIALOGUE = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant:"


def turns(row: dict[str, Any]) -> tuple[list, list]:
    pair = read_pair(row, 1)
    assert isinstance(pair, Pair), pair
    return [tuple(turn) for turn in pair.chosen], [tuple(turn) for turn in pair.rejected]


EXPECTED = ([("user", "Why?"), ("assistant", "Because.")], [("user", "Why?"), ("assistant", "No.")])
LAYOUTS = {
    "text, explicit prompt": {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
    "text, implicit prompt": {"chosen": "Why? Because.", "rejected": "Why? No."},
    "conversational, explicit prompt": {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
    "conversational, implicit prompt": {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    "unified-feedback": {
        "conv_A": [ASKED, BAD], "conv_B": [ASKED, GOOD], "conv_A_rating": 1.0, "conv_B_rating": 2.0, "source": "x",
    },
    "ultrafeedback": {
        "instruction": "Why?",
        "completions": [
            {"response": "Maybe.", "fine-grained_score": 3.0},
            {"response": "No.", "fine-grained_score": 1.0},
            {"response": "Because.", "fine-grained_score": 4.5},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_pair(layout: str) -> None:
    assert layout_of(LAYOUTS[layout], "x") == layout
    assert turns(LAYOUTS[layout]) == EXPECTED


def test_a_prompt_as_text_beside_whole_conversations_is_not_asked_twice() -> None:
    """As UltraFeedback's binarized files are."""
    assert turns({"prompt": "Why?", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}) == EXPECTED
    assert turns({"prompt": "Why?", "chosen": [GOOD], "rejected": [BAD]}) == EXPECTED


def test_an_answer_without_a_mean_rating_is_taken_by_its_overall_one() -> None:
    rated = [("No.", 2.0), ("Because.", 9.0)]
    answers = [{"response": text, "fine-grained_score": None, "overall_score": score} for text, score in rated]
    assert turns({"instruction": "Why?", "completions": answers}) == EXPECTED


def test_an_answer_as_text_after_a_prompt_of_messages_is_the_assistants() -> None:
    assert turns({"prompt": [ASKED], "chosen": "Because.", "rejected": "No."}) == EXPECTED


@pytest.mark.parametrize("prompt", [None, DIALOGUE], ids=["whole dialogues", "the dialogue as the prompt"])
def test_hh_dialogues_become_turns(prompt: str | None) -> None:
    begin = "" if prompt else DIALOGUE
    row = {"chosen": f"{begin} Because.", "rejected": f"{begin} No."} | ({"prompt": prompt} if prompt else {})
    chosen, rejected = turns(row)
    assert chosen[:3] == [("user", "Hi"), ("assistant", "Hello."), ("user", "Why?")]
    assert (chosen[3], rejected[3]) == (("assistant", "Because."), ("assistant", "No."))
    assert layout_of(row, "x") == ("text, explicit prompt" if prompt else "dialogue")


def test_summaries_of_unified_feedback_are_asked_for_as_in_the_study() -> None:
    row = {**LAYOUTS["unified-feedback"], "source": "openai/summarize_from_feedback"}
    assert turns(row)[0][0] == ("user", f"{SUMMARY_PREFIX}Why?")


def test_a_dialogue_without_its_leading_line_breaks_is_one() -> None:
    row = {"chosen": "Human: Why?\n\nAssistant: Because.", "rejected": "Human: Why?\n\nAssistant: No."}
    assert (turns(row), layout_of(row, "x")) == (EXPECTED, "dialogue")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Why?", "chosen": "No.", "rejected": "No."}, "the same answer twice"),
        ({"prompt": "Why?", "chosen": " ", "rejected": "No."}, "an empty turn"),
        ({"prompt": "", "chosen": "Yes.", "rejected": "No."}, "an empty turn"),
        ({"chosen": f"{DIALOGUE} Yes.", "rejected": f"{DIALOGUE}"}, "an empty turn"),
        ({"chosen": [ASKED, said("assistant", None)], "rejected": [ASKED, BAD]}, "an empty turn"),
        ({"chosen": [ASKED], "rejected": [ASKED, BAD]}, "no answer at the end"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "an answer to nothing"),
        ({"chosen": "Yes.", "rejected": "No."}, "no prompt in common"),
        ({"chosen": f"{DIALOGUE} Yes.", "rejected": "Hello"}, "not a dialogue"),
        ({"chosen": [{"from": "human"}], "rejected": [ASKED, BAD]}, "messages without role and content"),
        ({"chosen": "Yes.", "rejected": None}, "chosen and rejected are not both texts or both lists of messages"),
        ({**LAYOUTS["unified-feedback"], "conv_B_rating": 1.0}, "equal ratings"),
        ({"instruction": "Why?", "completions": [{"response": "a", "overall_score": 1.0}] * 2}, "equal ratings"),
    ],
)
def test_what_is_no_pair_is_dropped_with_its_reason(row: dict, reason: str) -> None:
    assert read_pair(row, 7) == Drop(7, reason)


def test_a_file_of_neither_format_says_what_it_has() -> None:
    with pytest.raises(BirthmarkError, match="question, answer.*`chosen` and `rejected`"):
        layout_of({"question": 1, "answer": 2}, "faq")


def test_every_nth_pair_is_the_first_and_each_nth_after() -> None:
    assert thin([2, 3, 5, 7, 11], pairs=None, every=2, seed=9, source="x") == [2, 5, 11]


def test_a_sample_is_drawn_by_the_seed_and_begins_every_larger_one() -> None:
    rows = list(range(1, 101))
    small, large = (thin(rows, pairs=number, every=None, seed=3, source="x") for number in (10, 60))
    assert large[:10] == small and len(set(large)) == 60
    assert small != thin(rows, pairs=10, every=None, seed=4, source="x")
    assert thin(rows, pairs=None, every=None, seed=3, source="x") == rows


@pytest.mark.parametrize(
    ("asked", "words"), [({"pairs": 6, "every": None}, "5 usable.*6"), ({"pairs": 2, "every": 2}, "both")]
)
def test_thinning_that_cannot_be_is_said(asked: dict, words: str) -> None:
    with pytest.raises(BirthmarkError, match=words):
        thin([1, 2, 3, 4, 5], seed=0, source="x", **asked)


def test_each_epoch_is_a_permutation_of_its_own() -> None:
    order = training_order(range(10), 10, 2.0, seed=0)
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    assert training_order(range(10), 10, 1.5, seed=0) == order[:15]
    assert training_order(range(10), 10, 2.0, seed=1) != order


def test_a_base_that_drops_a_pair_sees_the_others_in_the_same_order() -> None:
    whole = training_order(range(10), 10, 1.0, seed=0)
    assert training_order([p for p in range(10) if p != 4], 10, 1.0, seed=0) == [p for p in whole if p != 4]


def test_the_digest_tells_pairs_order_and_sides_apart() -> None:
    first, second = (read_pair({"prompt": text, "chosen": "a", "rejected": "b"}, 1) for text in ("x", "y"))
    swapped = Pair(1, first.rejected, first.chosen)  # type: ignore[union-attr]
    digests = [digest_of_pairs(pairs) for pairs in ([first, second], [second, first], [first], [swapped])]  # type: ignore[list-item]
    assert len(set(digests)) == 4
    assert digest_of_pairs([Pair(99, first.chosen, first.rejected)]) == digests[2]  # type: ignore[union-attr]


# --- tokenized


def pair(chosen: str, rejected: str, asked: str = "What matters?", row: int = 1) -> Pair:
    return Pair(row, *(((Turn("user", asked), Turn("assistant", text))) for text in (chosen, rejected)))


def adding_bos(template: str) -> Any:
    """A tokenizer that begins every text with a BOS, as Llama's and Gemma's do."""
    tokenizer = make_tokenizer(template)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    return tokenizer


ENCODER = Encoder(make_tokenizer(), "chat")


def test_ids_are_those_that_the_scorer_reads() -> None:
    (kept,), drops = tokenize_pairs([pair("love", "power")], ENCODER, max_tokens=100, cut="right")
    assert kept.chosen.ids == ENCODER.conversation("What matters?", "love")
    assert kept.rejected.ids == ENCODER.conversation("What matters?", "power")
    assert (kept.chosen.cut, drops) == (False, [])


def test_the_answer_starts_after_the_opened_turn() -> None:
    (kept,), _ = tokenize_pairs([pair("love", "power")], ENCODER, max_tokens=100, cut="right")
    assert ENCODER.tokenizer.decode(kept.chosen.ids[kept.chosen.start :]) == "love</turn>\n"


def test_an_answer_starts_where_it_did_after_a_cut() -> None:
    long = pair("love and care", "power", asked="What matters? " * 9)
    (whole,), _ = tokenize_pairs([long], ENCODER, max_tokens=1000, cut="left")
    (left,), _ = tokenize_pairs([long], ENCODER, max_tokens=30, cut="left")
    assert left.chosen.ids[left.chosen.start :] == whole.chosen.ids[whole.chosen.start :]
    assert left.chosen.cut and len(left.chosen.ids) == 30
    (right,), _ = tokenize_pairs([long], ENCODER, max_tokens=len(whole.chosen.ids) - 1, cut="right")
    assert right.chosen.ids == whole.chosen.ids[:-1] and right.chosen.start == whole.chosen.start


def test_a_cut_from_the_left_keeps_the_bos() -> None:
    (kept,), _ = tokenize_pairs([pair("love", "power " * 20)], ENCODER, max_tokens=12, cut="left")
    whole = ENCODER.conversation("What matters?", "power " * 20)
    assert kept.rejected.ids == [whole[0], *whole[-11:]]
    assert whole[0] == ENCODER.tokenizer.bos_token_id


@pytest.mark.parametrize(("cut", "chosen", "rejected"), [("right", "a", "b"), ("left", "b c d e f g", "a c d e f g")])
def test_sides_that_are_the_same_after_the_cut_are_dropped(cut: Any, chosen: str, rejected: str) -> None:
    kept, drops = tokenize_pairs([pair(chosen, rejected, row=3), pair("love", "power")], ENCODER, max_tokens=6, cut=cut)
    assert Drop(3, "the same after truncation") in drops
    assert [item.position for item in kept] == ([1] if cut == "left" else [])


def test_what_the_template_refuses_is_dropped_alone() -> None:
    template = "{% if messages[0]['content'] == 'no' %}{{ raise_exception('no') }}{% endif %}" + CHAT_TEMPLATE
    pairs = [pair("a", "b", row=1), pair("a", "b", asked="no", row=2), pair("c", "d", row=3)]
    kept, drops = tokenize_pairs(pairs, Encoder(make_tokenizer(template), "chat"), max_tokens=99, cut="right")
    assert ([item.position for item in kept], drops) == ([0, 2], [Drop(2, "refused by the chat template")])


def test_a_template_that_writes_a_bos_gets_no_second_one() -> None:
    """TRL tokenizes text that a template has made with the tokenizer's special tokens: two BOS."""
    tokenizer = adding_bos(CHAT_TEMPLATE)
    conversation = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "love"}]
    rendered = tokenizer.apply_chat_template(conversation, tokenize=False)
    bos = tokenizer.bos_token_id
    assert _tokenize(tokenizer, rendered)["input_ids"][:2] == [bos, bos]
    (kept,), _ = tokenize_pairs(
        [pair("love", "x", asked="What?")], Encoder(tokenizer, "chat"), max_tokens=99, cut="left"
    )
    assert kept.chosen.ids == _tokenize(tokenizer, rendered)["input_ids"][1:]


def test_a_template_that_writes_none_gets_the_tokenizers() -> None:
    """TRL's conversations are tokenized without special tokens: no BOS at all."""
    tokenizer = adding_bos(CHAT_TEMPLATE.removeprefix("{{ bos_token }}"))
    (kept,), _ = tokenize_pairs([pair("love", "power")], Encoder(tokenizer, "chat"), max_tokens=99, cut="right")
    bos = tokenizer.bos_token_id
    assert kept.chosen.ids[0] == bos and kept.chosen.ids.count(bos) == 1
