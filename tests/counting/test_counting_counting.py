"""From senses to counts: tasks, tallies, the stop rule, and the same counts however they ran."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.counting import (
    SenseTask,
    StopRule,
    conditions_of,
    load_dataset,
    save_dataset,
    sense_dataset,
    statistics_at,
)
from rramsim.counting.statistics import SenseTally
from rramsim.counting.task import draw_samples
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import NgspiceEngine
from rramsim.exceptions import InputError

FAST = NgspiceEngine(max_step_s=5e-9, reltol=1e-3, trtol=7.0)
MODEL = ResistanceModel(
    lrs=LogNormal(median_ohm=1e4, sigma_ln=0.22), hrs=LogNormal(median_ohm=200e3, sigma_ln=1.0)
)


@pytest.fixture(scope="module")
def task(pcsa):
    return SenseTask(
        circuit=pcsa,
        conditions=SenseConditions(vdd_v=1.2),
        resistances=MODEL,
        written=0,
        seed=1,
        engine=FAST,
    )


def test_an_id_holds_all_that_the_counts_depend_on(task, pcsa):
    changes = (
        {"written": 1},
        {"seed": 2},
        {"mismatch": False},
        {"conditions": SenseConditions(vdd_v=1.2, corner="ss")},
        {"engine": replace(FAST, max_step_s=1e-9)},
        {"resistances": ResistanceModel(lrs=MODEL.lrs, hrs=replace(MODEL.hrs, sigma_ln=0.9))},
        {"circuit": replace(pcsa, column=replace(pcsa.column, rows=64))},
    )
    ids = {task.id, *(replace(task, **change).id for change in changes)}
    assert len(ids) == len(changes) + 1
    assert replace(task, seed=1).id == task.id


def test_the_same_devices_are_sensed_at_every_supply(task):
    low = replace(task, conditions=SenseConditions(vdd_v=0.9))
    one, other = (draw_samples(t, chunk=3, samples=5, chunk_samples=100) for t in (task, low))
    np.testing.assert_array_equal(one.r_bl_ohm, other.r_bl_ohm)
    np.testing.assert_array_equal(one.mismatch, other.mismatch)
    next_chunk = draw_samples(task, chunk=4, samples=5, chunk_samples=100)
    assert not np.isin(next_chunk.r_bl_ohm, one.r_bl_ohm).any()
    fewer = draw_samples(task, chunk=3, samples=2, chunk_samples=100)
    np.testing.assert_array_equal(fewer.mismatch, one.mismatch[:2])


def test_the_stop_rule_ends_when_the_rate_is_known():
    rule = StopRule(relative_error=0.1, max_samples=10_000)
    few, many = SenseTally.empty(), SenseTally.empty()
    few.count[:] = (10, 90, 10, 0)
    many.count[:] = (400, 3_200, 400, 0)
    assert not rule.enough(few, 0)
    # 20 % of 4,000: the exact interval's half width is 1.25 points, 6 % of the rate.
    assert rule.enough(many, 0)
    assert rule.enough(replace(few, count=np.array([0, 10_000, 0, 0])), 0)


def test_a_tally_reads_back_exactly_and_adds(task):
    samples = draw_samples(task, chunk=0, samples=4, chunk_samples=100)
    outcome = FAST.sense(task.circuit, task.conditions, samples)
    tally = SenseTally.of(outcome)
    assert SenseTally.from_value(json.loads(json.dumps(tally.to_value()))) == tally
    assert (tally + tally).energy_j.sum() == pytest.approx(2 * outcome.energy_j.sum())
    assert tally.resolve_time_s.sum() == pytest.approx(np.nansum(outcome.resolve_time_s))


def test_the_dataset_gives_back_what_was_counted(tmp_path):
    conditions = [SenseConditions(vdd_v=v, corner=c) for v in (1.2, 1.0) for c in ("ss", "tt")]
    tallies = {}
    for index, condition in enumerate(conditions):
        for written in (-1, 0, 1):
            tally = SenseTally.empty()
            tally.count[:] = (index, 10, 2, written + 1)
            tallies[condition, written] = tally
    path = tmp_path / "sense.nc"
    save_dataset(sense_dataset(tallies), path)
    dataset = load_dataset(path)
    assert sorted(conditions_of(dataset)) == sorted(conditions)
    for condition in conditions:
        counts = statistics_at(dataset, condition).counts
        assert counts[1].tolist() == tallies[condition, 0].count.tolist()
    with pytest.raises(InputError, match=r"no senses were simulated at 0\.9 V"):
        statistics_at(dataset, SenseConditions(vdd_v=0.9))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="not a readable netCDF file"):
        load_dataset(path)
