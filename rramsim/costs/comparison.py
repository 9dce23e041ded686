"""What the same weights would cost in other memories.

1T1R with SECDED: one device a bit, read against a reference branch by an amplifier like ours, so a
read is taken as one binary 2T2R sense; eight check bits for 64 (Hsiao's (72, 64) code, 216 ones in
its matrix). A decode is 216 - 8 XORs for check bits, 8 to compare them, 64 AND of 8 (14 NAND2-sized
gates each) and 64 XOR to correct. Modelled from simulated gates, not simulated itself.
"""

from rramsim.costs.gates import GateTable
from rramsim.costs.sense_energy import SenseEnergy

__all__ = ["secded_bit_j", "secded_weight_j"]

_DATA_BITS, _CODE_BITS, _MATRIX_ONES = 64, 72, 216


def secded_bit_j(gates: GateTable, vdd_v: float) -> float:
    """Energy of correcting one data bit, in joule: the decode of a word over its 64 bits."""
    xor = gates.at("xnor2", vdd_v).energy_j
    nand = gates.at("nand2", vdd_v).energy_j
    xors = (_MATRIX_ONES - 8) + 8 + _DATA_BITS
    return (xors * xor + _DATA_BITS * 14 * nand) / _DATA_BITS


def secded_weight_j(weights: str, *, sense: SenseEnergy, gates: GateTable, vdd_v: float) -> float:
    """Energy of reading one corrected weight (two bits for a ternary one), in joule."""
    bits = 2 if weights == "ternary" else 1
    binary_j = (sense.mean_j[-1] + sense.mean_j[1]) / 2
    return bits * (binary_j * _CODE_BITS / _DATA_BITS + secded_bit_j(gates, vdd_v))
