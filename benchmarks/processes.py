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
from rramsim.engines.batch.engine import reads_of
from rramsim.experiment import load_experiment
from rramsim.figures import save_one
from rramsim.figures.chart import Axis, Chart, Panel, Point, Series, without_cliffs
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
_PANELS = {
    "type_1": "sign flips (type 1)", "type_2": "±1 read as 0 (type 2)",
    "type_3": "0 read as ±1 (type 3)", "energy_j": "energy of a ±1 read",
}  # fmt: skip


def rates(task: SenseTask, samples: int, *, all_read: bool = True) -> dict[str, float]:
    """The error rates with their intervals, and the mean energy of a ±1, of one supply.

    Without `all_read` the errors of ±1 alone, of senses that end at the strobe.
    """
    reads, energies = {}, []
    for written in (-1, 0, 1) if all_read else (-1, 1):
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
    }
    row = {"vdd_v": task.conditions.vdd_v}
    if all_read:
        events["type_3"] = Rate(events=int((reads[0] != 0).sum()), trials=len(reads[0]))
        row["energy_j"] = float(np.nanmean(np.concatenate(energies)))
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
    """Rates with each set of SKY130's 5 V pair, and with a die of its own for every sense.

    On the typical die twice as many senses, since the sets differ in rare errors.
    """
    rows: list[dict[str, Any]] = []
    devices = load_experiment(ROOT / "experiments" / "process_sky130_5v.toml").make_resistances()
    for models in SETS:
        circuit = sense_circuit(process=process_from_pdk("sky130", models=models))
        for wide in (False, True):
            for vdd_v in SUPPLIES_V:
                task = SenseTask(
                    circuit=circuit, conditions=SenseConditions(vdd_v=vdd_v), resistances=devices,
                    written=1, seed=1, engine=reads_of(BatchEngine()),
                    spread=Spread(global_variation=wide),
                )  # fmt: skip
                dies, count = ("drawn", samples) if wide else ("typical", 2 * samples)
                rows.append({"models": models, "dies": dies} | rates(task, count, all_read=False))
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame) -> Chart:
    """Error rates and energy over the supply, a panel each."""
    panels = []
    for column, title in _PANELS.items():
        energy = column == "energy_j"
        series = []
        for index, (name, rows) in enumerate(table.groupby("process", sort=False)):
            points = [
                Point(x=row["vdd_v"], y=1e15 * row[column]) if energy
                else Point(
                    x=row["vdd_v"], y=row[column] or row[f"{column}_high"],
                    y_bar=(row[f"{column}_low"], row[f"{column}_high"]),
                    bound="" if row[column] else "down",
                )
                for row in rows.to_dict("records")
            ]  # fmt: skip
            points = without_cliffs(points, factor=10)
            series.append(
                Series(points=points, label=str(name), colour=index, mark=index, line="solid")
            )
        y = (
            Axis(label="energy", unit="fJ")
            if energy
            else Axis(label="error rate", unit="", log=True)
        )
        x = Axis(label="supply VDD", unit="V")
        panels.append(Panel(x=x, y=y, series=series, title=title, dodge=not energy))
    samples = int(table.senses_of_each_weight.iloc[0])
    return Chart(
        key="processes",
        title="Three processes, one amplifier",
        panels=panels,
        footer=f"Simulated, batch engine, tt, 27 °C, 50 ns window, {samples:,} senses of each "
        "weight a point. Neighbours that differ by more than a factor of 10 are not joined. "
        "Arrows: no error seen, upper end of the interval.",
        bars="exact 95 % intervals",
        columns=2,
    )


def main(argv: list[str]) -> int:
    """Run both and write their files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000, help="senses of each weight a point")
    parser.add_argument("--only", choices=("processes", "mismatch_sets"), help="one of the tables")
    options = parser.parse_args(argv)
    samples = options.samples
    results = ROOT / "benchmarks" / "results"
    both = {"processes": in_processes, "mismatch_sets": mismatch_sets}
    for name, make in (
        both.items() if options.only is None else [(options.only, both[options.only])]
    ):
        table = make(samples)
        with atomic_path(results / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        if name == "processes":
            save_one(figure(table), ROOT / "docs" / "images" / "processes.png")
    return 0
