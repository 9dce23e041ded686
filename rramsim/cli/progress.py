"""Progress of long work, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from rramsim.exceptions import printable

console = Console(stderr=True, highlight=False)
"""Progress, silent with --quiet."""
_notices = Console(stderr=True, highlight=False)

_EVERY_S = 60.0
"""Without a terminal, so often a line says how far the work is."""


def notice(text: str) -> None:
    """Say on standard error what must be known of a result, even with --quiet."""
    _notices.print(printable(text), soft_wrap=True, markup=False)


@contextmanager
def progress_bar(title: str, *, unit: str) -> Iterator[Callable[[float, int, str], None]]:
    """A bar with remaining time; yields `update(done, total, note)`.

    Where standard error is not a terminal: a line a minute with what is done, the rate and the time
    left, and one at the end.
    """
    if not console.is_terminal:
        yield from _lines(title, unit)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

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
    )
    with bar:
        task = bar.add_task(printable(title), total=None, note="")
        yield lambda done, total, note: bar.update(
            task, completed=done, total=total, note=printable(note)
        )


def _lines(title: str, unit: str) -> Iterator[Callable[[float, int, str], None]]:
    began = said = time.monotonic()
    first: float | None = None
    last: tuple[float, int, str] = (0, 0, "")

    def say(text: str) -> None:
        console.print(printable(text).rstrip(), soft_wrap=True, markup=False)

    def update(done: float, total: int, note: str) -> None:
        nonlocal began, first, last, said
        now = time.monotonic()
        if first is None or done < last[0] or total != last[1]:  # another part of the stage
            began, first = now, done
        last = (done, total, note)
        if now - said < _EVERY_S:
            return
        said, rate = now, (done - first) / max(now - began, 1e-9)
        left = (
            f"{rate:.3g} a second, {_time((total - done) / rate)} left" if rate else "no rate yet"
        )
        say(f"{title}: {_amount(done)} of {total} {unit}, {left} {note}")

    yield update
    done, total, note = last
    say(f"{title}: {_amount(done)} of {total} {unit} {note}" if total else f"{title}: done")


def _amount(done: float) -> str:
    """A count, or the part of it that is done, with one digit behind the point."""
    return f"{done:.0f}" if done == int(done) else f"{done:.1f}"


def _time(seconds: float) -> str:
    """A duration as people say it: 40 s, 12 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
