"""Files of SPICE text as logical lines: decoded, without comments, continuations joined."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rramsim.exceptions import InputError

_MAX_BYTES = 64 * 2**20
_MAX_LINE = 2**20
_FORBIDDEN = ("/proc", "/sys", "/dev")
_COMMENT = re.compile(r"(?:^|\s)\$|;|//")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class Where(NamedTuple):
    """A place in a file, which messages name."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path} line {self.line}"


def read_text(path: Path, what: str) -> str:
    """Read a text file of the user's; raises `InputError` that says what it was to be.

    UTF-8, UTF-16 and Windows' CP1252 are known, with and without a byte order mark. Only regular
    files of at most 64 MiB outside /proc, /sys and /dev are opened.
    """
    try:
        resolved = str(path.resolve())
        # Without O_NONBLOCK the opening of a FIFO would wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            system = any(resolved == f or resolved.startswith(f"{f}/") for f in _FORBIDDEN)
            data = file.read(_MAX_BYTES + 1) if regular and not system else b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot read {what} ({reason})") from error
    if not regular or system:
        raise InputError(f"{path}: is not a regular file of a user's; {what} is a text file")
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path}: larger than 64 MiB; {what} is a short text file")
    return decoded(data, path, what)


def decoded(data: bytes, path: Path, what: str) -> str:
    """Text of UTF-8, UTF-16 or CP1252, with or without a byte order mark."""
    # LTspice writes UTF-16 without a mark as well: every other byte of plain text is 0.
    encodings = ["utf-16-le"] if data[1:2] == b"\0" else ["utf-8", "cp1252"]
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            data, encodings = data[len(mark) :], [encoding]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path}: {what} is not text (UTF-8, UTF-16 or CP1252)")


def logical_lines(text: str, path: Path) -> Iterator[tuple[Where, str]]:
    """The logical lines of the text of a file, each with the place of its first line.

    Left out: lines that begin with `*`, and what follows `;`, `//` or a blank and `$`. A line that
    begins with `+` goes on with the one before. Raises `InputError` for what cannot be printed.

    >>> list(logical_lines("* title\\nm1 a b\\n+ c d $ tail", Path("x")))[0][1]
    'm1 a b c d'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := _CONTROL.search(text):
        at = Where(path, text.count("\n", 0, found.start()) + 1)
        raise InputError(f"{at}: holds {found[0]!r}, a character that cannot be printed")
    first, length = 0, 0
    parts: list[str] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] == "*":
            continue
        if ("$" in line or ";" in line or "//" in line) and (mark := _COMMENT.search(line)):
            line = line[: mark.start()].rstrip()
            if not line:
                continue
        length += len(line)
        if line[0] == "+":
            if not first:
                raise InputError(f"{Where(path, number)}: '+' continues nothing")
            if length > _MAX_LINE:
                raise InputError(f"{Where(path, first)}: a line of more than 1 MiB")
            parts.append(line[1:].strip())
            continue
        if first:
            yield Where(path, first), parts[0] if len(parts) == 1 else " ".join(parts)
        first, parts, length = number, [line], len(line)
    if first:
        yield Where(path, first), " ".join(parts)
