"""Tables by content: from memory, from the cache on disk, or fresh from ngspice."""

import logging
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from rramsim.caches import cache_folder
from rramsim.engines.batch.charge_mismatch import fit_charge_mismatch
from rramsim.engines.batch.extraction import current_errors, extract
from rramsim.engines.batch.mismatch import fit_mismatch, z_grid
from rramsim.engines.batch.tables import (
    DeviceTable,
    TransistorKind,
    load_table,
    save_table,
)
from rramsim.exceptions import InputError

__all__ = ["device_table", "make_table"]

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
        tilt=fit.tilt,
        bow=fit.bow,
        lean=fit.lean,
        charge_moves=fit_charge_mismatch(kind, fit.powers),
        z_grid_v=np.array([z.start_v, z.step_v]),
        body=np.array([fit.body]),
        report=np.array([*current_errors(kind, found), np.quantile(fit.residual_v, 0.95)]),
    )
