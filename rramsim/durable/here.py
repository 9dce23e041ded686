"""Pools of this machine: this process, or worker processes."""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from rramsim.durable.job import Failed, Job, Limits, Outcome, check_time
from rramsim.durable.worker import Order, Packed, WorkerProcess
from rramsim.exceptions import MachineError

__all__ = ["LocalPool", "ThisProcess"]

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
