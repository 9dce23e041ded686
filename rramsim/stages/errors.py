"""From the sweep's dataset to error statistics with intervals."""

import json
from typing import Any

from rramsim.circuits import SenseConditions
from rramsim.counting import ErrorStatistics, conditions_of, load_dataset, statistics_at
from rramsim.figures import error_rates_figure, error_table_figure, save_figure
from rramsim.schemas import FILE_SCHEMAS
from rramsim.stages.folder import RunFolder

__all__ = ["errors_stage"]


def errors_stage(folder: RunFolder) -> dict[str, Any]:
    """Write `errors.json` and the error figures from `sense.nc`; returns what was written."""
    dataset = load_dataset(folder.sense)
    rows: list[tuple[SenseConditions, ErrorStatistics]] = [
        (conditions, statistics_at(dataset, conditions)) for conditions in conditions_of(dataset)
    ]
    value = {
        "schema": FILE_SCHEMAS["errors.json"],
        "status": "simulated",
        "engine": dataset.attrs["engine"],
        "resistances": dataset.attrs["resistances"],
        "failed": json.loads(dataset.attrs["failed"]),
        "interval": "exact (Clopper-Pearson), 95 %",
        "conditions": [
            {
                "vdd_v": conditions.vdd_v,
                "temperature_c": conditions.temperature_c,
                "corner": conditions.corner,
                "window_s": conditions.window_s,
                **statistics.as_dict(),
            }
            for conditions, statistics in rows
        ],
    }
    folder.write_json(folder.errors, value)
    source = f"Simulated, {dataset.attrs['engine'].split(' (')[0]}."
    save_figure(error_table_figure(rows, source=source), folder.path, "errors_table")
    save_figure(error_rates_figure(rows, source=source), folder.path, "errors")
    return value
