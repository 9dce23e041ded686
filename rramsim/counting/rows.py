"""The file of a campaign's results: one JSON row a chunk, appended, never changed.

Folding the rows is how a run resumes. A row is written with one write and synced; a process that
is killed leaves at most a torn last line, which is dropped when the file is opened again. Each row
ends with a checksum of what stands before it, so that a file that was damaged is told from one
that was not.
"""

import errno
import fcntl
import json
import os
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType

from rramsim.counting.chunk import ChunkKey, FailedChunk
from rramsim.counting.tally import SenseTally
from rramsim.exceptions import InputError, MachineError

__all__ = ["RowFile"]


class RowFile:
    """Rows of `path`, open for this process alone; a context manager.

    With `retry_failed`, chunks that the file names as failed count as not tried.
    """

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        self.path = path
        self._retry_failed = retry_failed
        self.rows: dict[ChunkKey, SenseTally | FailedChunk] = {}
        self._file: FileIO | None = None

    def __enter__(self) -> "RowFile":
        try:
            # Unbuffered: what a full disk did not take must not be written when the file closes.
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise MachineError(
                    f"{self.path}: cannot be locked ({error.strerror}); choose an --out on a "
                    "disk of this machine"
                ) from error
            raise InputError(
                f"{self.path}: another run is writing there; wait for it or choose another --out"
            ) from error
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()

    def append(self, key: ChunkKey, outcome: SenseTally | FailedChunk) -> None:
        """Keep a chunk on disk and in `rows`; raises `MachineError` on a full disk."""
        assert self._file is not None
        task, chunk, samples = key
        if isinstance(outcome, FailedChunk):
            what = f'"failed": {json.dumps(outcome.reason)}'
        else:
            what = f'"tally": {outcome.to_json()}'
        row = f'{{"task": "{task}", "chunk": {chunk}, "samples": {samples}, {what}'.encode()
        row += _checksum(row) + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            while row:
                row = row[self._file.write(row) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, end)
            raise MachineError(
                f"{self.path}: cannot be written ({error.strerror}); what was done is kept, "
                "run again to go on"
            ) from error
        self.rows[key] = outcome

    def _read(self) -> None:
        assert self._file is not None
        self._file.seek(0)
        # The last piece is empty, or a row that was torn by a kill.
        *lines, _ = self._file.readall().split(b"\n")
        end = 0
        for number, line in enumerate(lines, start=1):
            try:
                key, outcome = _parse(line)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.path} line {number}: not a row of senses ({error}); "
                    "remove that line, or the file to start again"
                ) from error
            end += len(line) + 1
            if isinstance(outcome, FailedChunk):
                if not self._retry_failed:
                    self.rows.setdefault(key, outcome)
                continue
            before = self.rows.get(key)
            if isinstance(before, SenseTally) and (before.count != outcome.count).any():
                raise InputError(
                    f"{self.path} line {number}: chunk {key[1]} stands there twice with other "
                    "counts; remove one of the two lines"
                )
            self.rows[key] = outcome
        self._file.truncate(end)
        self._file.seek(0, os.SEEK_END)


def _checksum(row: bytes) -> bytes:
    """The end of a row: the CRC-32 of what stands before it."""
    return b', "crc32": "%08x"}' % zlib.crc32(row)


def _parse(line: bytes) -> tuple[ChunkKey, SenseTally | FailedChunk]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    key = (str(row["task"]), int(row["chunk"]), int(row["samples"]))
    ending = len(_checksum(b""))
    if line[-ending:] != _checksum(line[:-ending]):
        raise ValueError("its checksum does not fit: the file was damaged or changed")
    if "failed" in row:
        return key, FailedChunk(samples=key[2], reason=str(row["failed"]))
    tally = SenseTally.from_json(row["tally"])
    if tally.samples != key[2]:
        raise ValueError("the counts do not add up")
    return key, tally
