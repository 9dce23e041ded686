"""The two ways in which rramsim refuses: the user's input is at fault, or the machine is."""

__all__ = ["InputError", "MachineError"]


class InputError(ValueError):
    """What the user gave is at fault; the command line prints the message and exits with 2.

    The message is one line that names the file, the key, the value and what would be right.
    """


class MachineError(RuntimeError):
    """The machine is at fault (a full disk, say); printed as one line, exit 1."""
