"""What made a result: versions, seeds, hashes, commands."""

import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rramsim.exceptions import InputError
from rramsim.files import file_digest
from rramsim.records import ProvenanceRecord
from rramsim.stages.folder import EXPERIMENT, PROVENANCE, ResultFile, Rows, RunFolder, check_schema

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning import ImageData

_PACKAGES = ("rramsim", "numpy", "scipy", "torch", "xarray", "PySpice", "pandas", "matplotlib")


_THREADS = (
    "trainings give the same numbers on as many threads of such a processor only: sums are rounded "
    "in another order on others"
)
"""An MLP on digits, seed 0, 4 epochs: 92.9 % on one thread, 92.0 % on two."""


def known_files() -> dict[str, ResultFile[Any]]:
    """Every file that a folder may hold, by its name."""
    from rramsim.stages import STAGES

    files: tuple[ResultFile[Any], ...] = (
        EXPERIMENT,
        PROVENANCE,
        *(file for stage in STAGES for file in stage.files),
    )
    return {file.name: file for file in files}


def refuse_newer(folder: RunFolder) -> None:
    """Raise `InputError` if a newer rramsim wrote the folder or a file of it."""
    EXPERIMENT.read(folder)
    known, before = known_files(), PROVENANCE.read(folder)
    for name, schema in (before.schemas if before else {}).items():
        if name in known:
            check_schema(schema, known[name].schema, folder.path / name)


def refuse_changed(folder: RunFolder, files: "Iterable[ResultFile[Any]]") -> None:
    """Raise `InputError` for a file that another hand changed since its stage made it."""
    before = PROVENANCE.read(folder)
    listed = before.files if before else {}
    for file in files:
        path = file.path(folder)
        if file.name in listed and path.is_file() and listed[file.name] != file_digest(path):
            raise InputError(
                f"{path}: changed since it was made; make it again with {file.made_by(folder)}"
            )


def outdated(folder: RunFolder, files: "Iterable[ResultFile[Any]]") -> str:
    """Which of these files was made from a file that has been made anew since, in one line.

    Empty where none was, or nothing is recorded.
    """
    found = PROVENANCE.read(folder)
    for file in files:
        for name, digest in (found.made_from.get(file.name, {}) if found else {}).items():
            if found and found.files.get(name, digest) != digest:
                return f"{file.name} was made from an earlier {name}"
    return ""


def write_provenance(
    folder: RunFolder,
    experiment: "Experiment",
    *,
    made: "Iterable[ResultFile[Any]]" = (),
    needs: "Iterable[ResultFile[Any]]" = (),
    data: "ImageData | None" = None,
) -> None:
    """Write `provenance.json` about the files that the folder holds now.

    Every stage that leaves results does so at its end; `made` are its own, made out of `needs`.
    What other stages made stays listed as they left it, so that a change by another hand is not
    signed here. The commands before it stay listed, and what they said of the images, if this one
    used none.
    """
    before = PROVENANCE.read(folder)
    circuit = experiment.make_circuit()
    program = os.path.basename(sys.argv[0])  # noqa: PTH119
    # `python -m rramsim` is the same program.
    command = ["rramsim" if program == "__main__.py" else program, *sys.argv[1:]]
    commands = [c for c in (before.commands if before else []) if c != command]
    value: dict[str, Any] = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commands": [*commands, command],
        "versions": present_versions(),
        "machine": present_machine(),
        "seeds": {
            "errors": experiment.errors.seed,
            "training": experiment.training.seed,
            "test": experiment.test.seed,
        },
        "engine": experiment.errors.make_engine().name,
        "process": {"name": circuit.process.name, "sha256": circuit.process.sha256},
        "circuit": {"name": circuit.name, "sha256": circuit.sha256},
        "data": (before.data if before else {"label": "none"})
        if data is None
        else {"label": data.label, **data.source},
        "files": file_hashes(folder.path),
    }
    if experiment.network.module is not None:
        value["module"] = _module(experiment, before)
    if data is not None or (before and before.remarks):
        value["remarks"] = [_THREADS]
    known = known_files()
    # Rows have checksums of their own; other files are made by more than one stage.
    mine = (EXPERIMENT, *made)
    others = {n for n, f in known.items() if not isinstance(f, Rows) and f not in mine}
    listed = before.files if before else {}
    value["files"] |= {n: listed[n] for n in others & listed.keys() & value["files"].keys()}
    used = {file.name: value["files"][file.name] for file in needs if file.name in value["files"]}
    value["made_from"] = (before.made_from if before else {}) | {
        file.name: used for file in made if used and file.name in value["files"]
    }
    value["schemas"] = {name: known[name].schema for name in value["files"] if name in known}
    PROVENANCE.write(folder, value)


def file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every result file of a folder, by its path from there."""
    left_out = {name for name, file in known_files().items() if not file.result}
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out and not path.name.startswith(".")
    }


def present_machine() -> dict[str, str]:
    """What the last digits of results may depend on."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        # A training's sums are rounded in another order on another number of threads.
        "threads": os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0))),
    }


def present_versions() -> dict[str, str]:
    """The versions of what computes: Python, ngspice and the libraries."""
    from rramsim.engines import ngspice_version

    try:
        ngspice = str(ngspice_version())
    except InputError:  # networks are trained without it
        ngspice = "not installed"
    found = {name: _version(name) for name in _PACKAGES}
    return found | {"python": platform.python_version(), "ngspice": ngspice}


def _module(experiment: "Experiment", before: ProvenanceRecord | None) -> dict[str, str]:
    """The user's own Python that was run, and the SHA-256 of its file."""
    from rramsim.networks import module_file

    module = str(experiment.network.module)
    try:
        experiment.require_module_allowed()
        file = module_file(module, experiment.folder)
    except InputError:  # this command had no leave to look for it, and did not run it
        return before.module if before else {"name": module}
    return {"name": module, "file": file.name, "sha256": file_digest(file)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
