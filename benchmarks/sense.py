"""How fast does the batch engine sense, against ngspice's best way, at what accuracy?

ngspice's best way is one loaded circuit, altered and rerun for each sample, without OpenMP. It
runs at its honest step (0.2 ns) and at the coarsest setting that is still as accurate as the
batch engine. Both engines run on one core, in turns, in one process; rates are per second of that
thread's processor time, so that other programs on the machine take part in neither.

    python -m benchmarks sense              the ratios
    python -m benchmarks sense --scaling    also both cores, 10^2 to 10^6 samples, cold starts
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from rramsim.circuits import SenseCircuit, SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine, SenseOutcome, SenseSamples
from rramsim.engines.batch.elements import build_topology, flat_circuit
from rramsim.processes import load_process
from rramsim.processes.process import netlists_folder

__all__ = ["main"]

HONEST_STEP_S = 2e-10
COARSE = (
    # (largest step, reltol, trtol), from coarse to fine.
    (20e-9, 3e-3, 7.0),
    (10e-9, 3e-3, 7.0),
    (10e-9, 1e-3, 7.0),
    (5e-9, 1e-3, 7.0),
    (2e-9, 1e-3, 3.5),
    (2e-9, 1e-4, 1.0),
    (1e-9, 1e-4, 1.0),
    (0.5e-9, 1e-4, 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Relative errors against ngspice at a 0.05 ns step."""

    time_median: float
    time_p95: float
    energy_p95: float
    differing_reads: int


def accuracy(ours: SenseOutcome, exact: SenseOutcome) -> Accuracy:
    """Errors over the samples that both resolved (times) and over all (energy)."""
    both = (ours.read != 0) & (ours.read == exact.read)
    time_error = abs(ours.resolve_time_s / exact.resolve_time_s - 1)[both]
    energy_error = abs(ours.energy_j / exact.energy_j - 1)
    return Accuracy(
        time_median=float(np.median(time_error)),
        time_p95=float(np.quantile(time_error, 0.95)),
        energy_p95=float(np.quantile(energy_error, 0.95)),
        differing_reads=int((ours.read != exact.read).sum()),
    )


def draw(circuit: SenseCircuit, count: int, seed: int) -> SenseSamples:
    """Resistances log-uniform from 5 kohm to 1 Mohm, the foundry's mismatch."""
    rng = np.random.default_rng(seed)
    r_bl, r_blb = np.exp(rng.uniform(np.log(5e3), np.log(1e6), size=(2, count)))
    sites = len(circuit.mismatch_sites("tt"))
    return SenseSamples(
        r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=rng.standard_normal((count, sites))
    )


def rate(sense: Callable[[], object], count: int) -> float:
    """Samples per second of this thread's processor time."""
    start = time.thread_time()
    sense()
    return count / (time.thread_time() - start)


def compare(
    circuit: SenseCircuit, vdd_v: float, *, samples: int, references: int, turns: int
) -> dict[str, Any]:
    """Rates and accuracies of all engines at one supply."""
    conditions = SenseConditions(vdd_v=vdd_v)
    many, few = draw(circuit, samples, 1), draw(circuit, references, 2)
    batch = BatchEngine(threads=1)
    exact = NgspiceEngine(max_step_s=5e-11).sense(circuit, conditions, few)
    wanted = accuracy(batch.sense(circuit, conditions, few), exact)
    coarse, coarse_accuracy = NgspiceEngine(max_step_s=HONEST_STEP_S), None
    for step_s, reltol, trtol in COARSE:
        candidate = NgspiceEngine(max_step_s=step_s, reltol=reltol, trtol=trtol)
        found = accuracy(candidate.sense(circuit, conditions, few), exact)
        if (
            found.time_median <= wanted.time_median
            and found.time_p95 <= wanted.time_p95
            and found.energy_p95 <= wanted.energy_p95
            and found.differing_reads <= wanted.differing_reads
        ):
            coarse, coarse_accuracy = candidate, found
            break
    honest = NgspiceEngine(max_step_s=HONEST_STEP_S)
    rates: dict[str, list[float]] = {"batch": [], "honest": [], "coarse": []}
    for _ in range(turns):
        runs: tuple[tuple[str, SenseEngine, SenseSamples], ...] = (
            ("batch", batch, many),
            ("honest", honest, few),
            # More of the fast ones, so that loading the circuit does not weigh.
            ("coarse", coarse, draw(circuit, 4 * references, 2)),
        )
        for name, engine, drawn in runs:
            rates[name].append(
                rate(lambda e=engine, d=drawn: e.sense(circuit, conditions, d), len(drawn))  # type: ignore[misc]
            )
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "vdd_v": vdd_v,
        "samples_per_second": middle,
        "ratio_at_0.2_ns": middle["batch"] / middle["honest"],
        "ratio_at_equal_accuracy": middle["batch"] / middle["coarse"],
        "ratios_of_each_turn": [
            a / b for a, b in zip(rates["batch"], rates["honest"], strict=True)
        ],
        "coarsest_equal": coarse.name,
        "accuracy": {
            "batch": wanted.__dict__,
            "coarse": coarse_accuracy.__dict__ if coarse_accuracy else None,
        },
    }


@njit(nogil=True)
def _arithmetic(count: int) -> float:
    total = 0.0
    for k in range(count):
        total = total * 0.999 + 1.0 / (1.0 + k)
    return total


def on_all_cores(circuit: SenseCircuit) -> dict[str, float]:
    """Speed-up of several threads over one, of the engine and of a loop without memory."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    conditions, samples = SenseConditions(vdd_v=1.2), draw(circuit, 4000, 3)
    _arithmetic(10)

    def loops(threads: int) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_arithmetic, [60_000_000 // cores] * cores))
        return time.perf_counter() - start

    def senses(threads: int) -> float:
        start = time.perf_counter()
        BatchEngine(threads=threads).sense(circuit, conditions, samples)
        return time.perf_counter() - start

    loop, sense = [], []
    for _ in range(3):
        loop.append(loops(1) / loops(cores))
        sense.append(senses(1) / senses(cores))
    return {
        "cores": cores,
        "speed_up_of_a_loop": statistics.median(loop),
        "speed_up_of_batch": statistics.median(sense),
    }


def scaling(circuit: SenseCircuit, largest: int) -> dict[str, float]:
    """Microseconds of processor time per sample against the number of samples."""
    found = {}
    count = 100
    while count <= largest:
        samples = draw(circuit, count, 4)
        engine, conditions = BatchEngine(threads=1), SenseConditions(vdd_v=1.2)
        found[str(count)] = 1e6 / rate(lambda: engine.sense(circuit, conditions, samples), count)  # noqa: B023
        count *= 10
    return found


def ladder(folder: Path, pieces: int) -> Path:
    """The shipped PCSA with each bit line cut into so many pieces of wire, as a netlist."""
    text = (netlists_folder() / "pcsa.spice").read_text()
    lines = []
    for line in text.splitlines():
        words = line.split()
        if pieces and words and words[0] in ("mn1", "mn2"):
            pin = words[3]
            nodes = [pin, *(f"{pin}_{k}" for k in range(1, pieces + 1))]
            for k, (left, right) in enumerate(pairwise(nodes)):
                lines += [f"rw{pin}{k} {left} {right} 50", f"cw{pin}{k} {right} vss 2f"]
            line = line.replace(f" {pin} ", f" {nodes[-1]} ", 1)
        lines.append(line)
    path = folder / f"ladder{pieces}.spice"
    path.write_text("\n".join(lines) + "\n")
    return path


def node_scaling(samples: int) -> list[dict[str, float]]:
    """Microseconds of processor time a sample of both engines, against the number of nodes."""
    process, conditions, found = load_process("sky130-5v"), SenseConditions(vdd_v=1.2), []
    with tempfile.TemporaryDirectory() as name:
        for pieces in (0, 2, 5, 10, 15):
            circuit = sense_circuit(process=process, netlist=ladder(Path(name), pieces))
            many, few = draw(circuit, samples, 5), draw(circuit, 16, 5)
            batch, ngspice = BatchEngine(threads=1), NgspiceEngine(max_step_s=HONEST_STEP_S)
            batch.sense(circuit, conditions, few)  # compiles
            ours = 1e6 / rate(lambda: batch.sense(circuit, conditions, many), samples)  # noqa: B023
            theirs = 1e6 / rate(lambda: ngspice.sense(circuit, conditions, few), 16)  # noqa: B023
            nodes = len(build_topology(flat_circuit(circuit.elaborated(conditions))).unknown)
            found.append({"nodes": nodes, "batch_us": ours, "ngspice_us": theirs})
    return found


def cold_starts() -> dict[str, float]:
    """Seconds of processor time of a first sense in a new process, less one without a sense."""
    script = (
        "from rramsim.circuits import SenseConditions, sense_circuit;"
        "from rramsim.processes import load_process;"
        "from rramsim.engines import BatchEngine, SenseSamples;"
        "c = sense_circuit(process=load_process('sky130-5v'));"
        "{}"
    )
    sense = (
        "s = SenseSamples.nominal(1e4, 3e5);"
        "BatchEngine(threads=1).sense(c, SenseConditions(vdd_v=1.2), s)"
    )
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, body in (("imports", "0"), ("cold", sense), ("from_caches", sense)):
            before = os.times()
            subprocess.run(
                [sys.executable, "-c", script.format(body)],
                check=True,
                env=os.environ | {"RRAMSIM_CACHE": folder},
            )
            after = os.times()
            found[name] = (after.children_user - before.children_user) + (
                after.children_system - before.children_system
            )
    return {
        "extraction_and_compilation_s": found["cold"] - found["imports"],
        "from_caches_s": found["from_caches"] - found["imports"],
        "imports_s": found["imports"],
    }


def main(argv: list[str]) -> int:
    """Print the ratios; the first number of each line is the batch engine's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sense")
    parser.add_argument("--vdd", type=float, nargs="*", default=[1.0, 1.2, 1.3])
    parser.add_argument("--samples", type=int, default=1000, help="of batch, each turn")
    parser.add_argument("--references", type=int, default=32, help="of ngspice, each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--scaling", action="store_true", help="cores, sample numbers, cold starts")
    parser.add_argument("--largest", type=int, default=100_000, help="samples of --scaling")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    circuit = sense_circuit(process=load_process("sky130-5v"))
    value: dict[str, Any] = {
        "engine": BatchEngine().name,
        "supplies": [
            compare(
                circuit,
                vdd_v,
                samples=options.samples,
                references=options.references,
                turns=options.turns,
            )
            for vdd_v in options.vdd
        ],
    }
    if options.scaling:
        value["cores"] = on_all_cores(circuit)
        value["microseconds_per_sample"] = scaling(circuit, options.largest)
        value["nodes"] = node_scaling(options.samples)
        value["cold"] = cold_starts()
    if options.json:
        print(json.dumps(value))
        return 0
    for row in value["supplies"]:
        rates, errors = row["samples_per_second"], row["accuracy"]["batch"]
        print(
            f"{row['vdd_v']} V: batch {rates['batch']:.0f}/s, ngspice at 0.2 ns "
            f"{rates['honest']:.1f}/s: {row['ratio_at_0.2_ns']:.0f}x; ngspice at equal accuracy "
            f"{rates['coarse']:.1f}/s: {row['ratio_at_equal_accuracy']:.0f}x "
            f"({row['coarsest_equal']})"
        )
        print(
            f"    batch against 0.05 ns: resolve time {100 * errors['time_median']:.2f} % median, "
            f"{100 * errors['time_p95']:.2f} % p95; energy {100 * errors['energy_p95']:.2f} % p95"
        )
    for name in ("cores", "microseconds_per_sample", "cold"):
        if name in value:
            print(name, {k: round(v, 2) for k, v in value[name].items()})
    for row in value.get("nodes", []):
        print(
            f"{row['nodes']:.0f} nodes: batch {row['batch_us']:.0f} us a sample, ngspice at 0.2 ns "
            f"{row['ngspice_us']:.0f} us: {row['ngspice_us'] / row['batch_us']:.0f}x"
        )
    return 0
