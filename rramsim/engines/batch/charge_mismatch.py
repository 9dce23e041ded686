"""How a card's varying parameters move a transistor's charges, by finite differences in ngspice.

A thicker oxide holds less charge at the same voltage, and another threshold moves the charge along
the gate's voltage, but neither changes overlaps or junctions. So charges become

    exp(s(p)) * Q(vgs + o(p), vds, vsb; 0) + linear capacitors,

which take back what the factor does to overlaps (one from the gate to drain and to source) and to
junctions (another from drain and source to the bulk). All four are of second order in each deviate.
Ramps of the gate and of the drain on copies of the card, three sigma apart, give them by least
squares. They matter: a gate's few fF beside a bit line's 60 fF are tenths of a per cent of a
resolve time.
"""

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.charges import Place, ramp
from rramsim.engines.batch.tables import TransistorKind
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError

__all__ = ["fit_charge_mismatch"]

Floats = NDArray[np.float64]

_SIGMAS = 3.0
_STEP_V = 0.02
_FARAD = 1e-15


def fit_charge_mismatch(kind: TransistorKind, powers: NDArray[np.int64]) -> Floats:
    """Coefficients for the exponents `powers` (terms, parameters), see `DeviceTable.charge_moves`.

    Shape (terms, 4). Only first powers and squares of single parameters are other than 0. Raises
    `InputError` if ngspice refuses the card.
    """
    moves = np.zeros((len(powers), 4))
    parameters = len(kind.varying)
    if parameters == 0:
        return moves
    unit = np.eye(parameters)
    designs = np.array([np.zeros(parameters), *(_SIGMAS * u for u in unit), *(-_SIGMAS * unit)])
    try:
        slopes = _capacitances(kind, designs)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    # What a unit of each of the four adds to the capacitances of (gate, drain): over a ramp of the
    # gate, then of the drain. An overlap is charged by both ramps, a junction by the drain's alone.
    nominal, count = slopes[0], slopes.shape[-1]
    gate_ramps, drain_ramp = nominal[:-1], nominal[-1]
    bend = np.gradient(gate_ramps, _STEP_V, axis=-1)
    added = [
        np.concatenate([gate_ramps, drain_ramp[None]]),
        np.concatenate([bend, np.zeros((1, 2, count))]),
        np.broadcast_to(
            np.array([*([2.0, -1.0],) * len(gate_ramps), [-1.0, 1.0]])[..., None], nominal.shape
        ),
        np.broadcast_to(
            np.array([*([0.0, 0.0],) * len(gate_ramps), [0.0, 1.0]])[..., None], nominal.shape
        ),
    ]
    levers = np.stack([lever.ravel() for lever in added], axis=1)
    moved = (slopes[1:] - nominal).reshape(len(designs) - 1, -1)
    found = np.linalg.lstsq(levers, moved.T, rcond=None)[0].T * np.array([1, 1, _FARAD, _FARAD])
    up, down = found[:parameters], found[parameters:]
    for k, row in enumerate(unit):
        moves[(powers == row).all(axis=1)] = (up - down)[k] / (2 * _SIGMAS)
        moves[(powers == 2 * row).all(axis=1)] = (up + down)[k] / (2 * _SIGMAS**2)
    return moves


def _capacitances(kind: TransistorKind, designs: Floats) -> Floats:
    """Those of gate and drain (fF) over ramps of the gate, then of the drain with the gate off.

    Shape (designs, ramps, 2, voltages).
    """
    supply_v = kind.reach_v - 0.5
    still, moving = (0.0, False), (0.0, True)
    ramps: list[Place] = [
        (moving, still, still),
        (moving, (0.8 * supply_v, False), still),
        (still, moving, still),
    ]
    lines = ramp(
        ngspice_session(), kind, ramps * len(designs), -2 * _STEP_V, supply_v + _STEP_V, _STEP_V,
        np.repeat(designs, len(ramps), axis=0).tolist(),
    )  # fmt: skip
    x_v = np.arange(0.0, supply_v, _STEP_V)
    charge = kind.sign * np.stack([line(x_v)[:2] for line in lines]) / _FARAD
    return np.gradient(charge, _STEP_V, axis=-1).reshape(len(designs), len(ramps), 2, -1)
