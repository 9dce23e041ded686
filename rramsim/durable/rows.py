"""A file of results: one JSON row a job, appended, never changed.

Reading the rows is how a run resumes. A row is written with one write and synced; a process that
is killed leaves at most a torn last line, which is dropped when the file is opened again. Each row
ends with a checksum of what stands before it, and its reader compares its numbers with one another,
so that no changed row gives another result.
"""

import json
import os
import stat
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from rramsim.durable.job import Failed
from rramsim.exceptions import InputError
from rramsim.files import cannot_write, lock

Value = TypeVar("Value")

_NOT_TRIED = Failed(reason="not tried yet")
_LONGEST_BYTES = 2**22
"""Longest row that is read; a row of 10,000 images or 1,000 draws takes some 20 kB."""


class RowFile(Generic[Value]):
    """Rows of `path`, open for this process alone; a context manager.

    `parse` makes a value of what a row holds and raises `ValueError` if its numbers do not fit one
    another. With `retry_failed`, jobs that the file names as failed count as not tried.
    """

    def __init__(
        self, path: Path, *, parse: Callable[[Any], Value], retry_failed: bool = False
    ) -> None:
        self.path = path
        self._parse_value = parse
        self._retry_failed = retry_failed
        self.rows: dict[str, Value | Failed] = {}
        self._file: FileIO | None = None

    def __enter__(self) -> "RowFile[Value]":
        try:
            # Unbuffered: what a full disk did not take must not be written when the file closes.
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._file = FileIO(handle, "r+")
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InputError(f"{self.path}: not a file; remove it or choose another --out")
            lock(handle, self.path)
            self._read(self._file)
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

    def lacks(self, key: str) -> bool:
        """Whether the job of this key has to be done."""
        return isinstance(self.rows.get(key, _NOT_TRIED), Failed)

    def append(self, key: str, name: str, outcome: Any) -> Value | Failed:
        """Keep what a job gave, plain values or `Failed`, on disk and in `rows`.

        Raises `MachineError` on a full disk; the file is then as it was.
        """
        assert self._file is not None
        failed = isinstance(outcome, Failed)
        content = {"failed": outcome.reason} if failed else {"value": outcome}
        row = json.dumps({"key": key, "name": name, **content}, allow_nan=False)[:-1].encode()
        row += _checksum(row) + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            while row:
                row = row[self._file.write(row) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.truncate(self._file.fileno(), end)
            raise cannot_write(self.path, error) from error
        value: Value | Failed = outcome if failed else self._parse_value(outcome)
        self.rows[key] = value
        return value

    def _read(self, file: FileIO) -> None:
        end = number = 0
        with os.fdopen(os.dup(file.fileno()), "rb") as lines:
            while line := lines.readline(_LONGEST_BYTES):
                number += 1
                if not line.endswith(b"\n") and len(line) < _LONGEST_BYTES:
                    break  # torn by a kill
                try:
                    self._take(line)
                except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                    raise InputError(
                        f"{self.path} line {number}: not a row of results ({_short(error)}); "
                        "remove that line to do it again, or the file to start again"
                    ) from error
                end += len(line)
        if end < os.fstat(file.fileno()).st_size:
            file.truncate(end)

    def _take(self, line: bytes) -> None:
        ending = len(_checksum(b"")) + 1
        if line[-ending:-1] != _checksum(line[:-ending]) or line[-1:] != b"\n":
            raise ValueError("its checksum does not fit: the file was damaged or changed")
        row = json.loads(line, parse_constant=_no_constant)
        key = str(row["key"])
        if "failed" in row:
            if not self._retry_failed:
                self.rows.setdefault(key, Failed(reason=str(row["failed"])))
            return
        value, before = self._parse_value(row["value"]), self.rows.get(key)
        if before is not None and not isinstance(before, Failed) and before != value:
            raise ValueError(f"{row['name']} is given twice with different results")
        self.rows[key] = value


def _checksum(row: bytes) -> bytes:
    """The end of a row: the CRC-32 of what stands before it."""
    return b', "crc32": "%08x"}' % zlib.crc32(row)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _short(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error}"
    return " ".join(str(error).split())[:200]
