"""From pairs of conversations to token ids as a scorer would see them, cut to length, with what that cost.

Knows a model's encoder; knows nothing of the model, the loss or the order of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder
from birthmark.models.engine import common_prefix_length
from birthmark.training.preferences import Conversation, Drop, Pair

PAIRS_AT_ONCE = 256


@dataclass(frozen=True)
class Ids:
    """A conversation's tokens after the cut; `start` is where the last answer begins, `cut` whether any are gone."""

    ids: list[int]
    start: int
    cut: bool


@dataclass(frozen=True)
class TokenizedPair:
    """A pair that can be trained on; `position` is its place in the sample."""

    position: int
    chosen: Ids
    rejected: Ids


def tokenize_pairs(
    pairs: Sequence[Pair], encoder: Encoder, *, max_tokens: int, cut: Literal["left", "right"]
) -> tuple[list[TokenizedPair], list[Drop]]:
    """Tokenize whole conversations with one BOS, as `birthmark score` does, and cut them to `max_tokens`.

    A cut from the left keeps a leading BOS. Dropped: pairs whose two sides are the same after the cut, and those that
    the chat template refuses.
    """
    kept: list[TokenizedPair] = []
    drops: list[Drop] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        for offset, (pair, sides) in enumerate(zip(part, _sides(part, encoder), strict=True)):
            if sides is None:
                drops.append(Drop(pair.row, "refused by the chat template"))
                continue
            chosen, rejected = (_shorten(ids, begin, encoder, max_tokens, cut) for ids, begin in sides)
            if chosen.ids == rejected.ids:
                drops.append(Drop(pair.row, "the same after truncation"))
            else:
                kept.append(TokenizedPair(start + offset, chosen, rejected))
    return kept, drops


_Side = tuple[list[int], int]


def _sides(pairs: Sequence[Pair], encoder: Encoder) -> list[tuple[_Side, _Side] | None]:
    """Ids and the answer's start, of both sides of each pair; None where the template fails on one of them."""
    conversations = [side for pair in pairs for side in (pair.chosen, pair.rejected)]
    try:
        encoded = _encode(conversations, encoder)
    except BirthmarkError:
        if len(pairs) == 1:
            return [None]
        return [sides for pair in pairs for sides in _sides([pair], encoder)]
    return [(encoded[index], encoded[index + 1]) for index in range(0, len(encoded), 2)]


def _encode(conversations: Sequence[Conversation], encoder: Encoder) -> list[_Side]:
    messages = [[turn._asdict() for turn in turns] for turns in conversations]
    whole = encoder.dialogues(messages)
    before = encoder.dialogues([turns[:-1] for turns in messages], opened=True)
    return [(ids, common_prefix_length([ids, context])) for ids, context in zip(whole, before, strict=True)]


def _shorten(ids: list[int], start: int, encoder: Encoder, max_tokens: int, cut: Literal["left", "right"]) -> Ids:
    over = len(ids) - max_tokens
    if over <= 0:
        return Ids(ids, start, cut=False)
    if cut == "right":
        return Ids(ids[:max_tokens], min(start, max_tokens), cut=True)
    bos = [ids[0]] if ids[0] == encoder.tokenizer.bos_token_id else []
    kept = [*bos, *ids[len(ids) - max_tokens + len(bos) :]]
    return Ids(kept, max(len(bos), start - over), cut=True)
