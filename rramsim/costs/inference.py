"""Energy of the senses of one inference.

Counted are the weight reads alone: bit lines, latch, clock and word line of every sense, from the
simulated transients. Logic and buffers stand beside them in `rramsim.costs.breakdown`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rramsim.costs.sense_energy import SenseEnergy

if TYPE_CHECKING:
    # PyTorch takes seconds to import: who only asks a table of results does not wait for it.
    from rramsim.networks import LayerCensus

__all__ = [
    "DATA_FLOWS",
    "SKIPPING",
    "DataFlow",
    "Energy",
    "inference_energy",
    "senses_by_written",
    "senses_per_weight",
]

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
    """How often an image senses each weight of a layer, in the mean."""
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
