"""Batches that halve when memory runs out. Knows nothing of what is run in them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from birthmark.errors import BirthmarkError

T = TypeVar("T")


class Batching:
    """Runs items in batches that halve when memory runs out, and stay halved."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def run(
        self, items: Sequence[T], width: float, run: Callable[[Sequence[T]], Any], most: int | None = None
    ) -> Iterator[tuple[Sequence[T], Any]]:
        """Yield (batch, its result); a batch holds at most limit ÷ width items, and at most `most`."""
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


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text
