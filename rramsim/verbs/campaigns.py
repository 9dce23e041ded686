"""A campaign over conditions, what it counted, and rates too rare to count."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rramsim import counting, durable, rare
from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.devices import ResistanceModel
from rramsim.exceptions import InputError
from rramsim.verbs.sensing import Engine, make_engine, resistances

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["conditions_at", "error_rates", "error_statistics", "rate", "sweep"]


def sweep(
    circuit: SenseCircuit,
    devices: ResistanceModel | None = None,
    *,
    vdd_v: float | Sequence[float],
    temperature_c: float | Sequence[float] = SenseConditions.temperature_c,
    corner: str | Sequence[str] = SenseConditions.corner,
    window_s: float | Sequence[float] = SenseConditions.window_s,
    samples: int = 1000,
    relative_error: float = 0.1,
    mismatch: bool = True,
    noise: bool = False,
    seed: int = 1,
    engine: Engine = "batch",
    workers: int | None = None,
    rows: str | Path | None = None,
    report: "Callable[[counting.CampaignProgress], None]" = lambda progress: None,
) -> "xr.Dataset":
    """Sense -1, 0 and +1 under every combination of conditions, and count what is read.

    Each written value is sensed `samples` times, or until its error rate is known to
    `relative_error` (half the 95 % interval over the rate). `workers` processes sense (None: one a
    core); the counts do not depend on them. `rows`: a file that keeps what was counted; the same
    call goes on from it. The dataset over (vdd, temperature, corner, window, written, read) holds
    `count`, and without `read` the means `energy_j` (with `energy_se_j`, its standard error) and
    `resolve_time_s`. Raises `InputError` for conditions out of range.

    >>> import rramsim as rs
    >>> counted = rs.sweep(rs.circuit(), vdd_v=[1.0, 1.2], samples=100, workers=1)
    >>> dict(counted.sizes)["vdd"], int(counted["count"].sum())
    (2, 600)
    """
    axes = [_axis(values) for values in (vdd_v, temperature_c, corner, window_s)]
    tasks = counting.sense_tasks(
        (
            SenseConditions(vdd_v=vdd, temperature_c=celsius, corner=name, window_s=window)
            for vdd, celsius, name, window in product(*axes)
        ),
        circuit=circuit,
        resistances=devices or resistances(),
        engine=make_engine(engine),
        seed=seed,
        mismatch=mismatch,
        noise=noise,
    )
    with TemporaryDirectory(prefix="rramsim-sweep-") as folder:
        tallies = counting.run_campaign(
            tasks,
            rows_path=Path(folder, "senses.jsonl") if rows is None else Path(rows),
            stop=counting.StopRule(relative_error=relative_error, max_samples=samples),
            runner=durable.Runner(workers=workers),
            report=report,
        )
    counted = counting.sense_dataset(
        {(task.conditions, task.written): tallies[task.id] for task in tasks}, tallies.failed
    )
    return counted.assign_attrs(tasks[0].attributes())


def _axis(values: Any) -> list[Any]:
    return [values] if isinstance(values, str) or not hasattr(values, "__iter__") else list(values)


def conditions_at(counted: "xr.Dataset", **at: Any) -> SenseConditions:
    """The one set of conditions of a sweep that has these values.

    `at`: any of vdd_v, temperature_c, corner, window_s. Raises `InputError` if none has them, or
    several.
    """
    asked = {key: value for key, value in at.items() if value is not None}
    found = [
        conditions
        for conditions in counting.conditions_of(counted)
        if all(getattr(conditions, key) == value for key, value in asked.items())
    ]
    if len(found) == 1:
        return found[0]
    given = ", ".join(f"{key} = {value}" for key, value in asked.items()) or "nothing"
    raise InputError(
        f"{given}: {len(found) or 'none'} of the sweep's conditions have it; "
        f"it holds {'; '.join(c.label for c in counting.conditions_of(counted))}"
    )


def error_statistics(
    counted: "xr.Dataset",
    *,
    vdd_v: float | None = None,
    temperature_c: float | None = None,
    corner: str | None = None,
    window_s: float | None = None,
) -> "counting.ErrorStatistics":
    """What was read of what was written under one set of conditions of a sweep.

    Its `type1` (sign flips), `type2` (a -1 or +1 read as 0) and `type3` (a 0 read as -1 or +1) are
    rates with exact 95 % intervals. What the sweep has one value of may be left out. Raises
    `InputError` unless exactly one set of conditions fits.

    >>> import rramsim as rs
    >>> counted = rs.sweep(rs.circuit(), vdd_v=1.2, samples=100, workers=1)
    >>> rs.error_statistics(counted, vdd_v=1.2).type2.trials
    200
    """
    at = {"vdd_v": vdd_v, "temperature_c": temperature_c, "corner": corner, "window_s": window_s}
    return counting.statistics_at(counted, conditions_at(counted, **at))


def error_rates(counted: "xr.Dataset") -> "xr.Dataset":
    """Every error rate of a sweep with its exact (Clopper-Pearson) 95 % interval.

    A dataset over (vdd, temperature, corner, window, error): `rate`, `low`, `high`, `events`,
    `trials`; `error` is type1, type2, type3, binary or unconverged. `.to_dataframe()` makes a table
    of it.

    >>> import rramsim as rs
    >>> rates = rs.error_rates(rs.sweep(rs.circuit(), vdd_v=1.2, samples=100, workers=1))
    >>> float(rates.high.sel(error="type1").squeeze()) < 0.02
    True
    """
    return counting.rate_dataset(counted)


def rate(
    circuit: SenseCircuit,
    devices: ResistanceModel | None = None,
    *,
    failure: str,
    vdd_v: float,
    temperature_c: float = SenseConditions.temperature_c,
    corner: str = SenseConditions.corner,
    window_s: float = SenseConditions.window_s,
    written: int | None = None,
    mismatch: bool = True,
    noise: bool = False,
    relative_error: float = 0.1,
    seed: int = 1,
    engine: Engine = "batch",
) -> "rare.FailureRate":
    """How often a read fails, however rarely: counted where it can be, else estimated.

    `failure`: "type 1" (sign flip), "type 2" (-1 or +1 read as 0), "type 3" (0 read as -1 or +1),
    "binary", or a measure against a limit such as "energy_j > 500f". `written`: one weight; None:
    all that can fail so, pooled. `relative_error`: the standard error to reach, over the rate. The
    answer prints with its 95 % interval and how it was found. Raises `InputError` for a failure
    that is not known.

    >>> import rramsim as rs
    >>> found = rs.rate(rs.circuit(), vdd_v=1.0, failure="type 3")
    >>> found.low < found.value < found.high
    True
    """
    asked = rare.SenseFailure(
        circuit=circuit,
        conditions=SenseConditions(
            vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
        ),
        resistances=devices or resistances(),
        criterion=rare.parse_criterion(failure, written=written),
        engine=make_engine(engine),
        mismatch=mismatch,
        noise=noise,
    )
    return rare.rate(asked, relative_error=relative_error, seed=seed)
