"""Read the members of a tar archive in memory, one after the other, trusting none of it.

Nothing is ever extracted to disk. An archive is refused as soon as it shows a member with an
absolute path or "..", a link, a device, or more bytes than a data set of images can have.
"""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from rramsim.exceptions import InputError

__all__ = ["archive_members", "check_member_name"]

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
