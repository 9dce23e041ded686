"""What the batch engine does not solve, it says; what the circuit decides, it follows."""

from dataclasses import replace

import numpy as np
import pytest

from rramsim.circuits import Column, ReadOut, SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.processes import MismatchCoefficient, process_from_cards

AT = SenseConditions(vdd_v=1.2)
ONE = SenseSamples.nominal(10e3, 350e3)


@pytest.mark.parametrize(("vdd_v", "window_s"), [(1.0, 50e-9), (1.2, 20e-9), (3.3, 2e-9)])
def test_noise_moves_the_outputs_as_in_ngspice(pcsa, vdd_v, window_s):
    """Looked at while the latch has not decided: afterwards the outputs stand at the rails."""
    at = SenseConditions(vdd_v=vdd_v, window_s=window_s)
    rng = np.random.default_rng(3)
    r_bl = 10 ** rng.uniform(4.7, 5.3, 12)
    quiet = SenseSamples(
        r_bl_ohm=r_bl,
        r_blb_ohm=r_bl * 10 ** rng.uniform(-0.02, 0.02, 12),
        mismatch=np.zeros((12, 0)),
    )
    noisy = replace(quiet, noise_v=5 * pcsa.noise_sigma_v(at) * rng.standard_normal(12))
    moves = [
        engine.sense(pcsa, at, noisy).margin_v - engine.sense(pcsa, at, quiet).margin_v
        for engine in (NgspiceEngine(max_step_s=2e-10), BatchEngine())
    ]
    assert np.abs(moves[0]).max() > 0.002
    assert np.corrcoef(*moves)[0, 1] > 0.999
    assert np.polyfit(*moves, 1)[0] == pytest.approx(1, abs=0.03)


def test_other_read_outs_are_for_ngspice(sky130):
    product = sense_circuit(process=sky130, read_out=ReadOut(name="gxnor"))
    with pytest.raises(InputError, match=r"'gxnor'.*use ngspice"):
        BatchEngine().sense(product, AT, ONE)


@pytest.mark.parametrize("x", [-1, 1])
def test_the_amplifier_that_multiplies_is_sensed_as_by_ngspice(sky130, x):
    circuit = sense_circuit(process=sky130, read_out=ReadOut(name="pcsa_xnor", x=x))
    rng = np.random.default_rng(1)
    r_bl, r_blb = np.exp(rng.uniform(np.log(5e3), np.log(1e6), size=(2, 12)))
    mismatch = rng.standard_normal((12, len(circuit.mismatch_sites("tt"))))
    samples = SenseSamples(r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=mismatch)
    theirs = NgspiceEngine(max_step_s=2e-10).sense(circuit, AT, samples)
    ours = BatchEngine().sense(circuit, AT, samples)
    assert (ours.read == theirs.read).all() and (ours.read != 0).any()
    clear = (ours.read != 0) & (np.abs(np.log(r_bl / r_blb)) > 0.5)
    assert (ours.read[clear] == x * np.sign(r_blb - r_bl)[clear]).all()
    resolved = ours.read != 0
    times = ours.resolve_time_s[resolved] / theirs.resolve_time_s[resolved]
    assert np.abs(times - 1).max() < 0.02
    assert np.abs(ours.energy_j / theirs.energy_j - 1).max() < 0.01


def test_the_read_threshold_is_the_circuits(sky130):
    high = sense_circuit(process=sky130, column=Column(threshold=0.75))
    half = sense_circuit(process=sky130)
    times = {}
    for name, circuit in (("high", high), ("half", half)):
        for engine in (NgspiceEngine(), BatchEngine()):
            found = engine.sense(circuit, AT, ONE).resolve_time_s[0]
            times[name, type(engine).__name__] = found
    for name in ("high", "half"):
        assert times[name, "BatchEngine"] == pytest.approx(times[name, "NgspiceEngine"], rel=0.02)
    assert times["high", "BatchEngine"] < 0.9 * times["half", "BatchEngine"]


def own_process(tmp_path, level):
    """A process of two hand-written cards, of which only the n-channel one varies."""
    card = tmp_path / "own.spice"
    card.write_text(f".model n nmos {level['n']}\n.model p pmos {level['p']}\n")
    threshold = MismatchCoefficient(
        model="n", parameter=level["varies"], kind="absolute", slope_um=0.01
    )
    return process_from_cards((card,), nmos="n", pmos="p", mismatch=(threshold,))


def test_a_model_that_conserves_no_charge_is_for_ngspice(tmp_path):
    textbook = {
        "n": "level=1 vto=0.6 kp=60u gamma=0.5 phi=0.7 lambda=0.05 tox=11.6n",
        "p": "level=1 vto=-0.7 kp=20u gamma=0.5 phi=0.7 lambda=0.05 tox=11.6n",
        "varies": "vto",
    }
    circuit = sense_circuit(process=own_process(tmp_path, textbook))
    assert NgspiceEngine().sense(circuit, AT, ONE).read[0] == 1
    with pytest.raises(InputError, match=r"charges depend on the path by \d+\.\d % .*use ngspice"):
        BatchEngine().sense(circuit, AT, ONE)


def test_own_bsim4_cards_of_which_one_does_not_vary(tmp_path):
    bsim4 = {
        "n": "level=54 version=4.5 vth0=0.6 toxe=11.6n",
        "p": "level=54 version=4.5 vth0=-0.7 toxe=11.6n u0=0.01",
        "varies": "vth0",
    }
    circuit = sense_circuit(process=own_process(tmp_path, bsim4))
    sites = len(circuit.mismatch_sites("tt"))
    pairs = {
        "r_bl_ohm": np.array([10e3, 350e3, 12e3, 500e3]),
        "r_blb_ohm": np.array([350e3, 9e3, 200e3, 600e3]),
    }
    nominal = SenseSamples(**pairs, mismatch=np.zeros((4, sites)))
    theirs = NgspiceEngine(max_step_s=0.2e-9).sense(circuit, AT, nominal)
    ours = BatchEngine().sense(circuit, AT, nominal)
    assert ours.read.tolist() == theirs.read.tolist() == [1, -1, 1, 0]
    assert ours.resolve_time_s[:3] == pytest.approx(theirs.resolve_time_s[:3], rel=2e-3)
    assert ours.energy_j == pytest.approx(theirs.energy_j, rel=0.01)
    # Without parasitics to speak of the mismatch decides some of these; both see the same one.
    drawn = SenseSamples(**pairs, mismatch=np.random.default_rng(3).standard_normal((4, sites)))
    theirs = NgspiceEngine(max_step_s=0.2e-9).sense(circuit, AT, drawn)
    ours = BatchEngine().sense(circuit, AT, drawn)
    assert ours.read.tolist() == theirs.read.tolist() != [1, -1, 1, 0]
