"""Progress of long work, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["console", "notice", "progress_bar"]

console = Console(stderr=True, highlight=False)
"""Progress, silent with --quiet."""
_notices = Console(stderr=True, highlight=False)


def notice(text: str) -> None:
    """Say on standard error what must be known of a result, even with --quiet."""
    _notices.print(text, soft_wrap=True, markup=False)


@contextmanager
def progress_bar(title: str, *, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with remaining time; yields `update(done, total, note)`.

    Where standard error is not a terminal, one line at the end tells what was done.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )
    last = (0, 0, "")
    with bar:
        task = bar.add_task(title, total=None, note="")

        def update(done: int, total: int, note: str) -> None:
            nonlocal last
            last = (done, total, note)
            bar.update(task, completed=done, total=total, note=note)

        yield update
    if not console.is_terminal:
        done, total, note = last
        console.print(f"{title}: {done} of {total} {unit} {note}".rstrip(), soft_wrap=True)
