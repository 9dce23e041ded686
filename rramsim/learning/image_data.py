"""A labelled set of images in memory, as the data set has it: bytes, no normalisation; kept in the
cache where decoding takes long.

The cache is never needed: one that cannot be read, fails its check or cannot be written is passed
over, and the arrays are decoded again.

The members of a tar archive are read in memory, one after the other, trusting none of it: nothing
is ever extracted to disk, and an archive is refused as soon as it shows a member with an absolute
path or "..", a link, a device, or more bytes than a data set of images can have.
"""

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.files import atomic_path


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Training and test images with their labels.

    Images are uint8 (or float32 features) of shape (N, C, H, W), labels int64 of shape (N,) with
    values 0 to len(classes) - 1. `label` is what figures call the set. `source` says which file it
    came from (its name and checksum). `crop_pixels` and `flip` say which augmentation leaves the
    meaning of an image as it is: shifts of up to that many pixels, and left-right mirroring.

    Raises `InputError` if shapes, types or labels disagree.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    label: str
    source: dict[str, str] = field(default_factory=dict)
    crop_pixels: int = 0
    flip: bool = False

    def __repr__(self) -> str:
        """Its name, how many images of which shape, and its classes."""
        shape = " x ".join(map(str, self.train_images.shape[1:]))
        return (
            f"ImageData({self.label!r}: {len(self.train_labels)} training and "
            f"{len(self.test_labels)} test images of {shape}, {len(self.classes)} classes)"
        )

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype not in (np.uint8, np.float32) or images.ndim != 4:
                raise InputError(
                    f"{self.label}: {part} images are {images.dtype} of shape {images.shape}, "
                    "must be uint8 or float32 of shape (images, channels, height, width)"
                )
            if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
                raise InputError(
                    f"{self.label}: {part} labels are {labels.dtype} of shape {labels.shape}, "
                    f"must be int64 of shape ({images.shape[0]},)"
                )
            if len(labels) == 0:
                raise InputError(f"{self.label}: there are no {part} images")
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise InputError(
                    f"{self.label}: {part} labels run from {labels.min()} to {labels.max()}, "
                    f"must lie between 0 and {len(self.classes) - 1}"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise InputError(
                f"{self.label}: training images are {self.train_images.shape[1:]} and test images "
                f"{self.test_images.shape[1:]}; both must have one shape"
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    def test_part(self, images: int, *, seed: int = 0) -> "ImageData":
        """The same set with so many test images, as many of each class as can be, drawn by a seed.

        The first ones would be of one class alone in a set that is sorted by class. All of them, or
        0 for all, is the set itself. Raises `InputError` if there are not that many.
        """
        count = len(self.test_labels)
        if not 0 <= images <= count:
            raise InputError(f"images = {images}: {self.label} has {count} test images")
        if images in (0, count):
            return self
        rng = np.random.default_rng([seed, 0x7E57])
        order = rng.permutation(count)
        # The n-th image of each class comes before the n+1-th of any.
        rank = np.empty(count, dtype=np.int64)
        for label in np.unique(self.test_labels):
            mine = order[self.test_labels[order] == label]
            rank[mine] = np.arange(len(mine))
        chosen = np.sort(order[np.argsort(rank[order], kind="stable")][:images])
        return replace(
            self,
            test_images=self.test_images[chosen],
            test_labels=self.test_labels[chosen],
            source=self.source | {"test_images": f"{images} of {count}, balanced, seed {seed}"},
        )

    def subset(self, *, train: int, test: int, seed: int = 0) -> "ImageData":
        """Return so many training and test images, drawn without replacement from `seed`.

        Raises `InputError` if there are not that many. The label says that it is a subset.
        """
        rng = np.random.default_rng([seed, 0x5B5E7])
        chosen = []
        for part, wanted, present in (
            ("training", train, len(self.train_labels)),
            ("test", test, len(self.test_labels)),
        ):
            if not 1 <= wanted <= present:
                raise InputError(
                    f"{self.label}: {wanted} {part} images wanted, must be 1 to {present}"
                )
            chosen.append(np.sort(rng.permutation(present)[:wanted]))
        return replace(
            self,
            train_images=self.train_images[chosen[0]],
            train_labels=self.train_labels[chosen[0]],
            test_images=self.test_images[chosen[1]],
            test_labels=self.test_labels[chosen[1]],
            label=f"{self.label}, {train} + {test} images",
        )


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


_MAX_UNPACKED = 1 << 30
_MAX_MEMBERS = 200_000
_MAX_XZ_MEMORY = 1 << 28


def archive_members(path: Path, *, max_member_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield (name, contents) of every regular file in a .tar, .tar.gz or .tar.xz archive.

    Raises `InputError` of one line if the file is missing, cut short or corrupt, or if it holds
    anything but folders and plain files of at most `max_member_bytes` with paths inside it.
    """
    try:
        with path.open("rb") as raw:
            stream = _LimitedStream(_unpacked(raw), path)
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
                yield from _members(archive, path, max_member_bytes)
            # What follows the archive's end is read too: it holds the compressor's checksum.
            while stream.read(1 << 20):
                pass
    except OSError as error:
        # Also gzip.BadGzipFile. FileNotFoundError and the like carry an operating system's reason.
        reason = error.strerror or str(error) or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason})") from error
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: cut short or corrupt ({reason}); fetch it again") from error


def check_member_name(name: str, path: Path) -> PurePosixPath:
    """Return an archive member's path; `InputError` if it is absolute or leaves the archive.

    >>> check_member_name("train/cat/1.jpg", Path("a.tar")).parts
    ('train', 'cat', '1.jpg')
    """
    member = PurePosixPath(name)
    windows = "\\" in name or (len(name) > 1 and name[1] == ":")
    if member.is_absolute() or ".." in member.parts or windows or "\0" in name:
        raise InputError(
            f"{path}: member {name[:80]!r} leads out of the archive; not a data set to trust"
        )
    return member


def _members(
    archive: tarfile.TarFile, path: Path, max_member_bytes: int
) -> Iterator[tuple[str, bytes]]:
    for count, member in enumerate(archive):
        if count >= _MAX_MEMBERS:
            raise InputError(
                f"{path}: more than {_MAX_MEMBERS} members, too many for this data set"
            )
        check_member_name(member.name, path)
        if member.isdir():
            continue
        if not member.isreg():
            raise InputError(
                f"{path}: member {member.name[:80]!r} is a link or a device, must be a plain file"
            )
        if member.size > max_member_bytes:
            raise InputError(
                f"{path}: member {member.name[:80]!r} has {member.size} bytes, "
                f"must be at most {max_member_bytes}"
            )
        content = archive.extractfile(member)
        data = content.read() if content is not None else b""
        if len(data) != member.size:
            raise InputError(f"{path}: cut short in {member.name[:80]!r}; fetch it again")
        yield member.name, data


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    """Undo the compression that the first bytes tell of."""
    magic = raw.read(6)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if magic == b"\xfd7zXZ\x00":
        return cast("IO[bytes]", io.BufferedReader(_XzReader(raw), buffer_size=1 << 20))
    return raw


class _XzReader(io.RawIOBase):
    """lzma.LZMAFile with a limit on the memory that the archive may ask for."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        while not self._decoder.eof:
            chunk = self._raw.read(1 << 16) if self._decoder.needs_input else b""
            if self._decoder.needs_input and not chunk:
                raise EOFError("the compressed data ends too early")
            data = self._decoder.decompress(chunk, max_length=len(view))
            if data:
                view[: len(data)] = data
                return len(data)
        return 0


class _LimitedStream:
    """A stream that refuses to unpack more than a data set of images can have."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = _MAX_UNPACKED

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"{self._path}: unpacks to more than {_MAX_UNPACKED} bytes")
        return data
