"""Helpers of the engines: batches that halve when memory runs out, prefetching, trees of continuations, fast layers on CPUs."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
import torch

from birthmark.errors import BirthmarkError

T = TypeVar("T")
Result = TypeVar("Result")


class Batching:
    """Runs items in batches; when memory runs out, the batch size is halved and stays halved."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def run(
        self, items: Sequence[T], width: float, run: Callable[[Sequence[T]], Any], most: int | None = None
    ) -> Iterator[tuple[Sequence[T], Any]]:
        """Yield (batch, its result); a batch has at most limit ÷ width items, and at most `most`."""
        start = 0
        while start < len(items):
            rows = max(1, int(self.limit / width))
            batch = items[start : start + min(rows, most or rows)]
            try:
                result = run(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                result = None
            if result is not None:
                yield batch, result
                start += len(batch)
                continue
            if len(batch) == 1:
                raise BirthmarkError(
                    "not enough memory for a single conversation: use a smaller --dtype, or another --device"
                )
            self.limit = len(batch) // 2 * width
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def prefetch(items: Iterable[T], make: Callable[[T], Result]) -> Iterator[Result]:
    """Yield make(item) for each item in order; a thread computes the next result while the caller uses the current one.

    An exception of `make` is raised when its result is due.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        before: Future[Result] | None = None
        for item in items:
            current = thread.submit(make, item)
            if before is not None:
                yield before.result()
            before = current
        if before is not None:
            yield before.result()


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text


Ids = Sequence[int]
Node = tuple[int, ...]  # the tokens after the context; the context's end is ()


class ContinuationTree:
    """A prefix tree of the chosen continuations: running the token sequences `paths` reaches every inner node.

    No path is a prefix of another. The last token of a continuation is only predicted, never run.
    """

    def __init__(self, continuations: Sequence[Ids], chosen: Sequence[int]) -> None:
        self._steps: dict[Node, list[tuple[int, int]]] = defaultdict(list)  # node -> (continuation, next token)
        for index in chosen:
            tokens = tuple(continuations[index])
            for depth in range(len(tokens)):
                self._steps[tokens[:depth]].append((index, tokens[depth]))
        passed = {node[:depth] for node in self._steps for depth in range(len(node))}
        self.nodes = [node for node in self._steps if node]  # inner ones but the root; a node follows its ancestors
        self.paths = [node for node in self.nodes if node not in passed]

    def chains(self) -> torch.Tensor:
        """Each node, then the nodes on the way back to the root, as places in `nodes`; −1 past the end: [nodes, deepest]."""
        place = {node: index for index, node in enumerate(self.nodes)}
        found = torch.full((len(place), max(map(len, place))), -1)
        for node, index in place.items():
            found[index, : len(node)] = torch.tensor([place[node[:depth]] for depth in range(len(node), 0, -1)])
        return found

    def nodes_along(self, indices: Sequence[int], seen: set[Node]) -> tuple[list[Node], list[int]]:
        """The nodes along some paths that are not in `seen`, and the position of each in the concatenated paths.

        The nodes are added to `seen`.
        """
        nodes = [self.paths[index][:depth] for index in indices for depth in range(1, len(self.paths[index]) + 1)]
        new = {node: place for place, node in reversed(list(enumerate(nodes))) if node not in seen}
        seen.update(new)
        return list(new), list(new.values())

    def steps_from(self, nodes: Sequence[Node]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every step from one of the nodes: row of the node, continuation, next token, int64 [n] each."""
        steps = [(row, *step) for row, node in enumerate(nodes) for step in self._steps.get(node, ())]
        rows, indices, tokens = np.array(steps, dtype=np.int64).reshape(-1, 3).T
        return rows.copy(), indices.copy(), tokens.copy()


# oneDNN compiles a product for every shape, a megabyte or two each, and keeps a thousand; a layer has six shapes.
for _cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, "16")
_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def _takes(*factors: torch.Tensor) -> bool:
    """Whether oneDNN multiplies such tensors here."""
    return _ONEDNN is not None and all(one.device.type == "cpu" and one.dtype == torch.float32 for one in factors)


def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """states [..., in] · weightᵀ [out, in] + bias [out], without a gradient; float32 on a CPU uses oneDNN."""
    if not _takes(states, weight):
        return torch.nn.functional.linear(states, weight, bias)
    return _ONEDNN(states, weight, bias, "none", [], "")


@contextmanager
def fast_layers(decoder: Any) -> Iterator[None]:
    """Within the block the decoder's plain linear layers use `linear`, and its gated MLPs `_gated`; both are its own again
    afterwards. Nothing changes where oneDNN does not multiply.

    A layer with hooks, or with a `forward` of its own, is left alone.
    """
    changed = [(layer, forward) for layer in decoder.modules() if (forward := _faster(layer)) is not None]
    for layer, forward in changed:
        layer.forward = partial(forward, layer)
    try:
        yield
    finally:
        for layer, _ in changed:
            del layer.forward


def _faster(layer: Any) -> Callable[..., torch.Tensor] | None:
    """What a layer runs instead of its own `forward`, if anything."""
    return _linear if _is_fast(layer) else _gated if _is_gated(layer) else None


def _is_fast(layer: Any) -> bool:
    return type(layer) is torch.nn.Linear and _takes(layer.weight) and _is_untouched(layer)


def _is_untouched(layer: Any) -> bool:
    return "forward" not in vars(layer) and not layer._forward_hooks and not layer._forward_pre_hooks


def _linear(layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return linear(states, layer.weight, layer.bias)


def _gated_mlp(self: Any, x: torch.Tensor) -> torch.Tensor:
    """The gated MLP of most models, as transformers writes it in each: a class that is this one has its bytecode."""
    down_proj = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
    return down_proj


_FUSED = {
    "SiLU": ("swish", ""),
    "SiLUActivation": ("swish", ""),
    "GELUTanh": ("gelu", "tanh"),
    "GELUActivation": ("gelu", "none"),
}


def _is_gated(mlp: Any) -> bool:
    ours, its = _gated_mlp.__code__, getattr(type(mlp).forward, "__code__", None)
    if its is None or (its.co_code, its.co_names) != (ours.co_code, ours.co_names):
        return False
    layers, fused = (mlp.gate_proj, mlp.up_proj, mlp.down_proj), _FUSED.get(type(mlp.act_fn).__name__)
    untouched = all(map(_is_untouched, (mlp, mlp.act_fn))) and all(map(_is_fast, layers))
    return fused is not None and untouched and _is_there(*fused)


@cache
def _is_there(act: str, algorithm: str) -> bool:
    """Whether oneDNN has this activation within a product on this processor."""
    one = torch.ones(1, 1)
    try:
        _ONEDNN.binary(one, _ONEDNN(one, one, None, act, [], algorithm), one, None, "mul")
    except RuntimeError:
        return False
    return True


def _gated(mlp: Any, states: torch.Tensor) -> torch.Tensor:
    """The same with the activation within the gate's product and the multiplication within the other's: what lies between
    the products is not written and read again."""
    act, algorithm = _FUSED[type(mlp.act_fn).__name__]
    gate, up = mlp.gate_proj, mlp.up_proj
    gated = _ONEDNN(states, gate.weight, gate.bias, act, [], algorithm)
    return _linear(mlp.down_proj, _ONEDNN.binary(states, gated, up.weight, up.bias, "mul"))
