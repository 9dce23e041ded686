"""The two ways in which rramsim refuses: the user's input is at fault, or the machine is."""

from unicodedata import category

__all__ = ["InputError", "MachineError", "printable"]


class InputError(ValueError):
    """What the user gave is at fault; the command line prints the message and exits with 2.

    The message is one line that names the file, the key, the value and what would be right.
    """


class MachineError(RuntimeError):
    """The machine is at fault (a full disk, say); printed as one line, exit 1."""


def printable(text: object) -> str:
    """The text as a terminal can only show it, never obey it; lines stay lines.

    Names of files, netlists and data are a user's, or of somebody who sent them: what controls a
    terminal is written out.

    >>> printable("amp\\x1b[31m.spice")
    'amp\\\\x1b[31m.spice'
    """
    return "".join(c if c == "\n" or _shown(c) else repr(c)[1:-1] for c in str(text))


def _shown(character: str) -> bool:
    """Not a control, a format (what turns the direction of writing) or a line's end."""
    kind = category(character)
    return kind[0] != "C" and kind not in ("Zl", "Zp")
