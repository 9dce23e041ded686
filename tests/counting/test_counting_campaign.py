"""Campaigns give the same counts whatever happens to their workers and runs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from campaign_engines import FAST_NGSPICE, RuleEngine, task

from rramsim.counting import StopRule, draw_samples, run_campaign
from rramsim.durable import Limits, Runner
from rramsim.durable.worker import Order, WorkerProcess
from rramsim.engines import ngspice_version
from rramsim.exceptions import InputError, MachineError

EVERY = StopRule(relative_error=1e-9, max_samples=600)


def victim(of, chunk):
    """The first r_bl_ohm of a chunk, by which `RuleEngine` knows where to misbehave."""
    drawn = draw_samples(of, chunk=chunk, samples=1, chunk_samples=100)
    return float(drawn.r_bl_ohm[0])


def misbehaving(tmp_path, act, *, chunk=2, times=1):
    """Tasks of which the first meets `act` in a chunk, and what their counts shall be."""
    folder = tmp_path / "acts"
    folder.mkdir()
    wrong = RuleEngine(
        act=act, victims=(victim(task(RuleEngine()), chunk),), folder=str(folder), times=times
    )
    tasks = (task(wrong), task(wrong, written=1))
    right = [
        RuleEngine()
        .sense(None, None, draw_samples(t, chunk=c, samples=100, chunk_samples=100))
        .read
        for t in tasks
        for c in range(6)
    ]
    counts = [
        np.array([np.sum(read == r) for r in (-1, 0, 1)] + [0])
        for read in (np.concatenate(right[:6]), np.concatenate(right[6:]))
    ]
    return tasks, counts, folder


def test_a_chunk_that_always_hangs_is_recorded_by_name_and_the_rest_is_counted(tmp_path):
    tasks, counts, _ = misbehaving(tmp_path, "hang", times=2)
    reports = []
    result = run_campaign(
        tasks,
        rows_path=tmp_path / "rows",
        stop=EVERY,
        runner=Runner(workers=2, limits=Limits(chunk_limit_s=1, attempts=2)),
        report=reports.append,
    )
    (failed,) = result.failed
    assert failed.task is tasks[0]
    assert (failed.chunks, failed.senses) == ((2,), 100)
    assert failed.reason == "the worker hung: no answer in 1 s, 2 times"
    assert "written +0 at 1.2 V" in failed.name
    # No read is made of it: the counts are those of the other five chunks.
    assert result[tasks[0].id].samples == 500
    assert result[tasks[1].id].count.tolist() == counts[1].tolist()
    assert reports[-1].failed == 100
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["name"] for row in rows if "failed" in row] == [
        "written +0 at 1.2 V, 27 °C, tt, 50 ns, chunk 2"
    ]

    # Run again, it stays recorded; asked to, the chunk is tried again and counted.
    again = run_campaign(tasks, rows_path=tmp_path / "rows", stop=EVERY, runner=Runner(workers=1))
    assert again.failed[0].chunks == (2,)
    mended = run_campaign(
        tasks, rows_path=tmp_path / "rows", stop=EVERY, runner=Runner(workers=1), retry_failed=True
    )
    assert mended.failed == ()
    assert mended[tasks[0].id].count.tolist() == counts[0].tolist()


def test_a_task_that_keeps_failing_is_given_up_and_others_go_on(tmp_path):
    folder = tmp_path / "acts"
    folder.mkdir()
    plain = task(RuleEngine())
    every = tuple(victim(plain, chunk) for chunk in range(6))
    wrong = RuleEngine(act="die", victims=every, folder=str(folder), times=1000)
    tasks = (task(wrong), task(wrong, written=-1))
    result = run_campaign(
        tasks,
        rows_path=tmp_path / "rows",
        stop=EVERY,
        runner=Runner(workers=2, limits=Limits(attempts=1)),
    )
    assert len(result.failed[0].chunks) == 3
    assert "the worker died (killed, or the memory ran out)" in result.failed[0].reason
    assert result[tasks[0].id].samples == 0
    assert result[tasks[1].id].samples == 600
    with pytest.raises(MachineError, match=r"nothing could be sensed: written \+0 at .*died"):
        run_campaign(tasks[:1], rows_path=tmp_path / "alone", stop=EVERY,
                     runner=Runner(workers=1, limits=Limits(attempts=1)))  # fmt: skip


def test_workers_leave_no_files_behind(tmp_path, monkeypatch):
    ngspice_version()  # this process's own library has a folder until the process ends
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    one = task(FAST_NGSPICE)
    stop = StopRule(relative_error=0.1, max_samples=3)
    result = run_campaign((one,), rows_path=tmp_path / "rows", stop=stop, runner=Runner(workers=1))
    assert result[one.id].samples == 3
    assert not any((tmp_path / "tmp").iterdir())


CAMPAIGN = """
import sys
from pathlib import Path
from campaign_engines import FAST_NGSPICE, task
from rramsim.counting import StopRule, run_campaign
from rramsim.durable import Runner
tasks = tuple(task(FAST_NGSPICE, written=w) for w in (0, 1))
run_campaign(tasks, rows_path=Path(sys.argv[1]), runner=Runner(workers=int(sys.argv[2])),
             stop=StopRule(relative_error=1e-9, max_samples=int(sys.argv[3])))
"""


def campaign_process(rows, *, workers, samples):
    return subprocess.Popen(
        [sys.executable, "-c", CAMPAIGN, rows, str(workers), str(samples)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def tallies(rows, samples):
    """The tallies of a finished campaign, read from its file without sensing."""
    tasks = tuple(task(FAST_NGSPICE, written=w) for w in (0, 1))
    before = rows.read_bytes()
    result = run_campaign(
        tasks,
        rows_path=rows,
        stop=StopRule(relative_error=1e-9, max_samples=samples),
        runner=Runner(workers=1),
    )
    assert rows.read_bytes() == before, "the campaign was not finished"
    return [result[t.id] for t in tasks]


def test_ngspice_campaign_killed_and_resumed_counts_as_an_uninterrupted_one(tmp_path):
    samples = 200
    assert campaign_process(tmp_path / "whole", workers=2, samples=samples).wait() == 0
    whole = tallies(tmp_path / "whole", samples)
    assert sum(tally.samples for tally in whole) == 2 * samples
    rng = np.random.default_rng(20)
    rows = tmp_path / "killed"
    for workers in (1, 2):
        had = len(rows.read_bytes().splitlines()) if rows.exists() else 0
        campaign = campaign_process(rows, workers=workers, samples=samples)
        # Killed at a random moment after a first new row, so that the next has much to resume.
        while campaign.poll() is None:
            now = len(rows.read_bytes().splitlines()) if rows.exists() else 0
            if now > had:
                time.sleep(rng.uniform(0, 0.5))
                campaign.kill()
                campaign.wait()
    assert campaign_process(rows, workers=2, samples=samples).wait() == 0
    assert tallies(rows, samples) == whole


def test_senses_of_which_none_converges_are_no_result(tmp_path):
    stop = StopRule(relative_error=0.1, max_samples=100)
    with pytest.raises(MachineError, match="none of 300 senses converged, so nothing was read"):
        run_campaign(
            tuple(task(RuleEngine(converges=False), written=w) for w in (-1, 0, 1)),
            rows_path=tmp_path / "rows", stop=stop, runner=Runner(workers=1),
        )  # fmt: skip


@pytest.mark.parametrize("wrong", [0, -5, 10**12])
def test_a_number_of_senses_that_cannot_be(wrong):
    with pytest.raises(InputError, match=rf"max_samples = {wrong}: must be a whole number"):
        StopRule(relative_error=0.1, max_samples=wrong)


def resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize("senses", [400, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_workers_memory_does_not_grow(senses):
    sensed = task(FAST_NGSPICE)
    packed, worker = {}, WorkerProcess()
    try:
        for chunk in range(1 + senses // 100):
            (tally,) = worker.do(Order.of(sensed.job(chunk, 100), Limits(), packed))
            assert sum(tally["count"]) == 100
            if chunk == 0:
                first_mb = resident_mb(worker.pid)
        assert resident_mb(worker.pid) - first_mb < 20
    finally:
        worker.end()
