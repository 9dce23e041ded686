"""What programming leaves in the devices of an array, with verify or without.

A device's score splits into a part of its cell, which stays, and a part of the write, which is
drawn anew (`rramsim.devices.DeviceStatistics`): rewriting a device whose cell is bad helps little,
and that is what verify meets here.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.devices import DeviceStatistics
from rramsim.exceptions import InputError

__all__ = ["Programmed", "Verify", "program_layer"]


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Write again, up to `max_writes` in all, an LRS above or an HRS below its limit (ohm)."""

    lrs_max_ohm: float
    hrs_min_ohm: float
    max_writes: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.lrs_max_ohm <= self.hrs_min_ohm:
            raise InputError(
                f"verify: lrs_max_ohm = {self.lrs_max_ohm:g} must lie above 0 and not above "
                f"hrs_min_ohm = {self.hrs_min_ohm:g}"
            )
        if not 1 <= self.max_writes <= 1000:
            raise InputError(f"verify: max_writes = {self.max_writes}: must be 1 to 1000")


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
