"""Worker processes of this machine."""

from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from rramsim.counting.chunk import ChunkKey, ChunkOutcome, FailedChunk, Job, WorkLimits
from rramsim.counting.worker import PackedTask, WorkerProcess
from rramsim.exceptions import InputError, MachineError

__all__ = ["LocalPool"]

_FAILED_STARTS = 3
"""Workers that may end in a row before one has sensed anything."""


@dataclass(frozen=True, kw_only=True)
class LocalPool:
    """Senses chunks on `workers` processes of this machine.

    A worker that dies, or hangs past `limits.chunk_s` and is ended, is replaced, and its chunk
    tried again, first of all that wait; after `limits.attempts` it counts as failed.
    """

    workers: int
    limits: WorkLimits = field(default_factory=WorkLimits)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers = {self.workers}: must be at least 1")

    def sense(self, wanted: Iterator[Job]) -> Generator[ChunkOutcome, None, None]:
        """Sense what is wanted, yielding chunks as they finish.

        Raises `MachineError` if workers end before they have sensed anything, and what the
        engine raises about the circuit.
        """
        packed: dict[str, PackedTask] = {}
        jobs: dict[ChunkKey, Job] = {}
        again: deque[Job] = deque()
        tried: Counter[ChunkKey] = Counter()
        failed_starts = 0
        crew: list[WorkerProcess] = []
        try:
            crew += [WorkerProcess() for _ in range(self.workers)]
            while True:
                for worker in crew:
                    if worker.ready and worker.job is None:
                        job = again.popleft() if again else next(wanted, None)
                        if job is not None:
                            task, key = job
                            if task.id not in packed:
                                packed[task.id] = PackedTask.of(task)
                            jobs[key] = job
                            worker.give(packed[task.id], key, limit_s=self.limits.chunk_s)
                        elif not any(w.job for w in crew):
                            return
                working = [w for w in crew if w.job is not None or not w.ready]
                wait([w.connection for w in working], min(w.seconds_left for w in working))
                for worker in working:
                    doing, was_ready = worker.job, worker.ready
                    outcome = worker.take()
                    if outcome is None:
                        continue
                    if isinstance(outcome, FailedChunk):
                        crew[crew.index(worker)] = WorkerProcess()
                        failed_starts = 0 if was_ready else failed_starts + 1
                        if failed_starts >= _FAILED_STARTS:
                            raise MachineError(
                                f"{failed_starts} workers ended as they started; the last: "
                                f"{outcome.reason}; what was counted is kept, run again to go on"
                            )
                        if doing is None:
                            continue
                        tried[doing] += 1
                        if tried[doing] < self.limits.attempts:
                            again.append(jobs.pop(doing))
                            continue
                        outcome = outcome.after(self.limits.attempts)
                    else:
                        failed_starts = 0
                    assert doing is not None
                    del jobs[doing]
                    yield doing, outcome
        finally:
            for worker in crew:
                worker.end()
