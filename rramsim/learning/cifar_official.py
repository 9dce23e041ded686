"""CIFAR-10 as its authors publish it: fetched, checked, and its pickles read without running
anything in them.

A pickle may name any function and call it. The reader here admits a handful of names, and none of
them reaches numpy: each is replaced by a stand-in that only remembers its arguments. The array is
then rebuilt from the remembered bytes after its shape and type are checked.
"""

import hashlib
import http.client
import io
import pickle
import pickletools
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from rramsim.exceptions import InputError, MachineError
from rramsim.files import atomic_path, file_digest, output_folder
from rramsim.learning.image_data import ImageData, archive_members

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


ARCHIVE_NAME = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER_NAME = "cifar-10-batches-py"
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_CONTENT_SHA256 = "32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493"
"""`content_digest` of the published set. Taken from lossless copies of its images: their means and
deviations in each channel are the published ones to all digits."""
_MAX_BATCH_BYTES = 1 << 26


def load_official_archive(path: Path, *, md5: str = ARCHIVE_MD5) -> ImageData:
    """Read `cifar-10-python.tar.gz` in memory, after checking that its md5 is the published one."""
    found = file_digest(path, "md5")
    if found != md5:
        raise InputError(
            f"{path}: md5 {found}, the official archive has {md5}; cut short or altered, "
            "fetch it again"
        )
    members = archive_members(path, max_member_bytes=_MAX_BATCH_BYTES)
    return _assembled(members, path, {"file": path.name, "md5": found}, label="CIFAR-10")


def load_official_folder(path: Path) -> ImageData:
    """Read the batches of an extracted `cifar-10-batches-py`.

    The set is called "CIFAR-10" if every file has its published md5, or holds the published images
    and labels though it was written anew; else "CIFAR-10 (altered)".
    """

    def members() -> Iterator[tuple[str, bytes]]:
        for name in _BATCH_MD5:
            file = path / name
            try:
                if file.stat().st_size > _MAX_BATCH_BYTES:
                    raise InputError(f"{file}: larger than {_MAX_BATCH_BYTES} bytes")
                yield name, file.read_bytes()
            except OSError as error:
                raise InputError(f"{file}: cannot be read ({error.strerror})") from error

    contents = list(members())
    digests = {name: hashlib.md5(content).hexdigest() for name, content in contents}
    together = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    source = {"file": path.name, "sha256_of_md5s": together}
    data = _assembled(iter(contents), path, source, label="CIFAR-10")
    if digests == _BATCH_MD5 or content_digest(data) == _CONTENT_SHA256:
        return data
    return replace(data, label="CIFAR-10 (altered)")


def content_digest(data: ImageData) -> str:
    """Return the sha256 of all images and labels, whatever the files that held them."""
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(array.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _assembled(
    members: Iterator[tuple[str, bytes]], path: Path, source: dict[str, str], *, label: str
) -> ImageData:
    batches = {}
    for name, content in members:
        base = PurePosixPath(name).name
        if base in _BATCH_MD5:
            batches[base] = read_batch(content, f"{path}: {base}")
    missing = sorted(set(_BATCH_MD5) - set(batches))
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; not the CIFAR-10 archive")
    training = [batches[name] for name in sorted(batches) if name != "test_batch"]
    return ImageData(
        train_images=np.concatenate([images for images, _ in training]),
        train_labels=np.concatenate([labels for _, labels in training]),
        test_images=batches["test_batch"][0],
        test_labels=batches["test_batch"][1],
        classes=CIFAR10_CLASSES,
        label=label,
        source=source,
        crop_pixels=4,
        flip=True,
    )


CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_MAX_BYTES = 1 << 28
_CHUNK = 1 << 18


def download_cifar10(
    folder: Path, *, url: str = CIFAR10_URL, md5: str = ARCHIVE_MD5, timeout_s: float = 30.0
) -> Path:
    """Put the official archive into `folder` and return its path; progress goes to standard error.

    An archive that is there already and has the published md5 is kept. Raises `MachineError` if the
    address cannot be reached, answers with an error or breaks off, and `InputError` if the folder
    cannot be written. A download with another md5 is thrown away.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"url = {url!r}: must begin with https:// or http://")
    target = output_folder(Path(folder)) / ARCHIVE_NAME
    if target.exists() and file_digest(target, "md5") == md5:
        return target
    with atomic_path(target) as temporary:
        try:
            found = _fetch(url, temporary, timeout_s)
        except urllib.error.HTTPError as error:
            raise MachineError(f"{url}: answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise MachineError(
                f"{url}: cannot be fetched ({reason}); fetch it by other means into {folder}"
            ) from error
        if found != md5:
            raise MachineError(f"{url}: fetched a file of md5 {found}, must be {md5}; thrown away")
    return target


def _fetch(url: str, path: Path, timeout_s: float) -> str:
    """Write what the address serves to `path`; return its md5."""
    digest = hashlib.md5()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    progress = Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True))
    with urllib.request.urlopen(url, timeout=timeout_s) as response, path.open("wb") as stream:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        received = 0
        with progress:
            task = progress.add_task(ARCHIVE_NAME, total=total)
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if received > _MAX_BYTES:
                    raise OSError(f"serves more than {_MAX_BYTES} bytes")
                digest.update(chunk)
                stream.write(chunk)
                progress.update(task, advance=len(chunk))
        if total is not None and received < total:
            raise OSError(f"broke off after {received} of {total} bytes")
    return digest.hexdigest()
