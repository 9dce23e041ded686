"""One layer's costs by hand; latency, area, other memories, programming."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rramsim.circuits import sense_circuit
from rramsim.costs import DATA_FLOWS, GATES_FILE, SenseEnergy, cost_row, read_gates, with_places
from rramsim.costs.breakdown import secded_bit_j, secded_weight_j
from rramsim.costs.inference import RESET_J, SET_J, inference_energy, sense_cycles
from rramsim.costs.logic import logic_energy, tree_adders
from rramsim.networks import LayerCensus
from rramsim.processes import load_process

FEMTO = 1e-15
CIRCUIT = sense_circuit(process=load_process("sky130-5v"))
SENSE = SenseEnergy(
    mean_j={-1: 380 * FEMTO, 0: 120 * FEMTO, 1: 390 * FEMTO},
    standard_error_j={-1: 3 * FEMTO, 0: 2 * FEMTO, 1: 4 * FEMTO},
    clock_j=dict.fromkeys((-1, 0, 1), 7 * FEMTO),
    word_line_j=dict.fromkeys((-1, 0, 1), 9 * FEMTO),
)
GATES = read_gates(GATES_FILE)
# 100 inputs of 8 bits, a quarter of them 0, 40 outputs, an output image of 6 x 5: four array blocks
# of rows, two of columns.
LAYER = LayerCensus(
    name="conv", weights=4000, uses=120_000, minus=1000, zero=1800, plus=1200, outputs=40,
    output_rows=6, input_bits=8, input_zeros=0.25,
)  # fmt: skip


def row(flow, layers=(LAYER,)):
    return cost_row(
        layers, SENSE, flow=flow, circuit=CIRCUIT, vdd_v=1.2, window_s=50e-9,
        gates=GATES,
    )  # fmt: skip


def test_one_ternary_layer_by_hand():
    found = row("per_use")
    reads = 0.75 * 30 * (1000 * 380 + 1800 * 120 + 1200 * 390) * FEMTO
    assert found["senses"] == 90_000
    assert found["clock_j"] == pytest.approx(90_000 * 7 * FEMTO)
    assert found["amplifier_j"] == pytest.approx(reads - 90_000 * 16 * FEMTO)
    assert found["drivers_j"] == pytest.approx(90_000 * 16 * FEMTO / 3)
    gxnor, adder, dff = (GATES.at(g, 1.2).energy_j for g in ("gxnor", "full_adder", "dff"))
    # Inputs come bit by bit; those of 0 make no product.
    assert found["products_j"] == pytest.approx(8 * 90_000 * gxnor)
    assert found["tree_j"] == 0
    assert found["accumulators_j"] == pytest.approx(8 * 90_000 * 0.55 * 2 * (adder + dff))
    assert found["thresholds_j"] == pytest.approx(2 * 40 * 30 * 7 * adder)
    # 100 inputs for two blocks of columns at 30 positions, 8 bits; 40 outputs of 2 bits.
    sram = 10e-12 / 64 * 130 / 45 * (1.2 / 0.9) ** 2
    assert found["buffers_j"] == pytest.approx((100 * 2 * 30 * 8 + 40 * 30 * 2) * sram)
    parts = ("amplifier_j", "clock_j", "word_line_j", "drivers_j", "products_j", "tree_j",
             "accumulators_j", "thresholds_j", "buffers_j")  # fmt: skip
    assert found["total_j"] == pytest.approx(sum(found[name] for name in parts))
    half = 1.96 * 0.75 * 30 * math.hypot(1000 * 3, 1800 * 2, 1200 * 4) * FEMTO
    assert found["total_high_j"] - found["total_j"] == pytest.approx(half, rel=1e-3)
    assert found["tops_per_w"] == pytest.approx(2 * 120_000 / found["total_j"] / 1e12)
    assert found["programming_j"] == pytest.approx(2200 * (SET_J + RESET_J) + 3600 * RESET_J)


def test_how_often_each_flow_senses_and_how_long_it_takes():
    senses = {"once": 4000, "per_row": 24_000, "per_use": 90_000, "parallel": 90_000}
    # 100 word lines for each of two blocks of columns, one array at a time; or 32 at once.
    cycles = {"once": 200, "per_row": 1200, "per_use": 6000, "parallel": 32 * 30}
    for flow, number in senses.items():
        found = row(flow)
        assert found["senses"] == number
        assert sense_cycles([LAYER], flow=flow) == cycles[flow]
        assert found["latency_s"] == pytest.approx(300e-9 + cycles[flow] * 350e-9)
        reads = inference_energy([LAYER], SENSE, flow=flow).value_j
        assert reads == pytest.approx(number / 4000 * 1064e3 * FEMTO)


def test_a_tree_adds_what_comes_at_once():
    assert [tree_adders(n) for n in (1, 2, 3, 4, 7, 8)] == [0, 0, 1, 1, 4, 4]
    found = logic_energy([replace(LAYER, kind="binary", input_bits=1)], GATES, vdd_v=1.2,
                         flow="parallel")  # fmt: skip
    adder, dff = (GATES.at(g, 1.2).energy_j for g in ("full_adder", "dff"))
    # Four arrays at once: 120,000 / 4 sums of 4 bits, one adder each, then 3 + 1 stages.
    assert found.tree_j == pytest.approx(30_000 * adder)
    assert found.accumulators_j == pytest.approx(30_000 * 4 * (adder + dff))


def test_what_is_read_less_often_than_used_is_kept_and_that_costs():
    """By hand: a kept weight is written once a sense and read 30 times; a sum takes 15 bits."""
    sram = 10e-12 / 64 * 130 / 45 * (1.2 / 0.9) ** 2
    activations = row("per_use")["buffers_j"]
    once, per_row = (row(flow)["buffers_j"] - activations for flow in ("once", "per_row"))
    assert once == pytest.approx((120_000 + 4000) * 2 * sram)
    assert per_row == pytest.approx((120_000 + 24_000) * 2 * sram)
    linear = replace(LAYER, uses=4000, output_rows=1)  # used once: nothing to keep
    kept = row("once", [linear])["buffers_j"] - row("per_use", [linear])["buffers_j"]
    assert kept == pytest.approx(0.0)


def test_more_bits_of_activation_cost_more_and_zeros_less():
    """A network with real-valued activations must not come out as the cheapest."""
    for flow in DATA_FLOWS:
        totals = [
            row(flow, [replace(LAYER, input_bits=bits, input_zeros=0.0)])["total_j"]
            for bits in (1, 2, 4, 8)
        ]
        assert sorted(totals) == totals
        fewer = row(flow, [replace(LAYER, input_bits=2, input_zeros=0.4)])["total_j"]
        assert fewer < totals[1]


def test_area_is_whole_arrays():
    # 4 x 2 arrays of 32 columns; 32 synapses of two 2 um transistors and an amplifier each.
    synapse = 2 * 2.3 * 1.08
    amplifier = 2 * (2 * 1.3 + 5 * 2.3) * 1.08
    assert row("once")["area_m2"] == pytest.approx(8 * 32 * (32 * synapse + amplifier) * 1e-12)


def test_error_correction_by_hand():
    xnor, nand = (GATES.at(g, 1.2).energy_j for g in ("xnor2", "nand2"))
    assert secded_bit_j(GATES, 1.2) == pytest.approx((280 * xnor + 896 * nand) / 64)
    one = secded_weight_j("binary", sense=SENSE, gates=GATES, vdd_v=1.2)
    assert one == pytest.approx(385 * FEMTO * 72 / 64 + (280 * xnor + 896 * nand) / 64)
    assert secded_weight_j("ternary", sense=SENSE, gates=GATES, vdd_v=1.2) == 2 * one
    found = row("once", [replace(LAYER, kind="binary")])
    reads = found["amplifier_j"] + found["clock_j"] + found["word_line_j"]
    assert found["secded_total_j"] - found["total_j"] == pytest.approx(4000 * one - reads)


def test_a_process_without_gates_has_no_total_and_no_place():
    bare = cost_row(
        [LAYER], SENSE, flow="once", circuit=CIRCUIT, vdd_v=1.2, window_s=50e-9,
        gates=None,
    )  # fmt: skip
    assert math.isnan(bare["total_j"]) and bare["amplifier_j"] > 0
    shared = {"data": "digits", "temperature_c": 27.0, "corner": "tt", "flow": "once",
              "accuracy": 0.7, "accuracy_low": 0.69, "accuracy_high": 0.71}  # fmt: skip
    table = with_places(pd.DataFrame([shared | bare, shared | row("once")]))
    assert table.place.tolist() == ["", "front"]
    assert np.isnan(table.total_j[0])


@pytest.mark.slow
def test_programming_energies_are_what_the_filament_model_gives():
    from rramsim.devices.filament import SKY130_RERAM as MODEL
    from rramsim.devices.filament import Pulse, apply_pulse
    from rramsim.engines import AccessTransistor, access_transistor_table
    from rramsim.processes import load_process

    transistor = AccessTransistor(
        process=load_process("sky130-5v"), corner="tt", temperature_c=27.0
    )
    table = access_transistor_table(transistor, (1.7, 3.5))
    for ohm, pulse, word_line_v, wanted in (
        (630e3, Pulse(bl_v=2.4), 1.7, SET_J),
        (10e3, Pulse(sl_v=2.6), 3.5, RESET_J),
    ):
        done = apply_pulse(
            [float(MODEL.filament_m(ohm))], pulse, series=table, level=table.level(word_line_v)
        )
        assert done.energy_j[0] == pytest.approx(wanted, rel=0.02)
