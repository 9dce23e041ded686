"""numba's compiler, with its results kept on disk where a folder for them can be written.

numba keeps compiled functions beside the module or in the user's cache folder, and refuses to
import a module where neither can be written: an installation owned by somebody else, a user without
a home. Such a user waits for the compiler again at every start, which is seconds. So does one whose
kept results are damaged, once, or whose disk is full.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import IndexDataCacheFile

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


def compiled(**options: Any) -> Callable[[Function], Function]:
    """As `numba.njit(cache=True, nogil=True, **options)`, without the cache where it cannot be.

    >>> @compiled()
    ... def double(value):
    ...     return 2 * value
    >>> double(3)
    6
    """

    def decorate(function: Function) -> Function:
        try:
            made: Any = njit(**{"cache": True, "nogil": True, **options})(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):  # "cannot cache function …: no locator available"
                raise
            return njit(**{"nogil": True, **options})(function)
        made._cache._cache_file.__class__ = _MendedFile
        return made

    return decorate


class _MendedFile(IndexDataCacheFile):
    """numba's files of a function, of which damaged ones count as missing."""

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except Exception as error:  # pickle raises nearly anything
            self._forget(self._index_path, error)
            return {}

    def _load_data(self, name: str) -> Any:
        try:
            return super()._load_data(name)
        except OSError:
            raise
        except Exception as error:
            self._forget(self._data_path(name), error)
            raise FileNotFoundError(name) from error

    def save(self, key: Any, data: Any) -> None:
        """Keep a result if the disk takes it."""
        with suppress(OSError):
            super().save(key, data)

    def _forget(self, path: str, error: Exception) -> None:
        _log.warning("%s is damaged (%s); compiled again", path, type(error).__name__)
        with suppress(OSError):
            Path(path).unlink()
