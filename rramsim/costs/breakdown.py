"""Everything that one inference costs, split: the rows of `costs.csv`.

Reads are simulated (the sweep's own transients), logic is counted from simulated gates, drivers and
buffers are estimates. Where the gates were not simulated (another process, a supply outside their
file) logic and total are left empty.

What the same weights would cost in other memories: 1T1R with SECDED: one device a bit, read against
a reference branch by an amplifier like ours, so a read is taken as one binary 2T2R sense; eight
check bits for 64 (Hsiao's (72, 64) code, 216 ones in its matrix). A decode is 216 - 8 XORs for
check bits, 8 to compare them, 64 AND of 8 (14 NAND2-sized gates each) and 64 XOR to correct.
Modelled from simulated gates, not simulated itself.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rramsim.circuits import SenseCircuit
from rramsim.costs.gates import GateTable
from rramsim.costs.inference import (
    DataFlow,
    SenseEnergy,
    inference_energy,
    inference_latency_s,
    programming_energy_j,
    senses_by_written,
    senses_per_weight,
)
from rramsim.costs.logic import buffer_energy_j, logic_energy, sram_bit_j
from rramsim.costs.sense_parts import network_area_m2
from rramsim.costs.supply import front_places

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

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


COST_COLUMNS = (
    "senses", "amplifier_j", "clock_j", "word_line_j", "drivers_j", "products_j", "tree_j",
    "accumulators_j", "thresholds_j", "buffers_j", "total_j", "total_low_j", "total_high_j",
    "latency_s", "area_m2", "tops_per_w", "programming_j", "secded_total_j", "sram_total_j",
)  # fmt: skip
"""What `cost_row` gives; joule, second and square metre for one image."""

_DRIVERS = 1 / 3
"""What the buffers before a line take, as a share of the line's energy: a chain in which each
stage drives four times its own size takes 1/4 + 1/16 + ... (estimate)."""

_ENVIRONMENT = ["flow", "data", "temperature_c", "corner"]


def cost_row(
    census: "Sequence[LayerCensus]", sense: SenseEnergy, *, flow: DataFlow, circuit: SenseCircuit,
    vdd_v: float, window_s: float, gates: GateTable | None, columns: int = 32,
) -> dict[str, Any]:  # fmt: skip
    """The costs of one image by a network under one set of conditions.

    The total's 95 % interval is that of the simulated reads; the
    estimates have none.
    """
    column = circuit.column
    reads = inference_energy(census, sense, flow=flow)
    written = senses_by_written(census, flow)
    clock_j = sum(number * sense.clock_j[w] for w, number in written.items())
    word_line_j = sum(number * sense.word_line_j[w] for w, number in written.items())
    drivers_j = _DRIVERS * (clock_j + word_line_j)
    buffers_j = buffer_energy_j(census, vdd_v=vdd_v, flow=flow, columns=columns)
    senses = sum(written.values())
    parts = dict.fromkeys(("products_j", "tree_j", "accumulators_j", "thresholds_j"), math.nan)
    secded_j = math.nan
    if gates is not None and gates.covers(vdd_v):
        logic = logic_energy(census, gates, vdd_v=vdd_v, flow=flow, rows=column.rows)
        parts = {name: getattr(logic, name) for name in parts}
        secded_j = sum(
            secded_weight_j(layer.kind, sense=sense, gates=gates, vdd_v=vdd_v)
            * layer.weights * senses_per_weight(layer, flow)
            for layer in census
        )  # fmt: skip
    beside_j = sum(parts.values()) + buffers_j
    total_j = reads.value_j + drivers_j + beside_j
    sram_j = sram_bit_j(vdd_v) * sum(
        (2 if layer.kind == "ternary" else 1) * layer.weights * senses_per_weight(layer, flow)
        for layer in census
    )
    uses = sum(layer.uses for layer in census)
    return {
        "senses": round(senses),
        "amplifier_j": reads.value_j - clock_j - word_line_j,
        "clock_j": clock_j,
        "word_line_j": word_line_j,
        "drivers_j": drivers_j,
        **parts,
        "buffers_j": buffers_j,
        "total_j": total_j,
        "total_low_j": total_j - (reads.value_j - reads.low_j),
        "total_high_j": total_j + (reads.high_j - reads.value_j),
        "latency_s": inference_latency_s(
            census, flow=flow, column=column, window_s=window_s, columns=columns
        ),
        "area_m2": network_area_m2(census, circuit, columns=columns),
        # Two operations, a product and an addition, for every use of a weight.
        "tops_per_w": 2 * uses / total_j / 1e12,
        "programming_j": programming_energy_j(census),
        "secded_total_j": secded_j + drivers_j + beside_j,
        "sram_total_j": sram_j + beside_j,
    }


def with_places(costs: pd.DataFrame) -> pd.DataFrame:
    """Add the column `place`: where each design stands among those of its flow and environment.

    Cost is the total, value the accuracy, with their 95 % intervals (`FrontPlace`); designs without
    a total have no place.
    """
    places = pd.Series("", index=costs.index, dtype=object)
    for _, rows in costs[costs.total_j.notna()].groupby(_ENVIRONMENT, sort=False):
        places[rows.index] = np.array(
            front_places(
                cost=rows.total_j.to_numpy(),
                cost_low=rows.total_low_j.to_numpy(),
                cost_high=rows.total_high_j.to_numpy(),
                value=rows.accuracy.to_numpy(),
                value_low=rows.accuracy_low.to_numpy(),
                value_high=rows.accuracy_high.to_numpy(),
            )
        )
    return costs.assign(place=places)
