"""Files that are either whole or not there: write to a temporary name, then rename.

What can be made again (transistors' tables, compiled circuits, decoded images) is kept in the cache
folder.
"""

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rramsim.exceptions import InputError, MachineError

__all__ = [
    "atomic_path",
    "cache_folder",
    "cannot_write",
    "check_regular",
    "check_writable",
    "file_digest",
    "folder_lock",
    "is_full",
    "lock",
    "output_folder",
]

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up",
         errno.EFBIG: "the largest size of a file is reached"}  # fmt: skip
_PROBE = b"\0" * 2**16
"""What a disk that has room takes."""


def is_full(error: OSError) -> bool:
    """Whether there was no room for what was written."""
    return error.errno in _FULL


def cannot_write(path: Path, error: OSError) -> InputError | MachineError:
    """The refusal that says why nothing could be written, to be raised in place of `error`."""
    if is_full(error):
        return MachineError(
            f"{path}: {_FULL.get(error.errno or 0)}; what was done is kept, make room and run "
            "again to go on"
        )
    return InputError(f"{path}: cannot be written ({error.strerror or error})")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder that becomes `path` if the block succeeds.

    The temporary name keeps the suffix (matplotlib and xarray choose the format by it). If the
    block raises, `path` is left as it was and the temporary file is removed. The content is on disk
    before the name is. Raises `MachineError` for a full disk, whatever the block made of it.

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
        raise cannot_write(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        try:
            yield temporary
        except (OSError, RuntimeError) as error:
            # HDF5 calls a full disk "Permission denied" or "HDF error", PyTorch a failed write.
            if (full := _full(temporary, error)) is not None:
                raise cannot_write(path, full) from error
            raise
        # mkstemp makes files private; results are as readable as any file the user writes.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _full(path: Path, error: Exception) -> OSError | None:
    """The error of a disk that is full, asked of the disk itself where `error` does not say so."""
    if isinstance(error, OSError) and is_full(error):
        return error
    try:
        with path.open("ab") as file:
            file.write(_PROBE)
    except OSError as probed:
        return probed if is_full(probed) else None
    return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # folders of some network disks
            raise cannot_write(path, error) from error
    finally:
        os.close(handle)


def check_writable(path: Path) -> None:
    """Raise `InputError` before long work if `atomic_path` could not write `path` after it."""
    try:
        with tempfile.TemporaryFile(dir=Path(path).parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error


def check_regular(path: Path) -> None:
    """Raise `InputError` for a device or a pipe, which may never end; absent paths pass."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: is not a regular file")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file's content; raises `InputError` if it cannot be read."""
    check_regular(path)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


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
        if is_full(error):
            raise cannot_write(path, error) from error
        reason = error.strerror or str(error)
        raise InputError(
            f"--out {path}: cannot write there ({reason}); name a folder that can be written"
        ) from error
    return path


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold a folder for this process; raises `InputError` if another one holds it.

    The lock ends with the process, however it ends, and leaves no file behind. What a process that
    was killed left half written is removed. File systems that cannot lock folders (some network
    disks) are used without it.

    >>> import tempfile
    >>> with folder_lock(Path(tempfile.mkdtemp())):
    ...     pass
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            lock(handle, path)
        except MachineError:
            pass
        else:
            for left in Path(path).glob(".partial-*"):
                left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def lock(handle: int, path: Path) -> None:
    """Lock an open file or folder for this process, until it closes it or ends.

    Raises `InputError` if another process holds it, `MachineError` if the file system cannot.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise MachineError(
                f"{path}: cannot be locked ({error.strerror}); choose an --out on a disk of this "
                "machine"
            ) from error
        raise InputError(
            f"{path}: another run is writing there; wait for it or choose another --out"
        ) from error


def cache_folder() -> Path:
    """The folder `RRAMSIM_CACHE` names, else the user's, else one of the user's own in /tmp.

    The user's is XDG_CACHE_HOME/rramsim, or ~/.cache/rramsim. Where neither can be written (a user
    without a home) a folder for temporary files does, until it is cleared. Compiled circuits are
    code: that folder must belong to the user, and to nobody else.

    Raises `InputError` if the folder that was named cannot be made, or the last one is not the
    user's.
    """
    if named := os.environ.get("RRAMSIM_CACHE"):
        root = Path(named)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"RRAMSIM_CACHE = {named}: cannot make that folder ({error.strerror}); name another"
            ) from error
        return root
    try:
        base = os.environ.get("XDG_CACHE_HOME")
        root = (Path(base) if base else Path.home() / ".cache") / "rramsim"
        root.mkdir(parents=True, exist_ok=True)
        if os.access(root, os.W_OK):
            return root
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where the home would be
        pass
    return _temporary_cache()


def _temporary_cache() -> Path:
    user = os.getuid()
    root = Path(tempfile.gettempdir()) / f"rramsim-{user}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
    except OSError as error:
        raise InputError(
            f"{root}: cannot make a cache folder ({error.strerror}); name one in the environment "
            "variable RRAMSIM_CACHE"
        ) from error
    if root.is_symlink() or found.st_uid != user or found.st_mode & 0o077:
        raise InputError(
            f"{root}: others can write there, or it is not yours; name a cache folder in the "
            "environment variable RRAMSIM_CACHE"
        )
    return root
