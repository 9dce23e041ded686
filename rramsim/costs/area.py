"""Area from the transistors' own sizes: an estimate by stated rules, not a layout.

A transistor takes (W + 0.3 um) x (L + 2 x 0.29 um): the diffusions are those of the netlists (one
row of contacts), the spacing is assumed; fingers share diffusions, parallel ones do not. A synapse
is its two access transistors, the devices lying above them in the back end. Peripheral transistors
(amplifiers, logic) are taken at twice their own area for wells, wires and gaps (assumed).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rramsim.circuits import SenseCircuit

if TYPE_CHECKING:
    from rramsim.circuits.sense import Transistor
    from rramsim.networks import LayerCensus

__all__ = ["amplifier_area_m2", "network_area_m2", "synapse_area_m2", "transistor_area_m2"]

_SPACING_M, _DIFFUSION_M, _FILL = 0.3e-6, 0.29e-6, 2.0


def transistor_area_m2(transistor: "Transistor") -> float:
    """One transistor, all that stand in parallel, in square metre."""
    fingers = transistor.fingers
    width_m = transistor.width_m / fingers + _SPACING_M
    length_m = fingers * transistor.length_m + (fingers + 1) * _DIFFUSION_M
    return transistor.parallel * width_m * length_m


def synapse_area_m2(circuit: SenseCircuit) -> float:
    """A 2T2R synapse."""
    each = {t.name: t for t in circuit.transistors}
    return sum(transistor_area_m2(each[name]) for name in circuit.access)


def amplifier_area_m2(circuit: SenseCircuit) -> float:
    """A sense amplifier."""
    own = [t for t in circuit.transistors if t.part == "amplifier"]
    return _FILL * sum(transistor_area_m2(t) for t in own)


def network_area_m2(
    census: "Sequence[LayerCensus]", circuit: SenseCircuit, *, columns: int = 32
) -> float:
    """Whole arrays that hold a network, with an amplifier a column; no logic, decoders or pads."""
    rows = circuit.column.rows
    arrays = sum(-(-layer.inputs // rows) * -(-layer.outputs // columns) for layer in census)
    return arrays * columns * (rows * synapse_area_m2(circuit) + amplifier_area_m2(circuit))
