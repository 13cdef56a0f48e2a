"""From rows of a preference source to pairs of conversations and token ids: layouts, dropped pairs, sampling, truncation."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.models.encoding import Encoder, common_prefix_length

SUMMARY_PREFIX = "Generate one-sentence summary for the following post: "  # as the study's authors trained on it
_SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):[ ]?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ROLES = {"Human": "user", "Assistant": "assistant"}
UNIFIED = ("conv_A", "conv_B", "conv_A_rating", "conv_B_rating")


class Turn(NamedTuple):
    role: str
    content: str


Conversation = tuple[Turn, ...]


@dataclass(frozen=True)
class Pair:
    """Two complete conversations, the first preferred; `row` is its row in the source, counted from 1."""

    row: int
    chosen: Conversation
    rejected: Conversation


@dataclass(frozen=True)
class Drop:
    """A pair that is not used for training, and the reason."""

    row: int
    reason: str


class _Unusable(Exception):
    """A row without a preference; the message is the reason."""


def layout_of(row: Mapping[str, Any], source: str) -> str:
    """A source's layout, from its first row: `unified-feedback`, `ultrafeedback`, or one of TRL's preference formats.

    Raises `BirthmarkError` for any other layout.
    """
    if all(name in row for name in UNIFIED):
        return "unified-feedback"
    if "instruction" in row and "completions" in row:
        return "ultrafeedback"
    if "chosen" not in row or "rejected" not in row:
        raise BirthmarkError(
            f"{source} is not a preference file: its rows have {one_line(', '.join(row)) or 'nothing'}, and a pair needs `chosen` and "
            "`rejected` (with or without `prompt`), as text or as lists of messages"
        )
    kind = "conversational" if isinstance(row["chosen"], list) else "text"
    if kind == "text" and _is_dialogue(row["chosen"]):
        return "dialogue"
    return f"{kind}, {'explicit' if 'prompt' in row else 'implicit'} prompt"


def read_pair(row: Mapping[str, Any], number: int) -> Pair | Drop:
    """The pair in a row, or the reason why there is none."""
    try:
        chosen, rejected = _sides(row)
        for side in (chosen, rejected):
            _check(side)
    except _Unusable as reason:
        return Drop(number, str(reason))
    if chosen == rejected:
        return Drop(number, "the same answer twice")
    return Pair(number, chosen, rejected)


def _sides(row: Mapping[str, Any]) -> tuple[Conversation, Conversation]:
    if all(name in row for name in UNIFIED):
        return _unified(row)
    if "completions" in row and "instruction" in row:
        return _ultrafeedback(row)
    chosen, rejected, prompt = row.get("chosen"), row.get("rejected"), row.get("prompt")
    if isinstance(chosen, list) and isinstance(rejected, list):
        return _with_prompt(prompt, _messages(chosen)), _with_prompt(prompt, _messages(rejected))
    if not (isinstance(chosen, str) and isinstance(rejected, str)):
        raise _Unusable("chosen and rejected are not both texts or both lists of messages")
    if isinstance(prompt, list):
        asked = _messages(prompt)
        return (*asked, Turn("assistant", chosen)), (*asked, Turn("assistant", rejected))
    if isinstance(prompt, str):
        if _is_dialogue(prompt):
            return _dialogue(prompt + chosen), _dialogue(prompt + rejected)
        return (
            (Turn("user", prompt), Turn("assistant", chosen)),
            (Turn("user", prompt), Turn("assistant", rejected)),
        )
    if _is_dialogue(chosen):
        return _dialogue(chosen), _dialogue(rejected)
    return _shared_beginning(chosen, rejected)


def _unified(row: Mapping[str, Any]) -> tuple[Conversation, Conversation]:
    """Unified-Feedback: two rated conversations; the one with the higher rating is chosen, and equal ratings are dropped."""
    first, second = row["conv_A_rating"], row["conv_B_rating"]
    if first is None or second is None or first == second:
        raise _Unusable("equal ratings")
    if not (isinstance(first, int | float) and isinstance(second, int | float)):
        raise _Unusable("ratings that are not numbers")
    prefix = SUMMARY_PREFIX if "summarize" in str(row.get("source") or "") else ""
    a, b = (_prefixed(_messages(row[name]), prefix) for name in ("conv_A", "conv_B"))
    return (a, b) if first > second else (b, a)


def _prefixed(turns: Conversation, prefix: str) -> Conversation:
    if not prefix:
        return turns
    return (Turn(turns[0].role, prefix + turns[0].content.strip()), *turns[1:])


def _ultrafeedback(row: Mapping[str, Any]) -> tuple[Conversation, Conversation]:
    """The original UltraFeedback: the completion with the best mean rating against the one with the worst."""
    rated = []
    completions = row["completions"]
    for completion in completions if isinstance(completions, list) else []:
        if not isinstance(completion, dict):
            raise _Unusable("completions that are not objects")
        score = completion.get("fine-grained_score")
        score = completion.get("overall_score") if score is None else score
        if score is not None and completion.get("response"):
            try:
                rated.append((float(score), str(completion["response"])))
            except (TypeError, ValueError, OverflowError):
                raise _Unusable("ratings that are not numbers") from None
    if len(rated) < 2 or max(rated)[0] == min(rated)[0]:
        raise _Unusable("equal ratings")
    best, worst = (pick(rated, key=lambda item: item[0])[1] for pick in (max, min))
    asked = Turn("user", str(row["instruction"]))
    return (asked, Turn("assistant", best)), (asked, Turn("assistant", worst))


def _messages(items: Sequence[Any]) -> Conversation:
    try:
        turns = tuple(Turn(str(item["role"]), item["content"]) for item in items)
    except (TypeError, KeyError):
        raise _Unusable("messages without role and content") from None
    if not turns or not all(isinstance(turn.content, str) for turn in turns):
        raise _Unusable("an empty turn")
    return turns


def _with_prompt(prompt: Any, answer: Conversation) -> Conversation:
    """The complete conversation: an explicit prompt's messages come first; a prompt as text only if it is missing."""
    if isinstance(prompt, list):
        return (*_messages(prompt), *answer)
    if isinstance(prompt, str) and answer[0].role == "assistant":
        return (Turn("user", prompt), *answer)
    return answer


def _is_dialogue(text: Any) -> bool:
    return isinstance(text, str) and _SPEAKER.match(text) is not None


def _dialogue(text: str) -> Conversation:
    """Turns of a raw Anthropic HH dialogue, "\\n\\nHuman: … \\n\\nAssistant: …"."""
    if not _is_dialogue(text):
        raise _Unusable("not a dialogue")
    parts = _SPEAKER.split(text)[1:]  # speaker, words, speaker, words, …
    return tuple(
        Turn(_ROLES[who], words.strip()) for who, words in zip(parts[::2], parts[1::2], strict=True)
    )  # fmt: skip


def _shared_beginning(chosen: str, rejected: str) -> tuple[Conversation, Conversation]:
    """Texts without turns: the prompt is their common beginning, up to its last white space (as in TRL)."""
    length = next(
        (place for place, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b),
        min(len(chosen), len(rejected)),
    )
    while length and not chosen[length - 1].isspace():
        length -= 1
    prompt = Turn("user", chosen[:length].strip())
    if not prompt.content:
        raise _Unusable("no prompt in common")
    return (prompt, Turn("assistant", chosen[length:].strip())), (prompt, Turn("assistant", rejected[length:].strip()))


def _check(turns: Conversation) -> None:
    if any(_SURROGATE.search(turn.content) for turn in turns):
        raise _Unusable("half a character (a surrogate)")
    if any(not turn.content.strip() for turn in turns):
        raise _Unusable("an empty turn")
    if turns[-1].role != "assistant":
        raise _Unusable("no answer at the end")
    if len(turns) < 2:
        raise _Unusable("an answer to nothing")


def thin(rows: Sequence[int], *, pairs: int | None, every: int | None, seed: int, source: str) -> list[int]:
    """Subsample the usable rows: every n-th, or N at random by the seed, or all.

    A seed's sample of N rows is the beginning of its sample of any larger N, so that larger samples contain smaller ones.
    Raises `BirthmarkError` if both `pairs` and `every` are given, or there are too few rows.
    """
    if pairs is not None and every is not None:
        raise BirthmarkError("use either --pairs or --every, not both")
    if every is not None:
        if every < 1:
            raise BirthmarkError(f"--every {every} is too small: write 1 or more")
        return list(rows[::every])
    if pairs is None:
        return list(rows)
    if not 1 <= pairs <= len(rows):
        raise BirthmarkError(f"{source} has {len(rows):,} usable pairs and --pairs asks for {pairs:,}: write fewer")
    order = np.random.default_rng([seed, 0]).permutation(len(rows))
    return [rows[index] for index in order[:pairs]]


def training_order(positions: Sequence[int], sampled: int, epochs: float, seed: int) -> list[int]:
    """The positions of the pairs in the order of training, with a new permutation for each epoch.

    Permutations are of all `sampled` pairs and skip those that are not in `positions`, so that bases that drop different
    pairs see the other pairs in the same order.
    """
    kept, order = set(positions), list[int]()
    length = max(1, round(len(positions) * epochs))
    epoch = 1
    while len(order) < length:
        permutation = np.random.default_rng([seed, epoch]).permutation(sampled)
        order += [int(position) for position in permutation if int(position) in kept]
        epoch += 1
    return order[:length]


def digest_of_pairs(pairs: Iterable[Pair]) -> str:
    """SHA-256 of the pairs' turns as JSON, one pair per line, in order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps([pair.chosen, pair.rejected], ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


PAIRS_AT_ONCE = 256


@dataclass(frozen=True)
class Ids:
    """A conversation's tokens after truncation; `start` is the last answer's beginning, `cut` whether it was truncated."""

    ids: list[int]
    start: int
    cut: bool


@dataclass(frozen=True)
class TokenizedPair:
    """A pair for training; `position` is its index in the sample."""

    position: int
    chosen: Ids
    rejected: Ids


def tokenize_pairs(
    pairs: Sequence[Pair], encoder: Encoder, *, max_tokens: int, cut: Literal["left", "right"]
) -> tuple[list[TokenizedPair], list[Drop]]:
    """Tokenize complete conversations with one BOS, as `birthmark score` does, and truncate them to `max_tokens`.

    Truncation on the left keeps a leading BOS. Pairs are dropped if their two sides are equal after truncation, or if the
    chat template raises an error.
    """
    kept: list[TokenizedPair] = []
    drops: list[Drop] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        for offset, (pair, sides) in enumerate(zip(part, _side_ids(part, encoder), strict=True)):
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


def _side_ids(pairs: Sequence[Pair], encoder: Encoder) -> list[tuple[_Side, _Side] | None]:
    """Ids and the answer's start for both sides of each pair; None if the template fails on one of them."""
    conversations = [side for pair in pairs for side in (pair.chosen, pair.rejected)]
    try:
        encoded = _encode(conversations, encoder)
    except BirthmarkError:
        if len(pairs) == 1:
            return [None]
        return [sides for pair in pairs for sides in _side_ids([pair], encoder)]
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
