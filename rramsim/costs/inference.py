"""What an inference costs: energy and time of its senses, programming.

Energy: counted are the weight reads alone: bit lines, latch, clock and word line of every sense,
from the simulated transients. Logic and buffers stand beside them in `rramsim.costs.breakdown`.

Time: back to back, the recharge after a sense is the precharge of the next, so a sense takes its
window and one precharge; the first of all waits for one precharge more. The logic works while the
bit lines charge: its slowest gate, a full adder, takes 28 ns at 1.0 V beside 300 ns of precharge,
so it adds nothing down to there (101 ns at 0.9 V still fit).

Programming: energies are simulated with the filament model and the 5 V access transistor, one pulse
of 1 us without verify; the commands that made them stand beside them and a test repeats them.
Verifying takes several pulses: 'rramsim devices program --low ... --high ...' gives the energy of a
ladder.

A sense's energy, by what was written, is that of the transients that gave the errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from rramsim.circuits import Column, SenseConditions
from rramsim.counting.dataset import point
from rramsim.devices import WRITTEN
from rramsim.exceptions import InputError

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus


@dataclass(frozen=True, kw_only=True)
class SenseEnergy:
    """Mean energy of a full sense cycle and its standard error, in joule, by written value.

    Dictionaries over -1, 0 and +1; `clock_j` and `word_line_j` are the parts of the mean that the
    drivers of SEN and of the word line give.
    """

    mean_j: dict[int, float]
    standard_error_j: dict[int, float]
    clock_j: dict[int, float] = field(default_factory=lambda: dict.fromkeys(WRITTEN, 0.0))
    word_line_j: dict[int, float] = field(default_factory=lambda: dict.fromkeys(WRITTEN, 0.0))

    def __post_init__(self) -> None:
        for written in WRITTEN:
            value = self.mean_j.get(written, math.nan)
            if not (math.isfinite(value) and value > 0):
                raise InputError(
                    f"energy of a sense of written {written} = {value:g} J: must be above 0; "
                    "were there converged senses?"
                )


def sense_energy_at(dataset: xr.Dataset, conditions: SenseConditions) -> SenseEnergy:
    """The sense energies of a sweep's dataset under one set of conditions."""
    at = point(dataset, conditions)

    def by_written(name: str) -> dict[int, float]:
        return {w: float(at[name].sel(written=w)) for w in WRITTEN}

    errors = {w: 0.0 if np.isnan(e) else e for w, e in by_written("energy_se_j").items()}
    return SenseEnergy(
        mean_j=by_written("energy_j"),
        standard_error_j=errors,
        clock_j=by_written("clock_energy_j"),
        word_line_j=by_written("word_line_energy_j"),
    )


DataFlow = Literal["once", "per_row", "per_use", "parallel"]
"""How often a weight is sensed. `once`: once per image, and kept in a register. `per_row`: once for
each row of the output image, and kept along the row. `per_use`: again for every
multiply-accumulate but those with an input of 0, whose word line is not raised. `parallel`: as
`per_use`, with every array of a layer at once."""

DATA_FLOWS: tuple[DataFlow, ...] = ("once", "per_row", "per_use", "parallel")
SKIPPING: tuple[DataFlow, ...] = ("per_use", "parallel")
"""The flows in which an input of 0 saves a sense."""

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True, kw_only=True)
class Energy:
    """An energy in joule with its standard error.

    >>> Energy(value_j=1.0, standard_error_j=0.1).low_j < 1.0
    True
    """

    value_j: float
    standard_error_j: float

    @property
    def low_j(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value_j - _Z * self.standard_error_j

    @property
    def high_j(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value_j + _Z * self.standard_error_j


def senses_per_weight(layer: "LayerCensus", flow: DataFlow) -> float:
    """How often an image senses each weight of a layer, on average."""
    if flow in SKIPPING:
        return layer.positions * (1 - layer.input_zeros)
    return min(layer.positions, 1 if flow == "once" else layer.output_rows)


def senses_by_written(census: "Sequence[LayerCensus]", flow: DataFlow) -> dict[int, float]:
    """Senses of one image by what is written: -1, 0, +1."""
    senses = {-1: 0.0, 0: 0.0, 1: 0.0}
    for layer in census:
        repeats = senses_per_weight(layer, flow)
        senses[-1] += repeats * layer.minus
        senses[0] += repeats * layer.zero
        senses[1] += repeats * layer.plus
    return senses


def inference_energy(
    census: "Sequence[LayerCensus]", energy: SenseEnergy, *, flow: DataFlow
) -> Energy:
    """Energy of all senses of one image.

    >>> from rramsim.networks import LayerCensus
    >>> layer = LayerCensus(name="fc", weights=4, uses=8, minus=1, zero=2, plus=1)
    >>> joule = {-1: 2.0, 0: 1.0, 1: 2.0}
    >>> sense = SenseEnergy(mean_j=joule, standard_error_j={-1: 0.0, 0: 0.0, 1: 0.0})
    >>> inference_energy([layer], sense, flow="once").value_j
    6.0
    >>> inference_energy([layer], sense, flow="per_use").value_j
    12.0
    """
    senses = senses_by_written(census, flow)
    # Every sense of one written value shares one estimated mean: errors of a value add linearly,
    # those of different values (independent runs) in squares.
    return Energy(
        value_j=sum(number * energy.mean_j[w] for w, number in senses.items()),
        standard_error_j=math.hypot(
            *(number * energy.standard_error_j[w] for w, number in senses.items())
        ),
    )


def sense_time_s(column: Column, window_s: float) -> float:
    """Time from one sense to the next, in second.

    >>> round(sense_time_s(Column(), 50e-9) * 1e9)
    350
    """
    return column.precharge_s + window_s


def sense_cycles(
    census: "Sequence[LayerCensus]", *, flow: DataFlow, rows: int = 32, columns: int = 32
) -> int:
    """Sense cycles of one image. One array senses at a time, all its columns at once.

    In `parallel` all arrays of a layer sense together: the rows of one array, at each position.
    """
    total = 0
    for layer in census:
        if flow == "parallel":
            total += min(layer.inputs, rows) * layer.positions
            continue
        repeats = {"once": 1, "per_row": layer.output_rows, "per_use": layer.positions}[flow]
        total += layer.inputs * -(-layer.outputs // columns) * repeats
    return total


def inference_latency_s(
    census: "Sequence[LayerCensus]", *, flow: DataFlow, column: Column, window_s: float,
    columns: int = 32,
) -> float:  # fmt: skip
    """Time of one image's senses, layer after layer, in second."""
    cycles = sense_cycles(census, flow=flow, rows=column.rows, columns=columns)
    return column.precharge_s + cycles * sense_time_s(column, window_s)


SET_J = 4.11e-10
"""rramsim devices program --from 630k --bl 2.4: 630k to 16k, simulated."""

RESET_J = 6.41e-11
"""rramsim devices program --from 10k --sl 2.6: 10k to 3.4 Mohm, simulated."""

ENDURANCE_WRITES = 1e6
"""Writes that a device bears (assumed, the middle of what is reported for HfO2; strong pulses take
far less)."""


def programming_energy_j(census: "Sequence[LayerCensus]") -> float:
    """Joule for writing every device of a network once.

    A weight of +1 or -1 is a SET and a RESET, a 0 two RESETs.

    >>> from rramsim.networks import LayerCensus
    >>> layer = LayerCensus(name="fc", weights=3, uses=3, minus=1, zero=1, plus=1)
    >>> round(programming_energy_j([layer]) * 1e12, 1)
    1078.4
    """
    return sum(
        (layer.minus + layer.plus) * (SET_J + RESET_J) + layer.zero * 2 * RESET_J
        for layer in census
    )
