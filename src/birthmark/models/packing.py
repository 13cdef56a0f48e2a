"""Helpers of the engines: batches that halve when memory runs out, prefetching, trees of continuations, fast CPU linear layers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
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
        self.paths = [node for node in self._steps if node and node not in passed]

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


_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """states [..., in] · weightᵀ [out, in] + bias [out], without a gradient; float32 on a CPU uses oneDNN."""
    if _ONEDNN is None or states.device.type != "cpu" or states.dtype != torch.float32 or weight.dtype != torch.float32:
        return torch.nn.functional.linear(states, weight, bias)
    return _ONEDNN(states, weight, bias, "none", [], "")


@contextmanager
def fast_linear_layers(decoder: Any) -> Iterator[None]:
    """Within the block the decoder's plain linear layers use `linear`; afterwards they are restored."""
    layers = [layer for layer in decoder.modules() if type(layer) is torch.nn.Linear and "forward" not in vars(layer)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return linear(states, layer.weight, layer.bias)
