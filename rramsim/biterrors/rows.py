"""The file of a campaign's results: one JSON row a chunk, appended, never changed.

Folding the rows is how a run resumes. A row is written with one write and synced; a process that
is killed leaves at most a torn last line, which is dropped when the file is opened again.
"""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from rramsim.biterrors.tally import SenseTally
from rramsim.exceptions import InputError, MachineError

__all__ = ["ChunkKey", "RowFile"]

ChunkKey = tuple[str, int, int]
"""(task id, number of the chunk, samples in it)."""


class RowFile:
    """Rows of `path`, open for this process alone; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[ChunkKey, SenseTally] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "RowFile":
        try:
            self._file = self.path.open("a+b")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise InputError(
                f"{self.path}: another run is writing there; wait for it or choose another --out"
            ) from error
        self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()

    def append(self, key: ChunkKey, tally: SenseTally) -> None:
        """Keep a chunk's tally on disk and in `rows`; raises `MachineError` on a full disk."""
        assert self._file is not None
        task, chunk, samples = key
        line = f'{{"task": "{task}", "chunk": {chunk}, "samples": {samples}, "tally": '
        try:
            self._file.write(f"{line}{tally.to_json()}}}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise MachineError(
                f"{self.path}: cannot be written ({error.strerror}); what was done is kept, "
                "run again to go on"
            ) from error
        self.rows[key] = tally

    def _read(self) -> None:
        assert self._file is not None
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break  # torn by a kill
            try:
                row = json.loads(line)
                key = (str(row["task"]), int(row["chunk"]), int(row["samples"]))
                tally = SenseTally.from_json(row["tally"])
                if tally.samples != key[2]:
                    raise ValueError("the counts do not add up")
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.path} line {number}: not a row of senses ({error}); "
                    "remove that line, or the file to start again"
                ) from error
            self.rows[key] = tally
            end += len(line)
        self._file.truncate(end)
        self._file.seek(0, os.SEEK_END)
