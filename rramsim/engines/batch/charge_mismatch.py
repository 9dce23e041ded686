"""How a card's varying parameters move a transistor's charges, by finite differences in ngspice.

A thicker oxide holds less charge at the same voltage, and another threshold moves the charge along
the gate's voltage, but neither changes overlaps or junctions. So charges become

    exp(s(p)) * Q(vgs + o(p), vds, vsb; 0) + C(p) (vgs, vds, vsb),

where the linear capacitors C take back what the factor does to overlaps and junctions. All are of
second order in each deviate. They are fitted to the charges themselves, over all voltages of a
read: fitted to capacitances they missed the charges eight times as far, and where a latch takes
sides while it is still being precharged, 10 aC on an output are a quarter of a resolve time.
"""

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.charges import varied_charges
from rramsim.engines.batch.tables import Grid, TransistorKind
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError

__all__ = ["CHARGE_MOVES", "fit_charge_mismatch"]

Floats = NDArray[np.float64]

CHARGE_MOVES = 11
"""Columns of `DeviceTable.charge_moves`: s, o, and the capacitors."""

_SIGMAS = 3.0
_STEP_V = 0.02
_FARAD = 1e-15
_DRAINS = (0.0, 0.05, 0.15, 0.35, 0.7, 1.0)
_LAYERS = (0.0, 0.2, 0.5)
"""Drain and source voltages at which charges are compared, as shares of the supply."""


def fit_charge_mismatch(kind: TransistorKind, powers: NDArray[np.int64]) -> Floats:
    """Coefficients for the exponents `powers` (terms, parameters), see `DeviceTable.charge_moves`.

    Shape (terms, 11). Only first powers and squares of single parameters are other than 0. Raises
    `InputError` if ngspice refuses the card.
    """
    moves = np.zeros((len(powers), CHARGE_MOVES))
    parameters = len(kind.varying)
    if parameters == 0:
        return moves
    unit = np.eye(parameters)
    designs = np.array([np.zeros(parameters), *(_SIGMAS * u for u in unit), *(-_SIGMAS * unit)])
    supply_v = kind.reach_v - 0.5
    gates = Grid(start_v=0.0, step_v=_STEP_V, points=int(np.ceil(supply_v / _STEP_V)) + 1)
    drains_v = supply_v * np.array(_DRAINS)
    layers_v = supply_v * np.array(_LAYERS[: 1 if kind.tied else None])
    try:
        charge = varied_charges(ngspice_session(), kind, gates, drains_v, layers_v, designs)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    nominal, moved = charge[0], charge[1:] - charge[0]
    levers = _levers(nominal, gates, drains_v, layers_v)
    found = np.linalg.lstsq(
        levers.reshape(len(levers), -1).T / _FARAD,
        moved.reshape(len(moved), -1).T / _FARAD,
        rcond=None,
    )[0].T[:, :CHARGE_MOVES]
    # The levers are those of small moves: what scales by 1 + s is the exponential of its logarithm.
    found[:, 1] /= 1.0 + found[:, 0]
    found[:, 0] = np.log1p(found[:, 0])
    found[:, 2:] *= _FARAD
    up, down = found[:parameters], found[parameters:]
    for k, row in enumerate(unit):
        moves[(powers == row).all(axis=1)] = (up - down)[k] / (2 * _SIGMAS)
        moves[(powers == 2 * row).all(axis=1)] = (up + down)[k] / (2 * _SIGMAS**2)
    return moves


def _levers(nominal: Floats, gates: Grid, drains_v: Floats, layers_v: Floats) -> Floats:
    """What a unit of each coefficient adds to the charges (vsb, vgs, vds, terminals).

    The last three are constants, one a terminal: no current depends on them.
    """
    shape = nominal.shape[:3]
    vsb, vgs, vds = np.meshgrid(layers_v, gates.values_v, drains_v, indexing="ij")
    levers = np.zeros((CHARGE_MOVES + 3, *nominal.shape))
    levers[0] = nominal
    levers[1] = np.gradient(nominal, gates.step_v, axis=1)
    for number, voltage in enumerate((vgs, vds, vsb, np.ones(shape))):
        for terminal in range(3):
            levers[2 + 3 * number + terminal, ..., terminal] = _FARAD * voltage
    return levers
