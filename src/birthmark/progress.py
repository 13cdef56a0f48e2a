"""Progress bars with rate and remaining time, and one-line notes, on standard error.

They are shown only on a terminal, never in a log or a pipe; what must be read there too is for `tell`.
"""

import sys
from collections.abc import Iterator, Sequence
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
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(middle_out(legible(description), LABEL), total=len(items), rate="")
        for item in items:
            yield item
            speed = progress.tasks[task].speed
            progress.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")


def note(text: str, *, quiet: bool) -> None:
    """Print one line about the current step."""
    if console.is_terminal and not quiet:
        console.print(Text(shortened(legible(text))))


def tell(text: str) -> None:
    """Print lines to standard error, wherever that leads."""
    print("\n".join(shortened(legible(line)) for line in text.split("\n")), file=sys.stderr, flush=True)
