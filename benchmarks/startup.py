"""How much processor time does it take to begin, against whom every user waits for anyway?

Each line is a command of rramsim and its opponent, run in turns, each in a process of its own; the
least of several processor times (children included) counts, so other programs take no part.

    python -m benchmarks startup                the ratios and their limits
    python -m benchmarks startup --repeats 9
"""

import argparse
import ctypes.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.engines import NgspiceEngine
from rramsim.processes import load_process

__all__ = ["main"]

SENSE = ("sense", "--vdd", "1.2", "--r-bl", "10k", "--r-blb", "350k")

PYSPICE = """
import sys
import numpy as np
from PySpice.Spice.NgSpice.Shared import NgSpiceShared

ngspice = NgSpiceShared.new_instance()
ngspice.load_circuit(open(sys.argv[1]).read())
ngspice.run()
plot = ngspice.plot(None, ngspice.last_plot)
time, q, qb, vdd = (np.array(plot[name]._data) for name in ("time", *sys.argv[2:]))
apart = np.abs(q - qb) > 0.6
print("read", "+1" if q[-1] > qb[-1] else "-1", "at", time[apart][0] if apart.any() else None)
print("charge", np.trapezoid(-vdd, time))
"""
"""What a user of PySpice would write to sense once: load, run, look at the outputs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command, its opponent, and how many times the opponent's processor time it may take."""

    name: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    limit: float


def cases(folder: Path) -> tuple[Case, ...]:
    """What is compared; the deck for PySpice is written into `folder`."""
    deck, script = folder / "pcsa.cir", folder / "bare.py"
    circuit = sense_circuit(process=load_process("sky130-5v"))
    # The very text that ngspice gets from us.
    text = NgspiceEngine().deck(circuit, SenseConditions(vdd_v=1.2))
    deck.write_text(text)
    saved = next(line for line in text.splitlines() if line.startswith(".save")).split()
    q, qb = (word[2:-1] for word in saved[1:3])
    supply = next(word[2:-1] for word in saved if word.startswith("i("))
    script.write_text(PYSPICE)
    typer = ("-c", "import typer")
    return (
        Case(
            name="import rramsim",
            ours=("-c", "import rramsim"),
            theirs=("-c", "import numpy"),
            limit=1.5,
        ),
        Case(name="--version", ours=("-m", "rramsim", "--version"), theirs=typer, limit=3.0),
        Case(name="--help", ours=("-m", "rramsim", "--help"), theirs=typer, limit=3.0),
        Case(
            name="sense (ngspice)",
            ours=("-m", "rramsim", *SENSE),
            theirs=(str(script), str(deck), q, qb, f"{supply}#branch"),
            limit=2.0,
        ),
    )


def processor_time(arguments: tuple[str, ...], folder: Path) -> float:
    """Processor time (s) of a Python with these arguments and of its children."""
    # What PySpice needs to be told to load ngspice at all, and not to be slowed by OpenMP.
    library = ctypes.util.find_library("ngspice") or "libngspice.so.0"
    environment = {"NGSPICE_LIBRARY_PATH": library, "OMP_THREAD_LIMIT": "1", **os.environ}
    # Packages are compiled when they are installed; a checkout is at its first run, if it may.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(case: Case, folder: Path, repeats: int) -> dict[str, object]:
    """The least processor time of both, in turns, and their ratio."""
    pairs = [
        (processor_time(case.ours, folder), processor_time(case.theirs, folder))
        for _ in range(repeats)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    return {**asdict(case), "ours_s": ours, "theirs_s": theirs, "ratio": ours / theirs}


def main(argv: list[str]) -> int:
    """Print every ratio beside its limit; exit 1 if one is above it."""
    parser = argparse.ArgumentParser(prog="benchmarks startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        found = [measure(case, Path(name), options.repeats) for case in cases(Path(name))]
    for row in found:
        if not options.json:
            print(
                f"{row['name']:16} {row['ours_s']:.3f} s against {row['theirs_s']:.3f} s: "
                f"{row['ratio']:.2f} (at most {row['limit']:g})"
            )
    if options.json:
        print(json.dumps(found))
    return int(any(row["ratio"] > row["limit"] for row in found))  # type: ignore[operator]
