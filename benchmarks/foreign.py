"""Three networks that are none of ours, in full, and what read errors cost a training step.

`python -m benchmarks foreign` runs the scripts of `examples/own_networks` as a user does, with
their own training, simulated errors, 500 test images and chip, and adds their trade-offs to a CSV
file. `--steps` times a training step and a forward pass of a converted ResNet-18 (batch 128, images
of 32 x 32) with read errors and without them, in processor time: all interleaved, ratios within
each round.
"""

import argparse
import json
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

import rramsim.nn as rn
from benchmarks._records import cpu_model
from rramsim.files import atomic_path

__all__ = ["main", "networks", "step_ratios"]

EXAMPLES = Path(__file__).parents[1] / "examples" / "own_networks"
SCRIPTS = ("brevitas_cnv", "resnet18", "ternary_transformer")
RESULTS = Path(__file__).parent / "results"
ERRORS: dict[str, rn.WeightErrors | None] = {
    "none": None,
    "0.001": rn.BinaryFlips(0.001),
    "0.01": rn.TransitionErrors([[0.99, 0.01, 0], [0.005, 0.99, 0.005], [0, 0.01, 0.99]]),
    "0.1": rn.ScalarErrors(0.1),
}


def networks(scripts: tuple[str, ...] = SCRIPTS) -> list[dict[str, Any]]:
    """Run the scripts in a folder of their own; a row for each network and supply."""
    rows: list[dict[str, Any]] = []
    sys.path.insert(0, str(EXAMPLES))
    for script in scripts:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            started = time.process_time()
            found = runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
            spent = round(time.process_time() - started, 1)
        tables = found.get("tables", [found["table"]])
        for table in tables:
            rows += [row | {"processor_s": spent / len(tables)} for row in table.to_dict("records")]
    return rows


def step_ratios(*, rounds: int = 15, batch: int = 128, width: int = 64) -> list[dict[str, Any]]:
    """Processor time (s, median) and its ratio to no errors, of a step and of a forward pass."""
    sys.path.insert(0, str(EXAMPLES))
    from common import ResNet18  # type: ignore[import-not-found]

    torch.manual_seed(0)
    model = rn.convert(ResNet18(width=width), rn.Twn(scale="channel"))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()

    def forward() -> None:
        with torch.no_grad():
            model(images)

    rows = []
    work: dict[str, Callable[[], None]] = {"training step": step, "forward pass": forward}
    for name, act in work.items():
        model.train(act is step)
        times: dict[str, list[float]] = {key: [] for key in ERRORS}
        for number in range(rounds + 2):
            for key, errors in ERRORS.items():
                rn.set_weight_errors(model, errors, seed=number)
                started = time.process_time()
                act()
                if number >= 2:  # the first rounds warm up
                    times[key].append(time.process_time() - started)
        for key, values in times.items():
            ratio = np.array(values) / np.array(times["none"])
            low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
            rows.append(
                {
                    "what": name, "errors": key, "processor_s": float(np.median(values)),
                    "ratio": float(middle), "ratio_low": float(low), "ratio_high": float(high),
                    "rounds": rounds, "batch": batch, "width": width,
                    "threads": torch.get_num_threads(), "cpu": cpu_model(),
                }
            )  # fmt: skip
    return rows


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks foreign", description=__doc__)
    parser.add_argument("--steps", action="store_true", help="time training steps only")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scripts", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--out", type=Path, help="CSV file for the rows")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    name = "foreign_steps.csv" if options.steps else "foreign_networks.csv"
    rows = step_ratios(rounds=options.rounds) if options.steps else networks(options.scripts)
    table = pd.DataFrame(rows)
    with atomic_path(options.out or RESULTS / name) as temporary:
        table.to_csv(temporary, index=False)
    print(json.dumps(rows) if options.json else table.to_string(index=False))
    return 0
