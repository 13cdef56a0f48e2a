"""A process that is birthmark's own: the command line, or a worker of a cluster. A caller's process is left as it is."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_EVERY = 50_000  # objects; Python's 700 looks a hundred times through what imports make, which all stays


@contextmanager
def own_process() -> Iterator[None]:
    """Within the block garbage is collected seldom, and what is there at its end is not looked through again on the way out.

    Importing torch and transformers takes a fifth less time so, and ending afterwards half.
    """
    collect_seldom()
    try:
        yield
    finally:
        gc.freeze()


def collect_seldom() -> None:
    """For the rest of the process."""
    gc.set_threshold(COLLECT_EVERY)
