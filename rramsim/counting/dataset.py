"""Labelled xarray datasets: a campaign's results, `sense.nc`, and every sample of a task."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from rramsim.circuits import SenseConditions
from rramsim.counting.campaign import FailedTask
from rramsim.counting.statistics import READ_LABELS, ErrorStatistics, SenseTally
from rramsim.counting.task import CHUNK_SAMPLES, SenseTask, draw_samples
from rramsim.devices import WRITTEN
from rramsim.engines import SenseOutcome
from rramsim.exceptions import InputError
from rramsim.files import atomic_path

AXES = {
    "vdd": ("vdd_v", "V"),
    "temperature": ("temperature_c", "degC"),
    "corner": ("corner", ""),
    "window": ("window_s", "s"),
}
"""Dimension of the dataset -> (field of `SenseConditions`, unit)."""


def sense_dataset(
    tallies: Mapping[tuple[SenseConditions, int], SenseTally],
    failed: Sequence[FailedTask] = (),
) -> xr.Dataset:
    """Arrange tallies of (conditions, written) as a dataset over a full grid.

    `failed` senses gave no result; they are in no count.

    Variables over (vdd, temperature, corner, window, written, read): `count`; and over all but
    `read`: `energy_j`, its standard error `energy_se_j`, the shares `clock_energy_j` and
    `word_line_energy_j`, `resolve_time_s` (mean of resolved senses) with deviation, `failed`, and
    of each `.measure` line `measure_NAME` (mean of the senses that have it) with its deviation.
    """
    conditions = sorted({key[0] for key in tallies})
    axes = {
        dim: sorted({getattr(c, field) for c in conditions}) for dim, (field, _) in AXES.items()
    }
    shape = tuple(len(values) for values in axes.values())
    count = np.zeros((*shape, 3, 4), dtype=np.int64)
    means = {
        name: np.full((*shape, 3), np.nan)
        for name in (
            "energy_j",
            "energy_se_j",
            "clock_energy_j",
            "word_line_energy_j",
            "resolve_time_s",
            "resolve_time_sd_s",
        )
    }
    for name in dict.fromkeys(name for tally in tallies.values() for name in tally.measures):
        means |= {f"measure_{name}{part}": np.full((*shape, 3), np.nan) for part in ("", "_sd")}
    for (condition, written), tally in tallies.items():
        at = tuple(axes[dim].index(getattr(condition, field)) for dim, (field, _) in AXES.items())
        row = (*at, WRITTEN.index(written))
        count[row] = tally.count
        reads = int(tally.count[:3].sum())
        resolved = int(tally.count[0] + tally.count[2])
        if reads:
            means["energy_j"][row] = tally.energy_j.sum() / reads
            means["clock_energy_j"][row] = tally.clock_energy_j.sum() / reads
            means["word_line_energy_j"][row] = tally.word_line_energy_j.sum() / reads
            means["energy_se_j"][row] = _deviation(
                tally.energy_j.sum(), tally.energy_squared.sum(), reads
            ) / np.sqrt(reads)
        if resolved:
            means["resolve_time_s"][row] = tally.resolve_time_s.sum() / resolved
            means["resolve_time_sd_s"][row] = _deviation(
                tally.resolve_time_s.sum(), tally.resolve_time_squared.sum(), resolved
            )
        for name, (senses, total, squares) in tally.measures.items():
            if senses:
                means[f"measure_{name}"][row] = total / senses
                means[f"measure_{name}_sd"][row] = _deviation(total, squares, senses)
    lost = np.zeros((*shape, 3), dtype=np.int64)
    for each in failed:
        condition = each.task.conditions
        at = tuple(axes[dim].index(getattr(condition, field)) for dim, (field, _) in AXES.items())
        lost[(*at, WRITTEN.index(each.task.written))] += each.senses
    dims = (*AXES, "written")
    return xr.Dataset(
        {"count": ((*dims, "read"), count, {"units": "1", "long_name": "senses"})}
        | {"failed": (dims, lost, {"units": "1", "long_name": "senses without any result"})}
        | {name: (dims, values, _unit(name)) for name, values in means.items()},
        coords={
            **{dim: (dim, axes[dim], {"units": AXES[dim][1]}) for dim in AXES},
            "written": ("written", list(WRITTEN)),
            "read": ("read", list(READ_LABELS)),
        },
        attrs={"status": "simulated"},
    )


def conditions_of(dataset: xr.Dataset) -> list[SenseConditions]:
    """Every set of conditions of the dataset's grid, in its order."""
    values = [dataset[dim].values.tolist() for dim in AXES]
    fields = [field for field, _ in AXES.values()]
    return [SenseConditions(**dict(zip(fields, point, strict=True))) for point in product(*values)]


def point(dataset: xr.Dataset, conditions: SenseConditions) -> xr.Dataset:
    """The dataset at one set of conditions; raises `InputError` if it was not simulated."""
    try:
        return dataset.sel({dim: getattr(conditions, field) for dim, (field, _) in AXES.items()})
    except KeyError as error:
        raise InputError(f"no senses were simulated at {conditions.label}") from error


def statistics_at(dataset: xr.Dataset, conditions: SenseConditions) -> ErrorStatistics:
    """The error statistics under one set of conditions."""
    return ErrorStatistics(counts=point(dataset, conditions)["count"].values)


_RATES = ("type1", "type2", "type3", "binary", "unconverged")


def rate_dataset(dataset: xr.Dataset) -> xr.Dataset:
    """Every error rate of a dataset of counts, over its conditions and `error`.

    `rate`, `low` and `high` (exact 95 % interval; NaN without a read), `events` and `trials`.
    """
    shape = tuple(dataset.sizes[dim] for dim in AXES)
    rates = [
        [getattr(statistics_at(dataset, conditions), name) for name in _RATES]
        for conditions in conditions_of(dataset)
    ]
    values = {"rate": "value", "low": "low", "high": "high", "events": "events", "trials": "trials"}
    return xr.Dataset(
        {
            name: (
                (*AXES, "error"),
                np.reshape([[getattr(r, key) for r in row] for row in rates], (*shape, -1)),
                {"units": "1"},
            )
            for name, key in values.items()
        },
        coords={**{dim: dataset[dim] for dim in AXES}, "error": list(_RATES)},
        attrs=dataset.attrs,
    )


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write the dataset as netCDF, whole or not at all."""
    with atomic_path(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4")


_LARGEST_BYTES = 2**28
"""No sweep comes near; a damaged header may promise more than there is memory."""


def load_dataset(path: Path) -> xr.Dataset:
    """Read a sweep's dataset; raises `InputError` if it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path}: not there; a sweep makes it")
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            if dataset.nbytes > _LARGEST_BYTES:
                raise ValueError(f"{dataset.nbytes} bytes")
            loaded = dataset.load()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a readable netCDF file; sweep again") from error
    if "count" not in loaded:
        raise InputError(f"{path}: not a result of rramsim (it holds no counts)")
    return loaded


def _deviation(total: float, squares: float, number: int) -> float:
    if number < 2:
        return float("nan")
    return float(np.sqrt(max(squares - total**2 / number, 0.0) / (number - 1)))


_UNITS = {"ohm": "ohm", "s": "s", "v": "V", "j": "J"}


def sample_dataset(task: SenseTask, *, samples: int) -> xr.Dataset:
    """Sense the first `samples` of a task: what was drawn and what came out, over `sample`.

    The draws are those of a campaign (`draw_samples`), in its order. Raises `InputError` for less
    than one sample.
    """
    if samples < 1:
        raise InputError(f"samples = {samples}: must be at least 1")
    parts = []
    for chunk, first in enumerate(range(0, samples, CHUNK_SAMPLES)):
        drawn = draw_samples(
            task, chunk=chunk, samples=min(CHUNK_SAMPLES, samples - first),
            chunk_samples=CHUNK_SAMPLES,
        )  # fmt: skip
        outcome = task.engine.sense(task.circuit, task.conditions, drawn)
        columns = {"r_bl_ohm": drawn.r_bl_ohm, "r_blb_ohm": drawn.r_blb_ohm}
        for field in fields(SenseOutcome):
            if field.name not in ("waveforms", "measures"):
                columns[field.name] = getattr(outcome, field.name)
        columns |= {f"measure_{name}": values for name, values in outcome.measures.items()}
        parts.append(columns)
    return xr.Dataset(
        {
            name: ("sample", np.concatenate([part[name] for part in parts]), _unit(name))
            for name in parts[0]
        },
        coords={"sample": np.arange(samples), "written": task.written},
        attrs=task.attributes(),
    )


def _unit(name: str) -> dict[str, str]:
    # Of a measure nothing is known but its numbers.
    unit = None if name.startswith("measure_") else _UNITS.get(name.rsplit("_", 1)[-1])
    return {"units": unit} if unit else {}
