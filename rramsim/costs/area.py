"""Area from the transistors' own sizes: an estimate by stated rules, not a layout.

A transistor takes (W + 0.3 um) x (L + 2 x 0.29 um): the diffusions are those of the netlists (one
row of contacts), the spacing is assumed. A synapse is two access transistors of 2 um, the devices
lying above them in the back end. Peripheral transistors (amplifiers, logic) are taken at twice
their own area for wells, wires and gaps (assumed).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["amplifier_area_m2", "network_area_m2", "synapse_area_m2", "transistor_area_m2"]

_SPACING_M, _DIFFUSION_M, _LENGTH_M, _FILL = 0.3e-6, 0.29e-6, 0.5e-6, 2.0
_AMPLIFIER_WIDTHS_M = (1e-6, 1e-6, 2e-6, 2e-6, 2e-6, 2e-6, 2e-6)
"""Precharge, latch and foot, as in netlists/pcsa.spice."""


def transistor_area_m2(width_m: float) -> float:
    """One transistor of 0.5 um length, in square metre.

    >>> round(transistor_area_m2(2e-6) * 1e12, 3)
    2.484
    """
    return (width_m + _SPACING_M) * (_LENGTH_M + 2 * _DIFFUSION_M)


def synapse_area_m2() -> float:
    """A 2T2R synapse."""
    return 2 * transistor_area_m2(2e-6)


def amplifier_area_m2() -> float:
    """A sense amplifier of seven transistors."""
    return _FILL * sum(transistor_area_m2(width) for width in _AMPLIFIER_WIDTHS_M)


def network_area_m2(census: "Sequence[LayerCensus]", *, rows: int = 32, columns: int = 32) -> float:
    """Whole arrays that hold a network, with an amplifier a column; no logic, decoders or pads."""
    arrays = sum(-(-layer.inputs // rows) * -(-layer.outputs // columns) for layer in census)
    return arrays * columns * (rows * synapse_area_m2() + amplifier_area_m2())
