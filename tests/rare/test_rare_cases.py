"""Rates that were answered wrongly once, against truths counted or drawn with bounded weights."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

from rramsim.circuits import SenseConditions
from rramsim.counting import statistics_at
from rramsim.devices import LogNormal
from rramsim.experiment import Experiment, load_experiment
from rramsim.explore import load_subject
from rramsim.rare import parse_criterion, rate
from rramsim.stages import RunFolder, Work, run_stages
from rramsim.stages.rates import RATES, failure_of, found_rates

MEASURED = Path(__file__).parents[2] / "experiments" / "measured_devices.toml"
WIDE = LogNormal(median_ohm=585e3, sigma_ln=1.0)
# (experiment, HRS, type, supply, temperature, corner, window, truth, its standard error)
CASES = {
    "measured, wide HRS": (MEASURED, WIDE, 1, 1.2, 27, "tt", 50e-9, 4.51e-5, 0.07),
    "measured, hot ff": (MEASURED, None, 1, 1.3, 85, "ff", 50e-9, 1.71e-4, 0.03),
    "tie": (None, None, 2, 1.2, 27, "tt", 50e-9, 1.68e-6, 0.02),
    "cold sf": (None, None, 1, 1.2, 0, "sf", 50e-9, 7.0e-5, 0.15),
    "hot tt": (None, None, 1, 1.15, 85, "tt", 50e-9, 3.57e-5, 0.04),
    "hot fs": (None, None, 1, 1.2, 85, "fs", 50e-9, 5.56e-5, 0.09),
    "ss": (None, None, 1, 1.25, 27, "ss", 50e-9, 3.77e-5, 0.08),
    "short window": (None, None, 1, 1.08, 60, "sf", 30e-9, 3.5e-3, 0.05),
    "deep ss": (None, None, 1, 1.0, 85, "ss", 50e-9, 4.7e-9, 0.1),
}
CHEAP = ("hot tt", "short window", "measured, hot ff")


@pytest.mark.parametrize(
    "name", [n if n in CHEAP else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_the_rate_is_the_known_one_or_says_that_it_is_not_sure(name):
    path, hrs, kind, vdd_v, temperature_c, corner, window_s, truth, error = CASES[name]
    experiment = Experiment() if path is None else load_experiment(path)
    conditions = SenseConditions(
        vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
    )
    asked = failure_of(experiment, conditions, f"type {kind}")
    if hrs is not None:
        asked = replace(asked, resistances=replace(asked.resistances, hrs=hrs))
    for seed in range(3) if name == "deep ss" else (1,):  # where one seed once hid the fault
        answer = rate(asked, seed=seed)
        if answer.value is None:
            assert answer.note and answer.low <= truth <= answer.high
            continue
        apart = abs(math.log(answer.value / truth))
        assert apart < 3 * math.hypot(answer.deviation, error) or answer.note
        assert apart < math.log(1.5) or answer.note


PLACES = [
    (1.2, 27, "tt"), (1.15, 85, "tt"), (1.2, 0, "sf"), (1.05, 27, "sf"), (1.25, 27, "ss"),
    (1.05, 85, "ss"), (1.1, 0, "fs"),
]  # fmt: skip
"""21 cells: each with three types of error."""


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids="{0[0]} V {0[1]} C {0[2]}".format)
def test_command_map_trade_off_and_explorer_agree(place, tmp_path, rramsim, monkeypatch):
    vdd_v, temperature_c, corner = place
    path = tmp_path / "e.toml"
    path.write_text(
        f"[sense]\nvdd_v = {vdd_v}\ntemperature_c = {temperature_c}\ncorner = '{corner}'\n"
        '[errors]\nengine = "batch"\nseed = 3\ncertify_samples = 0\nworkers = 1\n'
        "max_samples = 2000\n"
    )
    # Each asks by its own way; the same question is worked out once, so that 21 cells take minutes.
    asked = {}

    def remembered(failure, *, relative_error, seed, **_):
        key = failure.identity, relative_error, seed
        if key not in asked:
            asked[key] = rate(failure, relative_error=relative_error, seed=seed)
        return asked[key]

    monkeypatch.setattr("rramsim.rare.rate", remembered)
    folder, experiment = RunFolder.create(tmp_path / "out"), load_experiment(path)
    swept = run_stages(experiment, folder, ("sweep", "map"))["sweep"]
    rows = {row.type: row for row in RATES.need(folder)}
    (conditions,) = experiment.make_conditions()
    counted = statistics_at(swept, conditions)
    found = found_rates(Work(experiment=experiment, folder=folder), swept)[conditions]
    subject = load_subject(path)
    setting = replace(subject.explorer.controls.first, conditions=conditions)
    explored = subject.rates(setting)
    quick = subject.explorer.answer(setting, written=1, senses=1000).statistics
    for kind, row in rows.items():
        _, out, _ = rramsim(
            "rate", "--experiment", path, "--vdd", vdd_v, "--temperature", temperature_c,
            "--corner", corner, "--type", kind, "--json",
        )  # fmt: skip
        told = json.loads(out) if out else {"rate": None}
        assert told["rate"] == row.rate == explored[f"type {kind}"].value
        if f"type{kind}" in found:
            assert found[f"type{kind}"].value == row.rate
        # What is counted instead, by the sweep and the explorer, is the same within its interval.
        for plain in (getattr(counted, f"type{kind}"), getattr(quick, f"type{kind}")):
            interval = binomtest(plain.events, plain.trials).proportion_ci(0.9999)
            assert interval.low <= row.high and row.low <= interval.high, (kind, plain, row)
    assert len(asked) == len(rows)


def test_a_stage_and_the_command_ask_the_same_question():
    """Wherever it is asked, a rate has one identity, so one sequence of draws and one answer."""
    experiment = Experiment()
    at = SenseConditions(vdd_v=1.1)
    one, other = failure_of(experiment, at, "type 1"), failure_of(experiment, at, "type 1")
    assert one.identity == other.identity
    assert failure_of(experiment, replace(at, vdd_v=1.11), "type 1").identity != one.identity
    assert replace(one, criterion=parse_criterion("type 1", written=1)).identity != one.identity
    assert rate(one).value == rate(other).value
