"""Read the official CIFAR-10 batches, which are pickles, without running anything in them.

A pickle may name any function and call it. The reader here admits a handful of names, and none
of them reaches numpy: each is replaced by a stand-in that only remembers its arguments. The array
is then rebuilt from the remembered bytes after its shape and type are checked.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError

__all__ = ["read_batch"]

_IMAGE_BYTES = 3 * 32 * 32


class _Array:
    """What a pickled numpy array leaves behind: its shape, element type and bytes."""

    shape: Any = None
    dtype: Any = None
    data: Any = None

    def __setstate__(self, state: Any) -> None:
        _version, self.shape, self.dtype, fortran, self.data = state
        if fortran:
            raise pickle.UnpicklingError("column-major array")


class _DType:
    """What a pickled element type leaves behind: its name."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        del state


class _Name:
    """Stands where a pickle names a function or class; calls ours, cannot be altered by it."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it alters a function")


def _no_call(*_: Any) -> None:
    raise pickle.UnpicklingError("numpy.ndarray is called")


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("an array of an unknown class")
    return _Array()


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    # How Python 3 writes bytes in the old pickle protocols.
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("an unknown encoding")
    return text.encode("latin1")


_NDARRAY = _Name(_no_call)
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Name(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _Name(_reconstruct),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(_DType),
    ("_codecs", "encode"): _Name(_encode),
}
_MAX_TUPLES = 100
"""A batch has about ten tuples. Thousands, one in another, would exhaust the stack when hashed."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it calls {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside")


def _load(content: bytes) -> Any:
    names = (opcode.name for opcode, _, _ in pickletools.genops(content))
    if sum("TUPLE" in name or name == "FROZENSET" for name in names) > _MAX_TUPLES:
        raise pickle.UnpicklingError(f"more than {_MAX_TUPLES} tuples")
    return _Reader(io.BytesIO(content), encoding="bytes").load()


def read_batch(
    content: bytes, where: str, *, labels: str = "labels", classes: int = 10, first: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images (N, 3, 32, 32) and labels (N,), from 0, of one official batch.

    `labels` is the entry that holds them, as numbers from `first` on, for so many classes.

    `where` names the file in the `InputError` raised if the content is not such a batch.
    """
    try:
        values = _load(content)
    except Exception as error:
        # A damaged pickle can fail in any way; all of them mean the same to the user.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{where}: not a batch of images ({reason})") from error
    if not isinstance(values, dict):
        raise InputError(f"{where}: not a batch of images (no dictionary)")
    array, found = (values.get(key.encode(), values.get(key)) for key in ("data", labels))
    if not isinstance(array, _Array) or not isinstance(found, list):
        raise InputError(f"{where}: not a batch of images (no 'data' array with a {labels!r} list)")
    expected = (len(found), _IMAGE_BYTES)
    name = array.dtype.name if isinstance(array.dtype, _DType) else None
    if (
        array.shape != expected
        or name != "u1"
        or not isinstance(array.data, bytes)
        or len(array.data) != len(found) * _IMAGE_BYTES
    ):
        raise InputError(
            f"{where}: its data are {array.shape} of {name!r}, must be {expected} bytes"
        )
    if not all(type(label) is int and first <= label < first + classes for label in found):
        raise InputError(
            f"{where}: its labels must be whole numbers {first} to {first + classes - 1}"
        )
    # A copy, since memory that cannot be written to makes torch warn.
    images = np.frombuffer(array.data, dtype=np.uint8).reshape(-1, 3, 32, 32).copy()
    return images, np.array(found, dtype=np.int64) - first
