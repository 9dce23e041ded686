"""`.measure` lines: as ngspice's own, in both engines, in every result; and what is refused."""

import re

import numpy as np
import pytest

import rramsim as rs
from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.counting import SenseTally
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.engines.ngspice_library import ngspice_session
from rramsim.exceptions import InputError
from rramsim.processes.process import netlists_folder
from rramsim.spice import Names

PCSA = (netlists_folder() / "pcsa.spice").read_text()
AT = SenseConditions(vdd_v=1.2)
ONE = SenseSamples.nominal(10e3, 350e3)
LINES = """
.param half={vdd_v/2}
.meas tran falls trig v(sen) val={half} rise=1 targ v(q) val='half' td=0 fall=1
.MEASURE TRAN late trig at=1n targ v(bl) val=0.2 td=0.5n rise=last
.meas tran meets when v(q)=v(bl) td=1n cross=1
.meas tran held find v(q) at={window_s}
.meas tran apart find v(qb,q) when v(q)=0.5 fall=1
.meas tran lowest min v(qb) from=0 to=50n
.meas tran highest max v(bl) from=0 to=50n
.meas tran swing pp v(q) from=0 to=50n
.meas tran mean avg v(q) from=0 to=50n
.meas tran root rms v(q) from=0 to=50n
.meas tran area integ v(q) from=0 to=50n
.meas tran never when v(q)=5
.meas tran twice param='2*falls+area'
"""


@pytest.fixture(scope="module")
def measured(sky130, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "own.spice"
    path.write_text(f"* measured\n{LINES}{PCSA}")
    return sense_circuit(process=sky130, netlist=path)


def as_ngspice(circuit):
    """What ngspice's own `meas` gives for the same lines, in the same run."""
    engine = NgspiceEngine()
    names = Names.own(circuit.elaborated(AT))
    bl, blb = (names.elements[name] for name in circuit.devices)
    session = ngspice_session()
    session.load(engine.deck(circuit, AT))
    session.command(f"alter {bl} = 1e4")
    session.command(f"alter {blb} = 3.5e5")
    assert not session.run()
    edge_s = circuit.column.precharge_s + circuit.column.edge_s / 2
    values = {"{half}": "0.6", "'half'": "0.6", "{window_s}": "50n"}
    found = {}
    for line in LINES.lower().splitlines()[2:-2]:
        for text, value in values.items():
            line = line.replace(text, value)
        line = re.sub(
            r"\b(at|td|from|to)=([\d.]+)(n?)",
            lambda m: f"{m[1]}={edge_s + float(m[2]) * (1e-9 if m[3] else 1)!r}",
            line,
        )
        line = re.sub(r"v\((\w+)\)", lambda m: f"v({names.nodes[m[1]]})", line)
        name = line.split()[2]
        if name == "apart":  # ngspice 39 measures no differences
            continue
        session.command(line.split(None, 1)[1].join(["meas ", ""]))
        found[name] = float(session.vector(name)[0])
        if line.split()[3] == "when":
            found[name] -= edge_s
    session.discard_results()
    return found


def test_a_measure_is_ngspices_own(measured):
    ours = NgspiceEngine().sense(measured, AT, ONE).measures
    theirs = as_ngspice(measured)
    assert set(theirs) | {"apart", "never", "twice"} == set(ours)
    for name, value in theirs.items():
        assert ours[name][0] == pytest.approx(value, rel=2e-3, abs=1e-12), name
    # As Q falls to 0.5 V, QB stands at some 1.16 V.
    assert ours["apart"][0] == pytest.approx(1.17 - 0.5, abs=0.02)
    assert np.isnan(ours["never"][0])
    assert ours["twice"][0] == 2 * ours["falls"][0] + ours["area"][0]


def test_both_engines_measure_alike_and_sense_as_without(measured, pcsa):
    rng = np.random.default_rng(3)
    many = SenseSamples(
        r_bl_ohm=np.full(4, 1e4), r_blb_ohm=np.full(4, 3.5e5),
        mismatch=rng.standard_normal((4, len(pcsa.mismatch_sites("tt")))),
    )  # fmt: skip
    ours, theirs = (e.sense(measured, AT, many) for e in (BatchEngine(), NgspiceEngine()))
    for name, values in theirs.measures.items():
        np.testing.assert_allclose(ours.measures[name], values, rtol=0.02, atol=2e-11, err_msg=name)
    plain = BatchEngine().sense(pcsa, AT, many)
    np.testing.assert_array_equal(ours.resolve_time_s, plain.resolve_time_s)
    np.testing.assert_array_equal(ours.energy_j, plain.energy_j)
    assert not plain.measures and not ours.waveforms
    # The time from edge to edge of Q is the resolve time.
    np.testing.assert_allclose(ours.measures["falls"], ours.resolve_time_s, rtol=1e-3)


def test_a_measure_is_in_every_result(measured, pcsa):
    one = rs.sense(measured, r_bl_ohm=1e4, r_blb_ohm=3.5e5, vdd_v=1.2)
    assert one.measures["never"] is None and one.measures["falls"] == pytest.approx(
        12.2e-9, rel=0.01
    )
    many = rs.senses(measured, vdd_v=1.2, samples=6, written=(1,))
    assert many.measure_falls.shape == (1, 6)
    outcome = BatchEngine().sense(measured, AT, ONE)
    tally = SenseTally.of(outcome) + SenseTally.of(outcome)
    assert tally.measures["falls"].tolist() == pytest.approx(
        [2, 2 * outcome.measures["falls"][0], 2 * outcome.measures["falls"][0] ** 2]
    )
    assert tally.measures["never"].tolist() == [0, 0, 0]
    assert SenseTally.from_value(tally.to_value()) == tally
    # What is measured is part of what a task is; a circuit without is what it was.
    assert measured.sha256 != pcsa.sha256 and "measures" not in SenseTally.empty().to_value()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (".meas tran a find i(vdd) at=1n", "cannot read 'i' here"),
        (".meas tran a max v(nowhere)", "no node 'nowhere'; there are "),
        (".meas tran a deriv v(q) at=1n", "cannot read 'deriv' here"),
        (".meas tran a trig v(q) val=0.6 rise=1", "cannot read 'the end of the line' here"),
        (".meas tran a when v(q)=0.6 rise=0", "rise = 0: a number from 1 up"),
        (".meas tran a when v(q)=0.6 rise=1 fall=1", "fall is given twice"),
        (".meas tran a when v(q)=half", "no parameter 'half'"),
        (".meas tran a param='b+1'", "no measure 'b' stands before it"),
        (".meas tran a max v(q) goal=1", "cannot read 'goal' here"),
        (".meas ac a max v(q)", "expected '.meas tran NAME ...'"),
        (".meas tran a max v(q)\n.meas tran a min v(q)", "measure a is defined twice"),
        (".meas tran a max v(q)\n+ `touch x`", "cannot read '`' here"),
        (".control\nmeas tran a max v(q)\n.endc", "'.control' is refused"),
    ],
)  # fmt: skip
def test_what_is_no_measure_is_refused_in_one_line(sky130, tmp_path, line, said):
    path = tmp_path / "own.spice"
    path.write_text(f"* own\n{line}\n{PCSA}")
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        sense_circuit(process=sky130, netlist=path)
    assert "\n" not in str(refused.value) and "line 2" in str(refused.value)


def test_inside_a_subcircuit_it_is_refused(sky130, tmp_path):
    path = tmp_path / "own.spice"
    path.write_text(PCSA.replace(".ends", ".meas tran a max v(q)\n.ends", 1))
    with pytest.raises(InputError, match=r"stands inside \.subckt pcsa"):
        sense_circuit(process=sky130, netlist=path)
