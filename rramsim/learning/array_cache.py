"""Keep arrays that take long to decode in the user's cache folder.

The cache is never needed: one that cannot be read, fails its check or cannot be written is passed
over, and the arrays are decoded again.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.files import atomic_path

__all__ = ["cached_arrays"]

_Arrays = dict[str, NDArray[np.generic]]
_VERSION = 1


def cached_arrays(folder: Path, key: str, decode: Callable[[], _Arrays]) -> _Arrays:
    """Return the arrays kept under `key`, or those of `decode()`, which are then kept.

    `key` names the contents (a digest of the source). A file holds a digest of its own arrays, so
    one that was altered or cut short is not used.
    """
    path = folder / f"{key}-v{_VERSION}.npz"
    unreadable = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with suppress(*unreadable), np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "digest"}
        if str(stored["digest"]) == _digest(arrays):
            return arrays
    arrays = decode()
    with suppress(OSError, InputError):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, digest=np.array(_digest(arrays)), **arrays)  # type: ignore[arg-type]
    return arrays


def _digest(arrays: _Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
