"""Progress bars with rate and remaining time, and one-line notes, on standard error.

They are shown only on a terminal, never in a log or a pipe; what must be read there too is for `tell`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from birthmark.foreign import legible, middle_out, shortened

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
LABEL = 60


def progress_bar(items: Sequence[T], description: str, *, unit: str, quiet: bool) -> Iterator[T]:
    """Yield the items while showing a progress bar with rate and remaining time. With `quiet`, show nothing."""
    with _display(quiet or not console.is_terminal) as progress:
        label = middle_out(legible(description), LABEL)
        task = progress.add_task(label, total=len(items), rate="", unit=unit)
        try:
            for item in items:
                yield item
                progress.advance(task)
                speed = next((one.speed for one in progress.tasks if one.id == task), None)
                progress.update(task, rate=f"{speed:.1f}/s" if speed else "")
        finally:
            progress.remove_task(task)


_shown: list[Progress] = []  # one display has the bars of all threads
_users = Lock(), [0]


@contextmanager
def _display(hidden: bool) -> Iterator[Progress]:
    lock, users = _users
    with lock:
        users[0] += 1
        if not _shown:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]} {task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            _shown.append(Progress(*columns, console=console, transient=True, disable=hidden))
            _shown[0].start()
    try:
        yield _shown[0]
    finally:
        with lock:
            users[0] -= 1
            if not users[0]:
                _shown.pop().stop()


def note(text: str, *, quiet: bool) -> None:
    """Print one line about the current step."""
    if console.is_terminal and not quiet:
        console.print(Text(shortened(legible(text))))


def tell(text: str) -> None:
    """Print lines to standard error, wherever that leads."""
    print("\n".join(shortened(legible(line)) for line in text.split("\n")), file=sys.stderr, flush=True)
