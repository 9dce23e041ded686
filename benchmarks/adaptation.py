"""What adapting a network to each chip gives back, and the lowest supply with and without it.

`python -m benchmarks adaptation --data PATH` trains the ternary network of `experiments/demo.toml`,
counts read errors near the lowest supply with the batch engine, and tests the network with the same
draws of them three times: as trained, with batch-norm measured anew on each draw, and with that and
fine-tuning. The table goes to `--out` with the machine that made it.
"""

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import rramsim as rs
from benchmarks._records import cpu_model
from rramsim.costs import SupplyTarget, lowest_supply
from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.learning import Adaptation

__all__ = ["ADAPTATIONS", "lowest", "main", "run"]

RESULTS = Path(__file__).parent / "results" / "adaptation_cifar10.csv"
ADAPTATIONS = {
    "as trained": Adaptation(),
    "recalibrated": Adaptation(recalibrate=1000),
    "fine-tuned too": Adaptation(recalibrate=1000, fine_tune=50),
}
SUPPLIES_V = (0.94, 0.95, 0.96, 0.97, 0.98, 1.0, 1.1, 1.3)
LOSSES = (0.02, 0.03)


def run(
    *, data: Any, samples: int, images: int, draws: int, epochs: int = 2, width: int = 8
) -> pd.DataFrame:
    """The trade-off's rows of each adaptation, named in a column of their own."""
    circuit = rs.circuit()
    counted = rs.sweep(circuit, vdd_v=list(SUPPLIES_V), samples=samples, workers=1)
    trained = rs.train(data, weights="ternary", width=width, epochs=epochs)
    tables = []
    for name, adaptation in ADAPTATIONS.items():
        found = rs.tradeoff(
            trained, counted, data, circuit=circuit, rare=False, draws=draws, test_images=images,
            adaptation=adaptation,
        )  # fmt: skip
        tables.append(found.table.assign(adaptation=name))
        print(tables[-1][["adaptation", "vdd_v", "accuracy", "loss"]], file=sys.stderr)
    return pd.concat(tables, ignore_index=True)


def lowest(table: pd.DataFrame) -> pd.DataFrame:
    """The lowest supply (V, NaN for none) by adaptation and tolerated loss of the mean chip."""
    rows = []
    for name, mine in table.groupby("adaptation", sort=False):
        for loss in LOSSES:
            answer = lowest_supply(mine, SupplyTarget(max_loss=loss))
            vdd_v = answer.best.vdd_v if answer.met else float("nan")
            rows.append({"adaptation": name, "max_loss": loss, "vdd_v": vdd_v})
    return pd.DataFrame(rows)


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks adaptation", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("RRAMSIM_DATA"))
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    try:
        table = run(
            data=rs.images("cifar10", path=options.data), samples=options.samples,
            images=options.images, draws=options.draws, epochs=options.epochs,
        )  # fmt: skip
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = table.assign(
        samples=options.samples, epochs=options.epochs, threads=options.threads, cpu=cpu_model(),
        torch=str(torch.__version__), python=platform.python_version(),
    )  # fmt: skip
    with atomic_path(options.out) as temporary:
        table.to_csv(temporary, index=False)
    print(lowest(table).to_string(index=False))
    return 0
