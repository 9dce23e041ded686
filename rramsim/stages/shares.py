"""What each source of variation does to the error rates: the same senses with it switched off."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rramsim.circuits import SenseCircuit, sense_circuit
from rramsim.counting import (
    CampaignProgress,
    ErrorStatistics,
    RateDifference,
    SenseTask,
    run_campaign,
)
from rramsim.devices import WRITTEN, LogNormal, ResistanceModel
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures import save_figure, shares_figure
from rramsim.figures.report import SharesRecord
from rramsim.files import folder_lock
from rramsim.schemas import FILE_SCHEMAS
from rramsim.stages.folder import RunFolder

__all__ = ["shares_stage", "sources_off"]

_TYPES = ("type1", "type2", "type3")


def sources_off(task: SenseTask, column_off: dict[str, SenseCircuit]) -> dict[str, SenseTask]:
    """The task with each source of variation that it has switched off, by the source's name.

    Off means: devices at their medians, no mismatch, no noise, corner tt, 27 degrees Celsius; and
    the circuits of `column_off` for what the column brings.
    """
    low, high = task.resistances.nominal(1)
    medians = ResistanceModel(
        lrs=LogNormal(median_ohm=low, sigma_ln=0.0), hrs=LogNormal(median_ohm=high, sigma_ln=0.0)
    )
    conditions = task.conditions
    variants = {"devices": replace(task, resistances=medians)}
    if task.mismatch:
        variants["mismatch"] = replace(task, mismatch=False)
    if task.noise:
        variants["noise"] = replace(task, noise=False)
    if conditions.corner != "tt":
        variants["corner"] = replace(task, conditions=replace(conditions, corner="tt"))
    if conditions.temperature_c != 27:
        variants["temperature"] = replace(task, conditions=replace(conditions, temperature_c=27.0))
    for name, circuit in column_off.items():
        variants[name] = replace(task, circuit=circuit)
    return variants


def shares_stage(
    experiment: Experiment,
    folder: RunFolder,
    *,
    report: Callable[[CampaignProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Count errors with everything on and with each source off into `shares.json` and a figure.

    The rows are kept in `shares.jsonl`: an interrupted run goes on, and what a sweep asks for is
    not taken from there. Raises `InputError` if another run is writing in the folder.
    """
    with folder_lock(folder.path):
        value = _count(experiment, folder, report)
        folder.write_json(folder.shares, value)
        save_figure(shares_figure(SharesRecord.model_validate(value)), folder.path, "shares")
    return value


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One set of conditions: the tasks with everything on, and with each source off."""

    tasks: tuple[SenseTask, ...]
    off: dict[str, tuple[SenseTask, ...]]


def _count(
    experiment: Experiment, folder: RunFolder, report: Callable[[CampaignProgress], None]
) -> dict[str, Any]:
    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    column_off = _column_off(experiment, circuit)
    rows = []
    for conditions in experiment.make_conditions():
        tasks = tuple(
            SenseTask(
                circuit=circuit,
                conditions=conditions,
                resistances=experiment.make_resistances(),
                written=written,
                seed=experiment.errors.seed,
                engine=engine,
                mismatch=experiment.sense.mismatch,
                noise=experiment.sense.noise,
            )
            for written in WRITTEN
        )
        each = [sources_off(task, column_off) for task in tasks]
        rows.append(_Row(tasks=tasks, off={name: tuple(e[name] for e in each) for name in each[0]}))
    every = {
        task.id: task for row in rows for tasks in (row.tasks, *row.off.values()) for task in tasks
    }
    result = run_campaign(
        tuple(every.values()),
        rows_path=folder.path / "shares.jsonl",
        stop=experiment.errors.make_stop_rule(),
        runner=experiment.errors.make_runner(),
        report=report,
    )

    def statistics(tasks: tuple[SenseTask, ...]) -> ErrorStatistics:
        return ErrorStatistics(counts=np.stack([result[task.id].count for task in tasks]))

    return {
        "schema": FILE_SCHEMAS["shares.json"],
        "status": "simulated",
        "engine": engine.name,
        "circuit": circuit.name,
        "interval": "exact (Clopper-Pearson) for rates, MOVER for differences, 95 %",
        "failed": [{"task": f.name, "senses": f.senses, "reason": f.reason} for f in result.failed],
        "conditions": [
            {
                "vdd_v": row.tasks[0].conditions.vdd_v,
                "temperature_c": row.tasks[0].conditions.temperature_c,
                "corner": row.tasks[0].conditions.corner,
                "window_s": row.tasks[0].conditions.window_s,
                "label": row.tasks[0].conditions.label,
                "all": _rates(statistics(row.tasks)),
                "without": {
                    name: _compared(statistics(row.tasks), statistics(tasks))
                    for name, tasks in row.off.items()
                },
            }
            for row in rows
        ],
    }


def _column_off(experiment: Experiment, circuit: SenseCircuit) -> dict[str, SenseCircuit]:
    """The circuit without each of the column's switches that the experiment has on."""
    column = circuit.column
    off = {
        "wires": replace(column, r_row_ohm=0.0),
        "leakage": replace(column, leakage=False),
        "threshold": replace(column, threshold=0.5),
    }
    netlist = experiment.sense.netlist
    return {
        name: sense_circuit(
            process=circuit.process,
            column=changed,
            netlist=None if netlist is None else experiment.folder / netlist,
            read_out=circuit.read_out,
        )
        for name, changed in off.items()
        if changed != column
    }


def _rates(statistics: ErrorStatistics) -> dict[str, Any]:
    if not statistics.counts[:, :3].sum(axis=1).all():
        raise InputError("shares: a written value was never read; see what failed")
    return {name: getattr(statistics, name).as_dict() for name in _TYPES} | {
        "counts": statistics.counts.tolist()
    }


def _compared(everything: ErrorStatistics, without: ErrorStatistics) -> dict[str, Any]:
    return _rates(without) | {
        f"{name}_fall": RateDifference(
            of=getattr(everything, name), without=getattr(without, name)
        ).as_dict()
        for name in _TYPES
    }
