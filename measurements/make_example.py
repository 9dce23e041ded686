"""Make example_made.csv: drawn, not measured.

The statistics are those of an open set of 712 HfO2 1T1R cells over 300 cycles, as
`rramsim.devices.open_hfo2_statistics` holds them; the HRS's median is raised to 630 kOhm, which is
what the ternary read needs. Run it from the repository's root: python measurements/make_example.py
"""

from pathlib import Path

import numpy as np

from rramsim.devices import open_hfo2_statistics
from rramsim.files import atomic_path

SEED = 20200511
DEVICES, CYCLES = 40, 25
HEADER = (
    f"# MADE, not measured: drawn by measurements/make_example.py, seed {SEED}, from the",
    "# statistics of open HfO2 1T1R cells (rramsim.devices.open_hfo2_statistics), with the HRS's",
    "# median set to 630 kOhm.",
    "device,cycle,state,resistance_ohm",
)


def example_csv() -> str:
    """The example's text; the same each time."""
    statistics = open_hfo2_statistics(hrs_median_ohm=630e3)
    history = statistics.draw_history(DEVICES, CYCLES, np.random.default_rng(SEED))
    rows = [
        f"{device},{cycle},{state},{ohm[device, cycle]:.6g}"
        for device in range(DEVICES)
        for cycle in range(CYCLES)
        for state, ohm in (("LRS", history.lrs_ohm), ("HRS", history.hrs_ohm))
    ]
    return "\n".join((*HEADER, *rows)) + "\n"


if __name__ == "__main__":
    with atomic_path(Path(__file__).parent / "example_made.csv") as temporary:
        temporary.write_text(example_csv(), encoding="utf-8")
