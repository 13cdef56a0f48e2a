"""Attention of many suffixes after one shared prefix, whose keys and values are stored once and never expanded.

It is registered with transformers under its own name. A model's layers (norms, rotary embedding, MLP) run unchanged on the
tokens of all suffixes packed into one row, and only the product of queries, keys and values is computed here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

from birthmark.errors import BirthmarkError

NAME = "birthmark_prefix"
SCORES_AT_ONCE = 2**26  # attention scores of one pass, 256 MB in float32
_NOT_KNOWN = ("s_aux", "position_bias")  # what some attention adds to its scores, and this one does not


class SharedPrefix:
    """Keys and values of the tokens that all suffixes follow, by layer, each [key heads, length, head size]."""

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.keys: list[torch.Tensor | None] = [None] * layers
        self.values: list[torch.Tensor | None] = [None] * layers

    def copy(self) -> "SharedPrefix":
        """The same keys and values (no tensor is copied), to be extended without a change to this one."""
        other = SharedPrefix(layers=len(self.keys))
        other.length, other.keys, other.values = self.length, list(self.keys), list(self.values)
        return other

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Add the keys and values of more tokens, [key heads, tokens, head size], after those already there."""
        old_key, old_value = self.keys[layer], self.values[layer]
        self.keys[layer] = key if old_key is None else torch.cat((old_key, key), dim=1)
        self.values[layer] = value if old_value is None else torch.cat((old_value, value), dim=1)


class PackedBatch:
    """Packed suffixes after a shared prefix: where each token stands, and which of them are in a layer.

    Suffixes lie one after the other in a row of `tokens` tokens; `suffix` and `place` [tokens]: for each token, its
    suffix and its position in that suffix. With `extends` there is one suffix, which becomes part of those prefixes. With `only_last` the
    last layer takes in the last token of each suffix alone (of the others it needs the keys and values). A run of the
    model takes in one pass, or several side by side; one whose prefix an earlier one among them extends begins at `start`,
    since the prefix has grown to there when a layer comes to it.
    """

    def __init__(
        self,
        shared: SharedPrefix,
        lengths: Sequence[int],
        device: torch.device,
        extends: Sequence[SharedPrefix] = (),
        only_last: bool = False,
        start: int | None = None,
    ) -> None:
        self.shared = shared
        self.extends = extends
        self.start = shared.length if start is None else start
        self.count, self.longest, self.tokens = len(lengths), max(lengths), sum(lengths)
        ends = torch.tensor(lengths).cumsum(0)
        self.suffix = torch.repeat_interleave(torch.tensor(lengths)).to(device)
        self.place = torch.cat([torch.arange(length) for length in lengths]).to(device)
        self.depth = self.place  # how far after the shared prefix
        self.lengths = torch.tensor(lengths, device=device)
        self.last = (ends - 1).to(device)
        others = torch.ones(self.tokens, dtype=torch.bool)
        others[ends - 1] = False
        self.others = others.nonzero()[:, 0].to(device)
        self.trims = only_last and self.tokens > self.count
        self.trimming = False  # within the last layer, once only the last tokens are in
        self.holding = False  # within the last layer, while only the keys and values of the other tokens are wanted
        self.held: tuple[torch.Tensor, torch.Tensor] | None = None
        self.keeps = False  # whether trees follow, which see a layer's keys and values of these suffixes:
        self.kept: tuple[torch.Tensor, torch.Tensor] | None = None
        self.visited: set[int] = set()
        self._hidden: dict[Any, torch.Tensor | None] = {}

    @property
    def positions(self) -> torch.Tensor:
        """Where each token stands in its whole sequence, [1, tokens]."""
        return (self.start + self.depth)[None]

    def by_suffix(self, packed: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """[1, heads, tokens, size] as [suffixes, heads, longest, size], zero past a suffix's end.

        `tokens` says which of the pass's tokens the packed ones are, where they are not all in order.
        """
        suffix, place = (self.suffix, self.place) if tokens is None else (self.suffix[tokens], self.place[tokens])
        spread = packed.new_zeros((self.count, self.longest, packed.shape[1], packed.shape[3]))
        spread[suffix, place] = packed[0].transpose(0, 1)
        return spread.transpose(1, 2)

    def hidden(self, window: int | None) -> torch.Tensor | None:
        """Which of the prefix's and the suffix's tokens a query does not see, [suffixes or 1, queries, length + longest].

        None where every query sees all of them.
        """
        key = (window, self.trimming)
        if key not in self._hidden:
            visible = self.start + self.longest
            if self.longest == 1 and (window is None or visible <= window):
                self._hidden[key] = None
            else:
                other = torch.arange(visible, device=self.place.device)
                own = self.place[self.last][:, None] if self.trimming else other[None, self.start :]
                at = (own + self.start if self.trimming else own)[..., None]
                hidden = other > at
                self._hidden[key] = hidden if window is None else hidden | (at - other >= window)
        return self._hidden[key]


class PackedTrees(PackedBatch):
    """The same tree of tokens after each of the suffixes of an earlier pass of the same run, its `contexts`.

    A node sees the shared prefix, its whole context, and its chain: itself and what stands on the way to it from the root.
    `chains` [nodes, deepest] has the chain's nodes, the node itself first, and −1 where there is none.
    """

    def __init__(self, contexts: PackedBatch, chains: torch.Tensor, device: torch.device) -> None:
        super().__init__(contexts.shared, [len(chains)] * contexts.count, device, start=contexts.start)
        self.contexts = contexts
        contexts.keeps = True
        self.chains = chains.clamp(min=0).to(device)
        self._ended = (chains < 0).to(device)
        self.depth = (contexts.lengths[:, None] + (chains >= 0).sum(dim=1).to(device) - 1).flatten()

    def hidden(self, window: int | None) -> torch.Tensor | None:
        """[contexts, nodes or 1, prefix + longest context]: what lies past a context's end or outside the window."""
        if window not in self._hidden:
            other = torch.arange(self.start + self.contexts.longest, device=self.place.device)
            hidden = (other >= self.start + self.contexts.lengths[:, None])[:, None]
            if window is not None:
                at = (self.start + self.depth).view(self.count, -1, 1)
                hidden = hidden | (at - other >= window)
            self._hidden[window] = hidden if bool(hidden.any()) else None
        return self._hidden[window]

    def hidden_in_chains(self, window: int | None) -> torch.Tensor | None:
        """[nodes, deepest]: what lies past a chain's end or outside the window."""
        key = ("chains", window)
        if key not in self._hidden:
            hidden = self._ended
            if window is not None:
                hidden = hidden | (torch.arange(hidden.shape[1], device=hidden.device) >= window)
            self._hidden[key] = hidden if bool(hidden.any()) else None
        return self._hidden[key]

    def in_chains(self, packed: torch.Tensor) -> torch.Tensor:
        """[1, heads, tokens, size] as [contexts, heads, nodes, deepest, size]."""
        return packed[0].unflatten(1, (self.count, -1)).transpose(0, 1)[:, :, self.chains]


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
    prefix_passes: Sequence[PackedBatch] = (),
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of packed suffixes' tokens over their shared prefix and over their own suffix, as one softmax.

    query [1, heads, tokens, size], key and value [1, key heads, tokens, size]; returns [1, tokens, heads, size]. A
    token sees those at most `sliding_window` − 1 before it. `softcap` c turns a score s into c · tanh(s / c).
    """
    if not prefix_passes or attention_mask is not None or any(others.get(name) is not None for name in _NOT_KNOWN):
        raise BirthmarkError(f"the prefix engine does not support {type(module).__name__}: use --engine plain")
    by = (module.layer_idx, module.head_dim**-0.5 if scaling is None else scaling, softcap, sliding_window)
    if len(prefix_passes) == 1:
        return _attended(prefix_passes[0], query, key, value, *by), None
    outputs, start = [], 0
    for run in prefix_passes:
        own = slice(start, start + run.tokens)
        outputs.append(_attended(run, query[:, :, own], key[:, :, own], value[:, :, own], *by))
        start += run.tokens
    return torch.cat(outputs, dim=1), None


def _attended(
    run: PackedBatch,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layer: int,
    scaling: float,
    softcap: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    if run.holding:
        run.held = (key, value)
        raise _KeysHeld
    order = None
    if run.held is not None:
        key, value = torch.cat((run.held[0], key), dim=2), torch.cat((run.held[1], value), dim=2)
        order = torch.cat((run.others, run.last))
        run.held = None
    chains = None
    if isinstance(run, PackedTrees):
        assert run.contexts.kept is not None
        own = run.contexts.kept
        chains = _Chains(run.in_chains(key), run.in_chains(value), run.hidden_in_chains(sliding_window))
    else:
        own = run.by_suffix(key, order), run.by_suffix(value, order)
        run.kept = own if run.keeps else None
    output = _weighted(
        query[0].transpose(0, 1)[:, :, None] if run.trimming else run.by_suffix(query),
        *own,
        run.shared.keys[layer],
        run.shared.values[layer],
        scaling,
        softcap,
        run.hidden(sliding_window),
        chains,
    )
    for prefix in run.extends:
        prefix.append(layer, key[0], value[0])
    run.visited.add(layer)
    packed = output[:, :, 0] if run.trimming else output.transpose(1, 2)[run.suffix, run.place]
    return packed[None]


@dataclass(frozen=True)
class _Chains:
    """Keys and values of each node's chain, [contexts, key heads, nodes, deepest, size], and which of them the node does not
    see, [nodes, deepest], or None."""

    key: torch.Tensor
    value: torch.Tensor
    hidden: torch.Tensor | None


def _weighted(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    prefix_key: torch.Tensor | None,
    prefix_value: torch.Tensor | None,
    scaling: float,
    softcap: float | None,
    hidden: torch.Tensor | None,
    chains: _Chains | None = None,
) -> torch.Tensor:
    """The weighted values, [suffixes, heads, queries, size], of query [suffixes, heads, queries, size].

    `hidden` is of the prefix's and the suffix's tokens, `chains` has its own.
    """
    rows, heads, queries, size = query.shape
    key_heads, tokens = key.shape[1], key.shape[2]
    group = heads // key_heads
    length = 0 if prefix_key is None else prefix_key.shape[1]
    folded = query.reshape(rows, key_heads, group * queries, size) * scaling
    scores = folded @ key.transpose(2, 3)  # [rows, key heads, group · queries, tokens]
    if prefix_key is not None:
        by_head = folded.transpose(0, 1).reshape(key_heads, rows * group * queries, size)
        over_prefix = by_head @ prefix_key.transpose(1, 2)  # [key heads, rows · group · queries, length]
        over_prefix = over_prefix.view(key_heads, rows, group * queries, length).transpose(0, 1)
        scores = torch.cat((over_prefix, scores), dim=3)  # [rows, key heads, group · queries, length + tokens]
    visible = length + tokens
    if chains is not None:
        by_node = folded.view(rows, key_heads, group, queries, 1, size)
        over_chain = (by_node * chains.key[:, :, None]).sum(dim=-1)  # [rows, key heads, group, queries, deepest]
        scores = torch.cat((scores, over_chain.flatten(2, 3)), dim=3)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    by_query = scores.view(rows, key_heads, group, queries, scores.shape[3])
    if hidden is not None:
        by_query[..., :visible].masked_fill_(hidden[:, None, None], -torch.inf)
    if chains is not None and chains.hidden is not None:
        by_query[..., visible:].masked_fill_(chains.hidden, -torch.inf)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    output = weights[..., length:visible] @ value  # [rows, key heads, group · queries, size]
    if chains is not None:
        on_chain = weights[..., visible:].view(rows, key_heads, group, queries, -1, 1)
        output = output + (on_chain * chains.value[:, :, None]).sum(dim=-2).flatten(2, 3)
    if prefix_value is not None:
        on_prefix = weights[..., :length].transpose(0, 1).reshape(key_heads, rows * group * queries, length)
        on_prefix = (on_prefix @ prefix_value).view(key_heads, rows, group * queries, size)
        output = output + on_prefix.transpose(0, 1)
    return output.reshape(rows, heads, queries, size)


AttentionInterface.register(NAME, attend)


@contextmanager
def attending(decoder: Any, *passes: PackedBatch) -> Iterator[None]:
    """Within the block the decoder attends as the passes say; its own attention comes back afterwards.

    `only_last` is for a single pass. Raises `BirthmarkError` where a layer did not take part, so that no wrong state is used.
    """
    config = decoder.config
    own = config._attn_implementation
    trim = None
    if passes[0].trims:
        trim = decoder.layers[-1].register_forward_pre_hook(
            lambda layer, args, kwargs: _keep_last(layer, args, kwargs, passes[0]), with_kwargs=True
        )
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = own
        if trim is not None:
            trim.remove()
    for run in passes:
        if len(run.visited) != len(run.shared.keys):
            raise BirthmarkError(
                f"{type(decoder).__name__} has layers that the prefix engine does not support: use --engine plain"
            )
        for prefix in run.extends:
            prefix.length += run.tokens


def _keep_last(layer: Any, args: tuple, kwargs: dict[str, Any], run: PackedBatch) -> tuple[tuple, dict] | None:
    """Before the last layer: learn the keys and values of all tokens but the last ones, then let only those in."""
    states = args[0] if args else kwargs.get("hidden_states")
    rotary = kwargs.get("position_embeddings")
    if states is None or not isinstance(rotary, tuple):
        return None

    def part(tokens: torch.Tensor) -> tuple[tuple, dict[str, Any]]:
        changed = kwargs | {"position_embeddings": tuple(table[:, tokens] for table in rotary)}
        if kwargs.get("position_ids") is not None:
            changed["position_ids"] = kwargs["position_ids"][:, tokens]
        if not args:
            changed["hidden_states"] = states[:, tokens]
        return (states[:, tokens], *args[1:]) if args else (), changed

    run.holding = True
    others, others_kwargs = part(run.others)
    try:
        layer.forward(*others, **others_kwargs)
    except _KeysHeld:
        pass
    finally:
        run.holding = False
    run.trimming = True
    return part(run.last)


def rows_that_fit(config: Any, visible: int, tokens: int) -> int:
    """How many suffixes of `tokens` tokens that each see `visible` tokens keep a pass's attention scores bounded; perhaps 0."""
    return int(SCORES_AT_ONCE // (config.num_attention_heads * visible * tokens))
