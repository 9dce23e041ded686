"""Energy of the logic behind the amplifiers: gate counts times simulated gate energies.

Counted for one image and layer (K inputs, O outputs, P positions, arrays of `rows` rows):

* a product for every use: XNOR (binary) or GXNOR (ternary);
* with every array of the layer at work, a popcount tree over the K / rows products of an output
  that come at once: n - floor(log2 n) - 1 full adders for n bits, exact for n = 2^k - 1; ternary
  products need two trees, for +1 and -1;
* an accumulator: for each sum of b bits, b + 1 stages of full adder and flip-flop (a count ripples
  one stage further in the mean: 1/2 + 1/4 + ...; the stages above are clock-gated);
* thresholds: one comparison an output and position, two for ternary activations, each of
  ceil(log2(K + 1)) full adders.

Activity (assumed): every gate sees independent random inputs. Ternary products that are 0 are not
accumulated (clock gate), by the weights' share of zeros; zeros of the activations are not used. The
first layer's real inputs go through bit by bit, `FIRST_LAYER_BITS` times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rramsim.costs.gates import GateTable

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["FIRST_LAYER_BITS", "LogicEnergy", "logic_energy", "tree_adders"]

FIRST_LAYER_BITS = 8


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
    census: "Sequence[LayerCensus]", gates: GateTable, *, vdd_v: float,
    weights: str, rows: int = 32, parallel: bool = False,
) -> LogicEnergy:  # fmt: skip
    """The logic's energy for one image; `parallel`: every array of a layer at once, with trees."""
    ternary = weights == "ternary"
    product_j = gates.at("gxnor" if ternary else "xnor2", vdd_v).energy_j
    adder_j = gates.at("full_adder", vdd_v).energy_j
    stage_j = adder_j + gates.at("dff", vdd_v).energy_j
    signs = 2 if ternary else 1
    products = tree = accumulators = thresholds = 0.0
    for index, layer in enumerate(census):
        repeats = FIRST_LAYER_BITS if index == 0 else 1
        at_once = -(-layer.inputs // rows) if parallel else 1
        sums = repeats * layer.uses / at_once
        share = 1 - layer.zero_share if ternary else 1.0
        products += repeats * layer.uses * product_j
        tree += signs * sums * tree_adders(at_once) * adder_j
        # A sum of several products is hardly ever 0: only single ones are skipped.
        kept = share if at_once == 1 else 1.0
        accumulators += kept * sums * (at_once.bit_length() + 1) * stage_j
        bits = math.ceil(math.log2(layer.inputs + 1))
        thresholds += signs * layer.outputs * layer.positions * bits * adder_j
    return LogicEnergy(
        products_j=products, tree_j=tree, accumulators_j=accumulators, thresholds_j=thresholds
    )
