"""From rows of a preference source to pairs of conversations and their token ids: layouts, what is dropped, cutting."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder
from birthmark.models.engine import common_prefix_length

SUMMARY_PREFIX = "Generate one-sentence summary for the following post: "  # as the study's authors trained on it
_SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):[ ]?")
_ROLES = {"Human": "user", "Assistant": "assistant"}
UNIFIED = ("conv_A", "conv_B", "conv_A_rating", "conv_B_rating")


class Turn(NamedTuple):
    role: str
    content: str


Conversation = tuple[Turn, ...]


@dataclass(frozen=True)
class Pair:
    """Two whole conversations, the first preferred; `row` is the source's, counted from 1."""

    row: int
    chosen: Conversation
    rejected: Conversation


@dataclass(frozen=True)
class Drop:
    """A pair that is not trained on, and why."""

    row: int
    reason: str


class _Unusable(Exception):
    """A row that holds no preference; its text is the reason."""


def layout_of(row: Mapping[str, Any], source: str) -> str:
    """What a source's first row says of all: `unified-feedback`, `ultrafeedback`, or one of TRL's preference formats.

    Raises `BirthmarkError` where it is none of them.
    """
    if all(name in row for name in UNIFIED):
        return "unified-feedback"
    if "instruction" in row and "completions" in row:
        return "ultrafeedback"
    if "chosen" not in row or "rejected" not in row:
        raise BirthmarkError(
            f"{source} is no preference file: its rows have {', '.join(row) or 'nothing'}, and a pair needs `chosen` and "
            "`rejected` (with or without `prompt`), as text or as lists of messages"
        )
    kind = "conversational" if isinstance(row["chosen"], list) else "text"
    if kind == "text" and _is_dialogue(row["chosen"]):
        return "dialogue"
    return f"{kind}, {'explicit' if 'prompt' in row else 'implicit'} prompt"


def read_pair(row: Mapping[str, Any], number: int) -> Pair | Drop:
    """The pair in a row, or why there is none."""
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
    """Unified-Feedback: two rated conversations; the higher rating is the chosen one, equal ones say nothing."""
    first, second = row["conv_A_rating"], row["conv_B_rating"]
    if first is None or second is None or first == second:
        raise _Unusable("equal ratings")
    prefix = SUMMARY_PREFIX if "summarize" in str(row.get("source") or "") else ""
    a, b = (_prefixed(_messages(row[name]), prefix) for name in ("conv_A", "conv_B"))
    return (a, b) if first > second else (b, a)


def _prefixed(turns: Conversation, prefix: str) -> Conversation:
    if not prefix:
        return turns
    return (Turn(turns[0].role, prefix + turns[0].content.strip()), *turns[1:])


def _ultrafeedback(row: Mapping[str, Any]) -> tuple[Conversation, Conversation]:
    """UltraFeedback before anyone made pairs of it: the best completion by its mean rating against the worst."""
    rated = []
    for completion in row["completions"] or []:
        score = completion.get("fine-grained_score")
        score = completion.get("overall_score") if score is None else score
        if score is not None and completion.get("response"):
            rated.append((float(score), str(completion["response"])))
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
    """The whole conversation: messages of an explicit prompt go before; a prompt as text only where it is missing."""
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
    """Texts without turns: what both begin with, up to its last white space, is the prompt (as TRL takes it)."""
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
    if any(not turn.content.strip() for turn in turns):
        raise _Unusable("an empty turn")
    if turns[-1].role != "assistant":
        raise _Unusable("no answer at the end")
    if len(turns) < 2:
        raise _Unusable("an answer to nothing")


def thin(rows: Sequence[int], *, pairs: int | None, every: int | None, seed: int, source: str) -> list[int]:
    """Every n-th of the usable rows, or N drawn by the seed, or all, in the order of the result.

    A seed's sample of N begins its sample of any larger N, so that more pairs are the same pairs and others.
    Raises `BirthmarkError` where both are asked for, or more than there are.
    """
    if pairs is not None and every is not None:
        raise BirthmarkError("thin by --pairs or by --every, not by both")
    if every is not None:
        if every < 1:
            raise BirthmarkError(f"--every {every} takes no pairs: write 1 or more")
        return list(rows[::every])
    if pairs is None:
        return list(rows)
    if not 1 <= pairs <= len(rows):
        raise BirthmarkError(f"{source} has {len(rows):,} usable pairs and --pairs asks for {pairs:,}: write fewer")
    order = np.random.default_rng([seed, 0]).permutation(len(rows))
    return [rows[index] for index in order[:pairs]]


def training_order(positions: Sequence[int], sampled: int, epochs: float, seed: int) -> list[int]:
    """The positions of the pairs in the order of training, each epoch a permutation of its own.

    Permutations are of all `sampled` pairs and leave out those without a place in `positions`, so that bases which drop
    different pairs still see the others in one order.
    """
    kept, order = set(positions), list[int]()
    wanted = max(1, round(len(positions) * epochs))
    epoch = 1
    while len(order) < wanted:
        permutation = np.random.default_rng([seed, epoch]).permutation(sampled)
        order += [int(position) for position in permutation if int(position) in kept]
        epoch += 1
    return order[:wanted]


def digest_of_pairs(pairs: Iterable[Pair]) -> str:
    """SHA-256 over the pairs' turns as JSON, a pair a line, in order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps([pair.chosen, pair.rejected], ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


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
    """Ids and the answer's start, of both sides of each pair; None where the template fails on one of them."""
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
