"""Workers on many machines, through a dask scheduler.

Each dask worker does jobs in a process of its own making, one for each of its threads: ngspice is
one per process, and a job that hangs can then be ended without ending the dask worker. Dask gives
the jobs of a worker that is lost to another one.
"""

import logging
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

from rramsim.durable.job import Failed, Job, Limits, Outcome, check_time
from rramsim.durable.worker import Order, Packed, WorkerProcess
from rramsim.exceptions import InputError, MachineError
from rramsim.imports import require_package

_CONNECT_LIMIT_S = 15.0
_NO_WORKERS_LIMIT_S = 60.0
"""How long a run waits for a first worker, or for one to come back."""


@dataclass(frozen=True, kw_only=True)
class DaskPool:
    """Does jobs on the workers of the dask scheduler at `address`, "tcp://HOST:PORT".

    The workers need the same rramsim and ngspice; the files are written here alone. What a job
    says while it runs is not heard.
    """

    address: str
    limits: Limits = field(default_factory=Limits)
    stop_at_s: float = float("inf")

    def __post_init__(self) -> None:
        scheme, _, rest = self.address.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme not in ("tcp", "tls", "ucx", "ws", "wss") or not (host and port.isdigit()):
            raise InputError(
                f"scheduler = {self.address!r}: must look like 'tcp://HOST:PORT' "
                "(dask scheduler prints it)"
            )
        require_package("distributed", "scheduler")

    def run(
        self, wanted: Iterator[Job], say: Callable[[Job, Any], None]
    ) -> Generator[Outcome, None, None]:
        """Do what is wanted, yielding outcomes as they come.

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
            yield from self._run(client, wanted)
        finally:
            with suppress(Exception):
                client.run(_end_idle, wait=False)
            with suppress(Exception):
                client.close(timeout=5)

    def _run(self, client: Any, wanted: Iterator[Job]) -> Generator[Outcome, None, None]:
        import distributed

        pending: dict[Any, Job] = {}
        packed: dict[str, Packed] = {}
        sent: dict[str, Any] = {}
        alive = time.monotonic()
        while True:
            threads = self._threads(client)
            if threads:
                alive = time.monotonic()
            elif time.monotonic() - alive > _NO_WORKERS_LIMIT_S:
                raise MachineError(
                    f"scheduler {self.address}: no worker for {_NO_WORKERS_LIMIT_S:g} s; start "
                    f"'dask worker {self.address}'; what was done is kept, run again to go on"
                )
            check_time(self.stop_at_s)
            # One more than can run, so that no worker waits for its next job.
            while len(pending) < 2 * max(threads, 1) and (job := next(wanted, None)):
                order = Order.of(job, self.limits, packed)
                if order.shared.id not in sent:
                    # A task of its own, so that it is made again if the worker that has it is lost.
                    sent[order.shared.id] = client.submit(_same, order.shared, pure=False)
                future = client.submit(
                    do_on_worker, sent[order.shared.id], order.part, order.limit_s,
                    self.limits, pure=False,
                )  # fmt: skip
                pending[future] = job
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
                outcome = self._outcome(future)
                yield pending.pop(future), outcome

    def _threads(self, client: Any) -> int:
        try:
            return sum(client.nthreads().values())
        except Exception as error:  # distributed raises many kinds when the other side is gone
            raise self._lost() from error

    def _outcome(self, future: Any) -> Any:
        import distributed

        try:
            outcome = future.result()
        except distributed.scheduler.KilledWorker:
            return Failed(reason="the dask workers died that did it")
        except (InputError, MachineError):
            raise
        except distributed.CancelledError as error:
            raise self._lost() from error
        except Exception as error:
            raise MachineError(
                f"scheduler {self.address}: its workers cannot work "
                f"({type(error).__name__}: {error}); install the same rramsim there"
            ) from error
        return outcome if isinstance(outcome, Failed) else outcome[0]

    def _lost(self) -> MachineError:
        return MachineError(
            f"scheduler {self.address}: lost; what was done is kept, run again to go on"
        )


def _same(packed: Packed) -> Packed:
    return packed


def do_on_worker(packed: Packed, part: Any, limit_s: float, limits: Limits) -> tuple[Any] | Failed:
    """What dask runs: do a part in a process of this dask worker's."""
    idle = _idle()
    tries = 0
    while True:
        worker = idle.take(limits)
        tries += 1
        outcome = worker.do(Order(shared=packed, part=part, limit_s=limit_s))
        if not isinstance(outcome, Failed):
            idle.put(worker)
            return outcome
        if tries == limits.attempts:
            return outcome.after(tries)


class _Idle:
    """Worker processes of this dask worker that wait for an order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workers: list[WorkerProcess] = []

    def take(self, limits: Limits) -> WorkerProcess:
        from distributed import get_worker

        with self._lock:
            if self._workers:
                return self._workers.pop()
        threads = max(1, (os.cpu_count() or 1) // get_worker().state.nthreads)
        return WorkerProcess(threads=threads, memory_bytes=limits.memory_bytes)

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
