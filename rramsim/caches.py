"""Where what can be made again is kept: transistors' tables, compiled circuits, decoded images."""

import os
import tempfile
from pathlib import Path

from rramsim.exceptions import InputError

__all__ = ["cache_folder"]


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
    return _temporary()


def _temporary() -> Path:
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
