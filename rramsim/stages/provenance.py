"""What made a result: versions, seeds, hashes, commands."""

import hashlib
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rramsim.engines import ngspice_version
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.learning import ImageData
from rramsim.schemas import FILE_SCHEMAS
from rramsim.stages.folder import RunFolder

__all__ = ["file_hashes", "present_versions", "write_provenance"]

_PACKAGES = ("rramsim", "numpy", "scipy", "torch", "xarray", "PySpice", "pandas", "matplotlib")
_NOT_RESULTS = ("provenance.json", "report.html", "nominal.nc")
"""The list itself, and what the report draws or keeps for itself at any later time."""


def write_provenance(
    folder: RunFolder, experiment: Experiment, *, data: ImageData | None = None
) -> dict[str, Any]:
    """Write `provenance.json` about the files that the folder holds now, and return it.

    Every command that leaves results in a folder does so at its end. The commands before it stay
    listed, and what they said of the images, if this one used none.
    """
    before = _before(folder)
    circuit = experiment.make_circuit()
    command = [os.path.basename(sys.argv[0]), *sys.argv[1:]]  # noqa: PTH119
    commands = [c for c in before.get("commands", []) if c != command]
    value: dict[str, Any] = {
        "schema": FILE_SCHEMAS["provenance.json"],
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commands": [*commands, command],
        "versions": present_versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "seeds": {
            "errors": experiment.errors.seed,
            "training": experiment.training.seed,
            "test": experiment.test.seed,
        },
        "engine": experiment.errors.make_engine().name,
        "process": {"name": circuit.process.name, "sha256": circuit.process.sha256},
        "circuit": {"name": circuit.name, "sha256": circuit.sha256},
        "data": before.get("data", {"label": "none"})
        if data is None
        else {"label": data.label, **data.source},
        "files": file_hashes(folder.path),
    }
    value["schemas"] = {name: FILE_SCHEMAS[name] for name in value["files"] if name in FILE_SCHEMAS}
    folder.write_json(folder.provenance, value)
    return value


def file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every result file of a folder, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _NOT_RESULTS and not path.name.startswith(".")
    }


def present_versions() -> dict[str, str]:
    """The versions of what computes: Python, ngspice and the libraries."""
    try:
        ngspice = str(ngspice_version())
    except InputError:  # networks are trained without it
        ngspice = "not installed"
    found = {name: _version(name) for name in _PACKAGES}
    return found | {"python": platform.python_version(), "ngspice": ngspice}


def _before(folder: RunFolder) -> dict[str, Any]:
    if not folder.provenance.is_file():
        return {}
    try:
        return folder.read_json(folder.provenance, "rramsim run")
    except InputError:
        return {}  # it is written anew, whole


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
