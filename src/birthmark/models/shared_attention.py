"""Attention in which many rows follow one shared prefix, whose keys and values exist once and are never expanded.

Registered with transformers under a name of its own, so that a model's layers (norms, rotary embedding, MLP) run as
they are and only the product of queries, keys and values is computed here. Knows nothing of what the tokens mean.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface

from birthmark.errors import BirthmarkError

NAME = "birthmark_prefix"
SCORES_AT_ONCE = 2**26  # attention scores of one batch, 256 MB in float32
_NOT_KNOWN = ("s_aux", "position_bias")  # what some attention adds to its scores, and this one does not


class SharedPrefix:
    """Keys and values of the tokens that all rows share, by layer, each [key heads, length, head size]."""

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.keys: list[torch.Tensor | None] = [None] * layers
        self.values: list[torch.Tensor | None] = [None] * layers
        self.extending = False
        self.visited: set[int] = set()
        self.held: tuple[torch.Tensor, torch.Tensor] | None = None  # last layer: the suffix's tokens but the last
        self.holding = False

    def copy(self) -> "SharedPrefix":
        """The same keys and values (no tensor is copied), to be extended without a change to this one."""
        other = SharedPrefix(layers=len(self.keys))
        other.length, other.keys, other.values = self.length, list(self.keys), list(self.values)
        return other

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Add keys and values of one row's tokens, [1, key heads, tokens, head size], after those already there."""
        old_key, old_value = self.keys[layer], self.values[layer]
        self.keys[layer] = key[0] if old_key is None else torch.cat((old_key, key[0]), dim=1)
        self.values[layer] = value[0] if old_value is None else torch.cat((old_value, value[0]), dim=1)


class _KeysHeld(Exception):
    """Raised inside the last layer once its keys and values are known: nothing else of those tokens is read."""


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    shared_prefix: SharedPrefix | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of rows' tokens over the shared prefix and over their own row, as one softmax.

    query [rows, heads, queries, size], key and value [rows, key heads, tokens, size]; returns [rows, queries, heads,
    size]. The queries are those of the row's last tokens. A token sees those at most `sliding_window` − 1 before it.
    `softcap` c turns a score s into c · tanh(s / c).
    """
    if shared_prefix is None or attention_mask is not None or any(others.get(name) is not None for name in _NOT_KNOWN):
        raise BirthmarkError(f"{type(module).__name__} is not one that the prefix engine can run: use --engine plain")
    shared, layer = shared_prefix, module.layer_idx
    if shared.holding:
        shared.held = (key, value)
        raise _KeysHeld
    if shared.held is not None:
        key = torch.cat((shared.held[0], key), dim=2)
        value = torch.cat((shared.held[1], value), dim=2)
        shared.held = None
    scaling = module.head_dim**-0.5 if scaling is None else scaling
    output = _weighted(query, key, value, shared.keys[layer], shared.values[layer], scaling, softcap, sliding_window)
    if shared.extending:
        shared.append(layer, key, value)
    shared.visited.add(layer)
    return output, None


def _weighted(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    prefix_key: torch.Tensor | None,
    prefix_value: torch.Tensor | None,
    scaling: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    rows, heads, queries, size = query.shape
    key_heads, tokens = key.shape[1], key.shape[2]
    group = heads // key_heads
    length = 0 if prefix_key is None else prefix_key.shape[1]
    folded = query.reshape(rows, key_heads, group * queries, size) * scaling
    scores = folded @ key.transpose(2, 3)  # [rows, key heads, group · queries, tokens]
    by_head = folded.transpose(0, 1).reshape(key_heads, rows * group * queries, size)
    if prefix_key is not None:
        over_prefix = by_head @ prefix_key.transpose(1, 2)  # [key heads, rows · group · queries, length]
        over_prefix = over_prefix.view(key_heads, rows, group * queries, length).transpose(0, 1)
        scores = torch.cat((over_prefix, scores), dim=3)  # [rows, key heads, group · queries, length + tokens]
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    hidden = _hidden(queries, tokens, length, window, scores.device)
    if hidden is not None:
        scores.view(rows, key_heads, group, queries, length + tokens).masked_fill_(hidden, -torch.inf)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    output = weights[..., length:] @ value  # [rows, key heads, group · queries, size]
    if prefix_value is not None:
        on_prefix = weights[..., :length].transpose(0, 1).reshape(key_heads, rows * group * queries, length)
        on_prefix = (on_prefix @ prefix_value).view(key_heads, rows, group * queries, size)
        output = output + on_prefix.transpose(0, 1)
    return output.reshape(rows, heads, queries, size).transpose(1, 2).contiguous()


def _hidden(queries: int, tokens: int, length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which of prefix and own tokens each query does not see, [queries, length + tokens]; None if it sees all."""
    if queries == 1 and (window is None or length + tokens <= window):
        return None
    at = torch.arange(length + tokens - queries, length + tokens, device=device)[:, None]
    other = torch.arange(length + tokens, device=device)[None]
    hidden = other > at
    return hidden if window is None else hidden | (at - other >= window)


AttentionInterface.register(NAME, attend)


@contextmanager
def attending(decoder: Any, shared: SharedPrefix, tokens: int, *, extending: bool, only_last: bool) -> Iterator[None]:
    """Within the block, the decoder's rows of `tokens` tokens follow the shared prefix.

    With `extending` its one row becomes part of the prefix. With `only_last` the last layer runs only the last token
    of each row (of the others it needs the keys and values), and one state a row comes out. Raises `BirthmarkError`
    where a layer did not take part, so that no wrong state is used.
    """
    config = decoder.config
    own = config._attn_implementation
    shared.extending, shared.visited, shared.held, shared.holding = extending, set(), None, False
    trim = None
    if only_last and tokens > 1:
        trim = decoder.layers[-1].register_forward_pre_hook(
            lambda layer, args, kwargs: _keep_last(layer, args, kwargs, shared), with_kwargs=True
        )
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = own
        if trim is not None:
            trim.remove()
    if len(shared.visited) != len(shared.keys):
        raise BirthmarkError(
            f"{type(decoder).__name__} has layers that the prefix engine cannot run: use --engine plain"
        )
    if extending:
        shared.length += tokens


def _keep_last(layer: Any, args: tuple, kwargs: dict[str, Any], shared: SharedPrefix) -> tuple[tuple, dict] | None:
    """Before the last layer: learn the keys and values of all tokens but the last, then let only the last one in."""
    states = args[0] if args else kwargs.get("hidden_states")
    rotary = kwargs.get("position_embeddings")
    if states is None or not isinstance(rotary, tuple):
        return None

    def part(tokens: slice) -> tuple[tuple, dict[str, Any]]:
        changed = kwargs | {"position_embeddings": tuple(table[:, tokens] for table in rotary)}
        if kwargs.get("position_ids") is not None:
            changed["position_ids"] = kwargs["position_ids"][:, tokens]
        if not args:
            changed["hidden_states"] = states[:, tokens]
        return (states[:, tokens], *args[1:]) if args else (), changed

    shared.holding = True
    others, others_kwargs = part(slice(None, -1))
    try:
        layer.forward(*others, **others_kwargs)
    except _KeysHeld:
        pass
    finally:
        shared.holding = False
    return part(slice(-1, None))


def rows_that_fit(config: Any, visible: int, tokens: int) -> int:
    """How many rows of `tokens` tokens that each see `visible` tokens keep the attention scores of a batch bounded."""
    return max(1, SCORES_AT_ONCE // (config.num_attention_heads * visible * tokens))
