"""Is the batch engine right? Random senses against ngspice at a fine step.

Resistances from the device model, the foundry's mismatch, 0.9 to 1.3 V, -40 to 125 degrees, all
corners. `python -m benchmarks sense_truth --samples 2000 --groups 100 --step 5e-11` takes half an
hour of a core, nearly all of it ngspice's; with `--keep FOLDER` what ngspice found is kept there,
and a second run, or one that was stopped, does not ask it again.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines import (
    BatchEngine,
    NgspiceEngine,
    SenseOutcome,
    SenseSamples,
    agreement,
    random_cases,
)
from rramsim.files import atomic_path

__all__ = ["main"]


def kept(
    reference: NgspiceEngine,
    circuit: SenseCircuit,
    conditions: SenseConditions,
    samples: SenseSamples,
    folder: Path | None,
) -> SenseOutcome:
    """ngspice's outcome, from the folder if it is there."""
    if folder is None:
        return reference.sense(circuit, conditions, samples)
    digest = hashlib.sha256(f"{reference.name} {circuit.sha256} {conditions!r}".encode())
    for array in (samples.r_bl_ohm, samples.r_blb_ohm, samples.mismatch):
        digest.update(np.ascontiguousarray(array).tobytes())
    path = folder / f"{digest.hexdigest()[:32]}.npz"
    names = [field.name for field in fields(SenseOutcome) if field.name != "waveforms"]
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return SenseOutcome(**{name: stored[name] for name in names})
    outcome = reference.sense(circuit, conditions, samples)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: getattr(outcome, name) for name in names})
    return outcome


def main(argv: list[str]) -> int:
    """Print the agreement; returns 1 if it falls short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sense_truth")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--groups", type=int, default=20, help="conditions drawn")
    parser.add_argument("--step", type=float, default=2e-10, help="ngspice's largest step in s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for ngspice's outcomes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    engine, reference = BatchEngine(threads=1), NgspiceEngine(max_step_s=options.step)
    pairs = []
    for circuit, conditions, samples in random_cases(
        samples=options.samples, seed=options.seed, groups=options.groups
    ):
        ours = engine.sense(circuit, conditions, samples)
        theirs = kept(reference, circuit, conditions, samples, options.keep)
        pairs.append((conditions, ours, theirs))
        print(f"{conditions.label}: {agreement(pairs[-1:]).text}", file=sys.stderr, flush=True)
    found = agreement(pairs)
    fault = found.fault()
    if options.json:
        print(
            json.dumps(
                {
                    "engine": engine.name,
                    "reference": reference.name,
                    "fault": fault,
                    **found.as_dict(),
                }
            )
        )
    else:
        print(f"{engine.name} against {reference.name}, {found.samples} samples")
        for corner in dict.fromkeys(conditions.corner for conditions, *_ in pairs):
            mine = [pair for pair in pairs if pair[0].corner == corner]
            print(f"{corner}: {agreement(mine).text}")
        print(f"all: {found.text}")
        print(f"differing reads: {found.on_edge} on an edge, {found.off_edge} not; ", end="")
        print(f"opposite signs: {found.opposite}")
        print(f"falls short: {fault}" if fault else "holds")
    return 1 if fault else 0
