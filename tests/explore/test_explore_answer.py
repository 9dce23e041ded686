"""Answers against a plain campaign's rates; accuracies against hand calculations; refusals."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import fisher_exact

from rramsim.counting import (
    ErrorStatistics,
    SenseTally,
    SenseTask,
    save_dataset,
    sense_chunk,
    sense_dataset,
)
from rramsim.devices import WRITTEN
from rramsim.engines import NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.experiment import parse_experiment
from rramsim.explore import load_subject, make_controls
from rramsim.stages import RunFolder
from rramsim.stages.folder import EXPERIMENT
from rramsim.stages.nominal import nominal_pair
from rramsim.stages.sweep import SENSE


def moved(subject, *, hrs_median_ohm=None, **conditions):
    first = subject.explorer.controls.first
    return replace(
        first,
        conditions=replace(first.conditions, **conditions),
        hrs_median_ohm=hrs_median_ohm or first.hrs_median_ohm,
    )


def campaign(subject, setting, chunks):
    """The counts of a plain campaign: its own draws, chunk by chunk."""
    explorer, rows = subject.explorer, []
    for written in WRITTEN:
        task = SenseTask(
            circuit=explorer.circuit,
            conditions=setting.conditions,
            resistances=explorer.resistances_at(setting),
            written=written,
            seed=7,
            engine=explorer.engine,
        )
        rows.append(sum(sense_chunk(task, k).count for k in range(chunks)))
    return ErrorStatistics(counts=np.array(rows))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vdd_v": 1.0, "window_s": 25e-9}, "type2"),
        ({"vdd_v": 1.2, "window_s": 100e-9}, "type3"),
        ({"vdd_v": 1.2, "temperature_c": 60.0, "window_s": 50e-9, "hrs_median_ohm": 150e3},
         "type3"),
    ],
)  # fmt: skip
def test_the_rates_are_those_of_a_plain_campaign(subject, change, expected):
    setting = moved(subject, **change)
    answer = subject.explorer.answer(setting, written=0, senses=600)
    counted = campaign(subject, setting, chunks=6)
    assert answer.statistics.counts.sum() == counted.counts.sum() == 1800
    assert getattr(answer.statistics, expected).events > 20
    for kind in ("type1", "type2", "type3"):
        mine, theirs = getattr(answer.statistics, kind), getattr(counted, kind)
        # Nine comparisons: a difference of 3.5 standard deviations is no luck to rule out.
        counts = [[rate.events, rate.trials - rate.events] for rate in (mine, theirs)]
        assert fisher_exact(counts).pvalue > 1e-4, (kind, mine, theirs)
    for index, written in enumerate(WRITTEN):
        assert answer.tallies[written].count.tolist() == answer.statistics.counts[index].tolist()


def test_every_setting_senses_the_same_devices(subject):
    explorer, setting = subject.explorer, moved(subject, vdd_v=1.0)
    few, many = (explorer.answer(setting, written=1, senses=n).statistics for n in (100, 300))
    assert (many.counts >= few.counts).all() and many.counts.sum() == 900
    # Near 1 V a higher supply is faster for every single sense: fewer ±1 are lost with each step,
    # which draws of their own would blur.
    lost = [
        explorer.answer(moved(subject, vdd_v=v), written=1).statistics.type2.events
        for v in (0.98, 1.0, 1.01, 1.02, 1.03, 1.04, 1.06)
    ]
    assert lost == sorted(lost, reverse=True) and lost[0] > lost[-1] + 20


def test_the_waveforms_are_those_of_the_reference(subject):
    setting = moved(subject, vdd_v=1.2, window_s=50e-9)
    for written in WRITTEN:
        mine = subject.explorer.answer(setting, written=written).nominal
        pair = nominal_pair(subject.explorer.resistances, written)
        theirs = NgspiceEngine().sense(
            subject.explorer.circuit, setting.conditions, pair, waveforms=True
        )
        assert mine.read == theirs.read[0] == written
        assert mine.energy_j == pytest.approx(theirs.energy_j[0], rel=0.02)
        waves = theirs.waveforms[0]
        times = np.linspace(-5e-9, 90e-9, 96)
        for node in ("q", "qb", "bl"):
            here = np.interp(times, mine.waveforms.time_s, mine.waveforms.voltages_v[node])
            there = np.interp(times, waves.time_s, waves.voltages_v[node])
            assert np.quantile(abs(here - there), 0.95) < 0.02, node


def test_accuracy_at_a_tested_point_is_looked_up(subject):
    (found,), why = subject.accuracy.at(moved(subject, vdd_v=1.2, window_s=100e-9))
    assert why == "" and not found.interpolated
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.58, 0.61))
    assert found.network == "mlp16-ternary-ternary" and found.without_errors == 0.9


def test_accuracy_between_tested_points_is_interpolated(subject):
    # 50 ns is halfway from 25 to 100 ns on the logarithmic scale; 1.15 V three quarters of the way.
    (found,), _ = subject.accuracy.at(moved(subject, vdd_v=1.15, window_s=50e-9))
    assert found.interpolated
    assert found.value == pytest.approx(0.25 * (0.5 + 0.8) / 2 + 0.75 * (0.7 + 0.6) / 2)
    # The interval spans those of the four points around.
    assert (found.low, found.high) == pytest.approx((0.48, 0.81))
    warm = moved(subject, vdd_v=1.15, window_s=50e-9, temperature_c=60.0)
    assert subject.accuracy.at(warm)[0][0].value == pytest.approx(found.value - 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vdd_v": 0.99}, "Not extrapolated: the networks were tested at a supply of 1 to 1.2 V"),
        ({"vdd_v": 1.21}, "Not extrapolated"),
        ({"window_s": 110e-9}, "Not extrapolated: .* a window of 25 to 100 ns"),
        ({"temperature_c": 85.0}, "Not extrapolated: .* a temperature of 27 to 60 °C"),
        ({"corner": "ss"}, "not tested at corner ss"),
        ({"hrs_median_ohm": 631e3}, "tested at an HRS median of 630 kΩ"),
    ],
)
def test_accuracy_is_never_extrapolated(subject, change, message):
    found, why = subject.accuracy.at(moved(subject, **change))
    assert found == ()
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(why)


def test_without_a_trade_off_of_this_circuit_the_page_says_why(folder, tmp_path):
    alone = load_subject(folder / "small.toml")
    assert alone.accuracy is None and "rramsim run" in alone.lack
    assert alone.title == "rramsim explorer: small"
    # A circuit that is no longer the one that was swept: the accuracies are another circuit's.
    copied = RunFolder(path=shutil.copytree(folder, tmp_path / "copied"))
    explorer = alone.explorer
    conditions = explorer.controls.first.conditions
    outcome = explorer.engine.sense(explorer.circuit, conditions, SenseSamples.nominal(1e4, 6e5))
    swept = sense_dataset({(conditions, w): SenseTally.of(outcome) for w in WRITTEN})
    swept["nominal_resolve_time_s"] = swept["resolve_time_s"].isel(window=0, drop=True)
    swept.attrs |= {"engine": "", "circuit": "", "process": "",
                    "circuit_sha256": explorer.circuit.sha256}  # fmt: skip
    save_dataset(swept, SENSE.path(copied))
    assert load_subject(copied.path).accuracy is not None
    experiment = EXPERIMENT.path(copied)
    values = json.loads(experiment.read_text())
    values["column"]["rows"] = 64
    experiment.write_text(json.dumps(values))
    changed = load_subject(copied.path)
    assert changed.accuracy is None and "no longer the one" in changed.lack


def test_the_sliders_stop_at_the_experiments_values(subject, folder):
    controls = subject.explorer.controls
    for name, values in {"vdd_v": (1.0, 1.2), "window_s": (25e-9, 100e-9)}.items():
        stops = getattr(controls, name)
        assert set(values) <= set(stops) and list(stops) == sorted(set(stops))
        assert stops[0] < min(values) and stops[-1] > max(values)
    assert (controls.vdd_v[0], controls.vdd_v[-1]) == (0.8, 1.4)
    assert controls.temperature_c == (27.0, 60.0) and controls.corner == ("tt",)
    assert controls.first.hrs_median_ohm in controls.hrs_median_ohm
    assert controls.hrs_median_ohm[0] > subject.explorer.resistances.lrs.median_ohm
    # One temperature is no slider: others stand beside it, unless they are chosen.
    one = parse_experiment({"sense": {"temperature_c": 40}}, folder=folder, where="test")
    assert make_controls(one).temperature_c == (0.0, 27.0, 40.0, 60.0, 85.0)
    chosen = make_controls(one, temperatures_c=(85.0, -40.0), corners=("ss", "ff"))
    assert chosen.temperature_c == (-40.0, 85.0) and chosen.corner == ("ss", "ff")
    assert chosen.first.conditions.temperature_c == -40.0 or chosen.first.conditions.corner == "ss"
    with pytest.raises(InputError, match="temperature_c = 900: must be between"):
        make_controls(one, temperatures_c=(900.0,))
    with pytest.raises(InputError, match="corner = 'best'"):
        make_controls(one, corners=("best",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vdd_v": 1.5}, "vdd_v = 1.5: must lie between 0.8 and 1.4 V"),
        ({"temperature_c": 28.0}, "temperature_c = 28: must be one of 27, 60"),
        ({"corner": "sf"}, "corner = 'sf': must be one of tt"),
        ({"window_s": 1e-4}, "window_s = 0.0001: must lie between"),
        ({"hrs_median_ohm": 10e3}, "hrs_median_ohm = 10000: must lie between"),
        ({"hrs_median_ohm": math.nan}, "hrs_median_ohm = nan: must lie between"),
    ],
)
def test_what_is_not_offered_is_refused_before_it_is_sensed(subject, change, message):
    with pytest.raises(InputError, match=message):
        subject.explorer.answer(moved(subject, **change), written=1)


@pytest.mark.parametrize(("written", "senses"), [(2, 100), (1, 0), (1, 150), (1, 1100)])
def test_senses_come_in_steps(subject, written, senses):
    with pytest.raises(
        InputError, match=f"{'written = 2' if written == 2 else f'senses = {senses}'}"
    ):
        subject.explorer.answer(moved(subject), written=written, senses=senses)


def test_a_circuit_that_the_batch_engine_cannot_solve_is_refused(folder):
    (folder / "gxnor.toml").write_text('[sense]\ncircuit = "gxnor"\n')
    with pytest.raises(InputError, match="the batch engine reads the outputs of the latch"):
        load_subject(folder / "gxnor.toml").explorer.prepare()
