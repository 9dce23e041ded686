"""Energy of logic and buffers behind the amplifiers.

Logic: gate counts times simulated gate energies. Counted for one image and layer (K inputs, O
outputs, P positions, arrays of `rows` rows):

* a product for every use: XNOR (binary weights and inputs) or GXNOR (either ternary). An input of
  more bits enters bit by bit, so its products and sums are made as often as it has bits;
* with every array of the layer at work, a popcount tree over the K / rows products of an output
  that come at once: n - floor(log2 n) - 1 full adders for n bits, exact for n = 2^k - 1; ternary
  products need two trees, for +1 and -1;
* an accumulator: for each sum of b bits, b + 1 stages of full adder and flip-flop (a count ripples
  one stage further on average: 1/2 + 1/4 + ...; the stages above are clock-gated);
* thresholds: for each output and position as many comparisons as the next layer's inputs have bits,
  each of ceil(log2(K + 1)) full adders.

Activity (assumed): every gate sees independent random inputs. Ternary products that are 0 are not
accumulated (clock gate), by the weights' and the inputs' share of zeros. Where weights are read for
each use, an input of 0 makes no product at all: its word line is not raised.

SRAM accesses are an estimate from a published figure, not a simulation: Horowitz 2014 (ISSCC,
"Computing's energy problem", table of 45 nm at 0.9 V) gives 10 pJ for 64 bits from an 8 KB cache.
Scaled to 130 nm in proportion to the feature size (capacitance) and to VDD^2. A cache's tags are in
it and thick oxide is not, so take it within a factor of two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rramsim.costs.gates import GateTable
from rramsim.costs.inference import SKIPPING, DataFlow, senses_per_weight

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus


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
