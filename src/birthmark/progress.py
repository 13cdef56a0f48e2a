"""What a person sees while waiting: progress bars with rate and time left, and one-line notes, on standard error.

Only a terminal gets them: a log, a pipe or a program that reads errors does not. Knows nothing of what is being done.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


def progress_bar(items: Sequence[T], description: str, *, unit: str, quiet: bool) -> Iterator[T]:
    """Yield the items under a progress bar that shows rate and time left; nothing is shown where `quiet`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(description, total=len(items), rate="")
        for item in items:
            yield item
            speed = progress.tasks[task].speed
            progress.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")


def note(text: str, *, quiet: bool) -> None:
    """One line about what is happening now."""
    if console.is_terminal and not quiet:
        console.print(text, markup=False)
