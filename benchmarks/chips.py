"""Time a whole chip of the width-128 VGG, and check its reads against the engine.

`python -m benchmarks chips` fits the read surface, programs 8.8 million synapses and reads them,
and prints the seconds of each, by the clock and of processor; then it senses a random 20,000 of
those synapses with the batch engine, every varying parameter drawn, and prints the share that
agrees with its interval. The engine's one-time compilation is not counted.
"""

import argparse
import json
import os
import time
from typing import Any

import numpy as np
from scipy.stats import binomtest

from rramsim.chips import Chip, ChipModel, fit_surface
from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.devices import DeviceStatistics, LogNormal, ResistanceModel
from rramsim.engines import BatchEngine, SenseSamples
from rramsim.networks import NetworkSpec, written_weights
from rramsim.processes import load_process

__all__ = ["main", "run"]


def run(*, width: int, samples: int, vdd_v: float, points: int, seed: int = 0) -> dict[str, Any]:
    """Measure one chip; returns the times (s), the residual and the agreement."""
    circuit = sense_circuit(process=load_process("sky130-5v"))
    conditions = SenseConditions(vdd_v=vdd_v)
    engine = BatchEngine()
    engine.prepare(circuit, conditions)
    statistics = DeviceStatistics(
        resistances=ResistanceModel(
            lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22),
            hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0),
        )
    )
    spec = NetworkSpec(weights="ternary", activations="ternary", width=width)
    weights = written_weights(spec.build(seed=seed))
    model = ChipModel(circuit=circuit, statistics=statistics)
    surface = fit_surface(engine, circuit, conditions, points=400)
    Chip(model, {"warm": np.zeros((2, 2), np.int8)}, seed=0).read(surface)  # compiles
    marks = [(time.perf_counter(), time.process_time())]
    surface = fit_surface(engine, circuit, conditions, points=points, seed=seed)
    marks.append((time.perf_counter(), time.process_time()))
    chip = Chip(model, weights, seed=seed)
    marks.append((time.perf_counter(), time.process_time()))
    read = chip.read(surface)
    marks.append((time.perf_counter(), time.process_time()))
    agree, classes = _agreement(chip, read.weights, engine, conditions, samples, seed)
    interval = binomtest(agree, samples).proportion_ci(0.95, method="wilson")
    steps = ("surface", "program", "read")
    return {
        "synapses": chip.mapping.synapses,
        "arrays": chip.mapping.arrays,
        "vdd_v": vdd_v,
        "surface_residual_ln": surface.residual_ln,
        "surface_senses": surface.senses,
        "clock_s": {n: b[0] - a[0] for n, a, b in zip(steps, marks, marks[1:], strict=False)},
        "processor_s": {n: b[1] - a[1] for n, a, b in zip(steps, marks, marks[1:], strict=False)},
        "clock_total_s": marks[-1][0] - marks[0][0],
        "processor_total_s": marks[-1][1] - marks[0][1],
        "load_average": os.getloadavg()[0],
        "type2": read.statistics.type2.value,
        "type3": read.statistics.type3.value,
        "checked": samples,
        "checked_reads": classes,
        "agreement": agree / samples,
        "agreement_wilson95": [float(interval.low), float(interval.high)],
    }


def _agreement(
    chip: Chip, read: dict[str, Any], engine: BatchEngine, conditions: SenseConditions,
    samples: int, seed: int,
) -> tuple[int, list[int]]:  # fmt: skip
    """How many random synapses of a chip the engine reads alike; its reads by class."""
    rng = np.random.default_rng([seed, 0xC4EC])
    # One middle layer has every kind of tile; the mismatch of all layers would fill the memory.
    name = list(read)[1]
    bl, blb = chip.resistances_ln(name)
    chosen = rng.choice(bl.size, samples, replace=samples > bl.size)
    outcome = engine.sense(
        chip.model.circuit,
        conditions,
        SenseSamples(
            r_bl_ohm=np.exp(bl.ravel()[chosen].astype(float)),
            r_blb_ohm=np.exp(blb.ravel()[chosen].astype(float)),
            mismatch=chip.mismatch(name).reshape(bl.size, -1)[chosen].astype(float),
        ),
    )
    agree = int((outcome.read == read[name].ravel()[chosen]).sum())
    return agree, np.bincount(outcome.read + 1, minlength=3).tolist()


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chips", description=__doc__)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--vdd", type=float, default=1.2)
    parser.add_argument("--points", type=int, default=1600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    result = run(
        width=options.width, samples=options.samples, vdd_v=options.vdd, points=options.points
    )
    if options.json:
        print(json.dumps(result))
        return 0
    for name, clock in result["clock_s"].items():
        processor = result["processor_s"][name]
        print(f"{name:8} {clock:7.2f} s by the clock, {processor:7.2f} s of processor")
    print(
        f"total    {result['clock_total_s']:7.2f} s by the clock, "
        f"{result['processor_total_s']:7.2f} s of processor; {result['synapses']} synapses; "
        f"load {result['load_average']:.1f}"
    )
    low, high = result["agreement_wilson95"]
    print(
        f"agrees with the batch engine in {100 * result['agreement']:.3f} % "
        f"({100 * low:.3f} to {100 * high:.3f}) of {result['checked']} reads "
        f"(-1, 0, +1: {result['checked_reads']}); residual {result['surface_residual_ln']:.4f} "
        f"in ln R from {result['surface_senses']} senses"
    )
    return 0
