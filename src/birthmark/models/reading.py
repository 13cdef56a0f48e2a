"""Which token of a conversation a reward is read at.

By default it is the token that the model's own class reads: transformers' sequence classifiers search for the padding token
of the config in the conversation itself, so that a padding token which ends the answer moves the place of reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from birthmark.errors import BirthmarkError
from birthmark.models.folder import architecture_of, is_known_class, padding_file, read_json
from birthmark.models.guard import read_config
from birthmark.models.heads.base import Reads, reading_place
from birthmark.models.resolve import ResolvedModel

Read = Literal["class", "end"]
Ids = Sequence[int]


@dataclass(frozen=True)
class Reading:
    """Where rewards are read: `read` is what was asked for, `reads` the class's rule, `pad` the padding token that it
    searches for (None without one)."""

    reads: Reads
    pad: int | None = None
    read: Read = "class"

    def place(self, ids: Ids) -> int:
        """The place of the token that the reward of this conversation is read at."""
        return len(ids) - 1 if self.read == "end" else self.of_class(ids)

    def of_class(self, ids: Ids) -> int:
        """The place that the model's own class reads."""
        return reading_place(ids, self.pad, self.reads)

    def cut(
        self, conversations: Sequence[Ids], gates: Sequence[int] | None
    ) -> tuple[list[Ids], list[int] | None, list[bool] | None]:
        """What has to be run of each conversation: up to the last token that is read, since no earlier one sees the rest.

        `gates` are the places that the head's gate reads. Then also the place of the other token that is read, and
        whether the two have to be exchanged, since the gate's is the last.
        """
        places = [self.place(ids) for ids in conversations]
        if gates is None:
            return [ids[: place + 1] for ids, place in zip(conversations, places, strict=True)], None, None
        pairs = list(zip(places, gates, strict=True))
        runs = [ids[: max(pair) + 1] for ids, pair in zip(conversations, pairs, strict=True)]
        return runs, [min(pair) for pair in pairs], [gate > place for place, gate in pairs]


def padding_token(model: ResolvedModel, tokenizer: Any, linear: bool) -> int | None:
    """The padding token that a model's class searches for: its config's, None where it searches for none.

    An adapter has no config; trainers put the padding token of the tokenizer that they save beside it into the model's, and
    `birthmark train` saves that token's name alone. Raises `BirthmarkError` where it is no token of the model. A `linear` head under a class that transformers does not have is read by code that goes by the attention mask.
    """
    if model.adapter is not None and model.tokenizer_path == model.adapter and tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    if model.adapter is not None and (path := padding_file(model.adapter)) is not None:
        return _token_named_in(path, tokenizer)
    architecture = architecture_of(read_json(model.path / "config.json"))
    if linear and architecture is not None and not is_known_class(architecture):
        return None
    return getattr(read_config(model.path).get_text_config(), "pad_token_id", None)  # not every config class has it


def _token_named_in(path: Path, tokenizer: Any) -> int | None:
    named = read_json(path).get("pad_token")
    token = named.get("content") if isinstance(named, dict) else named
    if token is None:
        return None
    found = tokenizer.get_vocab().get(token) if isinstance(token, str) else None
    if found is None:
        raise BirthmarkError(
            f"{path}: pad_token is no token of the model: write one of its tokenizer's, or delete the file"
        )
    return int(found)
