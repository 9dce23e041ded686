"""numba's compiler, with its results kept on disk where a folder for them can be written.

numba keeps compiled functions beside the module or in the user's cache folder, and refuses to
import a module where neither can be written: an installation owned by somebody else, a user without
a home. Such a user waits for the compiler again at every start, which is seconds.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


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
            made: Function = njit(cache=True, nogil=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):  # "cannot cache function …: no locator available"
                raise
            made = njit(nogil=True, **options)(function)
        return made

    return decorate
