"""When a run is looked at: the steps at which it leaves a checkpoint, and the names of their folders.

Knows nothing of models or files' contents.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

CHECKPOINTS = "checkpoints"
_NAME = re.compile(r"step-(\d{6,})")


def total_steps(pairs: int, epochs: float, batch: int) -> int:
    """Optimizer steps of a run: ⌈pairs · epochs / batch⌉, batches running on from one epoch into the next."""
    return max(1, math.ceil(round(pairs * epochs) / batch))


def checkpoint_steps(total: int, every: int) -> list[int]:
    """Steps to keep, ascending: 0 (before the first), the powers of two, each multiple of `every`, and the last."""
    powers = {2**exponent for exponent in range(total.bit_length())}
    return sorted({0, total} | powers | set(range(every, total, every)))


def checkpoint_name(step: int) -> str:
    """`step-000016`: six digits at least, so that names sort as steps do."""
    return f"step-{step:06d}"


def checkpoint_folders(run: Path) -> Iterator[tuple[int, Path]]:
    """The finished checkpoints of a run, by step."""
    found = [(_NAME.fullmatch(path.name), path) for path in (run / CHECKPOINTS).glob("step-*")]
    yield from sorted((int(match[1]), path) for match, path in found if match and path.is_dir())
