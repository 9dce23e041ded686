"""Imports that wait until they are asked for: public names (PEP 562), and packages of extras.

A package's `__init__.py` names what it re-exports once, where type checkers and editors look:

    if TYPE_CHECKING:
        from rramsim.devices.fitting import fit_devices
    else:
        __getattr__ = names_on_demand(__name__)

At run time nothing of that is imported until `rramsim.devices.fit_devices` is used, so a command
that needs no numba, torch or scipy does not wait for them. A package that rramsim does without
until a user asks for what it does is refused with how to get it.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rramsim.exceptions import InputError

__all__ = ["EXTRAS", "MissingPackageError", "missing_package", "names_on_demand", "require_package"]


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


EXTRAS = {
    "torch": "networks",
    "distributed": "cluster",
    "starlette": "explore",
    "uvicorn": "explore",
    "pyarrow": "parquet",
    "safetensors": "onnx",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "qonnx": "onnx",
}
"""Package, by its name on the index and in Python, and the extra that brings it."""


class MissingPackageError(InputError, ImportError):
    """A package of an extra is not installed; the message says how to get it."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


def missing_package(error: ImportError) -> MissingPackageError | None:
    """What to tell the user if the import failed without an extra's package, else None.

    >>> print(missing_package(ModuleNotFoundError(name="torch.nn")))
    torch is not installed: pip install torch, or pip install '.[networks]' in rramsim's checkout
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    told = f"pip install {package}, or pip install '.[{EXTRAS[package]}]' in rramsim's checkout"
    return MissingPackageError(f"{package} is not installed: {told}", name=package)


def require_package(package: str, what: str) -> None:
    """Raise `MissingPackageError` if a package of an extra is missing; `what` needs it."""
    if find_spec(package) is None and (told := missing_package(ImportError(name=package))):
        raise MissingPackageError(f"{what}: {told}", name=package)
