"""Energy of the logic behind the amplifiers: gate counts times simulated gate energies.

Counted for one image and layer (K inputs, O outputs, P positions, arrays of `rows` rows):

* a product for every use: XNOR (binary weights and inputs) or GXNOR (either ternary). An input of
  more bits enters bit by bit, so its products and sums are made as often as it has bits;
* with every array of the layer at work, a popcount tree over the K / rows products of an output
  that come at once: n - floor(log2 n) - 1 full adders for n bits, exact for n = 2^k - 1; ternary
  products need two trees, for +1 and -1;
* an accumulator: for each sum of b bits, b + 1 stages of full adder and flip-flop (a count ripples
  one stage further in the mean: 1/2 + 1/4 + ...; the stages above are clock-gated);
* thresholds: for each output and position as many comparisons as the next layer's inputs have bits,
  each of ceil(log2(K + 1)) full adders.

Activity (assumed): every gate sees independent random inputs. Ternary products that are 0 are not
accumulated (clock gate), by the weights' and the inputs' share of zeros. Where weights are read for
each use, an input of 0 makes no product at all: its word line is not raised.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rramsim.costs.gates import GateTable
from rramsim.costs.inference import SKIPPING, DataFlow

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["LogicEnergy", "logic_energy", "output_bits_of", "tree_adders"]


@dataclass(frozen=True, kw_only=True)
class LogicEnergy:
    """Joule for one image."""

    products_j: float
    tree_j: float
    accumulators_j: float
    thresholds_j: float

    @property
    def total_j(self) -> float:
        """All of it."""
        return self.products_j + self.tree_j + self.accumulators_j + self.thresholds_j


def tree_adders(bits: int) -> int:
    """Full adders of a counter of so many bits.

    >>> [tree_adders(n) for n in (1, 3, 7, 15)]
    [0, 1, 4, 11]
    """
    return bits - bits.bit_length()


def logic_energy(
    census: "Sequence[LayerCensus]", gates: GateTable, *, vdd_v: float, flow: DataFlow,
    rows: int = 32,
) -> LogicEnergy:  # fmt: skip
    """The logic's energy for one image; in "parallel" every array of a layer works at once."""
    adder_j = gates.at("full_adder", vdd_v).energy_j
    stage_j = adder_j + gates.at("dff", vdd_v).energy_j
    products = tree = accumulators = thresholds = 0.0
    for layer, output_bits in zip(census, output_bits_of(census), strict=True):
        ternary = layer.kind == "ternary" or layer.input_bits > 1
        product_j = gates.at("gxnor" if ternary else "xnor2", vdd_v).energy_j
        signs = 2 if ternary else 1
        repeats = layer.input_bits if layer.input_bits > 2 else 1
        at_once = -(-layer.inputs // rows) if flow == "parallel" else 1
        made = float(repeats * layer.uses)
        if flow in SKIPPING:
            made *= 1 - layer.input_zeros
        products += made * product_j
        if at_once == 1:
            # A sum of several products is hardly ever 0: only single ones are skipped.
            sums = repeats * layer.uses * (1 - layer.input_zeros)
            sums *= 1 - layer.zero_share if ternary else 1.0
        else:
            sums = repeats * layer.uses / at_once
            tree += signs * sums * tree_adders(at_once) * adder_j
        accumulators += sums * (at_once.bit_length() + 1) * stage_j
        bits = math.ceil(math.log2(layer.inputs + 1))
        thresholds += output_bits * layer.outputs * layer.positions * bits * adder_j
    return LogicEnergy(
        products_j=products, tree_j=tree, accumulators_j=accumulators, thresholds_j=thresholds
    )


def output_bits_of(census: "Sequence[LayerCensus]") -> list[int]:
    """The bits of each layer's outputs: those of the next one's inputs, a score's sign at last."""
    last = 2 if census[-1].kind == "ternary" else 1
    return [*(layer.input_bits for layer in census[1:]), last]
