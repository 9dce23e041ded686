"""A job: one independent task with an identity, and what became of it."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rramsim.exceptions import MachineError
from rramsim.numbers import check_limits, limited

Say = Callable[[Any], None]
"""Takes what a job tells of itself while it runs (an epoch of a training, say)."""


class Shared(Protocol):
    """What many jobs have in common: a worker is sent it once, however many jobs it gets of it."""

    @property
    def id(self) -> str:
        """Identity of everything that the results depend on, apart from the part."""
        ...

    @property
    def version(self) -> str:
        """The software that the results depend on; workers that have another one are refused."""
        ...

    def do(self, part: Any, say: Say) -> Any:
        """Do one part; runs in any process, on any machine, and returns plain values."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """`part` of what is `shared`: `key` is its identity in a file of rows, `name` says it in words.

    `limit_s` is the longest that it may take (None: what `Limits` says).
    """

    key: str
    name: str
    shared: Shared
    part: Any
    limit_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A job that gave no result, however often it was tried.

    `reason` names what happened: the worker hung past its limit, died, or met a fault.
    """

    reason: str

    def after(self, tries: int) -> "Failed":
        """The same, saying how often it was tried."""
        return replace(self, reason=f"{self.reason}, {tries} time{'' if tries == 1 else 's'}")


Outcome = tuple[Job, Any]
"""A job with what it gave, or with `Failed`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a job may take, with how much memory, and how often it is tried before it failed.

    The default time is some two hundred times what 100 senses of the PCSA take; `memory_bytes` of
    None is all of the machine's memory.

    >>> Limits().attempts
    3
    """

    chunk_limit_s: float = limited(600.0, low=0, high=7 * 86400, above=True)
    """How long a worker may take for a piece of work before it is taken for hung."""
    attempts: int = limited(3, low=1)
    memory_bytes: int | None = limited(None, low=2**28)

    def __post_init__(self) -> None:
        check_limits(self)


class Pool(Protocol):
    """Something that does jobs: this process, processes of this machine, or a dask cluster."""

    def run(
        self, wanted: Iterator[Job], say: Callable[[Job, Any], None]
    ) -> Generator[Outcome, None, None]:
        """Do what is wanted, yielding outcomes as they come, in any order.

        Raises what a job raises if its input is at fault.
        """
        ...


class Stopped(MachineError):
    """The time that the user gave is over; what was done is kept."""


def check_time(stop_at_s: float) -> None:
    """Raise `Stopped` from `stop_at_s` on, by the clock of `time.monotonic`."""
    if time.monotonic() >= stop_at_s:
        raise Stopped("the time is over; what was done is kept, run again to go on")
