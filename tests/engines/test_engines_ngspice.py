"""The reference engine on real transistors: the design point, and ngspice's known traps."""

import math
import os
import pwd
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.engines import NgspiceEngine, SenseSamples
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError

LONG = 1e-6
ROOT = Path(__file__).parents[2]


def sense(circuit, r_bl_ohm, r_blb_ohm, *, vdd_v=1.2, window_s=50e-9, **changes):
    conditions = SenseConditions(vdd_v=vdd_v, window_s=window_s)
    samples = SenseSamples.nominal(r_bl_ohm, r_blb_ohm)
    return NgspiceEngine(**changes).sense(circuit, conditions, samples)


def test_the_design_point_reads_all_three_weights_near_threshold(pcsa):
    plus, minus = sense(pcsa, 10e3, 350e3), sense(pcsa, 350e3, 10e3)
    assert (plus.read[0], minus.read[0]) == (1, -1)
    assert plus.resolve_time_s[0] < 20e-9
    assert minus.resolve_time_s[0] == pytest.approx(plus.resolve_time_s[0], rel=1e-3)
    assert minus.energy_j[0] == pytest.approx(plus.energy_j[0], rel=1e-3)
    zero = sense(pcsa, 150e3, 155e3)
    assert zero.read[0] == 0 and math.isnan(zero.resolve_time_s[0])
    assert abs(sense(pcsa, 150e3, 155e3, vdd_v=5.0).read[0]) == 1, "5 V tells 0 apart no longer"


def test_two_high_resistances_are_slow_and_a_low_supply_slower(pcsa):
    assert sense(pcsa, 350e3, 360e3, window_s=LONG).resolve_time_s[0] > 100e-9
    at_1_2, at_1_0 = sense(pcsa, 10e3, 350e3), sense(pcsa, 10e3, 350e3, vdd_v=1.0)
    assert at_1_0.resolve_time_s[0] >= 2 * at_1_2.resolve_time_s[0]
    assert at_1_0.energy_j[0] <= 0.75 * at_1_2.energy_j[0]


def test_the_energy_is_that_of_the_charges_moved(pcsa):
    # A resolved sense discharges one bit line and its output in full. Drawn from the supply over
    # the cycle: at least C VDD (VDD - Vth) for the bit line, at most C VDD^2 for everything that
    # moves (two bit lines, outputs, junctions).
    energy_j = sense(pcsa, 10e3, 350e3, window_s=LONG).energy_j[0]
    c_bit_line_f, c_out_f = pcsa.column.c_bit_line_f, pcsa.column.c_out_f
    assert energy_j > c_bit_line_f * 1.2 * (1.2 - 0.86)
    assert energy_j < 2 * (c_bit_line_f + 2 * c_out_f) * 1.2**2


def test_halving_the_step_changes_resolve_times_by_less_than_1_percent(pcsa):
    for pair in ((10e3, 350e3), (350e3, 360e3)):
        coarse, fine = (
            sense(pcsa, *pair, window_s=LONG, max_step_s=step).resolve_time_s[0]
            for step in (2e-9, 1e-9)
        )
        assert coarse == pytest.approx(fine, rel=0.01)
    finest = sense(pcsa, 10e3, 350e3, max_step_s=0.1e-9).resolve_time_s[0]
    assert sense(pcsa, 10e3, 350e3).resolve_time_s[0] == pytest.approx(finest, rel=0.01)


def test_mismatch_moves_the_read_and_leaves_nothing_behind(pcsa):
    sites = pcsa.mismatch_sites("tt")
    deviates = np.zeros((3, len(sites)))
    # A thicker oxide under MN1 slows Q's branch: with equal resistances QB falls first, -1.
    column = next(
        i for i, s in enumerate(sites) if (s.transistor, s.parameter) == ("xpcsa.mn1", "toxe")
    )
    deviates[1, column] = 3.0
    samples = SenseSamples(
        r_bl_ohm=np.full(3, 100e3), r_blb_ohm=np.full(3, 101e3), mismatch=deviates
    )
    outcome = NgspiceEngine().sense(pcsa, SenseConditions(vdd_v=1.2, window_s=LONG), samples)
    assert outcome.converged.all()
    assert outcome.read.tolist() == [1, -1, 1]
    assert outcome.resolve_time_s[2] == outcome.resolve_time_s[0]


def test_a_sample_does_not_depend_on_those_before_it(pcsa):
    rng = np.random.default_rng(3)
    samples = SenseSamples(
        r_bl_ohm=np.exp(rng.uniform(np.log(5e3), np.log(1e6), 6)),
        r_blb_ohm=np.exp(rng.uniform(np.log(5e3), np.log(1e6), 6)),
        mismatch=rng.standard_normal((6, 27)),
    )
    conditions = SenseConditions(vdd_v=1.1, temperature_c=60, corner="ss")
    together = NgspiceEngine().sense(pcsa, conditions, samples)
    order = np.array([4, 1, 5, 0, 3, 2])
    shuffled = NgspiceEngine().sense(
        pcsa,
        conditions,
        replace(
            samples,
            r_bl_ohm=samples.r_bl_ohm[order],
            r_blb_ohm=samples.r_blb_ohm[order],
            mismatch=samples.mismatch[order],
        ),
    )
    for name in ("read", "resolve_time_s", "energy_j"):
        np.testing.assert_array_equal(getattr(together, name)[order], getattr(shuffled, name))


def test_a_run_that_does_not_converge_is_its_own_class(pcsa):
    # No double holds voltages to 1e-30 V: Newton never ends, and ngspice gives the step up.
    options = "reltol=1e-15 abstol=1e-30 vntol=1e-30 chgtol=1e-40"
    outcome = sense(pcsa, 10e3, 350e3, extra_options=options)
    assert not outcome.converged[0]
    assert np.isnan(outcome.energy_j[0])
    assert sense(pcsa, 10e3, 350e3).converged[0], "the session goes on after it"


def test_a_deck_that_ngspice_gives_up_on_leaves_a_session_that_works(pcsa):
    session = ngspice_session()
    with pytest.raises(CircuitError, match=r"ngspice refused the circuit: .*not_there"):
        session.load("title\nr1 a 0 {not_there}\nv1 a 0 1\n.end")
    assert session.generation > 0, "ngspice asks to be detached after such a netlist"
    assert sense(pcsa, 10e3, 350e3).read[0] == 1
    assert sense(pcsa, 350e3, 10e3).read[0] == -1


def test_notes_are_no_faults_and_faults_are_no_notes():
    session = ngspice_session()
    session.load("a note\nv1 a 0 1\nr1 a 0 1k\n.op\n.end")
    assert session.run() == []
    with pytest.raises(CircuitError, match="no such"):
        session.command("alter r.nothing.r = 1")


def test_no_file_is_left_in_the_working_folder(pcsa, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sense(pcsa, 10e3, 350e3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [-1e3, 0.0, math.nan, math.inf])
def test_an_impossible_resistance_is_refused(bad):
    with pytest.raises(InputError, match="above 0 ohm"):
        SenseSamples.nominal(bad, 1e4)


def test_a_missing_library_is_one_line_that_names_the_packages():
    code = "from rramsim.cli import main; import sys; sys.argv = ['rramsim', *sys.argv[1:]]; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "sense", "--vdd", "1.2", "--r-bl", "1k", "--r-blb", "1k"],
        env={**os.environ, "NGSPICE_LIBRARY_PATH": "/nowhere/libngspice.so"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "apt install libngspice0" in done.stderr and done.stderr.count("\n") == 1


MEMORY = """
    import resource, sys
    import numpy as np
    from rramsim.circuits import SenseConditions, sense_circuit
    from rramsim.processes import load_process
    from rramsim.engines import NgspiceEngine, SenseSamples

    circuit = sense_circuit(process=load_process("sky130-5v"))
    rng = np.random.default_rng(0)
    def senses(number):
        samples = SenseSamples(
            r_bl_ohm=np.exp(rng.uniform(9, 13, number)),
            r_blb_ohm=np.exp(rng.uniform(9, 13, number)),
            mismatch=rng.standard_normal((number, 27)),
        )
        engine = NgspiceEngine(max_step_s=5e-9, reltol=1e-3, trtol=7.0)
        assert engine.sense(circuit, SenseConditions(vdd_v=1.2), samples).converged.all()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    senses(100)
    before = senses(100)
    for _ in range(int(sys.argv[1]) // 100):
        after = senses(100)
    print((after - before) / 1024)
"""


@pytest.mark.parametrize(
    "transients", [400, pytest.param(2000, marks=pytest.mark.slow, id="2000-slow")]
)
def test_transients_grow_memory_by_less_than_20_megabytes(transients):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY), str(transients)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 20 * min(1, transients / 2000)


def test_a_spiceinit_in_the_working_folder_is_not_obeyed(tmp_path):
    (tmp_path / ".spiceinit").write_text(f"* init\nshell touch {tmp_path}/executed\n")
    code = "from rramsim.engines import ngspice_version; assert ngspice_version() >= 36"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_whom_the_system_does_not_know_can_sense():
    unknown = next(n for n in range(54321, 60000) if not _is_known(n))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    options = {
        "user": unknown, "group": unknown, "extra_groups": [], "cwd": "/", "env": environment,
        "capture_output": True, "text": True,
    }  # fmt: skip
    try:
        readable = not subprocess.run(
            [sys.executable, "-c", "import rramsim"], **options
        ).returncode
    except PermissionError:  # an interpreter in a folder of its owner
        readable = False
    if not readable:
        pytest.skip("another user cannot read this checkout, or its interpreter")
    code = "from rramsim.engines import ngspice_version; assert ngspice_version() >= 36"
    done = subprocess.run([sys.executable, "-c", code], **options)
    assert done.returncode == 0, (done.returncode, done.stderr)


def _is_known(user):
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
