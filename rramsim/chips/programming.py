"""What programming leaves in the devices of an array, with verify or without.

A device's score splits into a part of its cell, which stays, and a part of the write, which is
drawn anew (`rramsim.devices.DeviceStatistics`): rewriting a device whose cell is bad helps little,
and that is what verify meets here.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rramsim.chips.contents import ArrayShape
from rramsim.circuits import SenseCircuit
from rramsim.devices import DeviceStatistics, Retention
from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Write again, up to `max_writes` in all, an LRS above or an HRS below its limit (ohm)."""

    lrs_max_ohm: float
    hrs_min_ohm: float
    max_writes: int = limited(10, low=1, high=1000)
    """Give up verifying after this many writes."""

    def __post_init__(self) -> None:
        if not 0 < self.lrs_max_ohm <= self.hrs_min_ohm:
            raise InputError(
                f"verify: lrs_max_ohm = {self.lrs_max_ohm:g} must lie above 0 and not above "
                f"hrs_min_ohm = {self.hrs_min_ohm:g}"
            )
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class ChipModel:
    """What chips have in common.

    `devices`: "frozen", or "redrawn" at every read. `amplifiers`: one "shared" by the rows of a
    column, a mismatch of its "own" for every synapse, or "none" (nominal transistors).
    `read_noise_ln`: SD of ln R from one read to the next, of each device on its own.
    `verify`: program again what lies outside its band.
    """

    circuit: SenseCircuit
    statistics: DeviceStatistics
    array: ArrayShape = field(default_factory=ArrayShape)
    devices: Literal["frozen", "redrawn"] = "frozen"
    amplifiers: Literal["shared", "own", "none"] = "shared"
    read_noise_ln: float = limited(0.0, low=0, high=5)
    """SD of ln R from read to read."""
    retention: Retention | None = None
    verify: Verify | None = None

    def __post_init__(self) -> None:
        check_limits(self)
        if self.array.rows != self.circuit.column.rows:
            raise InputError(
                f"rows = {self.array.rows} of an array: the circuit's column has "
                f"{self.circuit.column.rows} rows, which load its bit lines"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Programmed:
    """ln R of every device (float32), the writes they took together, those still out of band."""

    ln_ohm: NDArray[np.float32]
    writes: int
    failed: int


def program_layer(
    is_set: NDArray[np.bool_],
    statistics: DeviceStatistics,
    *,
    verify: Verify | None,
    rng: np.random.Generator,
) -> Programmed:
    """Write devices of any shape: SET where `is_set`, else RESET.

    The cell's part is drawn only where verify needs it: a single write's score is standard normal.
    """
    flat = is_set.ravel()
    score = rng.standard_normal(flat.size, dtype=np.float32)
    result = np.empty(flat.size, dtype=np.float32)
    writes, failed = flat.size, 0
    states = (
        (True, statistics.resistances.lrs, statistics.lrs),
        (False, statistics.resistances.hrs, statistics.hrs),
    )
    for wanted, marginal, persistence in states:
        where = np.flatnonzero(flat == wanted)
        ln = np.log(marginal.quantile(score[where])).astype(np.float32)
        if verify is not None and where.size:
            limit = math.log(verify.lrs_max_ohm if wanted else verify.hrs_min_ohm)
            share, lag1 = persistence.cell_share, persistence.lag1
            # Given the score u of the first write: cell c ~ N(sqrt(share) u, 1 - share).
            cell = math.sqrt(share) * score[where] + math.sqrt(1 - share) * rng.standard_normal(
                where.size
            )
            write = np.zeros(where.size)
            if share < 1:
                write = (score[where] - math.sqrt(share) * cell) / math.sqrt(1 - share)
            for _ in range(verify.max_writes - 1):
                bad = np.flatnonzero(ln > limit if wanted else ln < limit)
                if not bad.size:
                    break
                fresh = rng.standard_normal(bad.size)
                write[bad] = lag1 * write[bad] + math.sqrt(1 - lag1**2) * fresh
                u = math.sqrt(share) * cell[bad] + math.sqrt(1 - share) * write[bad]
                ln[bad] = np.log(marginal.quantile(u))
                writes += bad.size
            failed += int((ln > limit if wanted else ln < limit).sum())
        result[where] = ln
    return Programmed(ln_ohm=result.reshape(is_set.shape), writes=writes, failed=failed)
