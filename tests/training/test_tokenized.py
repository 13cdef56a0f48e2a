"""Token ids of pairs: those that a scorer sees, cut to length, one BOS."""

from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from trl.data_utils import _tokenize

from birthmark.models.encoding import Encoder
from birthmark.training.data import Drop, Pair, Turn, tokenize_pairs
from tiny_models import CHAT_TEMPLATE, make_tokenizer


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
