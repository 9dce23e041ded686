"""Read-outs, wires, leakage, threshold and noise, solved by ngspice."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rramsim.circuits import Column, ReadOut, SenseConditions, sense_circuit
from rramsim.counting import SenseTask
from rramsim.counting.task import draw_samples
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.processes import load_process

ENGINE = NgspiceEngine(max_step_s=4e-9, reltol=1e-3, trtol=7.0)
LRS, HRS = 10e3, 1e6
PAIRS = {1: (LRS, HRS), 0: (HRS, 1.05 * HRS), -1: (HRS, LRS)}
WEIGHTS = (-1, 0, 1)


def circuit(name="pcsa", *, x=1, neighbours=None, netlist=None, **column):
    return sense_circuit(
        process=load_process("sky130-5v"),
        column=Column(**column),
        read_out=ReadOut(name=name, x=x),
        neighbours=neighbours,
        netlist=netlist,
    )


def samples(*pairs, noise_v=None):
    r_bl, r_blb = np.array(pairs, dtype=float).T
    return SenseSamples(
        r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=np.zeros((len(pairs), 0)), noise_v=noise_v
    )


def sense(of, *pairs, noise_v=None, vdd_v=1.2, **conditions):
    outcome = ENGINE.sense(
        of, SenseConditions(vdd_v=vdd_v, **conditions), samples(*pairs, noise_v=noise_v)
    )
    assert outcome.converged.all()
    return outcome


CORNERS = ("tt", "ss", "ff", "sf", "fs")


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize(("name", "inputs"), [("pcsa_xnor", (-1, 1)), ("gxnor", (-1, 0, 1))])
def test_truth_table_of_products(name, inputs, corner):
    for x in inputs:
        outcome = sense(circuit(name, x=x), *(PAIRS[w] for w in WEIGHTS), corner=corner)
        assert outcome.read.tolist() == [w * x for w in WEIGHTS], f"x = {x}"


@pytest.mark.parametrize(("corner", "row"), list(zip(CORNERS, (32, 1, 17, 8, 25), strict=True)))
def test_column_reads_the_selected_row_whatever_the_others_hold(corner, row):
    rng = np.random.default_rng(row)
    for others in (PAIRS[1], PAIRS[-1], None):
        neighbours = tuple(
            others or PAIRS[int(w)] for w in rng.integers(-1, 2, 32)
        )  # all +1, all -1, or any
        column = circuit("column", neighbours=neighbours, selected_row=row, r_row_ohm=2.0)
        outcome = sense(column, *(PAIRS[w] for w in WEIGHTS), corner=corner)
        assert outcome.read.tolist() == list(WEIGHTS)


@pytest.mark.parametrize("row", [8, 32])
def test_lumped_wires_slow_a_read_as_those_of_the_column_written_out(row):
    slower = []
    for name in ("pcsa", "column"):
        times = [
            sense(
                circuit(name, r_row_ohm=r, selected_row=row, neighbour_ohm=HRS),
                PAIRS[1], (100e3, 110e3), window_s=400e-9,
            ).resolve_time_s
            for r in (0.0, 500.0)
        ]  # fmt: skip
        slower.append(times[1] - times[0])
    # 500 ohm a row is two hundred times a real wire's; a real one slows a read by 0.2 %.
    assert slower[0] == pytest.approx(slower[1], rel=0.1)
    assert slower[0][0] > 0.5e-9


def test_leakage_of_the_other_rows_counts_where_it_is_hot():
    engine = NgspiceEngine(max_step_s=1e-9)

    def slower(temperature_c, corner, rows):
        # The same capacitance for any number of rows: what differs is the leakage alone.
        conditions = SenseConditions(vdd_v=1.2, temperature_c=temperature_c, corner=corner)
        off, on = (
            engine.sense(
                circuit(rows=rows, c_row_f=80e-15 / rows, leakage=leakage),
                conditions,
                samples((LRS, HRS)),
            )
            for leakage in (False, True)
        )
        return on.resolve_time_s[0] / off.resolve_time_s[0] - 1

    assert abs(slower(27, "tt", 32)) < 1e-3
    few, many = slower(125, "ff", 32), slower(125, "ff", 128)
    assert 5e-3 < few < 2e-2
    assert many / few == pytest.approx(127 / 31, rel=0.1)  # in proportion to the other rows


def test_defaults_add_nothing_to_the_read():
    deck = circuit().deck(SenseConditions(vdd_v=1.2))
    for word in ("far", "neighbour_card", "inoise", "xcolumn", "vx "):
        assert word not in deck
    assert circuit().threshold_v(SenseConditions(vdd_v=1.2)) == 0.6


def test_a_higher_threshold_sees_the_falling_output_earlier():
    times = [
        sense(circuit(threshold=share), PAIRS[1]).resolve_time_s[0] for share in (0.3, 0.5, 0.7)
    ]
    assert times[0] > times[1] > times[2]


def test_noise_decides_a_tie_by_its_sign_and_size():
    noise_v = np.array([-0.02, -0.005, 0.0, 0.005, 0.02])
    outcome = sense(circuit(), *[(350e3, 350e3)] * 5, noise_v=noise_v, window_s=400e-9)
    assert outcome.read.tolist() == [-1, -1, 0, 1, 1]
    time = outcome.resolve_time_s
    assert time[0] == pytest.approx(time[4], rel=0.01)
    assert time[4] < time[3]


def test_deviation_of_the_noise_is_that_of_its_formula():
    # sqrt(4 k T / C) at 300.15 K and 60 fF, k = 1.380649e-23 J/K: 0.5256 mV.
    conditions = SenseConditions(vdd_v=1.2)
    assert circuit().noise_sigma_v(conditions) == pytest.approx(0.5256e-3, rel=1e-3)
    hot = circuit().noise_sigma_v(SenseConditions(vdd_v=1.2, temperature_c=125))
    assert hot / circuit().noise_sigma_v(conditions) == pytest.approx(math.sqrt(398.15 / 300.15))


def test_noise_is_drawn_apart_from_the_devices():
    def drawn(noise):
        state = LogNormal(median_ohm=1e4, sigma_ln=0.2), LogNormal(median_ohm=1e6, sigma_ln=1)
        task = SenseTask(
            circuit=circuit(), conditions=SenseConditions(vdd_v=1.2), written=0, seed=3,
            resistances=ResistanceModel(lrs=state[0], hrs=state[1]), engine=ENGINE, noise=noise,
        )  # fmt: skip
        return task.id, draw_samples(task, chunk=1, samples=1000, chunk_samples=1000)

    (plain_id, plain), (noisy_id, noisy) = drawn(False), drawn(True)
    assert plain_id != noisy_id
    assert plain.noise_v is None
    assert np.array_equal(plain.r_bl_ohm, noisy.r_bl_ohm)
    assert np.array_equal(plain.mismatch, noisy.mismatch)
    sigma_v = circuit().noise_sigma_v(SenseConditions(vdd_v=1.2))
    assert noisy.noise_v.std() == pytest.approx(sigma_v, rel=0.1)
    assert abs(np.corrcoef(noisy.noise_v, noisy.mismatch[:, 0])[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReadOut(name="xor"), "circuit = 'xor': must be one of pcsa, pcsa_xnor, gxnor"),
        (lambda: ReadOut(name="pcsa_xnor", x=0), r"x = 0: the read-out pcsa_xnor takes -1, \+1"),
        (lambda: ReadOut(x=-1), r"x = -1: the read-out pcsa takes \+1"),
        (lambda: circuit("column", rows=16), "rows = 16: the circuit 'column' has 32 rows"),
        (lambda: circuit("column", leakage=True), "leakage: the circuit 'column' has"),
        (lambda: circuit("column", neighbours=((1e4, 1e4),)), "neighbours: 1 rows for"),
        (lambda: circuit(neighbours=((1e4, 1e4),) * 32), "they belong to the circuit 'column'"),
        (lambda: circuit("column", neighbours=((1e4, 0.0),) * 32), "neighbours: row 1 = "),
        (lambda: circuit(selected_row=33), "selected_row = 33: the column has rows 1 to 32"),
        (lambda: circuit(selected_row=0), "selected_row = 0"),
        (lambda: circuit(r_row_ohm=-1.0), "r_row_ohm = -1: must be between 0 and 10000 ohm"),
        (lambda: circuit(r_row_ohm=math.nan), "r_row_ohm = nan"),
        (lambda: replace(circuit(), column=Column(leakage=True)), "needs a circuit of its own"),
        (lambda: replace(circuit(), column=Column(r_row_ohm=1.0)), "needs a circuit of its own"),
        (lambda: circuit(threshold=1.0), "threshold = 1: must be above 0 and below 1"),
        (lambda: circuit(neighbour_ohm=0.0), "neighbour_ohm = 0: must be above 0 ohm"),
        (lambda: samples((1e4, 1e5), noise_v=np.array([math.nan])), "noise_v: must be one finite"),
        (lambda: samples((1e4, 1e5), noise_v=np.zeros(2)), "noise_v: must be one finite"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_netlist_without_the_inputs_pins_is_refused(tmp_path):
    netlist = tmp_path / "own.spice"
    netlist.write_text(".subckt pcsa_xnor q qb bl blb sl sen vdd vss\nr1 q qb 1k\n.ends\n")
    with pytest.raises(InputError, match="pcsa_xnor lacks the pins x, xb"):
        circuit("pcsa_xnor", netlist=netlist)
