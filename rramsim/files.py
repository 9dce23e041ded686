"""Files that are either whole or not there: write to a temporary name, then rename."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rramsim.exceptions import InputError, MachineError

__all__ = [
    "append_line",
    "atomic_path",
    "check_writable",
    "folder_lock",
    "output_folder",
    "whole_lines",
]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder that becomes `path` if the block succeeds.

    The temporary name keeps the suffix (matplotlib and xarray choose the format by it). If the
    block raises, `path` is left as it was and the temporary file is removed.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; results are as readable as any file the user writes.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def check_writable(path: Path) -> None:
    """Raise `InputError` before long work if `atomic_path` could not write `path` after it."""
    try:
        with tempfile.TemporaryFile(dir=Path(path).parent):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def output_folder(path: Path) -> Path:
    """Make the folder `path` and check that files can be written into it.

    Raises `InputError` when it cannot be made, is a file, or refuses a file.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--out {path}: cannot write there ({reason}); name a folder that can be written"
        ) from error
    return path


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold a folder for this process; raises `InputError` if another one holds it.

    The lock ends with the process, however it ends, and leaves no file behind. File systems that
    cannot lock folders (some network disks) are used without it.

    >>> import tempfile
    >>> with folder_lock(Path(tempfile.mkdtemp())):
    ...     pass
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                raise InputError(
                    f"--out {path}: another run is writing there; wait for it or choose another "
                    "folder"
                ) from error
        yield
    finally:
        os.close(handle)


def append_line(path: Path, line: str) -> None:
    """Append one line and sync it; raises `MachineError` when the disk refuses."""
    try:
        with path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MachineError(
            f"{path}: cannot be written ({error.strerror}); what was done is kept, run again"
        ) from error


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that was appended to; a last line torn by a kill is cut off it."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)
    return content[:end].decode(errors="replace").splitlines()
