"""Senses without mismatch for the report: waveforms and read maps, kept in `nominal.nc`."""

import hashlib
import logging
import math
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine, SenseOutcome, SenseSamples
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.stages.folder import RunFolder
from rramsim.stages.report import NOMINAL

_log = logging.getLogger(__name__)

UNEQUAL = 1.03
"""Ratio of the two HRS in the nominal HRS/HRS sense; equal ones never resolve."""

NODES = ("q", "qb", "bl", "blb", "sen")
"""Nodes whose waveforms are kept."""

_MOST_SUPPLIES = 12
_TIMES = 241
_MAP_POINTS, _SLOW_MAP_POINTS = 41, 13
"""Points of a map along each resistance: by the batch engine, and by one that is slower."""

_ANGLES = 49


def nominal_pair(resistances: ResistanceModel, written: int) -> SenseSamples:
    """One sense of median devices without mismatch."""
    r_bl, r_blb = resistances.nominal(written)
    return SenseSamples.nominal(r_bl, r_blb * UNEQUAL if written == 0 else r_blb)


def nominal_senses(
    experiment: Experiment, folder: RunFolder, *, circuit_sha256: str | None = None
) -> xr.Dataset:
    """Waveforms of the three weights and read maps at the sweep's supplies, into `nominal.nc`.

    At the first temperature, corner and window; of more than 12 supplies, 12 evenly chosen. The
    waveforms come from the experiment's engine, the maps from the batch engine where that can
    solve the circuit. What the folder holds of the same circuit and conditions is read back.

    Raises `InputError` if the experiment's circuit is not that of `circuit_sha256` (the one that
    was swept), or cannot be made or simulated here.
    """
    circuit = experiment.make_circuit()
    if circuit_sha256 is not None and circuit.sha256 != circuit_sha256:
        raise InputError(
            "the circuit, its column or its process is no longer the one that was swept; sweep "
            "again into a new folder"
        )
    resistances = experiment.make_resistances()
    first = experiment.make_conditions()[0]
    conditions = tuple(replace(first, vdd_v=v) for v in _chosen(sorted(experiment.sense.vdd_v)))
    engine = experiment.errors.make_engine()
    key = _key(circuit, conditions, resistances, engine)
    if (kept := _kept(folder, key)) is not None:
        _log.debug("%s: kept, of the same circuit, conditions and devices", NOMINAL.path(folder))
        return kept
    _log.debug("%s: made anew", NOMINAL.path(folder))
    made = _make(circuit, conditions, resistances, engine)
    made.attrs["key"] = key
    NOMINAL.write(folder, made)
    return made


def _chosen(values: list[float]) -> list[float]:
    if len(values) <= _MOST_SUPPLIES:
        return values
    at = np.linspace(0, len(values) - 1, _MOST_SUPPLIES).round().astype(int)
    return [values[index] for index in at]


def _key(
    circuit: SenseCircuit,
    conditions: tuple[SenseConditions, ...],
    resistances: ResistanceModel,
    engine: SenseEngine,
) -> str:
    parts = (
        NOMINAL.schema,
        circuit.sha256,
        conditions,
        resistances,
        engine.name,
        BatchEngine().name,
    )
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def _kept(folder: RunFolder, key: str) -> xr.Dataset | None:
    """What an earlier report left, if it is whole and of the same senses; else it is made anew."""
    try:
        found = NOMINAL.read(folder)
    except InputError:
        return None
    return found if found is not None and found.attrs.get("key") == key else None


def _make(
    circuit: SenseCircuit,
    conditions: tuple[SenseConditions, ...],
    resistances: ResistanceModel,
    engine: SenseEngine,
) -> xr.Dataset:
    window_s = conditions[0].window_s
    time_s = np.linspace(-0.25 * window_s, 2 * window_s, _TIMES)
    count = len(conditions)
    voltage = np.full((count, 3, len(NODES), _TIMES), np.nan, dtype=np.float32)
    read = np.zeros((count, 3), dtype=np.int8)
    for at, condition in enumerate(conditions):
        for index, written in enumerate(WRITTEN):
            outcome = engine.sense(
                circuit, condition, nominal_pair(resistances, written), waveforms=True
            )
            read[at, index] = outcome.read[0]
            for waves in outcome.waveforms[:1]:
                for node, name in enumerate(NODES):
                    voltage[at, index, node] = np.interp(
                        time_s, waves.time_s, waves.voltages_v[name]
                    )
    pairs = [nominal_pair(resistances, written) for written in WRITTEN]
    angle = np.linspace(0, 2 * math.pi, _ANGLES)
    states = [_contour(resistances, written, angle) for written in WRITTEN]
    ohm, maps, mapper = _maps(circuit, conditions, resistances, engine)
    mapped = ("vdd", "r_bl", "r_blb")
    return xr.Dataset(
        {
            "voltage_v": (("vdd", "written", "node", "time"), voltage, {"units": "V"}),
            "nominal_read": (("vdd", "written"), read),
            "r_bl_ohm": ("written", [p.r_bl_ohm[0] for p in pairs], {"units": "ohm"}),
            "r_blb_ohm": ("written", [p.r_blb_ohm[0] for p in pairs], {"units": "ohm"}),
            "state_bl_ohm": (("written", "angle"), [s[0] for s in states], {"units": "ohm"}),
            "state_blb_ohm": (("written", "angle"), [s[1] for s in states], {"units": "ohm"}),
            **{name: (mapped, values) for name, values in maps.items()},
        },
        coords={
            "vdd": ("vdd", [c.vdd_v for c in conditions], {"units": "V"}),
            "written": list(WRITTEN),
            "node": list(NODES),
            "time": ("time", time_s, {"units": "s"}),
            "r_bl": ("r_bl", ohm, {"units": "ohm"}),
            "r_blb": ("r_blb", ohm, {"units": "ohm"}),
        },
        attrs={
            "status": "simulated",
            "waveform_engine": engine.name,
            "map_engine": mapper,
            "temperature_c": conditions[0].temperature_c,
            "corner": conditions[0].corner,
            "window_s": window_s,
        },
    )


def _contour(resistances: ResistanceModel, written: int, angle: Any) -> tuple[Any, Any]:
    """The pairs two standard deviations from the medians of a written weight."""
    on_bl, on_blb = resistances.states(written)
    return on_bl.quantile(2 * np.cos(angle)), on_blb.quantile(2 * np.sin(angle))


def _maps(
    circuit: SenseCircuit,
    conditions: tuple[SenseConditions, ...],
    resistances: ResistanceModel,
    engine: SenseEngine,
) -> tuple[Any, dict[str, Any], str]:
    """Resistances of the grid, what is read there, and the engine that read it."""
    low = float(np.clip(resistances.lrs.quantile(-3.0) / 2, 100, 1e6))
    high = float(np.clip(resistances.hrs.quantile(3.0) * 1.2, 10 * low, 1e8))
    mapper: SenseEngine = BatchEngine()
    ohm = np.geomspace(low, high, _MAP_POINTS)
    try:
        outcomes = [_map(mapper, circuit, condition, ohm) for condition in conditions]
    except InputError:
        if isinstance(engine, BatchEngine):
            raise
        # A circuit beyond the batch engine: the experiment's own engine, on fewer points.
        mapper, ohm = engine, np.geomspace(low, high, _SLOW_MAP_POINTS)
        outcomes = [_map(mapper, circuit, condition, ohm) for condition in conditions]
    shape = (len(conditions), ohm.size, ohm.size)

    def stacked(name: str, kind: type) -> Any:
        return np.stack([getattr(o, name) for o in outcomes]).reshape(shape).astype(kind)

    unsolved = int(sum((~o.converged).sum() for o in outcomes))
    name = mapper.name
    if unsolved and isinstance(mapper, BatchEngine):
        reference = NgspiceEngine()
        outcomes = [
            _solved(outcome, reference, circuit, condition, ohm)
            for outcome, condition in zip(outcomes, conditions, strict=True)
        ]
        total = len(conditions) * ohm.size**2
        name += f", and {reference.name} for the {unsolved} of {total} pairs that it did not solve"
    maps = {
        "map_read": stacked("read", np.int8),
        "map_converged": stacked("converged", np.int8),
        "map_resolve_time_s": stacked("resolve_time_s", np.float32),
        "map_energy_j": stacked("energy_j", np.float32),
    }
    return ohm, maps, name


def _solved(
    outcome: SenseOutcome, engine: SenseEngine, circuit: SenseCircuit, conditions: SenseConditions,
    ohm: Any,
) -> SenseOutcome:  # fmt: skip
    """The outcome with what did not converge sensed by another engine."""
    lost = ~outcome.converged
    if not lost.any():
        return outcome
    again = _map(engine, circuit, conditions, ohm, only=lost)
    merged = {}
    for name in ("read", "resolve_time_s", "energy_j", "converged"):
        values = getattr(outcome, name).copy()
        values[lost] = getattr(again, name)
        merged[name] = values
    return replace(outcome, **merged)


def _map(
    engine: SenseEngine, circuit: SenseCircuit, conditions: SenseConditions, ohm: Any,
    only: Any = slice(None),
) -> SenseOutcome:  # fmt: skip
    """The outcomes over the grid of both resistances, R_BL slowest, or at some of its points."""
    r_bl, r_blb = (grid.ravel()[only] for grid in np.meshgrid(ohm, ohm, indexing="ij"))
    samples = SenseSamples(r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=np.zeros((r_bl.size, 0)))
    return engine.sense(circuit, conditions, samples)
