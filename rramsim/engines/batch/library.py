"""Tables by content: from memory, from the cache on disk, or fresh from ngspice."""

from functools import lru_cache

import numpy as np

from rramsim.engines.batch.extraction import current_errors, extract
from rramsim.engines.batch.mismatch import fit_mismatch, z_grid
from rramsim.engines.batch.tables import (
    DeviceTable,
    TransistorKind,
    cache_folder,
    load_table,
    save_table,
)

__all__ = ["device_table", "make_table"]


@lru_cache(maxsize=256)
def device_table(kind: TransistorKind) -> DeviceTable:
    """The table of a transistor, extracted if the cache does not hold it."""
    path = cache_folder() / f"table-{kind.sha256[:32]}.npz"
    table = load_table(path)
    if table is None:
        table = make_table(kind)
        save_table(table, path)
    return table


def make_table(kind: TransistorKind) -> DeviceTable:
    """Extract a table through ngspice, some seconds."""
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
        z_grid_v=np.array([z.start_v, z.step_v]),
        body=np.array([fit.body]),
        report=np.array([*current_errors(kind, found), np.quantile(fit.residual_v, 0.95)]),
    )
