"""Where a figure comes from: rows of results with the machine that made them."""

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from rramsim.files import atomic_path
from rramsim.learning import EpochMetrics, TrainingSettings

__all__ = [
    "add_training_options",
    "append_rows",
    "cpu_model",
    "device_model",
    "kept_rows",
    "say",
]


def add_training_options(parser: argparse.ArgumentParser, *, out: Path) -> None:
    """Add the options that every benchmark which trains has; `out` is where its rows go."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--device", default=TrainingSettings.device, help="'cuda': on the GPU")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the CPU has it")
    parser.add_argument("--kinds", nargs="+", default=[], metavar="WEIGHTS-ACTIVATIONS")
    parser.add_argument("--out", type=Path, default=out, help="CSV file for the rows")
    parser.add_argument("--state", type=Path, help="folder for checkpoints, to go on from")
    parser.add_argument("--json", action="store_true")


def kept_rows(path: Path | None) -> list[dict[str, Any]]:
    """Return the rows that an earlier run left in a CSV file; none if it is not there."""
    if path is None or not path.exists():
        return []
    rows = pd.read_csv(path).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def append_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows to a CSV file, which appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    if path.exists():
        table = pd.concat([pd.read_csv(path), table])
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def cpu_model() -> str:
    """Return what this processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def device_model(device: str) -> str:
    """Return what the GPU calls itself, or the device's name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def say(row: EpochMetrics) -> None:
    """Print one line about an epoch on standard error."""
    print(
        f"epoch {row.epoch}: loss {row.train_loss:.3f}, test {100 * row.test_accuracy:.2f} %, "
        f"{row.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
