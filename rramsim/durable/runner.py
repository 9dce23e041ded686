"""How jobs are run: where, with which limits, and until when."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rramsim.durable.dask import DaskPool
from rramsim.durable.here import LocalPool, ThisProcess
from rramsim.durable.job import Failed, Job, Limits, Pool
from rramsim.durable.rows import RowFile
from rramsim.exceptions import MachineError
from rramsim.numbers import check_limits, limited

__all__ = ["Runner", "available_workers"]

Value = TypeVar("Value")

_MOST_WORKERS = 1024
"""Each is a process with three files of its owner's."""


def available_workers() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Jobs run on `workers` processes of this machine (None: one a core), or on a dask `scheduler`.

    At `stop_at_s`, by the clock of `time.monotonic`, what is unfinished is left and `Stopped`
    raised. Raises `InputError` for a number of workers or an address that cannot be.

    >>> Runner(workers=2).limits.attempts
    3
    """

    workers: int | None = limited(None, low=1, high=_MOST_WORKERS)
    """Worker processes. Left out: one for each core."""
    scheduler: str | None = None
    """Address of a dask scheduler, tcp://HOST:PORT. Left out: this machine's cores."""
    limits: Limits = field(default_factory=Limits)
    stop_at_s: float = float("inf")

    def __post_init__(self) -> None:
        check_limits(self)
        self.pool()

    def pool(self, *, most: int = _MOST_WORKERS, threads: int | None = None) -> Pool:
        """Where `most` jobs or fewer run at the same time, each killable by itself.

        A worker of this machine may use `threads` cores; None: its share of them.
        """
        if self.scheduler is not None:
            return DaskPool(address=self.scheduler, limits=self.limits, stop_at_s=self.stop_at_s)
        workers = self.workers or available_workers()
        return LocalPool(
            workers=max(1, min(workers, most)),
            threads=threads or max(1, available_workers() // workers),
            limits=self.limits,
            stop_at_s=self.stop_at_s,
        )

    def gather(
        self,
        jobs: Sequence[Job],
        rows: RowFile[Value],
        *,
        safe: bool = False,
        report: Callable[[int, int, str], None] = lambda done, total, name: None,
    ) -> dict[str, Value]:
        """The value of every job by its key, of those in `rows` without doing them again.

        Jobs that are `safe` (they neither hang nor end their process) are done in this process
        where there is one worker. `report` is called with the jobs known, all, and the last one's
        name. Raises `MachineError`, after all others are done, for a job that failed.
        """
        wanted = {job.key: job for job in jobs}
        missing = [job for key, job in wanted.items() if rows.lacks(key)]
        done = len(wanted) - len(missing)
        report(done, len(wanted), "")
        failed: list[str] = []
        for job, outcome in self.outcomes(missing, safe=safe):
            if isinstance(outcome, Failed):
                failed.append(f"{job.name}: {outcome.reason}")
                continue
            rows.append(job.key, job.name, outcome)
            report(done := done + 1, len(wanted), job.name)
        if failed:
            raise MachineError(
                f"{len(failed)} of {len(wanted)} could not be done: {failed[0]}; what was done is "
                "kept, run again to try again"
            )
        return {key: value for key in wanted if not isinstance(value := rows.rows[key], Failed)}

    def outcomes(
        self,
        jobs: Sequence[Job],
        *,
        safe: bool = False,
        threads: int | None = None,
        say: Callable[[Job, Any], None] = lambda job, said: None,
    ) -> Iterator[tuple[Job, Any]]:
        """What became of each job, as they come: what it gave, or `Failed`."""
        if not jobs:
            return
        here = safe and self.scheduler is None and self.workers == 1
        pool = (
            ThisProcess(stop_at_s=self.stop_at_s)
            if here
            else self.pool(most=len(jobs), threads=threads)
        )
        with closing(pool.run(iter(jobs), say)) as outcomes:
            yield from outcomes
