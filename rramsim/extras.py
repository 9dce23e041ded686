"""Packages that rramsim does without until a user asks for what they do, and how to get them."""

from importlib.util import find_spec

from rramsim.exceptions import InputError

__all__ = ["EXTRAS", "MissingPackageError", "missing_package", "require_package"]

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
