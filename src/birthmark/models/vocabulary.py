"""A tokenizer's own: the vocabulary's candidates, the ids of a text, and the words of which it loses something."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.records import LeftOut

Protocol = Literal["birthmark", "christian2026"]

TEXTS_AT_ONCE = 1024
_UNUSED_NAME = re.compile(r"<unused\d+>|<\|reserved_special_token_\d+\|>|\[unused\d+\]")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that can be candidates, in id order, and the ids that cannot, by reason.

    `unfaithful` ids are candidates too, but their text encodes to other tokens, so a model that reads the text does not see
    this token.
    """

    token_ids: tuple[int, ...]
    texts: tuple[str, ...]
    special: tuple[int, ...]
    undecodable: tuple[int, ...]
    unused: tuple[int, ...]
    unfaithful: tuple[int, ...]

    @property
    def left_out(self) -> LeftOut:
        """How many ids are no candidates, by reason, as a table's record has it."""
        return LeftOut(
            special=len(self.special),
            undecodable=len(self.undecodable),
            unused=len(self.unused),
            unfaithful=len(self.unfaithful),
        )


def read_vocabulary(tokenizer: Any, vocab_size: int, protocol: Protocol = "birthmark") -> Vocabulary:
    """Decode every token alone, and classify the ids.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    vocab_size
        Rows of the model's output embedding; ids past the tokenizer's own are `unused`.
    protocol
        `christian2026` decodes as the study did: if the tokenizer's configuration asks for its clean-up (Llama's does), the
        space before a full stop, a comma, `?`, `!` and English contractions is removed. The study's list of shared tokens has
        Llama's texts in this form.

    Special: flagged special in the tokenizer's added tokens (`all_special_ids` misses thousands of Gemma's). Unused:
    no token has that id, or its name says so. Undecodable: not valid UTF-8 alone (the text has U+FFFD), or no text.
    """
    added = tokenizer.added_tokens_decoder
    special = {index for index, token in added.items() if token.special and index < vocab_size}
    ids = range(min(len(tokenizer), vocab_size))
    names = tokenizer.convert_ids_to_tokens(list(ids))
    unused = {index for index, name in zip(ids, names, strict=True) if name is None or _UNUSED_NAME.fullmatch(name)}
    unused = (unused | set(range(len(ids), vocab_size))) - special
    rest = [index for index in ids if index not in special and index not in unused]
    texts = _decoded_alone(tokenizer, rest)
    if protocol == "christian2026" and tokenizer.clean_up_tokenization_spaces:
        texts = [tokenizer.clean_up_tokenization(text) for text in texts]
    undecodable = {index for index, text in zip(rest, texts, strict=True) if not text or "\ufffd" in text}
    kept = [(index, text) for index, text in zip(rest, texts, strict=True) if index not in undecodable]
    encoded = tokenized(tokenizer, [text for _, text in kept], special=False)
    return Vocabulary(
        token_ids=tuple(index for index, _ in kept),
        texts=tuple(text for _, text in kept),
        special=tuple(sorted(special)),
        undecodable=tuple(sorted(undecodable)),
        unused=tuple(sorted(unused)),
        unfaithful=tuple(index for (index, _), back in zip(kept, encoded, strict=True) if back != [index]),
    )


def _decoded_alone(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each id alone; by the tokenizers library if possible, in a third of the time."""
    alone = [[index] for index in ids]
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        return list(fast.decode_batch(alone, skip_special_tokens=False))
    return list(tokenizer.batch_decode(alone, clean_up_tokenization_spaces=False))


def tokenized(tokenizer: Any, texts: Sequence[str], special: bool) -> Iterator[list[int]]:
    """Ids of each text, in chunks of texts, because a tokenizer's output is large.

    The tokenizers library is called directly if possible, which halves the time; truncation and padding in a tokenizer's file
    are turned off first, as transformers does.
    """
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        fast.no_truncation()
        fast.no_padding()
        if getattr(fast.model, "dropout", None):
            fast.model.dropout = None  # for training: it would draw other tokens each time
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = list(texts[start : start + TEXTS_AT_ONCE])
        if fast is not None:
            yield from (encoding.ids for encoding in _encoded(fast, part, special))
        else:
            yield from tokenizer(
                part, add_special_tokens=special, return_attention_mask=False, return_token_type_ids=False
            )["input_ids"]


def _encoded(fast: Any, texts: list[str], special: bool) -> Any:
    try:
        return fast.encode_batch_fast(texts, add_special_tokens=special)
    except Exception as error:  # noqa: BLE001  the library raises nothing narrower
        raise BirthmarkError(
            f"the tokenizer fails on a text ({one_line(error, 120)}): does its class (tokenizer_class) fit its tokenizer.json?"
        ) from None


def unknown_words(tokenizer: Any, words: Sequence[str]) -> set[str]:
    """The words of which a tokenizer without byte fallback loses something: it writes its unknown token, or nothing.

    White space does not count, nor does a word of nothing else. Two such words can be the same ids, so that none of them has a score of its own.
    """
    unknown = unknown_ids(tokenizer)
    written = {tokenizer.convert_ids_to_tokens(index) for index in unknown}
    found = {
        word
        for word, ids in zip(words, tokenized(tokenizer, words, special=False), strict=True)
        if (not ids and word.strip()) or (not unknown.isdisjoint(ids) and word not in written)
    }
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        rest = [word for word in words if word not in found]
        for word, encoding in zip(rest, fast.encode_batch(rest, add_special_tokens=False), strict=True):
            covered = {place for start, end in encoding.offsets for place in range(start, end)}
            if any(not letter.isspace() and place not in covered for place, letter in enumerate(word)):
                found.add(word)
    return found


def unknown_ids(tokenizer: Any) -> set[int]:
    """The unknown token's id, by the tokenizer's configuration and by its vocabulary's file, which may name one alone."""
    found = {tokenizer.unk_token_id}
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    if model is not None:
        name = getattr(model, "unk_token", None)
        found.add(model.token_to_id(name) if name else None)
        if type(model).__name__ == "Unigram":
            found.add(json.loads(tokenizer.backend_tokenizer.to_str())["model"].get("unk_id"))
    return found - {None}
