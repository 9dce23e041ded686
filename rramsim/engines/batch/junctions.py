"""Currents of a transistor's two diffusions into the bulk, through ngspice.

With drain and source at one voltage no channel current flows, and what each of them takes is its
junction's. A junction depends on one voltage, so a fine grid costs nothing: 12.5 mV keep the
spline of an exponential within 0.04 % at -40 degrees. In reverse some pA flow (saturation
current, ngspice's gmin), which are left with the channel's.
"""

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.placing import card_text, instance_text, options_text, sweep
from rramsim.engines.batch.splines import coefficients
from rramsim.engines.batch.tables import Grid, TransistorKind
from rramsim.engines.ngspice_library import NgspiceSession

__all__ = ["JUNCTION_GRID", "junction_currents", "junction_table"]

Floats = NDArray[np.float64]

JUNCTION_GRID = Grid(start_v=-1.0, step_v=0.0125, points=81)
"""Voltages of an n-channel transistor's diffusion above the bulk: from full conduction to none."""


def junction_table(session: NgspiceSession, kind: TransistorKind) -> Floats:
    """Cubic coefficients of (drain, source) over `JUNCTION_GRID`; shape (2, points + 2).

    Raises `CircuitError` if ngspice fails.
    """
    return coefficients(junction_currents(session, kind, JUNCTION_GRID), (1,), 3)


def junction_currents(session: NgspiceSession, kind: TransistorKind, grid: Grid) -> Floats:
    """Currents into (drain, source) over a grid of their common voltage above the bulk.

    What leaks in reverse is not counted here: it stays with the channel's current.
    """
    sign = kind.sign
    lines = [
        "junctions",
        card_text(kind, "device"),
        instance_text(kind, "1", "d 0 s 0", "device"),
        f"ed d 0 x 0 {sign}",
        f"es s 0 x 0 {sign}",
        "vx x 0 0",
        options_text(kind),
        f".dc vx {grid.start_v!r} {float(grid.values_v[-1]) + grid.step_v / 4!r} {grid.step_v!r}",
    ]
    found = -sign * np.stack(sweep(session, lines, ["ed", "es"], (grid.points,)))
    return np.where(grid.values_v < 0, found, 0.0)
