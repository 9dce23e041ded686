"""How and where jobs are run: in this process or on this machine's cores, with which limits, until
when.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import Any, TypeVar

from rramsim.durable.dask import DaskPool
from rramsim.durable.job import Failed, Job, Limits, Outcome, Pool, check_time
from rramsim.durable.rows import RowFile
from rramsim.durable.worker import Order, Packed, WorkerProcess
from rramsim.exceptions import MachineError
from rramsim.numbers import check_limits, limited

_FAILED_STARTS = 3
"""Workers that may end in a row before one has done anything."""


@dataclass(frozen=True, kw_only=True)
class ThisProcess:
    """Does one job after the other right here: no limits, nothing to send, every core."""

    stop_at_s: float = float("inf")

    def run(
        self, wanted: Iterator[Job], say: Callable[[Job, Any], None]
    ) -> Generator[Outcome, None, None]:
        """Do what is wanted in its order."""
        for job in wanted:
            yield job, job.shared.do(job.part, partial(self._said, say, job))
            check_time(self.stop_at_s)

    def _said(self, say: Callable[[Job, Any], None], job: Job, value: Any) -> None:
        say(job, value)
        if not isinstance(value, float):  # a share of what is under way: it would be lost
            check_time(self.stop_at_s)


@dataclass(frozen=True, kw_only=True)
class LocalPool:
    """Does jobs on up to `workers` processes of this machine, each with `threads` cores.

    A worker that dies, or hangs past its limit and is ended, is replaced, and its job tried again,
    first of all that wait; after `limits.attempts` it counts as failed.
    """

    workers: int
    threads: int = 1
    limits: Limits = field(default_factory=Limits)
    stop_at_s: float = float("inf")

    def run(
        self, wanted: Iterator[Job], say: Callable[[Job, Any], None]
    ) -> Generator[Outcome, None, None]:
        """Do what is wanted, yielding outcomes as they come.

        Raises `MachineError` if workers end before they have done anything, and what a job raises
        about its input.
        """
        packed: dict[str, Packed] = {}
        doing: dict[WorkerProcess, Job] = {}
        waiting: deque[Job] = deque()
        tried: Counter[str] = Counter()
        failed_starts = 0
        crew: list[WorkerProcess] = []
        try:
            while True:
                for worker in crew:
                    if worker.ready and worker not in doing:
                        job = waiting.popleft() if waiting else next(wanted, None)
                        if job is not None:
                            worker.give(Order.of(job, self.limits, packed))
                            doing[worker] = job
                # A worker is started for a job that no other one could take at once.
                starting = sum(not worker.ready for worker in crew)
                while len(crew) < self.workers and starting >= len(waiting):
                    job = next(wanted, None)
                    if job is None:
                        break
                    waiting.append(job)
                    crew.append(self._worker())
                    starting += 1
                if not doing and not waiting:
                    # All of the crew may just have been replaced and be about to start.
                    job = next(wanted, None)
                    if job is None:
                        return
                    waiting.append(job)
                working = [w for w in crew if w in doing or not w.ready]
                if not working:
                    continue
                left_s = min(w.seconds_left for w in working)
                wait([w.connection for w in working], min(left_s, self._left_s()))
                check_time(self.stop_at_s)
                for worker in working:
                    mine, was_ready = doing.get(worker), worker.ready
                    outcome = worker.take(partial(_said_of, say, mine))
                    if outcome is None:
                        continue
                    doing.pop(worker, None)
                    if not isinstance(outcome, Failed):
                        failed_starts = 0
                        assert mine is not None
                        yield mine, outcome[0]
                        continue
                    crew[crew.index(worker)] = self._worker()
                    failed_starts = 0 if was_ready else failed_starts + 1
                    if failed_starts >= _FAILED_STARTS:
                        raise MachineError(
                            f"{failed_starts} workers ended as they started; the last: "
                            f"{outcome.reason}; what was done is kept, run again to go on"
                        )
                    if mine is None:
                        continue
                    tried[mine.key] += 1
                    if tried[mine.key] < self.limits.attempts:
                        waiting.appendleft(mine)
                    else:
                        yield mine, outcome.after(self.limits.attempts)
        finally:
            for worker in crew:
                worker.end()

    def _worker(self) -> WorkerProcess:
        return WorkerProcess(threads=self.threads, memory_bytes=self.limits.memory_bytes)

    def _left_s(self) -> float:
        return max(self.stop_at_s - time.monotonic(), 0.0)


def _said_of(say: Callable[[Job, Any], None], job: Job | None, value: Any) -> None:
    assert job is not None
    say(job, value)


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
