"""The circuit campaign: bit errors, resolve times and energies over all conditions."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rramsim import counting, devices, engines, figures
from rramsim.exceptions import MachineError
from rramsim.records import Record
from rramsim.stages.folder import Dataset, Document, Rows, RunFolder
from rramsim.stages.stage import Results, Stage, Work

if TYPE_CHECKING:
    import xarray as xr

    from rramsim.circuits import SenseConditions
    from rramsim.counting.campaign import CampaignResult
    from rramsim.experiment import Experiment

_FINEST_V = 5e-3
"""Supplies closer than this are not refined any more."""
_LONG_WINDOW_S = 1e-6
"""Window of the nominal senses, long enough to see slow pairs resolve."""

_AXES = ("vdd", "temperature", "corner", "window", "written")


class CertificationRecord(Record):
    """`certification.json`."""

    engine: str
    reference: str
    fault: str | None


ROWS = Rows(
    name="senses.jsonl", schema="rramsim senses 1", holds="counts of senses, a line a chunk"
)
CERTIFICATION = Document(
    name="certification.json", schema="rramsim certification 1", record=CertificationRecord,
    holds="some samples of the batch engine, sensed again by ngspice",
)  # fmt: skip
SENSE = Dataset(
    name="sense.nc",
    schema="rramsim sense 1",
    holds="counts of what was read, resolve times and energies, over all conditions",
    variables={
        "count": (*_AXES, "read"),
        "failed": _AXES,
        "energy_j": _AXES,
        "energy_se_j": _AXES,
        "clock_energy_j": _AXES,
        "word_line_energy_j": _AXES,
        "resolve_time_s": _AXES,
        "resolve_time_sd_s": _AXES,
        "nominal_resolve_time_s": ("vdd", "temperature", "corner", "written"),
    },
    attributes=("engine", "circuit", "process"),
)


def sweep_tasks(
    experiment: "Experiment", conditions: "Sequence[SenseConditions] | None" = None
) -> "tuple[counting.SenseTask, ...]":
    """Every written value under every set of conditions, as the sweep counts them.

    `conditions`: others than those of the experiment.
    """
    return counting.sense_tasks(
        experiment.make_conditions() if conditions is None else conditions,
        circuit=experiment.make_circuit(),
        resistances=experiment.make_resistances(),
        engine=experiment.errors.make_engine(),
        seed=experiment.errors.seed,
        mismatch=experiment.sense.mismatch,
        noise=experiment.sense.noise,
        spread=experiment.sense.make_spread(),
    )


def _run(work: Work) -> "xr.Dataset":
    """Simulate the experiment's grid; the dataset's attribute `failed` names what gave no result.

    Raises `MachineError` if the engine falls short of the reference.
    """
    experiment, folder = work.experiment, work.folder
    conditions = grid = experiment.make_conditions()
    for left in range(experiment.sense.refine, -1, -1):
        tasks = sweep_tasks(experiment, conditions)
        tallies = _counted(work, tasks)
        dataset = counting.sense_dataset(
            {(t.conditions, t.written): tallies[t.id] for t in tasks}, tallies.failed
        )
        added = steepest_supply(dataset) if left else None
        if added is None:
            break
        conditions += tuple(dict.fromkeys(replace(at, vdd_v=added) for at in grid))
    for failed in tallies.failed:
        work.notice(
            f"failed, and in no count: {failed.senses} senses, {failed.name}: {failed.reason}; "
            "try them again with --retry-failed"
        )
    certificate = "the reference itself"
    if experiment.errors.engine != "ngspice":
        certificate = "not certified (certify_samples = 0)"
        if experiment.errors.certify_samples:
            certificate = _certify(work, tasks, tallies)
    dataset = dataset.assign(_nominal(experiment, conditions))
    dataset.attrs |= {
        **tasks[0].attributes(),
        "certification": certificate,
        "failed": json.dumps([_failure(failed) for failed in tallies.failed]),
    }
    SENSE.write(folder, dataset)
    return dataset


def _counted(work: Work, tasks: "tuple[counting.SenseTask, ...]") -> "CampaignResult":
    return counting.run_campaign(
        tasks,
        rows_path=ROWS.path(work.folder),
        stop=work.experiment.errors.make_stop_rule(),
        runner=work.runner,
        retry_failed=work.retry_failed,
        report=lambda p: work.report(
            p.counted, p.at_most, f"({p.failed} failed)" if p.failed else ""
        ),
    )


def steepest_supply(dataset: "xr.Dataset") -> float | None:
    """Halfway between the neighbouring supplies between which networks lose most; None if nowhere.

    What networks lose goes by the share of ±1 that is not read right: below 0.1 % it is next to
    nothing, above 10 % all. Between those the largest change of its logarithm is looked for, of
    all temperatures, corners and windows; one below a factor of 2 counts for nothing, and neither
    do supplies less than 5 mV apart.
    """
    lines: dict[tuple[float, str, float], list[tuple[float, float]]] = {}
    for at in counting.conditions_of(dataset):
        share = min(max(counting.statistics_at(dataset, at).binary.value, 1e-3), 0.1)
        where = at.temperature_c, at.corner, at.window_s
        lines.setdefault(where, []).append((at.vdd_v, math.log(share)))
    steps = [
        (abs(second - first), round((low + high) / 2, 4))
        for line in lines.values()
        for (low, first), (high, second) in itertools.pairwise(sorted(line))
        if high - low >= _FINEST_V
    ]
    change, supply = max(steps, default=(0.0, 0.0))
    return supply if change > math.log(2) else None


def _certify(
    work: Work,
    tasks: "tuple[counting.SenseTask, ...]",
    tallies: "Mapping[str, counting.SenseTally]",
) -> str:
    """Sense a share of the campaign again in ngspice, and keep what was found."""
    errors, reference = work.experiment.errors, engines.NgspiceEngine()
    found = counting.certify_campaign(
        tasks, tallies, samples=errors.certify_samples, seed=errors.seed, reference=reference
    )
    fault, name = found.fault(), tasks[0].engine.name
    named = {"engine": name, "reference": reference.name, "fault": fault}
    CERTIFICATION.write(work.folder, named | found.as_dict())
    if fault:
        raise MachineError(
            f"engine {name} disagrees with {reference.name}: {fault}; see "
            f'{CERTIFICATION.path(work.folder)}, or use engine = "ngspice"'
        )
    return found.text


def _failure(failed: "counting.FailedTask") -> dict[str, object]:
    return {
        "task": failed.name,
        "id": failed.task.id,
        "chunks": list(failed.chunks),
        "senses": failed.senses,
        "reason": failed.reason,
    }


def _nominal(
    experiment: "Experiment", conditions: "tuple[SenseConditions, ...]"
) -> "dict[str, xr.DataArray]":
    """Resolve time of median devices without mismatch over (vdd, temperature, corner, written)."""
    import xarray as xr

    from rramsim.counting.dataset import AXES
    from rramsim.stages.nominal import nominal_pair

    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    resistances = experiment.make_resistances()
    dims = [dim for dim in AXES if dim != "window"]
    axes = {dim: sorted({getattr(c, AXES[dim][0]) for c in conditions}) for dim in dims}
    times = np.full((*(len(values) for values in axes.values()), 3), np.nan)
    for condition in {replace(c, window_s=_LONG_WINDOW_S) for c in conditions}:
        at = tuple(axes[dim].index(getattr(condition, AXES[dim][0])) for dim in dims)
        for index, written in enumerate(devices.WRITTEN):
            outcome = engine.sense(circuit, condition, nominal_pair(resistances, written))
            if outcome.converged[0]:
                times[(*at, index)] = outcome.resolve_time_s[0]
    array = xr.DataArray(
        times,
        dims=(*dims, "written"),
        coords={**axes, "written": list(devices.WRITTEN)},
        attrs={
            "units": "s",
            "long_name": "resolve time of median devices without mismatch; HRS/HRS 3 % apart",
        },
    )
    return {"nominal_resolve_time_s": array}


def _waveforms(
    experiment: "Experiment", conditions: "SenseConditions"
) -> "dict[str, engines.Waveforms]":
    from rramsim.stages.nominal import nominal_pair

    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    waves: dict[str, engines.Waveforms] = {}
    for written, pair in ((1, "LRS/HRS"), (-1, "HRS/LRS"), (0, "HRS/HRS")):
        samples = nominal_pair(experiment.make_resistances(), written)
        outcome = engine.sense(circuit, conditions, samples, waveforms=True)
        ohms = f"{samples.r_bl_ohm[0] / 1e3:g} kΩ / {samples.r_blb_ohm[0] / 1e3:g} kΩ"
        read = f"reads {outcome.read[0]:+d}" if outcome.read[0] else "reads 0"
        if outcome.waveforms:
            waves[f"{pair}: {read}\n{ohms}"] = outcome.waveforms[0]
    return waves


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    experiment = folder.load_experiment()
    conditions = experiment.make_conditions()
    shown = min(conditions, key=lambda c: (abs(c.vdd_v - 1.2), abs(c.temperature_c - 27)))
    waves, engine = _waveforms(experiment, shown), experiment.errors.make_engine()
    return {
        "resolve_time": figures.time_figure(SENSE.need(folder)),
        "sense_energy": figures.energy_figure(SENSE.need(folder)),
        "waveforms": figures.waveform_figure(waves, shown, engine=engine.name),
    }


def _sections(results: Results) -> "list[figures.Section]":
    sections = [
        results.nominal_section("waveforms", "Waveforms", figures.nominal_waveforms_figure),
        results.nominal_section("read-map", "Read map", figures.read_map_figure),
    ]
    dataset = results.read(SENSE)
    if dataset is not None:
        drawn = (figures.time_figure(dataset), figures.energy_figure(dataset))
        sections.append(
            figures.Section(key="sense", title="Time and energy of a sense", figures=drawn)
        )
    return sections


SWEEP = Stage(
    name="sweep",
    title="Time and energy of a sense",
    answers="What is read, how fast and at what energy, at every supply, temperature and corner?",
    run=_run,
    unit="senses",
    files=(ROWS, SENSE, CERTIFICATION),
    rows=ROWS,
    of_run=True,
    draw=_draw,
    sections=_sections,
)
