"""Energy of SRAM accesses: an estimate from a published figure, not a simulation.

Horowitz 2014 (ISSCC, "Computing's energy problem", table of 45 nm at 0.9 V) gives 10 pJ for 64 bits
from an 8 KB cache. Scaled to 130 nm in proportion to the feature size (capacitance) and to VDD^2.
A cache's tags are in it and thick oxide is not, so take it within a factor of two.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rramsim.costs.inference import SKIPPING, DataFlow, senses_per_weight
from rramsim.costs.logic import output_bits_of

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["buffer_energy_j", "sram_bit_j"]

_PUBLISHED_J = 10e-12 / 64
_FEATURE_RATIO = 130 / 45
_PUBLISHED_V = 0.9


def sram_bit_j(vdd_v: float) -> float:
    """Estimated energy of reading or writing one bit of SRAM in 130 nm, in joule.

    >>> round(sram_bit_j(0.9) * 1e15)
    451
    """
    return _PUBLISHED_J * _FEATURE_RATIO * (vdd_v / _PUBLISHED_V) ** 2


def buffer_energy_j(
    census: "Sequence[LayerCensus]", *, vdd_v: float, flow: DataFlow, columns: int = 32
) -> float:
    """Estimated energy of the buffers for one image.

    Activations: an input is read once for all columns of an array that use it, at each position;
    each output is written once; each of as many bits as it has.

    Where a weight is sensed less often than it is used ("once", "per_row"), either it is kept, or
    the sums that it belongs to are, and nothing is free: a kept weight is written once a sense and
    read for each use, a partial sum is read and written for each use. The cheaper one is counted.
    """
    moved = 0.0
    for layer, output_bits in zip(census, output_bits_of(census), strict=True):
        blocks = layer.groups * -(-layer.outputs // (layer.groups * columns))
        moved += layer.inputs * blocks * layer.positions * layer.input_bits
        moved += layer.outputs * layer.positions * output_bits
        senses = senses_per_weight(layer, flow)
        if flow in SKIPPING or senses >= layer.positions:
            continue
        sum_bits = math.ceil(math.log2(2 * layer.inputs + 1)) + layer.input_bits - 1
        weight_bits = 2 if layer.kind == "ternary" else 1
        kept = (layer.uses + senses * layer.weights) * weight_bits
        moved += min(kept, 2 * layer.uses * sum_bits)
    return moved * sram_bit_j(vdd_v)
