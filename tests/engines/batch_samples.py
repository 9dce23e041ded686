"""Samples that several tests of the batch engine share."""

import numpy as np

from rramsim.circuits import SenseCircuit
from rramsim.engines import SenseSamples


def random_samples(circuit: SenseCircuit, count: int, *, seed: int, mismatch: bool) -> SenseSamples:
    """Both resistances log-uniform between 5 kohm and 1 Mohm, the foundry's mismatch."""
    rng = np.random.default_rng(seed)
    sites = len(circuit.mismatch_sites("tt")) if mismatch else 0
    r_bl, r_blb = np.exp(rng.uniform(np.log(5e3), np.log(1e6), size=(2, count)))
    return SenseSamples(
        r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=rng.standard_normal((count, sites))
    )
