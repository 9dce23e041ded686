"""Do fits of devices recover what made the data, and how fast are measurements read?

`python -m benchmarks device_fits` draws histories from known statistics, log-normal and skewed,
with cell and cycle parts, fits each, and counts how often every true parameter lies inside its own
95 % interval, and all of them at once inside the simultaneous ones. `--read` writes 500,000
shuffled rows as CSV, gzip and Parquet and times reading and fitting them; the opponent is pandas'
own reading of the same file.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rramsim.devices import (
    DeviceStatistics,
    History,
    LogNormal,
    Measurements,
    Persistence,
    ResistanceModel,
    Skewed,
    StateMeasurements,
    fit_devices,
    open_hfo2_statistics,
    read_measurements,
)

__all__ = ["CASES", "as_measurements", "main", "recovery", "truths"]

_HFO2 = open_hfo2_statistics()
CASES: dict[str, DeviceStatistics] = {
    # Deviations of the open HfO2 cells: LRS 0.122 and 0.129, HRS 0.91 and 0.74 (cell and cycle).
    "lognormal": DeviceStatistics(
        resistances=ResistanceModel(
            lrs=LogNormal(median_ohm=4.93e3, sigma_ln=math.hypot(0.122, 0.129)),
            hrs=_HFO2.resistances.hrs,
        ),
        lrs=Persistence(cell_share=0.122**2 / (0.122**2 + 0.129**2), lag1=0.34),
        hrs=_HFO2.hrs,
        cell_correlation=-0.34,
    ),
    "skewed": _HFO2,
}


def as_measurements(history: History) -> Measurements:
    """A drawn history as if it had been read from a file."""
    devices, cycles = history.lrs_ohm.shape
    device, cycle = np.repeat(np.arange(devices), cycles), np.tile(np.arange(cycles), devices)
    low, high = (
        StateMeasurements(device=device, cycle=cycle, resistance_ohm=ohm.ravel())
        for ohm in (history.lrs_ohm, history.hrs_ohm)
    )
    return Measurements(
        source="drawn", sha256="", condition=None, devices=devices, lrs=low, hrs=high, left_out=()
    )


def truths(statistics: DeviceStatistics, state: str, family: str) -> dict[str, float]:
    """The true value of every parameter that a fit of `family` estimates."""
    marginal: Any = getattr(statistics.resistances, state)
    persistence: Persistence = getattr(statistics, state)
    share = persistence.cell_share
    values = {
        "median_ohm": marginal.median_ohm,
        "sigma_ln": marginal.sigma_ln,
        "cell_share": share,
        "lag1": persistence.lag1,
    }
    if family == "skewed":
        values["skew_g"] = marginal.skew_g if isinstance(marginal, Skewed) else 0.0
    else:
        values["sigma_cell_ln"] = marginal.sigma_ln * math.sqrt(share)
        values["sigma_cycle_ln"] = marginal.sigma_ln * math.sqrt(1 - share)
    return values


def recovery(family: str, *, trials: int, devices: int, cycles: int, seed: int) -> dict[str, float]:
    """The share of trials in which each parameter lies in its interval, and all of them at once
    (`together` in the simultaneous intervals, `together_own` in their own)."""
    statistics = CASES[family]
    hits: dict[str, int] = defaultdict(int)
    for trial in range(trials):
        rng = np.random.default_rng([seed, trial])
        found = fit_devices(as_measurements(statistics.draw_history(devices, cycles, rng)))
        pairs = [("cell_correlation", found.cell_correlation[family], statistics.cell_correlation)]
        for state in ("lrs", "hrs"):
            estimates = found.states[state][family].estimates
            pairs += [
                (f"{state} {name}", estimates[name], value)
                for name, value in truths(statistics, state, family).items()
            ]
        for name, estimate, value in pairs:
            hits[name] += estimate.covers(value)
        hits["together"] += all(e.covers(value, joint=True) for _, e, value in pairs)
        hits["together_own"] += all(e.covers(value) for _, e, value in pairs)
    return {name: count / trials for name, count in hits.items()}


def read_times(rows: int, seed: int) -> dict[str, float]:
    """Seconds to read `rows` shuffled rows of each format, and of pandas alone."""
    cycles = 250
    devices = rows // (2 * cycles)
    history = _HFO2.draw_history(devices, cycles, np.random.default_rng(seed))
    table = pd.DataFrame(
        {
            "device": np.repeat(np.arange(devices), 2 * cycles),
            "cycle": np.tile(np.repeat(np.arange(cycles), 2), devices),
            "state": np.tile(["LRS", "HRS"], devices * cycles),
            "resistance_ohm": np.stack([history.lrs_ohm, history.hrs_ohm], axis=-1).ravel(),
        }
    ).sample(frac=1, random_state=seed)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".csv.gz", ".parquet"):
            path = Path(folder) / f"rows{suffix}"
            if suffix == ".parquet":
                table.to_parquet(path, index=False)
            else:
                table.to_csv(path, index=False)
            start = time.perf_counter()
            _ = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
            between = time.perf_counter()
            measured = read_measurements(path)
            found[f"{suffix} pandas_s"] = between - start
            found[f"{suffix} rramsim_s"] = time.perf_counter() - between
    start = time.perf_counter()
    fit_devices(measured)
    return found | {"fit_s": time.perf_counter() - start, "rows": devices * cycles * 2}


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks device_fits")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--devices", type=int, default=40)
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--family", choices=sorted(CASES), action="append")
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    result: dict[str, Any]
    if options.read:
        result = read_times(500_000, options.seed)
    else:
        result = {
            family: recovery(
                family,
                trials=options.trials,
                devices=options.devices,
                cycles=options.cycles,
                seed=options.seed,
            )
            for family in options.family or CASES
        }
    if options.json:
        json.dump(result, sys.stdout)
        return 0
    for name, value in result.items():
        if isinstance(value, dict):
            print(name)
            for parameter, share in value.items():
                print(f"  {parameter:20} {100 * share:.0f} %")
        else:
            print(f"{name:20} {value:.3g}")
    return 0
