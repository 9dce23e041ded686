"""Where a figure comes from: rows of results with the machine that made them."""

import platform
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from rramsim.files import atomic_path
from rramsim.learning import EpochMetrics

__all__ = ["append_rows", "cpu_model", "device_model", "say"]


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
