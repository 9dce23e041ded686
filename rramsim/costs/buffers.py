"""Energy of SRAM accesses: an estimate from a published figure, not a simulation.

Horowitz 2014 (ISSCC, "Computing's energy problem", table of 45 nm at 0.9 V) gives 10 pJ for 64 bits
from an 8 KB cache. Scaled to 130 nm in proportion to the feature size (capacitance) and to VDD^2.
A cache's tags are in it and thick oxide is not, so take it within a factor of two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rramsim.costs.logic import FIRST_LAYER_BITS

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
    census: "Sequence[LayerCensus]", *, vdd_v: float, weights: str,
    columns: int = 32,
) -> float:  # fmt: skip
    """Estimated energy of the activations' buffer for one image.

    An input is read once for all columns of an array that use it, at each position; each output is
    written once. One bit a binary activation, two a ternary one, the first layer's input
    `FIRST_LAYER_BITS`. Weights need no buffer: they are sensed, or kept in the output latches.
    """
    bits = 2 if weights == "ternary" else 1
    moved = 0.0
    for index, layer in enumerate(census):
        blocks = -(-layer.outputs // columns)
        moved += layer.inputs * blocks * layer.positions * (bits if index else FIRST_LAYER_BITS)
        moved += layer.outputs * layer.positions * bits
    return moved * sram_bit_j(vdd_v)
