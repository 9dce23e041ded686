"""The same amplifier in three processes, and SKY130's three sets of mismatch side by side.

    python -m benchmarks processes              both tables and the figure (some minutes)
    python -m benchmarks processes --samples 2000

Writes benchmarks/results/processes.csv, mismatch_sets.csv and docs/images/processes.png. Every row
is simulated by the batch engine; the processes come from `make pdk`.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.counting import Rate, SenseTask, Spread, draw_samples
from rramsim.engines import BatchEngine
from rramsim.experiment import load_experiment
from rramsim.files import atomic_path
from rramsim.processes import SETS, process_from_pdk

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
PROCESSES = {
    "SKY130 5 V": "process_sky130_5v",
    "SKY130 1.8 V": "process_sky130_1v8",
    "GF180MCU 3.3 V": "process_gf180_3v3",
}
SUPPLIES_V = (0.95, 1.0, 1.05)


def rates(task: SenseTask, samples: int) -> dict[str, float]:
    """The three error rates with their intervals, and the mean energy of a ±1, of one supply."""
    reads, energies = {}, []
    for written in (-1, 0, 1):
        drawn = draw_samples(
            replace(task, written=written), chunk=0, samples=samples, chunk_samples=samples
        )
        found = task.engine.sense(task.circuit, task.conditions, drawn)
        reads[written] = found.read[found.converged]
        energies += [found.energy_j] if written else []
    ones = np.concatenate([written * reads[written] for written in (-1, 1)])
    events = {
        "type_1": Rate(events=int((ones == -1).sum()), trials=len(ones)),
        "type_2": Rate(events=int((ones == 0).sum()), trials=len(ones)),
        "type_3": Rate(events=int((reads[0] != 0).sum()), trials=len(reads[0])),
    }
    row = {"vdd_v": task.conditions.vdd_v, "energy_j": float(np.nanmean(np.concatenate(energies)))}
    for name, rate in events.items():
        row |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    return row | {"senses_of_each_weight": samples}


def in_processes(samples: int) -> pd.DataFrame:
    """Rates and energy over the supply, for each process's experiment."""
    rows: list[dict[str, Any]] = []
    for name, file in PROCESSES.items():
        experiment = load_experiment(ROOT / "experiments" / f"{file}.toml")
        task = SenseTask(
            circuit=experiment.make_circuit(), conditions=experiment.make_conditions()[0],
            resistances=experiment.make_resistances(), written=1, seed=experiment.errors.seed,
            engine=BatchEngine(),
        )  # fmt: skip
        for conditions in experiment.make_conditions():
            rows.append({"process": name} | rates(replace(task, conditions=conditions), samples))
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def mismatch_sets(samples: int) -> pd.DataFrame:
    """Rates with each set of SKY130's 5 V pair, and with a die of its own for every sense."""
    rows: list[dict[str, Any]] = []
    devices = load_experiment(ROOT / "experiments" / "process_sky130_5v.toml").make_resistances()
    for models in SETS:
        circuit = sense_circuit(process=process_from_pdk("sky130", models=models))
        for wide in (False, True):
            for vdd_v in SUPPLIES_V:
                task = SenseTask(
                    circuit=circuit, conditions=SenseConditions(vdd_v=vdd_v), resistances=devices,
                    written=1, seed=1, engine=BatchEngine(), spread=Spread(global_variation=wide),
                )  # fmt: skip
                dies = "drawn" if wide else "typical"
                rows.append({"models": models, "dies": dies} | rates(task, samples))
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame, path: Path) -> None:
    """Error rates and energy over the supply, a panel each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = {
        "type_1": "sign flips (type 1)", "type_2": "±1 read as 0 (type 2)",
        "type_3": "0 read as ±1 (type 3)", "energy_j": "energy of a ±1 read",
    }  # fmt: skip
    drawn, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharex=True)
    for ax, (column, title) in zip(axes.flat, panels.items(), strict=True):
        for k, (name, rows) in enumerate(table.groupby("process", sort=False)):
            value = rows[column] * (1e15 if column == "energy_j" else 1.0)
            shown = value > 0
            colour, marker = f"C{k}", "os^"[k]
            ax.plot(rows.vdd_v[shown], value[shown], marker=marker, ms=4, color=colour, label=name)
            if column != "energy_j":
                low, high = rows[f"{column}_low"][shown], rows[f"{column}_high"][shown]
                none = rows[~shown]
                ax.plot(
                    none.vdd_v, none[f"{column}_high"], marker="v", ms=5, ls="", mfc="none",
                    color=colour,
                )  # fmt: skip
                ax.fill_between(rows.vdd_v[shown], low, high, color=colour, alpha=0.2, lw=0)
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3)
        ax.set_yscale("linear" if column == "energy_j" else "log")
        ax.set_ylabel("energy (fJ)" if column == "energy_j" else "error rate")
    for ax in axes[1]:
        ax.set_xlabel("supply (V)")
    axes[0, 0].legend(fontsize=8)
    samples = int(table.senses_of_each_weight.iloc[0])
    drawn.supxlabel(
        f"simulated, tt, 27 °C, 50 ns window, {samples:,} senses of each weight a point; bands: "
        "95 % intervals; open triangles: upper end of the interval where no error was seen",
        fontsize=7.5,
    )  # fmt: skip
    with atomic_path(path) as temporary:
        drawn.savefig(temporary, dpi=150)
    plt.close(drawn)


def main(argv: list[str]) -> int:
    """Run both and write their files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000, help="senses of each weight a point")
    samples = parser.parse_args(argv).samples
    results = ROOT / "benchmarks" / "results"
    for name, make in (("processes", in_processes), ("mismatch_sets", mismatch_sets)):
        table = make(samples)
        with atomic_path(results / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        if name == "processes":
            figure(table, ROOT / "docs" / "images" / "processes.png")
    return 0
