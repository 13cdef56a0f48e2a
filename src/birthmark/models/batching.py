"""Batches that halve when memory runs out, and work made ready ahead. Knows nothing of what is run in them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from birthmark.errors import BirthmarkError

T = TypeVar("T")
Made = TypeVar("Made")


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


def made_ahead(items: Iterable[T], make: Callable[[T], Made]) -> Iterator[Made]:
    """make(item) of each item in its order; a thread makes the next one while the caller is busy with the one before.

    Raises what `make` raises, in its turn.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        before: Future[Made] | None = None
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
