"""Sources of variation switched off one at a time, and what the command line says of campaigns."""

import json
from dataclasses import replace

import numpy as np
from scipy.stats import binom

from rramsim.circuits import Column, SenseConditions, sense_circuit
from rramsim.counting import Rate, RateDifference, SenseTask, Spread
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import NgspiceEngine
from rramsim.files import folder_lock
from rramsim.processes import load_process
from rramsim.stages.shares import sources_off

VARIED = """
[column]
r_row_ohm = 2
leakage = true
[device]
hrs_median_ohm = 150e3
[sense]
vdd_v = 1.1
corner = "ff"
noise = true
[errors]
max_samples = 40
max_step_s = 1e-8
workers = 2
"""


def test_interval_of_a_difference_covers_the_truth():
    # Independent rates of 0.3 and 0.2: the interval of 95 % is conservative, so it covers more.
    trials, draws = 100, 200
    events = binom.rvs(trials, [[0.3], [0.2]], size=(2, draws), random_state=5)
    covered = 0
    for first, second in events.T:
        fall = RateDifference(
            of=Rate(events=int(first), trials=trials),
            without=Rate(events=int(second), trials=trials),
        )
        covered += fall.low <= 0.1 <= fall.high
    assert covered >= binom.ppf(0.01, draws, 0.95)


def test_every_source_that_is_on_is_switched_off_alone():
    circuit = sense_circuit(process=load_process("sky130-5v"), column=Column(leakage=True))
    state = LogNormal(median_ohm=1e4, sigma_ln=0.2), LogNormal(median_ohm=1e6, sigma_ln=1.0)
    task = SenseTask(
        circuit=circuit,
        conditions=SenseConditions(vdd_v=1.2, temperature_c=85, corner="ss"),
        resistances=ResistanceModel(lrs=state[0], hrs=state[1]),
        written=1, seed=1, engine=NgspiceEngine(), mismatch=True, noise=True,
    )  # fmt: skip
    without = sense_circuit(process=circuit.process)
    off = sources_off(task, {"leakage": without})
    assert off.keys() == {"devices", "mismatch", "noise", "corner", "temperature", "leakage"}
    assert off["mismatch"] == replace(task, mismatch=False)
    assert off["corner"].conditions == replace(task.conditions, corner="tt")
    assert off["temperature"].conditions.temperature_c == 27
    assert off["leakage"].circuit.column.leakage is False
    low, high = off["devices"].resistances.draw(1, 3, np.random.default_rng(0))
    np.testing.assert_allclose((low, high), ([1e4] * 3, [1e6] * 3))
    assert len({task.id, *(each.id for each in off.values())}) == 7
    drawn = Spread(global_variation=True, vdd_sigma_v=0.01, temperature_sigma_c=5.0)
    spread = sources_off(replace(task, spread=drawn), {})
    still = {"dies", "supply spread", "temperature spread"}
    assert spread.keys() - off.keys() == still
    assert spread["dies"].spread == replace(drawn, global_variation=False)
    assert spread["supply spread"].spread == replace(drawn, vdd_sigma_v=0.0)
    assert spread["devices"].spread == drawn
    plain = replace(task, mismatch=False, noise=False, conditions=SenseConditions(vdd_v=1.2))
    assert sources_off(plain, {}).keys() == {"devices"}


def test_shares_command_counts_and_resumes(tmp_path, rramsim):
    experiment = tmp_path / "varied.toml"
    experiment.write_text(VARIED)
    status, said, progress = rramsim(
        "run", experiment, "--stage", "shares", "--out", tmp_path / "out", "--json"
    )
    assert status == 0, progress
    value = json.loads(said)
    (row,) = value["stages"]["shares"]["shares.json"]["conditions"]
    assert set(row["without"]) == {"devices", "mismatch", "noise", "corner", "wires", "leakage"}
    for entry in (row["all"], *row["without"].values()):
        assert np.array(entry["counts"])[:, :3].sum(axis=1).tolist() == [40, 40, 40]
    # HRS of 150 kohm in the fast corner are read as +1 or -1 often, in the typical one less so.
    assert row["all"]["type3"]["rate"] > row["without"]["corner"]["type3"]["rate"]
    assert row["without"]["corner"]["type3_fall"]["share"] > 0
    assert (tmp_path / "out" / "shares.png").stat().st_size > 10_000
    rows = (tmp_path / "out" / "shares.jsonl").read_bytes()
    _, again, _ = rramsim(
        "run", experiment, "--stage", "shares", "--out", tmp_path / "out", "--json"
    )
    assert json.loads(again) == value
    assert (tmp_path / "out" / "shares.jsonl").read_bytes() == rows


def test_one_line_and_a_status_for_what_is_wrong(tmp_path, rramsim):
    experiment = tmp_path / "e.toml"
    experiment.write_text("[errors]\nmax_samples = 10\n")
    out = tmp_path / "out"
    out.mkdir()

    def said(*arguments):
        status, printed, errors = rramsim(
            "run", experiment, "--stage", "sweep", "--out", out, *arguments
        )
        assert printed == ""
        *_, line = errors.strip().splitlines()
        assert line.startswith("rramsim: ")
        return status, line

    with folder_lock(out):
        status, line = said()
    assert status == 2
    assert "another run is writing there" in line
    assert list(out.iterdir()) == []

    status, line = said("--scheduler", "nowhere")
    assert status == 2
    assert "scheduler = 'nowhere': must look like 'tcp://HOST:PORT'" in line

    experiment.write_text("[errors]\nworkers = 0\n")
    assert said()[0] == 2
    experiment.write_text("[errors]\nchunk_limit_s = -1\n")
    status, line = said()
    assert status == 2
    assert "[errors] chunk_limit_s = -1: must be above 0 and" in line
