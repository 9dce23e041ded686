"""What the batch engine takes of an elaborated circuit, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, SenseSamples
from rramsim.engines.batch.elements import build_topology, flat_circuit, pulse_of
from rramsim.exceptions import InputError
from rramsim.processes.process import netlists_folder
from rramsim.spice import Body, Library, Scope, elaborate, parse_deck

AT, ONE = SenseConditions(vdd_v=1.2), SenseSamples.nominal(1e4, 1e5)
EMPTY = Library(scope=Scope(Body()))


def flat_of(*lines):
    return flat_circuit(elaborate(parse_deck("\n".join(lines), Path("deck")).body, EMPTY))


def test_hierarchy_parameters_and_expressions_are_elaborated():
    flat = flat_of(
        ".param load=2f rows = 3",
        ".subckt half in out r=10k",
        "rx in mid {2 * r}",
        "cx mid out {rows * load + 1f}",
        "rg mid out 1meg",
        ".ends half",
        "v1 a 0 dc 1.5",
        "v2 b 0 pulse(0 {rows / 2} 1n 0.1n 0.1n {10n - 0.1n} 1)",
        "xone a c half",
        "xtwo b c half r=5k",
        "rc c 0 1k",
        ".ic v(c)=0.25",
    )
    values = {r.name: r.value for r in flat.resistors}
    assert values["xone.rx"] == 20e3 and values["xtwo.rx"] == 10e3 and values["rc"] == 1e3
    assert flat.capacitors[0].nodes == ("xone.mid", "c")
    assert flat.capacitors[0].value == pytest.approx(7e-15)
    assert pulse_of(flat.sources[1]) == pytest.approx((0, 1.5, 1e-9, 1e-10, 1e-10, 9.9e-9, 1))
    assert flat.initial_v == {"c": 0.25}
    assert set(build_topology(flat).unknown) == {"xone.mid", "xtwo.mid", "c"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["v1 a 0 1", "l1 a b 1n", "r1 b 0 1k"], "deck line 2: l1: .*use ngspice"),
        (["v1 a 0 1", "i1 a 0 1u", "r1 a 0 1k"], "deck line 2: i1: .*use ngspice"),
        (["v1 a 0 1", "v2 a 0 1", "r1 a b 1k", "c1 b 0 1f"], "loop of sources"),
        (["v1 a b 1", "r1 a b 1k", "r2 b 0 1"], "second node to be ground"),
        (["v1 a 0 1", "c1 a b 1f", "c2 b 0 1f", "r1 a 0 1k"], "node b floats"),
        (["v1 a 0 1", "r1 a b 0", "c1 b 0 1f"], "above 0 ohm"),
        (["v1 a 0 1", "r1 a b {width}", "c1 b 0 1f"], "no parameter 'width'"),
        (["v1 a 0 1", "r1 a 0 1k"], "no node to solve for"),
        (["v1 a 0 1", "x1 a b part"], "no .subckt 'part'"),
        (["v1 a 0 1", "r1 a b 1k", "r2 b 0 1k", ".ic v(zz)=1"], "no node 'zz'"),
    ],
)
def test_what_cannot_be_solved_is_refused_with_its_line(lines, message):
    with pytest.raises(InputError, match=message):
        build_topology(flat_of(*lines))


@pytest.mark.parametrize(
    ("wave", "message"),
    [("sin(0 1 1k)", "SIN"), ("pulse(0 1 1n .1n .1n {-1n} 1)", "edge"), ("pulse(0 1)", "seven")],
)
def test_a_source_that_is_no_pulse_is_refused(wave, message):
    with pytest.raises(InputError, match=message):
        pulse_of(flat_of(f"v1 a 0 {wave}", "r1 a 0 1").sources[0])


def test_an_element_in_a_users_amplifier_is_refused_with_its_line(sky130, tmp_path):
    text = (netlists_folder() / "pcsa.spice").read_text()
    path = tmp_path / "own.spice"
    path.write_text(text.replace(".ends pcsa", "lq q qb 1n\n.ends pcsa"))
    circuit = sense_circuit(process=sky130, netlist=path)
    with pytest.raises(InputError, match=r"own.spice line 26: xpcsa.lq: .*engine = \"ngspice\""):
        BatchEngine().sense(circuit, AT, ONE)


def test_a_window_shorter_than_the_edge_is_refused(pcsa):
    column = replace(pcsa.column, edge_s=5e-9)
    conditions = SenseConditions(vdd_v=1.2, window_s=2e-9)
    with pytest.raises(InputError, match="window shorter than the edge"):
        BatchEngine().sense(replace(pcsa, column=column), conditions, ONE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tolerance_v": 0.0}, "tolerance_v"), ({"threads": 0}, "threads")],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        BatchEngine(**settings)
