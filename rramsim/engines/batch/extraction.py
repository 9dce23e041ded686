"""Tables of transistors: from memory, from the cache on disk, or fresh through ngspice, so that
every card that it runs can be used.

Currents come from nested `.dc` sweeps: what the drain takes, less what flows on through its
junction into the bulk, is the channel's. Charges: `charges.py`.
"""

import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.charges import (
    card_text,
    charges,
    instance_text,
    junction_currents,
    junction_table,
    options_text,
    straighten,
    sweep,
)
from rramsim.engines.batch.mismatch import fit_charge_mismatch, fit_mismatch, z_grid
from rramsim.engines.batch.tables import (
    DeviceTable,
    Grid,
    TransistorKind,
    coefficients,
    evaluate,
    load_table,
    save_table,
)
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession, ngspice_session
from rramsim.exceptions import InputError
from rramsim.files import cache_folder

Floats = NDArray[np.float64]

_FINE_V, _LAYER_V, _FORWARD_V = 0.05, 0.16, 0.4
_DROWNS_A = 1e-6
"""A junction that takes more than this, in a card without series resistance up to 1e19 A, leaves
nothing of the channel's current; there the channel goes on straight."""


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Cubic coefficients of the currents, quadratic ones of the charges; see `DeviceTable`."""

    current: Floats
    charge: Floats
    junction: Floats
    grids_v: Floats


def grids(kind: TransistorKind) -> tuple[Grid, Grid, Grid]:
    """Grids of vgs (and vds) for currents, of vds for charges, and of vsb.

    Up to 2 V the current's grid is 50 mV, finer than a decade below threshold; a higher supply
    gets as many points over a wider range, where the subthreshold region matters less. vsb goes
    below zero as far as a junction bears it.
    """
    step = max(_FINE_V, kind.reach_v / 48)
    half = int(np.ceil(kind.reach_v / step))
    above = min(int(np.ceil(kind.reach_v / _LAYER_V)), 13)
    layer_step = (kind.reach_v - 0.3) / above
    below = int(np.ceil(_FORWARD_V / layer_step - 1e-9))
    return (
        Grid(start_v=-half * step, step_v=step, points=2 * half + 1),
        Grid(start_v=-half * step, step_v=2 * step, points=half + 1),
        Grid(start_v=-below * layer_step, step_v=layer_step, points=below + above + 1),
    )


def extract(kind: TransistorKind) -> Extraction:
    """Sweep one transistor in ngspice; raises `InputError` if ngspice refuses the card."""
    session = ngspice_session()
    fine, coarse, layer = grids(kind)
    layers_v = np.zeros(1) if kind.tied else layer.values_v
    try:
        current = _channel_currents(session, kind, fine, layers_v)
        charge = charges(session, kind, fine, coarse, layers_v)
        junction = junction_table(session, kind)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    if kind.tied:
        current, charge = current[0], charge[0]
    axes = tuple(range(current.ndim))
    return Extraction(
        current=coefficients(current, axes, 3),
        charge=coefficients(charge, axes, 2),
        junction=junction,
        grids_v=np.array(
            [
                *([fine.start_v, fine.step_v],) * 2,
                [layer.start_v, layer.step_v],
                [fine.start_v, fine.step_v],
                [coarse.start_v, coarse.step_v],
                [layer.start_v, layer.step_v],
            ]
        ),
    )


def _channel_currents(
    session: NgspiceSession, kind: TransistorKind, fine: Grid, layers_v: Floats
) -> Floats:
    """Drain current less the drain junction's over (vsb, vgs, vds)."""
    sign = kind.sign
    lines = ["currents", card_text(kind, "device")]
    for k, vsb in enumerate(layers_v.tolist()):
        lines += [
            instance_text(kind, f"{k}", f"d{k} g{k} s{k} 0", "device"),
            f"vs{k} s{k} 0 {sign * vsb!r}",
            f"eg{k} g{k} s{k} x 0 {sign}",
            f"ed{k} d{k} s{k} y 0 {sign}",
        ]
    stop = fine.start_v + fine.step_v * (fine.points - 1) + fine.step_v / 4
    span = f"{fine.start_v!r} {stop!r} {fine.step_v!r}"
    lines += ["vx x 0 0", "vy y 0 0", options_text(kind), f".dc vy {span} vx {span}"]
    names = [f"ed{k}" for k in range(len(layers_v))]
    drains = sweep(session, lines, names, (fine.points, fine.points))
    found = []
    for drain, vsb in zip(drains, layers_v.tolist(), strict=True):
        over_bulk = Grid(start_v=fine.start_v + vsb, step_v=fine.step_v, points=fine.points)
        junction = junction_currents(session, kind, over_bulk)[0]
        channel = -sign * drain - junction
        straighten(channel, int(np.count_nonzero(np.abs(junction) > _DROWNS_A)))
        found.append(channel)
    return np.stack(found)


def current_errors(kind: TransistorKind, found: Extraction) -> tuple[float, float, float]:
    """Errors of the tabulated current halfway between grid points, against ngspice.

    Returns the 95th percentile and the largest relative error where more than 1 nA flows at
    vds > 0, and the 95th percentile as an equivalent gate voltage.
    """
    fine, _, layer = grids(kind)
    every = 4
    check = Grid(
        start_v=fine.start_v + 0.5 * fine.step_v,
        step_v=every * fine.step_v,
        points=(fine.points - 1) // every,
    )
    layers_v = np.zeros(1) if kind.tied else layer.values_v[3:10:3] + 0.5 * layer.step_v
    try:
        theirs = _channel_currents(ngspice_session(), kind, check, layers_v)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    relative, gate_v = [], []
    for s, vsb in enumerate(layers_v):
        for g, vgs in enumerate(check.values_v):
            for d, vds in enumerate(check.values_v):
                if vds <= 0 or theirs[s, g, d] < 1e-9:
                    continue
                at = [(v - start) / step for v, (start, step) in
                      zip((vgs, vds, vsb), found.grids_v[:3], strict=True)]  # fmt: skip
                where = (at[0], at[1]) if kind.tied else (at[2], at[0], at[1])
                ours = float(evaluate(found.current, where, 3))
                slope = float(evaluate(found.current, where, 3, 0 if kind.tied else 1))
                relative.append(abs(ours / theirs[s, g, d] - 1))
                gate_v.append(abs((ours - theirs[s, g, d]) / slope) * fine.step_v)
    if not relative:
        raise InputError(f"the {kind.kind} card lets no current flow up to {kind.reach_v:g} V")
    return (
        float(np.quantile(relative, 0.95)),
        float(np.max(relative)),
        float(np.quantile(gate_v, 0.95)),
    )


_log = logging.getLogger(__name__)

_NEAR_THRESHOLD_V, _WORST_V = 2.5, 0.01
"""Up to the first voltage, currents near threshold decide; there a table may be off by the second
one. SKY130's are off by 1.2 mV at most at 1.2 V, from -40 to 125 degrees."""


@lru_cache(maxsize=256)
def device_table(kind: TransistorKind) -> DeviceTable:
    """The table of a transistor, extracted if the cache does not hold it.

    Raises `InputError` if ngspice refuses the card, or if a table does not hold it well enough.
    """
    path = cache_folder() / f"table-{kind.sha256[:32]}.npz"
    table = load_table(path)
    _log.debug("%s, %s", path.name, "made by ngspice" if table is None else "from the cache")
    if table is None:
        table = make_table(kind)
        save_table(table, path)
    off_v = float(table.report[2])
    if kind.reach_v <= _NEAR_THRESHOLD_V and off_v > _WORST_V:
        width_m = dict(kind.parameters).get("w", math.nan)
        raise InputError(
            f"{kind.kind} card, w = {width_m:g} m, {kind.temperature_c:g} degrees: currents "
            f"between the points of its table are off by {1e3 * off_v:.0f} mV at the gate (limit "
            f"{1e3 * _WORST_V:g} mV); use ngspice"
        )
    return table


def make_table(kind: TransistorKind) -> DeviceTable:
    """Extract a table through ngspice, some seconds.

    Of many alike in parallel one is extracted: ngspice's charges of hundreds do not converge.
    """
    number = dict(kind.parameters).get("m", 1.0)
    if number != 1 and not kind.varying:
        single = tuple((name, value) for name, value in kind.parameters if name != "m")
        one = make_table(replace(kind, parameters=single))
        return replace(
            one,
            current=number * one.current,
            charge=number * one.charge,
            junction=number * one.junction,
        )
    found, fit, z = extract(kind), fit_mismatch(kind), z_grid(kind)
    return DeviceTable(
        current=found.current,
        charge=found.charge,
        junction=found.junction,
        grids_v=found.grids_v,
        powers=fit.powers,
        shift=fit.shift,
        log_gain=fit.log_gain,
        charge_moves=fit_charge_mismatch(kind, fit.powers),
        z_grid_v=np.array([z.start_v, z.step_v]),
        body=np.array([fit.body]),
        report=np.array([*current_errors(kind, found), np.quantile(fit.residual_v, 0.95)]),
    )
