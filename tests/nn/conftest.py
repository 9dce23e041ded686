import numpy as np
import pytest
import xarray as xr

from rramsim.circuits import SenseConditions
from rramsim.counting import SenseTally, sense_dataset

WRONG = {0.95: 0.4, 1.0: 0.05, 1.05: 0.01, 1.1: 0.002, 1.2: 0.0}
"""Share of +1 and -1 that read as 0 at each supply, of what the tests take for a sweep."""


def tally(written, wrong, senses=20_000):
    count = np.zeros(4)
    lost = round(wrong * senses) if written else 0
    count[written + 1] += senses - lost
    count[1] += lost
    sums = {
        "energy_j": 300e-15 * count, "energy_squared": 1e-25 * count,
        "clock_energy_j": 7e-15 * count, "word_line_energy_j": 8e-15 * count,
        "resolve_time_s": 2e-8 * count, "resolve_time_squared": 5e-16 * count,
    }  # fmt: skip
    return SenseTally(count=count.astype(np.int64), **sums)


@pytest.fixture(scope="session")
def sweep() -> xr.Dataset:
    return sense_dataset(
        {
            (SenseConditions(vdd_v=vdd_v), written): tally(written, wrong)
            for vdd_v, wrong in WRONG.items()
            for written in (-1, 0, 1)
        }
    )
