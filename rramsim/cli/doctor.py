"""`rramsim doctor`: does everything work here?"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from rramsim import circuits, durable, engines, processes
from rramsim.cli.options import DataOption, JsonOption, print_json, say
from rramsim.exceptions import InputError, MachineError
from rramsim.imports import missing_package

_CERTIFIED_SAMPLES = 150
"""Samples of `--certify`: over all corners and the whole range of supplies and temperatures."""


def doctor(
    data: DataOption = None,
    certify: Annotated[
        bool,
        typer.Option("--certify", help="Also compare engine batch with ngspice (a minute)."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Test the simulator, the processes, cores, GPU, cache and data, and say what to do.

    Example: rramsim doctor
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", platform.python_version),
        ("ngspice", _ngspice),
        ("process", _process),
        ("sense", _sense),
        ("cores", _cores),
        ("torch", _torch),
        ("cache", _cache),
        ("data", lambda: _data(data)),
    ]
    if certify:
        checks.append(("certify", _certify))
    results: dict[str, dict[str, object]] = {}
    for name, check in checks:
        try:
            results[name] = {"works": True, "found": check()}
        except (InputError, MachineError) as error:
            results[name] = {"works": False, "found": " ".join(str(error).split())}
        except ImportError as error:  # an installation without its dependencies
            told = missing_package(error) or f"{error}; pip install rramsim's dependencies again"
            results[name] = {"works": False, "found": " ".join(str(told).split())}
        if not json:
            mark = "ok " if results[name]["works"] else "BAD"
            say(f"{mark} {name:8} {results[name]['found']}")
    if json:
        print_json(results)
    if not all(result["works"] for result in results.values()):
        raise typer.Exit(2)


def _ngspice() -> str:
    return f"ngspice {engines.ngspice_version()}, shared library"


def _process() -> str:
    process = processes.load_process("sky130-5v")
    return f"{process.name}: corners {', '.join(process.corners)}"


def _sense() -> str:
    circuit = circuits.sense_circuit(process=processes.load_process("sky130-5v"))
    reads = []
    for pair in ((10e3, 350e3), (350e3, 10e3), (350e3, 360e3)):
        outcome = engines.NgspiceEngine().sense(
            circuit, circuits.SenseConditions(vdd_v=1.2), engines.SenseSamples.nominal(*pair)
        )
        reads.append(int(outcome.read[0]) if outcome.converged[0] else None)
    if reads != [1, -1, 0]:
        raise MachineError(f"ngspice read {reads} where +1, -1, 0 was written; is it 36 or newer?")
    return "+1, -1 and 0 are read right at 1.2 V"


def _certify() -> str:
    found = engines.certify_engine(samples=_CERTIFIED_SAMPLES, seed=1)
    fault = found.fault()
    if fault:
        raise MachineError(f"engine batch disagrees with ngspice: {fault}")
    return f"batch against ngspice: {found.text}"


def _cores() -> str:
    return f"{durable.available_workers()} usable"


def _torch() -> str:
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU (not needed)"
    return f"PyTorch {torch.__version__}, {gpu}"


def _cache() -> str:
    from rramsim.files import cache_folder, check_writable

    folder = cache_folder()
    check_writable(folder / "x")
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return f"{size / 1e6:.0f} MB of tables, circuits and images in {folder}; may be deleted"


def _data(path: Path | None) -> str:
    from rramsim.stages import choose_data

    found = choose_data("auto", path=path)
    hint = "" if path else "; set RRAMSIM_DATA for CIFAR-10"
    return f"{found.label}, {len(found.train_labels)} training images{hint}"
