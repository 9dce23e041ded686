"""What each source of variation does to the error rates: the same senses with it switched off."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim import circuits, counting, devices, figures
from rramsim.exceptions import InputError
from rramsim.records import SharesRecord
from rramsim.stages.folder import Document, Rows, RunFolder
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.sweep import sweep_tasks

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table as Texts

_TYPES = ("type1", "type2", "type3")

ROWS = Rows(name="shares.jsonl", schema="rramsim senses 1", holds="counts of senses")
SHARES = Document(
    name="shares.json", schema="rramsim shares 1", record=SharesRecord,
    holds="error rates with everything on, and with each source of variation off",
)  # fmt: skip


def sources_off(
    task: "counting.SenseTask", column_off: "Mapping[str, circuits.SenseCircuit]"
) -> "dict[str, counting.SenseTask]":
    """The task with each source of variation that it has switched off, by the source's name.

    Off means: devices at their medians, no mismatch, no noise, corner tt, 27 degrees Celsius, the
    typical die, one supply and one temperature for every sense; and the circuits of `column_off`
    for what the column brings.
    """
    low, high = task.resistances.nominal(1)
    medians = devices.ResistanceModel(
        lrs=devices.LogNormal(median_ohm=low, sigma_ln=0.0),
        hrs=devices.LogNormal(median_ohm=high, sigma_ln=0.0),
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
    still = {"dies": "global_variation", "supply spread": "vdd_sigma_v",
             "temperature spread": "temperature_sigma_c"}  # fmt: skip
    for name, key in still.items():
        if getattr(task.spread, key):
            off = type(getattr(task.spread, key))()
            variants[name] = replace(task, spread=replace(task.spread, **{key: off}))
    for name, circuit in column_off.items():
        variants[name] = replace(task, circuit=circuit)
    return variants


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One set of conditions: the tasks with everything on, and with each source off."""

    tasks: "tuple[counting.SenseTask, ...]"
    off: "dict[str, tuple[counting.SenseTask, ...]]"


def _run(work: Work) -> None:
    """Count errors with everything on and with each source off into `shares.json` and a figure."""
    experiment = work.experiment
    swept = sweep_tasks(experiment)
    circuit, engine = swept[0].circuit, swept[0].engine
    column_off = _column_off(experiment, circuit)
    rows = []
    for _, group in groupby(swept, key=lambda task: task.conditions):
        tasks = tuple(group)
        each = [sources_off(task, column_off) for task in tasks]
        rows.append(_Row(tasks=tasks, off={name: tuple(e[name] for e in each) for name in each[0]}))
    every = {
        task.id: task for row in rows for tasks in (row.tasks, *row.off.values()) for task in tasks
    }
    result = counting.run_campaign(
        tuple(every.values()),
        rows_path=ROWS.path(work.folder),
        stop=experiment.errors.make_stop_rule(),
        runner=work.runner,
        report=lambda p: work.report(p.counted, p.at_most, ""),
    )

    value = {
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
                "all": _rates(_statistics(result, row.tasks)),
                "without": {
                    name: _compared(_statistics(result, row.tasks), _statistics(result, tasks))
                    for name, tasks in row.off.items()
                },
            }
            for row in rows
        ],
    }
    SHARES.write(work.folder, value)


def _statistics(
    result: "Mapping[str, counting.SenseTally]", tasks: "tuple[counting.SenseTask, ...]"
) -> "counting.ErrorStatistics":
    return counting.ErrorStatistics(counts=np.stack([result[task.id].count for task in tasks]))


def _column_off(
    experiment: "Experiment", circuit: "circuits.SenseCircuit"
) -> "dict[str, circuits.SenseCircuit]":
    """The circuit without each of the column's switches that the experiment has on."""
    column = circuit.column
    off = {
        "wires": replace(column, r_row_ohm=0.0),
        "leakage": replace(column, leakage=False),
        "threshold": replace(column, threshold=0.5),
    }
    netlist = experiment.sense.netlist
    return {
        name: circuits.sense_circuit(
            process=circuit.process,
            column=changed,
            netlist=None if netlist is None else experiment.folder / netlist,
            read_out=circuit.read_out,
        )
        for name, changed in off.items()
        if changed != column
    }


def _rates(statistics: "counting.ErrorStatistics") -> dict[str, Any]:
    if not statistics.counts[:, :3].sum(axis=1).all():
        raise InputError("shares: a written value was never read; see what failed")
    return {name: getattr(statistics, name).as_dict() for name in _TYPES} | {
        "counts": statistics.counts.tolist()
    }


def _compared(
    everything: "counting.ErrorStatistics", without: "counting.ErrorStatistics"
) -> dict[str, Any]:
    return _rates(without) | {
        f"{name}_fall": counting.RateDifference(
            of=getattr(everything, name), without=getattr(without, name)
        ).as_dict()
        for name in _TYPES
    }


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    return {"shares": figures.shares_figure(SHARES.need(folder))}


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.rates import fall_table

    return [fall_table(SHARES.need(folder))]


def _sections(results: Results) -> "list[figures.Section]":
    record = results.read(SHARES)
    if record is None:
        return []
    return [
        figures.Section(
            key="shares",
            title="What causes the errors",
            text="Simulated: the same senses with one source of variation switched off at a time.",
            figures=tuple(_draw(results.folder).values()),
            tables=tuple(_summary(results.folder)),
            notes=tuple(f"{f.senses} senses gave no result: {f.task}" for f in record.failed),
        )
    ]


SOURCES = Stage(
    name="shares",
    title="What causes the errors",
    answers="Which source of variation causes how many of the errors?",
    run=_run,
    unit="senses",
    files=(ROWS, SHARES),
    rows=ROWS,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
