"""What made a result: versions, seeds, hashes, command."""

import hashlib
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rramsim.engines import ngspice_version
from rramsim.experiment import Experiment
from rramsim.pipeline.folder import RunFolder

__all__ = ["write_provenance"]

_PACKAGES = ("rramsim", "numpy", "scipy", "torch", "xarray", "PySpice", "pandas", "matplotlib")


def write_provenance(
    folder: RunFolder, experiment: Experiment, *, data_label: str, data_source: dict[str, str]
) -> dict[str, Any]:
    """Write `provenance.json` about the files that the folder holds now, and return it."""
    circuit = experiment.make_circuit()
    value: dict[str, Any] = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],  # noqa: PTH119
        "versions": {name: _version(name) for name in _PACKAGES}
        | {"python": platform.python_version(), "ngspice": str(ngspice_version())},
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "seeds": {
            "errors": experiment.errors.seed,
            "training": experiment.training.seed,
            "test": experiment.test.seed,
        },
        "engine": experiment.errors.make_engine().name,
        "process": {"name": circuit.process.name, "sha256": circuit.process.sha256},
        "circuit": {"name": circuit.name, "sha256": circuit.sha256},
        "data": {"label": data_label, **data_source},
        "files": {
            path.relative_to(folder.path).as_posix(): _sha256(path.read_bytes())
            for path in sorted(folder.path.rglob("*"))
            if path.is_file() and path not in (folder.provenance, folder.report)
        },
    }
    folder.write_json(folder.provenance, value)
    return value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
