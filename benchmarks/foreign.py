"""Three networks that are none of ours, in full, and what read errors cost a training step.

`python -m benchmarks foreign` runs the scripts of `examples/own_networks` as a user does, with
their own training, simulated errors, 500 test images and chip, and adds the trade-off of each to a
CSV file; those that the file has already are not run again. `--steps` times a training step and a
forward pass of a converted ResNet-18 (batch 128, images of 32 x 32) with read errors and without
them, in processor time: all interleaved, ratios within each round.
"""

import argparse
import json
import runpy
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

import rramsim.nn as rn
from benchmarks._records import append_rows, cpu_model, kept_rows
from rramsim.files import atomic_path

__all__ = ["main", "network", "step_ratios"]

EXAMPLES = Path(__file__).parents[1] / "examples" / "own_networks"
SCRIPTS = ("brevitas_cnv 1", "brevitas_cnv 2", "resnet18", "ternary_transformer")
"""Each with its arguments."""
RESULTS = Path(__file__).parent / "results"
ERRORS: dict[str, rn.WeightErrors | None] = {
    "none": None,
    "0.001": rn.BinaryFlips(0.001),
    "0.01": rn.TransitionErrors([[0.99, 0.01, 0], [0.005, 0.99, 0.005], [0, 0.01, 0.99]]),
    "0.1": rn.ScalarErrors(0.1),
}


def network(script: str) -> list[dict[str, Any]]:
    """Run a script in a folder of its own; a row for each supply, with the machine's name."""
    name, *arguments = script.split()
    path = str(EXAMPLES / f"{name}.py")
    with tempfile.TemporaryDirectory() as folder, chdir(folder), _started_as([path, *arguments]):
        before = time.process_time()
        found = runpy.run_path(path, run_name="__main__")
        spent = round(time.process_time() - before, 1)
    machine = {
        "script": script, "on_chip": found["on_chip"].value, "processor_s": spent,
        "threads": torch.get_num_threads(), "cpu": cpu_model(), "torch": str(torch.__version__),
    }  # fmt: skip
    return [row | machine for row in found["table"].to_dict("records")]


@contextmanager
def _started_as(arguments: list[str]) -> Iterator[None]:
    """Inside the block a script finds its arguments and its neighbours."""
    before = sys.argv, sys.path
    sys.argv, sys.path = arguments, [str(EXAMPLES), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = before


def step_ratios(*, rounds: int = 15, batch: int = 128, width: int = 64) -> list[dict[str, Any]]:
    """Processor time (s, median) and its ratio to no errors, of a step and of a forward pass."""
    with _started_as(sys.argv):
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
    out = options.out or RESULTS / name
    if options.steps:
        with atomic_path(out) as temporary:
            pd.DataFrame(step_ratios(rounds=options.rounds)).to_csv(temporary, index=False)
    else:
        done = {row["script"] for row in kept_rows(out)}
        for script in options.scripts:
            if script not in done:
                append_rows(out, network(script))
    rows = kept_rows(out)
    print(json.dumps(rows) if options.json else pd.DataFrame(rows).to_string(index=False))
    return 0
