"""The read surface where some amplifiers resolve nothing in the window."""

import numpy as np
import pytest

from rramsim.chips import fit_surface
from rramsim.circuits import SenseConditions
from rramsim.engines import BatchEngine, SenseSamples
from rramsim.exceptions import InputError


def test_near_the_lowest_supply_the_surface_reads_as_the_engine(pcsa):
    """0.97 V: some one in ten of +1 is not resolved; the engine decides on fresh samples."""
    conditions, count = SenseConditions(vdd_v=0.97), 3000
    surface = fit_surface(BatchEngine(), pcsa, conditions, points=800)
    rng = np.random.default_rng(8)
    mismatch = rng.standard_normal((count, len(surface.gains)))
    low = 10e3 * np.exp(0.22 * rng.standard_normal(count))
    high = 630e3 * np.exp(rng.standard_normal(count))
    wanted = (
        BatchEngine()
        .sense(pcsa, conditions, SenseSamples(r_bl_ohm=low, r_blb_ohm=high, mismatch=mismatch))
        .read
    )
    found = surface.read(low, high, mismatch)
    lost = (wanted == 0).mean()
    assert 0.04 < lost < 0.2
    assert abs((found == 0).mean() - lost) < 0.25 * lost
    assert (found == wanted).mean() > 0.95


def test_where_the_fit_cannot_be_trusted_it_is_refused_in_one_line(pcsa):
    with pytest.raises(InputError, match=r"resolve|is read as") as caught:
        fit_surface(BatchEngine(), pcsa, SenseConditions(vdd_v=0.9), points=400)
    assert "\n" not in str(caught.value)
