"""The same counts through a real dask scheduler, whatever happens to its workers."""

import signal

import pytest
from campaign_engines import FAST_NGSPICE, task

from rramsim.counting import StopRule, run_campaign
from rramsim.durable import Runner

pytest.importorskip("distributed")


def test_one_dask_worker_of_two_killed_midway_and_one_with_threads(tmp_path, cluster):
    tasks = tuple(task(FAST_NGSPICE, written=w) for w in (0, 1))
    stop = StopRule(relative_error=1e-9, max_samples=300)
    here = run_campaign(tasks, rows_path=tmp_path / "here", stop=stop, runner=Runner(workers=2))
    reports = []
    with cluster(tmp_path, workers=2, threads=2) as (address, workers, _):

        def report(progress):
            reports.append(progress)
            if len(reports) == 3:  # after the second chunk
                workers[0].send_signal(signal.SIGKILL)

        there = run_campaign(
            tasks, rows_path=tmp_path / "there", stop=stop, runner=Runner(scheduler=address),
            report=report,
        )  # fmt: skip
        assert workers[0].wait(timeout=1) == -signal.SIGKILL
    assert there.failed == ()
    for each in tasks:
        assert there[each.id] == here[each.id]
    assert there[tasks[0].id].samples == 300
