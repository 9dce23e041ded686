"""The circuit campaign: bit errors, resolve times and energies over all conditions."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from rramsim.circuits import SenseConditions
from rramsim.counting import FailedTask, SenseTask, run_campaign, save_dataset, sense_dataset
from rramsim.counting.dataset import AXES
from rramsim.devices import WRITTEN
from rramsim.engines import Waveforms
from rramsim.experiment import Experiment
from rramsim.figures import energy_figure, save_figure, time_figure, waveform_figure
from rramsim.files import folder_lock
from rramsim.stages.certify import certify_campaign
from rramsim.stages.folder import RunFolder
from rramsim.stages.nominal import nominal_pair

__all__ = ["SweepProgress", "sweep_stage", "sweep_tasks"]

_LONG_WINDOW_S = 1e-6
"""Window of the nominal senses, long enough to see slow pairs resolve."""


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """Senses counted so far, at most to count, and failed."""

    counted: int
    at_most: int
    failed: int = 0


def sweep_tasks(experiment: Experiment) -> tuple[SenseTask, ...]:
    """Every written value under every set of conditions, as the sweep counts them."""
    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    resistances = experiment.make_resistances()
    return tuple(
        SenseTask(
            circuit=circuit,
            conditions=conditions,
            resistances=resistances,
            written=written,
            seed=experiment.errors.seed,
            engine=engine,
            mismatch=experiment.sense.mismatch,
            noise=experiment.sense.noise,
        )
        for conditions in experiment.make_conditions()
        for written in WRITTEN
    )


def sweep_stage(
    experiment: Experiment,
    folder: RunFolder,
    *,
    retry_failed: bool = False,
    report: Callable[[SweepProgress], None] = lambda progress: None,
) -> xr.Dataset:
    """Simulate the experiment's grid into `sense.nc`, resuming what the folder holds.

    The dataset's attribute `failed` names what gave no result. Raises `InputError` if another
    run is writing in the folder.
    """
    with folder_lock(folder.path):
        return _sweep(experiment, folder, retry_failed=retry_failed, report=report)


def _sweep(
    experiment: Experiment,
    folder: RunFolder,
    *,
    retry_failed: bool,
    report: Callable[[SweepProgress], None],
) -> xr.Dataset:
    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    resistances = experiment.make_resistances()
    conditions = experiment.make_conditions()
    folder.save_experiment(experiment)
    tasks = sweep_tasks(experiment)
    tallies = run_campaign(
        tasks,
        rows_path=folder.rows,
        stop=experiment.errors.make_stop_rule(),
        runner=experiment.errors.make_runner(),
        retry_failed=retry_failed,
        report=lambda p: report(
            SweepProgress(counted=p.counted, at_most=p.at_most, failed=p.failed)
        ),
    )
    dataset = sense_dataset(
        {(t.conditions, t.written): tallies[t.id] for t in tasks}, tallies.failed
    )
    certificate = "the reference itself"
    if experiment.errors.engine != "ngspice":
        certificate = "not certified (certify_samples = 0)"
        if experiment.errors.certify_samples:
            certificate = certify_campaign(
                tasks,
                tallies,
                folder,
                samples=experiment.errors.certify_samples,
                seed=experiment.errors.seed,
            ).text
    dataset = dataset.assign(_nominal(experiment, conditions))
    dataset.attrs |= {
        "engine": engine.name,
        "certification": certificate,
        "circuit": circuit.name,
        "circuit_sha256": circuit.sha256,
        "process": circuit.process.name,
        "resistances": repr(resistances),
        "seed": experiment.errors.seed,
        "mismatch": int(experiment.sense.mismatch),
        "noise": int(experiment.sense.noise),
        "failed": json.dumps([_failure(failed) for failed in tallies.failed]),
    }
    save_dataset(dataset, folder.sense)
    save_figure(time_figure(dataset), folder.path, "resolve_time")
    save_figure(energy_figure(dataset), folder.path, "sense_energy")
    shown = min(conditions, key=lambda c: (abs(c.vdd_v - 1.2), abs(c.temperature_c - 27)))
    figure = waveform_figure(_waveforms(experiment, shown), shown, engine=engine.name)
    save_figure(figure, folder.path, "waveforms")
    return dataset


def _failure(failed: FailedTask) -> dict[str, object]:
    return {
        "task": failed.name,
        "id": failed.task.id,
        "chunks": list(failed.chunks),
        "senses": failed.senses,
        "reason": failed.reason,
    }


def _nominal(
    experiment: Experiment, conditions: tuple[SenseConditions, ...]
) -> dict[str, xr.DataArray]:
    """Resolve time of median devices without mismatch over (vdd, temperature, corner, written)."""
    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    resistances = experiment.make_resistances()
    dims = [dim for dim in AXES if dim != "window"]
    axes = {dim: sorted({getattr(c, AXES[dim][0]) for c in conditions}) for dim in dims}
    times = np.full((*(len(values) for values in axes.values()), 3), np.nan)
    for condition in {replace(c, window_s=_LONG_WINDOW_S) for c in conditions}:
        at = tuple(axes[dim].index(getattr(condition, AXES[dim][0])) for dim in dims)
        for index, written in enumerate(WRITTEN):
            outcome = engine.sense(circuit, condition, nominal_pair(resistances, written))
            if outcome.converged[0]:
                times[(*at, index)] = outcome.resolve_time_s[0]
    array = xr.DataArray(
        times,
        dims=(*dims, "written"),
        coords={**axes, "written": list(WRITTEN)},
        attrs={
            "units": "s",
            "long_name": "resolve time of median devices without mismatch; HRS/HRS 3 % apart",
        },
    )
    return {"nominal_resolve_time_s": array}


def _waveforms(experiment: Experiment, conditions: SenseConditions) -> dict[str, Waveforms]:
    circuit, engine = experiment.make_circuit(), experiment.errors.make_engine()
    waves: dict[str, Waveforms] = {}
    for written, pair in ((1, "LRS/HRS"), (-1, "HRS/LRS"), (0, "HRS/HRS")):
        samples = nominal_pair(experiment.make_resistances(), written)
        outcome = engine.sense(circuit, conditions, samples, waveforms=True)
        ohms = f"{samples.r_bl_ohm[0] / 1e3:g} kΩ / {samples.r_blb_ohm[0] / 1e3:g} kΩ"
        read = f"reads {outcome.read[0]:+d}" if outcome.read[0] else "reads 0"
        if outcome.waveforms:
            waves[f"{pair}: {read}\n{ohms}"] = outcome.waveforms[0]
    return waves
