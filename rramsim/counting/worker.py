"""One process that senses chunks: its own side, and the side of whoever gives it work.

The process is a Python of its own (not forked, so it inherits no loaded ngspice, of which there
is one per process; not `multiprocessing`'s, so it may be a child of dask's daemonic workers). It
talks over a socket pair and ends with its parent, however that ends, by a pipe that closes.
"""

import contextlib
import os
import pickle
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

from rramsim.caches import cache_folder
from rramsim.counting.chunk import ChunkKey, FailedChunk, sense_chunk
from rramsim.counting.tally import SenseTally
from rramsim.counting.task import SenseTask
from rramsim.exceptions import InputError, MachineError

__all__ = ["PackedTask", "WorkerProcess", "serve"]

_START_LIMIT_S = 180.0
"""Longest time from a worker's start to its first word; importing takes some 2 s."""


@dataclass(frozen=True, kw_only=True)
class PackedTask:
    """A task as bytes, for another process of the same rramsim."""

    id: str
    engine: str
    content: bytes

    @staticmethod
    def of(task: SenseTask) -> "PackedTask":
        """Pack a task."""
        content = zlib.compress(pickle.dumps(task), 1)
        return PackedTask(id=task.id, engine=task.engine.name, content=content)

    def unpack(self) -> SenseTask:
        """The task; raises `MachineError` if the engine here is another version.

        Only a process that senses may ask: the engine's version is that of a loaded library.
        """
        task: SenseTask = pickle.loads(zlib.decompress(self.content))
        if task.engine.name != self.engine:
            raise MachineError(
                f"a worker has {task.engine.name}, but the campaign counts {self.engine}; "
                "install the same versions on every machine"
            )
        return task


class WorkerProcess:
    """A worker as its owner sees it: give it a job, take what became of it.

    `connection` is ready to read when `take` has something to say.
    """

    def __init__(self) -> None:
        # The worker is killed and cannot clean up; what it leaves goes with this folder.
        self._scratch = tempfile.TemporaryDirectory(prefix="rramsim-worker-")
        self.connection, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        code = f"from rramsim.counting.worker import serve; serve({theirs.fileno()}, {lifeline})"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lifeline),
                env=_environment(self._scratch.name),
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
        self.job: ChunkKey | None = None
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
        if self.ready and self.job is None:
            return float("inf")
        return max(self._deadline - time.monotonic(), 0.0)

    def give(self, task: PackedTask, key: ChunkKey, *, limit_s: float) -> None:
        """Hand over a chunk to a worker that is ready and has none."""
        self.job = key
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s
        # If the process has died, `take` finds out.
        with contextlib.suppress(OSError):
            if task.id not in self._known:
                self.connection.send(("task", task))
                self._known.add(task.id)
            self.connection.send(("chunk", key))

    def take(self) -> SenseTally | FailedChunk | None:
        """What became of the job; None if there is nothing to tell yet.

        A `FailedChunk` means that this worker has ended and that the job may be tried elsewhere.
        Raises what the engine raised if the whole campaign would meet it again.
        """
        samples = self.job[2] if self.job else 0
        if not self.connection.poll(0):
            if self.seconds_left > 0:
                return None
            self.end()
            what = "the worker hung" if self.ready else "the worker did not start"
            return FailedChunk(samples=samples, reason=f"{what}: no answer in {self._limit_s:g} s")
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self.end()
            return FailedChunk(samples=samples, reason=f"the worker died ({self._how()})")
        if kind == "ready":
            self.ready = True
            return None
        self.job = None
        if kind == "input":
            raise InputError(value)
        if kind == "machine":
            raise MachineError(value)
        if kind == "fault":
            self.end()
            return FailedChunk(samples=samples, reason=f"the worker met a fault: {value}")
        tally: SenseTally = value
        return tally

    def sense(self, task: PackedTask, key: ChunkKey, *, limit_s: float) -> SenseTally | FailedChunk:
        """Give one job and wait for what becomes of it."""
        while not self.ready:
            wait([self.connection], self.seconds_left)
            outcome = self.take()
            if outcome is not None:
                return outcome
        self.give(task, key, limit_s=limit_s)
        while True:
            wait([self.connection], self.seconds_left)
            outcome = self.take()
            if outcome is not None:
                return outcome

    def end(self) -> None:
        """End the process at once; what it was sensing is lost."""
        self._process.kill()
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self.connection.close()
        self._scratch.cleanup()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._lifeline < 0

    def _how(self) -> str:
        status = self._process.returncode
        if status == -signal.SIGKILL:
            return "killed, or the memory ran out"
        if status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"


def _environment(scratch: str) -> dict[str, str]:
    """The owner's, with the same modules and caches, and a folder of its own for the rest."""
    found = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": scratch}
    with contextlib.suppress(InputError):  # who needs the cache will say so
        found["RRAMSIM_CACHE"] = str(cache_folder())
    return dict(found)


def serve(connection_fd: int, lifeline_fd: int) -> None:
    """The worker's own side: sense what comes over the connection until it closes."""
    threading.Thread(target=_end_with_parent, args=(lifeline_fd,), daemon=True).start()
    connection = Connection(connection_fd)
    tasks: dict[str, SenseTask] = {}
    with contextlib.suppress(EOFError, OSError):
        connection.send(("ready", None))
        while True:
            match connection.recv():
                case ("task", packed):
                    try:
                        tasks[packed.id] = packed.unpack()
                    except MachineError as error:
                        connection.send(("machine", str(error)))
                        return
                case ("chunk", key):
                    connection.send(_answer(tasks[key[0]], key))


def _answer(task: SenseTask, key: ChunkKey) -> tuple[str, Any]:
    try:
        return "tally", sense_chunk(task, key)
    except InputError as error:
        return "input", str(error)
    except MachineError as error:
        return "machine", str(error)
    except Exception as error:
        return "fault", f"{type(error).__name__}: {' '.join(str(error).split())}"


def _end_with_parent(lifeline_fd: int) -> None:
    """Wait until the other end of the pipe closes, which only the parent's end does."""
    os.read(lifeline_fd, 1)
    os._exit(1)
