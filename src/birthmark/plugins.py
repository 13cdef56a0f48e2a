"""What other installed packages add to birthmark: heads and backends, as entry points."""

import importlib.metadata
import sys
from functools import cache


def entry_points(group: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    """A group's entry points by name; every package is looked at for them, so it is done once for the folders of packages."""
    return _entry_points(group, tuple(sys.path))


@cache
def _entry_points(group: str, _folders: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name))
