"""Workers on many machines, through a dask scheduler.

Each dask worker senses in a process of its own making, one for each of its threads: ngspice is
one per process, and a sense that hangs can then be ended without ending the dask worker. Dask
gives the chunks of a worker that is lost to another one.
"""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

from rramsim.counting.chunk import ChunkKey, ChunkOutcome, FailedChunk, Job, WorkLimits
from rramsim.counting.tally import SenseTally
from rramsim.counting.worker import PackedTask, WorkerProcess
from rramsim.exceptions import InputError, MachineError
from rramsim.extras import require_package

__all__ = ["DaskPool", "sense_on_worker"]

_CONNECT_LIMIT_S = 15.0
_NO_WORKERS_LIMIT_S = 60.0
"""How long a campaign waits for a first worker, or for one to come back."""


@dataclass(frozen=True, kw_only=True)
class DaskPool:
    """Senses chunks on the workers of the dask scheduler at `address`, "tcp://HOST:PORT".

    The workers need the same rramsim and ngspice; the files are written here alone.
    """

    address: str
    limits: WorkLimits = field(default_factory=WorkLimits)

    def __post_init__(self) -> None:
        scheme, _, rest = self.address.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme not in ("tcp", "tls", "ucx", "ws", "wss") or not (host and port.isdigit()):
            raise InputError(
                f"scheduler = {self.address!r}: must look like 'tcp://HOST:PORT' "
                "(dask scheduler prints it)"
            )
        require_package("distributed", "scheduler")

    def sense(self, wanted: Iterator[Job]) -> Generator[ChunkOutcome, None, None]:
        """Sense what is wanted, yielding chunks as they finish.

        Raises `MachineError` if the scheduler is not there, is lost, or has no workers.
        """
        import distributed

        # What goes wrong with the scheduler is said in one line, by this module.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            client = distributed.Client(
                self.address, timeout=_CONNECT_LIMIT_S, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise MachineError(
                f"scheduler {self.address}: does not answer; start 'dask scheduler' there, "
                "or leave the scheduler out to use this machine's cores"
            ) from error
        try:
            yield from self._sense(client, wanted)
        finally:
            with suppress(Exception):
                client.run(_end_idle, wait=False)
            with suppress(Exception):
                client.close(timeout=5)

    def _sense(self, client: Any, wanted: Iterator[Job]) -> Generator[ChunkOutcome, None, None]:
        import distributed

        pending: dict[Any, ChunkKey] = {}
        packed: dict[str, PackedTask] = {}
        alive = time.monotonic()
        while True:
            threads = self._threads(client)
            if threads:
                alive = time.monotonic()
            elif time.monotonic() - alive > _NO_WORKERS_LIMIT_S:
                raise MachineError(
                    f"scheduler {self.address}: no worker for {_NO_WORKERS_LIMIT_S:g} s; start "
                    f"'dask worker {self.address}'; what was counted is kept, run again to go on"
                )
            # One more than can run, so that no worker waits for its next chunk.
            while len(pending) < 2 * max(threads, 1) and (job := next(wanted, None)):
                task, key = job
                if task.id not in packed:
                    packed[task.id] = PackedTask.of(task)
                future = client.submit(
                    sense_on_worker, packed[task.id], key, self.limits, pure=False
                )
                pending[future] = key
            if not pending:
                return
            try:
                with client.as_current():
                    finished = distributed.wait(
                        list(pending), timeout=5, return_when="FIRST_COMPLETED"
                    ).done
            except (TimeoutError, distributed.TimeoutError):
                continue
            except distributed.CancelledError as error:
                raise self._lost() from error
            for future in finished:
                yield pending[future], self._outcome(future, pending.pop(future))

    def _threads(self, client: Any) -> int:
        try:
            return sum(client.nthreads().values())
        except Exception as error:  # distributed raises many kinds when the other side is gone
            raise self._lost() from error

    def _outcome(self, future: Any, key: ChunkKey) -> SenseTally | FailedChunk:
        import distributed

        try:
            outcome: SenseTally | FailedChunk = future.result()
        except distributed.scheduler.KilledWorker:
            return FailedChunk(samples=key[2], reason="the dask workers died that sensed it")
        except (InputError, MachineError):
            raise
        except distributed.CancelledError as error:
            raise self._lost() from error
        except Exception as error:
            raise MachineError(
                f"scheduler {self.address}: its workers cannot sense "
                f"({type(error).__name__}: {error}); install the same rramsim there"
            ) from error
        return outcome

    def _lost(self) -> MachineError:
        return MachineError(
            f"scheduler {self.address}: lost; what was counted is kept, run again to go on"
        )


def sense_on_worker(
    task: PackedTask, key: ChunkKey, limits: WorkLimits
) -> SenseTally | FailedChunk:
    """What dask runs: sense a chunk in a process of this dask worker's."""
    idle = _idle()
    tries = 0
    while True:
        worker = idle.take()
        tries += 1
        outcome = worker.sense(task, key, limit_s=limits.chunk_s)
        if isinstance(outcome, SenseTally):
            idle.put(worker)
            return outcome
        if tries == limits.attempts:
            return outcome.after(tries)


class _Idle:
    """Worker processes of this dask worker that wait for a chunk."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workers: list[WorkerProcess] = []

    def take(self) -> WorkerProcess:
        with self._lock:
            return self._workers.pop() if self._workers else WorkerProcess()

    def put(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._workers.append(worker)

    def end(self) -> None:
        with self._lock:
            while self._workers:
                self._workers.pop().end()


@cache
def _idle() -> _Idle:
    return _Idle()


def _end_idle() -> None:
    _idle().end()
