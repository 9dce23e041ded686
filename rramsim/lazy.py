"""Public names of a package that are imported when they are first asked for (PEP 562).

A package's `__init__.py` names what it re-exports once, where type checkers and editors look:

    if TYPE_CHECKING:
        from rramsim.devices.fitting import fit_devices
    else:
        __getattr__ = names_on_demand(__name__)

At run time nothing of that is imported until `rramsim.devices.fit_devices` is used, so a command
that needs no numba, torch or scipy does not wait for them.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rramsim.extras import missing_package

__all__ = ["names_on_demand"]


def names_on_demand(package: str) -> Callable[[str], Any]:
    """The module-level `__getattr__` of a package that imports its names under TYPE_CHECKING."""

    def get(name: str) -> Any:
        source = None if name.startswith("__") else _sources(package).get(name)
        if source is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = source
        try:
            value = getattr(import_module(module), original)
        except ModuleNotFoundError as error:
            raise missing_package(error) or error from error
        setattr(sys.modules[package], name, value)
        return value

    return get


@cache
def _sources(package: str) -> dict[str, tuple[str, str]]:
    """Module and name behind each public name, read in the package's own text."""
    spec = find_spec(package)
    assert spec is not None and spec.loader is not None
    text = spec.loader.get_source(package)  # type: ignore[attr-defined]
    (block,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
    )
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
