"""The interface of reward heads, and checks of their tensors and config values.

A head takes the states after the final norm at the token that each conversation's reward is read at, [n, hidden], and, if it has
a gate, at one more token that it finds itself. All heads but the linear one compute in float32, whatever the model's precision: they are small,
and rounding would cause ties between candidates.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Literal

import torch

from birthmark.errors import BirthmarkError

Shapes = Mapping[str, tuple[int, ...]]
Tensors = Mapping[str, torch.Tensor]
Reads = Literal["last", "last unpadded", "before padding"]

HELPSTEER = ("helpsteer-helpfulness", "helpsteer-correctness", "helpsteer-coherence",
             "helpsteer-complexity", "helpsteer-verbosity")  # fmt: skip


class RewardHead(torch.nn.Module, ABC):
    """A head built from a checkpoint's own tensors; `reward` and `name` are what a head must have.

    `name` is what the catalog calls it; `gate_pattern` the token ids whose last occurrence's first token is read
    besides the last token, None for a head without a gate; `attributes` the names of the scores that `attribute_scores`
    gives, empty where the head has a single one. `reads` says at which token the authors' class reads a reward (see
    `reading_place`): by default the last, as code does that goes by the attention mask. `rows`: how many rows of each tensor
    are read; None for all.
    """

    name: ClassVar[str]
    reads: ClassVar[Reads] = "last"
    gate_pattern: tuple[int, ...] | None = None
    attributes: tuple[str, ...] = ()
    rows: ClassVar[int | None] = None

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint with tensors of these names and shapes (the decoder's among them) has this head."""

    @classmethod
    @abstractmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        """Names of all tensors that the head must have, whether or not they are present."""

    @classmethod
    @abstractmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "RewardHead":
        """The head from exactly the expected tensors, in float32. Raises `BirthmarkError` if they do not fit together."""

    @abstractmethod
    def reward(self, last: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
        """Rewards [n] from states at the last tokens and, for a head with a gate, at the gate's tokens, [n, hidden]."""

    def forward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        """`reward`, of states on any device."""
        return self.reward(*self.beside(last, gate))

    def beside(self, last: torch.Tensor, gate: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The states on the head's device; the parts of a large model may be on several devices."""
        device = next(chain(self.parameters(), self.buffers())).device
        return last.to(device), None if gate is None else gate.to(device)

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        """Scores of each attribute, [n, attributes]. Raises `BirthmarkError` if the head has none."""
        raise BirthmarkError(f"a head of the kind `{self.name}` has one score and no attributes")

    def gate_positions(self, conversations: Sequence[Sequence[int]]) -> list[int] | None:
        """Where the gate reads in each conversation: the first token of the pattern's last occurrence; None without a gate.

        Raises `BirthmarkError` for a conversation without the pattern.
        """
        if self.gate_pattern is None:
            return None
        return [last_occurrence(ids, self.gate_pattern) for ids in conversations]


def reading_place(ids: Sequence[int], pad: int | None, reads: Reads) -> int:
    """The place of the token at which a class reads a conversation that nothing pads, where its config has a padding token.

    `last unpadded`: the last token that is not the padding token (of nothing but padding, the first), as transformers'
    sequence classifiers find it. `before padding`: the token before the first padding token, as those of older versions
    did and heads derived from them do; where the conversation has none, or begins with it, the last.
    """
    if reads == "last" or pad is None or pad not in ids:
        return len(ids) - 1
    if reads == "before padding":
        return (list(ids).index(pad) - 1) % len(ids)
    return next((place for place in range(len(ids) - 1, -1, -1) if ids[place] != pad), 0)


def last_occurrence(ids: Sequence[int], pattern: Sequence[int]) -> int:
    """Index of the first token of the pattern's last occurrence. Raises `BirthmarkError` if there is none."""
    tokens = list(pattern)
    for start in range(len(ids) - len(tokens), -1, -1):
        if list(ids[start : start + len(tokens)]) == tokens:
            return start
    raise BirthmarkError(
        f"the conversation lacks the tokens {tokens} that end the user's turn, which this model's gate reads: use the "
        "model's own chat template and tokenizer"
    )


def require_value(config: Mapping[str, Any], key: str, head: str) -> Any:
    """A config value that does not follow from the head's tensors. Raises `BirthmarkError` if it is missing."""
    if config.get(key) is None:
        raise BirthmarkError(
            f"config.json lacks {key}, which a head of the kind `{head}` needs and which differs between models: copy the "
            "checkpoint's own config.json, or add the value from its authors' code"
        )
    return config[key]


def require_positive(config: Mapping[str, Any], key: str, head: str) -> float:
    """`require_value` for a number above zero."""
    value = require_value(config, key, head)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise BirthmarkError(
            f"config.json has {key} = {value!r}, and a head of the kind `{head}` needs a positive number"
        )
    return float(value)


def require_agreement(config: Mapping[str, Any], key: str, found: Any, head: str) -> None:
    """Raise `BirthmarkError` if the config has another value than the tensors; a missing value is accepted."""
    if config.get(key) is not None and config[key] != found:
        raise BirthmarkError(
            f"config.json has {key} = {config[key]!r}, but the tensors of the `{head}` head imply {found!r}: they do not "
            "belong to one model"
        )


def require_shape(tensors: Tensors, name: str, shape: tuple[int | None, ...], head: str) -> torch.Tensor:
    """The tensor of this name. Raises `BirthmarkError` if it has another shape (None stands for any size)."""
    tensor = tensors[name]
    fits = tensor.ndim == len(shape) and all(
        size in (None, found) for size, found in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise BirthmarkError(
            f"the weight {name} of the `{head}` head is {' x '.join(map(str, tensor.shape)) or 'one number'} where "
            f"{wanted} is needed: the file is of another model, or altered"
        )
    return tensor


def linear(tensors: Tensors, stem: str, inputs: int | None, outputs: int | None, head: str) -> torch.nn.Linear:
    """A frozen linear layer of `stem`.weight and, where there is one, `stem`.bias; sizes that are not None are required."""
    weight = require_shape(tensors, f"{stem}.weight", (outputs, inputs), head)
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=f"{stem}.bias" in tensors, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    if f"{stem}.bias" in tensors:
        layer.bias = torch.nn.Parameter(require_shape(tensors, f"{stem}.bias", (weight.shape[0],), head), False)
    return layer


def layer_numbers(shapes: Shapes, stem: str) -> list[int]:
    """The numbers of the layers that have tensors `stem`.NUMBER.…, sorted."""
    rests = [name.removeprefix(f"{stem}.").split(".") for name in shapes if name.startswith(f"{stem}.")]
    return sorted({int(rest[0]) for rest in rests if len(rest) > 1 and rest[0].isdigit()})


def objective_names(count: int, known: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The known names of as many objectives, else `objective_1`, `objective_2`, …"""
    for names in known:
        if len(names) == count:
            return names
    return tuple(f"objective_{index}" for index in range(1, count + 1))
