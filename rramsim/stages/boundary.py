"""The boundary between 0 and +1/-1 over the conditions of an experiment."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from rramsim.counting import ZeroBoundary, zero_boundary
from rramsim.experiment import Experiment
from rramsim.figures import boundary_figure, save_figure
from rramsim.files import atomic_path, folder_lock
from rramsim.stages.folder import RunFolder

__all__ = ["boundary_rows", "boundary_stage"]

_SHARES = (0.05, 0.5, 0.95)


def boundary_stage(
    experiment: Experiment,
    folder: RunFolder,
    *,
    draws: int = 400,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Find the boundary at every point of [sense] into `boundary.csv` and a figure.

    `report` is called with the conditions done and in all. Raises `InputError` if another run is
    writing in the folder.
    """
    circuit = experiment.make_circuit()
    engine = experiment.errors.make_engine()
    conditions = experiment.make_conditions()
    with folder_lock(folder.path):
        found = []
        for number, condition in enumerate(conditions):
            report(number, len(conditions))
            found.append(
                zero_boundary(circuit, condition, engine, draws=draws, seed=experiment.errors.seed)
            )
        report(len(conditions), len(conditions))
        table = pd.DataFrame(boundary_rows(found))
        table["engine"] = engine.name.split(" (")[0]
        table["circuit"] = circuit.name
        table["seed"] = experiment.errors.seed
        with atomic_path(folder.boundary) as temporary:
            table.to_csv(temporary, index=False)
        save_figure(boundary_figure(list(table.itertuples())), folder.path, "boundary")
    return table


def boundary_rows(found: Iterable[ZeroBoundary]) -> list[dict[str, Any]]:
    """One row for each set of conditions: quantiles of the boundary with their 95 % intervals.

    `r05_ohm` is the pair's resistance that reads 0 in 5 % of the draws, and so on. An infinite
    value stands where no resistance reads 0, 0 where all do.
    """
    rows = []
    for boundary in found:
        conditions = boundary.conditions
        row: dict[str, Any] = {
            "vdd_v": conditions.vdd_v,
            "temperature_c": conditions.temperature_c,
            "corner": conditions.corner,
            "window_s": conditions.window_s,
            "draws": len(boundary.resistance_ohm),
            "unconverged": boundary.unconverged,
        }
        for share in _SHARES:
            value, low, high = boundary.quantile(share)
            name = f"r{100 * share:02.0f}"
            row |= {f"{name}_ohm": value, f"{name}_low_ohm": low, f"{name}_high_ohm": high}
        row["never_zero"] = int(sum(math.isinf(r) for r in boundary.resistance_ohm))
        rows.append(row)
    return rows
