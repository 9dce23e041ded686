"""What the compiled loop over samples is given, by name; numba takes named tuples as they are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawn", "March", "Model", "Results", "Scratch"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class March(NamedTuple):
    """When and how exactly to march: see `stepping.march`."""

    corners: Floats
    kinks: NDArray[np.bool_]
    pulses: Floats
    setup: Floats
    hold: Floats
    held: Floats
    start: Floats
    weight: Floats


class Model(NamedTuple):
    """The circuit: conductances and capacitances, the transistors' tables, what mismatch moves."""

    conductance: Floats
    capacitance: Floats
    tab: NDArray[np.float32]
    off: Whole
    frame: Floats
    strides: Whole
    body: Floats
    site_of: Whole
    powers: Whole
    power_of: Whole
    shift: Floats
    whole: Floats


class Drawn(NamedTuple):
    """The samples: `varied` (samples, 3), the conductances of the synapse's devices and the charge
    of the noise (C); `deviates` (samples, sites), in standard deviations."""

    varied: Floats
    deviates: Floats


class Results(NamedTuple):
    """`out` (samples, 6), `marks` (samples, corners, driven nodes), `trace` of one sample."""

    out: Floats
    marks: Floats
    trace: Floats


class Scratch(NamedTuple):
    """Arrays of one thread: of the march, a sample's `par` (its shift splines) and `moves`, and
    what the evaluation writes: `draft`, `found` and `leaks`."""

    work: Floats
    par: Floats
    moves: Floats
    draft: Floats
    found: Floats
    leaks: Floats
