"""What a model cannot take: a token without an embedding, a sequence longer than its positions, numbers that are not finite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

Ids = Sequence[int]


@dataclass(frozen=True)
class Limits:
    """How many embeddings and positions a model has; `positions` is None where they have no end."""

    tokenizer: Any
    rows: int
    positions: int | None

    @classmethod
    def of(cls, model: Any, tokenizer: Any) -> "Limits":
        return cls(tokenizer, model.get_input_embeddings().weight.shape[0], positions_of(model.config))

    def check(self, sequences: Sequence[Ids], further: int = 0) -> None:
        """Raise `BirthmarkError` for the first sequence that the model cannot take; `further` tokens may follow each."""
        highest = max((max(ids) for ids in sequences if ids), default=0)
        if highest >= self.rows:
            raise BirthmarkError(missing_embedding(self.tokenizer, highest, self.rows))
        longest = max(map(len, sequences), default=0) + further
        if self.positions is not None and longest > self.positions:
            raise BirthmarkError(
                f"a conversation has {longest:,} tokens and the model {self.positions:,} positions "
                "(max_position_embeddings in config.json): use a shorter prompt or system prompt"
            )


def missing_embedding(tokenizer: Any, token: int, rows: int) -> str:
    """What is wrong with a token that has no embedding."""
    name = tokenizer.convert_ids_to_tokens(token)
    return (
        f"the token {one_line(name)!r} (id {token}) has no embedding: the model has {rows:,} and its tokenizer "
        f"{len(tokenizer):,} tokens; use the tokenizer and the chat template that the model was trained with"
    )


def positions_of(config: Any) -> int | None:
    """How many tokens a model was made for: learned positions, or rotary ones with what their scaling adds.

    None for a model that says nothing of it, or whose attention is biased by distance (ALiBi).
    """
    config = config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1 or getattr(config, "alibi", False):
        return None
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    parts = [part for part in scaling.values() if isinstance(part, dict)] or [scaling]  # some have one a kind of layer
    for part in parts:
        factor, original = part.get("factor"), part.get("original_max_position_embeddings")
        if isinstance(factor, int | float) and factor > 1:
            most = max(most, int(factor * (original if isinstance(original, int) else most)))
    return most


def first_not_finite(model: Any, ids: Ids) -> str:
    """Which tensor of a model is the first that is not finite when it reads these ids, in words.

    Weights are looked at first, then each module's output in the order in which they run.
    """
    for name, tensor in model.named_parameters():
        if tensor.device.type != "meta" and tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return f"the weight {name} {_what(tensor)}: its file is damaged, or was altered by an adapter"
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: Any, given: Any, out: Any) -> None:
            first = out[0] if isinstance(out, tuple) and out else out
            if not found and torch.is_tensor(first) and first.is_floating_point() and not torch.isfinite(first).all():
                found.append(f"the output of {name} {_what(first)} in {str(model.dtype).removeprefix('torch.')}")

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([list(ids)], device=model.device), use_cache=False)
    finally:
        for handle in hooks:
            handle.remove()
    cure = "" if model.dtype == torch.float32 else ": try --dtype float32"
    return (found[0] if found else "no tensor of the network is, but what its head makes of them") + cure


def _what(tensor: torch.Tensor) -> str:
    return "is not a number (NaN)" if torch.isnan(tensor).any() else "is infinite"
