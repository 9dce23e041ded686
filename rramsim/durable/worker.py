"""One process that does jobs: its own side, and the side of whoever gives it work.

The process is a Python of its own (not forked, so it inherits no loaded ngspice, of which there
is one per process; not `multiprocessing`'s, so it may be a child of dask's daemonic workers). It
talks over a socket pair and ends with its parent, however that ends, by a pipe that closes.
"""

import contextlib
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from rramsim.durable.job import Failed, Job, Limits, Say, Shared
from rramsim.exceptions import InputError, MachineError
from rramsim.files import cache_folder

_START_LIMIT_S = 180.0
"""Longest time from a worker's start to its first word; importing takes some 2 s."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What jobs share, as bytes for another process of the same rramsim."""

    id: str
    version: str
    content: bytes

    @staticmethod
    def of(shared: Shared) -> "Packed":
        """Pack it."""
        content = zlib.compress(pickle.dumps(shared, protocol=5), 1)
        return Packed(id=shared.id, version=shared.version, content=content)

    def unpack(self) -> Shared:
        """What was packed; raises `MachineError` if the software here is another version.

        Only a process that works may ask: an engine's version is that of a loaded library.
        """
        shared: Shared = pickle.loads(zlib.decompress(self.content))
        if shared.version != self.version:
            raise MachineError(
                f"a worker has {shared.version}, but this run counts {self.version}; "
                "install the same versions on every machine"
            )
        return shared


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job as a worker gets it."""

    shared: Packed
    part: Any
    limit_s: float

    @staticmethod
    def of(job: Job, limits: Limits, packed: dict[str, Packed]) -> "Order":
        """The order of a job; `packed` holds what was packed before."""
        if job.shared.id not in packed:
            packed[job.shared.id] = Packed.of(job.shared)
        limit_s = limits.chunk_limit_s if job.limit_s is None else job.limit_s
        return Order(shared=packed[job.shared.id], part=job.part, limit_s=limit_s)


class WorkerProcess:
    """A worker as its owner sees it: give it an order, take what became of it.

    `connection` is ready to read when `take` has something to say. It may use `threads` cores.
    """

    def __init__(self, *, threads: int = 1, memory_bytes: int | None = None) -> None:
        # The worker is killed and cannot clean up; what it leaves goes with this folder.
        self._scratch = tempfile.TemporaryDirectory(prefix="rramsim-worker-")
        self.connection, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        code = (
            "from rramsim.durable.worker import serve; "
            f"serve({theirs.fileno()}, {lifeline}, {memory_bytes})"
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lifeline),
                env=_environment(self._scratch.name, threads),
                # An interrupt from the terminal is for the owner, which then ends its workers.
                process_group=0,
            )
        except OSError as error:
            os.close(self._lifeline)
            self._scratch.cleanup()
            raise MachineError(f"no worker process can be started ({error.strerror})") from error
        finally:
            theirs.close()
            os.close(lifeline)
        self.busy = False
        self.ready = False
        self._known: set[str] = set()
        self._deadline = time.monotonic() + _START_LIMIT_S
        self._limit_s = _START_LIMIT_S

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def seconds_left(self) -> float:
        """Time until the worker's limit; infinite while it has nothing to do."""
        if self.ready and not self.busy:
            return float("inf")
        return max(self._deadline - time.monotonic(), 0.0)

    def give(self, order: Order) -> None:
        """Hand over an order to a worker that is ready and has none."""
        self.busy = True
        # Until it begins: what the job needs is imported first.
        self._limit_s = order.limit_s
        self._deadline = time.monotonic() + _START_LIMIT_S + order.limit_s
        # If the process has died, `take` finds out.
        with contextlib.suppress(OSError):
            if order.shared.id not in self._known:
                _send(self.connection, ("shared", order.shared))
                self._known.add(order.shared.id)
            _send(self.connection, ("part", order.shared.id, order.part))

    def take(self, say: Say) -> tuple[Any] | Failed | None:
        """What became of the order, in a tuple; None if there is nothing to tell yet.

        `Failed` means that this worker has ended and that the job may be tried elsewhere. Raises
        what the job raised if every worker would meet it again.
        """
        if not self.connection.poll(0):
            if self.seconds_left > 0:
                return None
            self.end()
            what = "the worker hung" if self.ready else "the worker did not start"
            return Failed(reason=f"{what}: no answer in {self._limit_s:g} s")
        try:
            kind, value = _receive(self.connection)
        except (EOFError, OSError):
            self.end()
            return Failed(reason=f"the worker died ({self._how()})")
        match kind:
            case "ready":
                self.ready = True
                return None
            case "began":
                self._deadline = time.monotonic() + self._limit_s
                return None
            case "said":
                self._deadline = time.monotonic() + self._limit_s
                say(value)
                return None
            case "input":
                raise InputError(value)
            case "machine":
                raise MachineError(value)
            case "fault":
                self.end()
                return Failed(reason=f"the worker met a fault: {value}")
        self.busy = False
        return (value,)

    def do(self, order: Order) -> tuple[Any] | Failed:
        """Give one order and wait for what becomes of it."""
        outcome = None
        while outcome is None:
            if self.ready and not self.busy:
                self.give(order)
            wait([self.connection], self.seconds_left)
            outcome = self.take(lambda said: None)
        return outcome

    def end(self) -> None:
        """End the process at once; what it was doing is lost."""
        self._process.kill()
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self.connection.close()
        self._scratch.cleanup()

    def _how(self) -> str:
        status = self._process.returncode
        if status == -signal.SIGKILL:
            return "killed, or the memory ran out"
        if status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"


def _environment(scratch: str, threads: int) -> dict[str, str]:
    """The owner's, with the same modules and caches, and a folder of its own for the rest."""
    found = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TMPDIR": scratch,
        "OMP_THREAD_LIMIT": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    with contextlib.suppress(InputError):  # who needs the cache will say so
        found["RRAMSIM_CACHE"] = str(cache_folder())
    return dict(found)


def serve(connection_fd: int, lifeline_fd: int, memory_bytes: int | None) -> None:
    """The worker's own side: do what comes over the connection until it closes."""
    threading.Thread(target=_end_with_parent, args=(lifeline_fd,), daemon=True).start()
    _limit_memory(memory_bytes)
    connection = Connection(connection_fd)
    known: dict[str, Shared] = {}
    with contextlib.suppress(EOFError, OSError):
        _send(connection, ("ready", None))
        while True:
            match _receive(connection):
                case ("shared", packed):
                    try:
                        known[packed.id] = packed.unpack()
                    except Exception as error:
                        _send(connection, _said(error))
                        return
                case ("part", shared_id, part):
                    _send(connection, ("began", None))
                    try:
                        value = known[shared_id].do(part, lambda s: _send(connection, ("said", s)))
                        _send(connection, ("done", value))
                    except Exception as error:
                        _send(connection, _said(error))


def _send(connection: Connection, message: tuple[Any, ...]) -> None:
    """Send a message by value: `Connection.send` would share a network's memory instead."""
    connection.send_bytes(pickle.dumps(message, protocol=5))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())


def _said(error: Exception) -> tuple[str, str]:
    if isinstance(error, InputError):
        return "input", str(error)
    if isinstance(error, MachineError):
        return "machine", str(error)
    return "fault", f"{type(error).__name__}: {' '.join(str(error).split())}"


def _limit_memory(memory_bytes: int | None) -> None:
    """A job that wants more memory than there is fails alone, before the machine swaps or kills."""
    wanted = memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _end_with_parent(lifeline_fd: int) -> None:
    """Wait until the other end of the pipe closes, which only the parent's end does.

    A signal from the kernel (PR_SET_PDEATHSIG) would come when the *thread* that started this
    process ends, which in a dask worker is no end, and would leave the scratch folder behind.
    """
    os.read(lifeline_fd, 1)
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os._exit(1)
