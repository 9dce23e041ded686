"""The same counts through a real dask scheduler, whatever happens to its workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from campaign_engines import FAST_NGSPICE, RuleEngine, task

from rramsim.counting import StopRule, WorkLimits, run_campaign
from rramsim.counting.dask_pool import DaskPool
from rramsim.exceptions import InputError, MachineError

pytest.importorskip("distributed")


@contextmanager
def cluster(folder, *, workers, threads=1):
    """A scheduler and workers on the loopback; yields its address and the workers' processes."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0",
    }
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
         "--scheduler-file", file],
        **quiet,
    )  # fmt: skip
    processes = [
        subprocess.Popen(
            [*dask, "worker", "--scheduler-file", file, "--host", "127.0.0.1", "--no-nanny",
             "--nthreads", str(threads), "--no-dashboard", "--local-directory", folder],
            **quiet,
        )
        for _ in range(workers)
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], processes, scheduler
    finally:
        for process in (*processes, scheduler):
            process.kill()
            process.wait()


def test_one_dask_worker_of_two_killed_midway_and_one_with_threads(tmp_path):
    tasks = tuple(task(FAST_NGSPICE, written=w) for w in (0, 1))
    stop = StopRule(relative_error=1e-9, max_samples=300)
    here = run_campaign(tasks, rows_path=tmp_path / "here", stop=stop, workers=2)
    reports = []
    with cluster(tmp_path, workers=2, threads=2) as (address, workers, _):

        def report(progress):
            reports.append(progress)
            if len(reports) == 3:  # after the second chunk
                workers[0].send_signal(signal.SIGKILL)

        there = run_campaign(
            tasks, rows_path=tmp_path / "there", stop=stop, scheduler=address, report=report
        )
        assert workers[0].wait(timeout=1) == -signal.SIGKILL
    assert there.failed == ()
    for each in tasks:
        assert there[each.id] == here[each.id]
    assert there[tasks[0].id].samples == 300


def test_a_hanging_and_a_lost_sense_and_a_lost_scheduler(tmp_path):
    folder = tmp_path / "acts"
    folder.mkdir()
    from test_counting_campaign import EVERY, victim

    plain = task(RuleEngine())
    hang = RuleEngine(act="hang", victims=(victim(plain, 2),), folder=str(folder), times=2)
    with cluster(tmp_path, workers=1, threads=2) as (address, _, scheduler):
        result = run_campaign(
            (task(hang),), rows_path=tmp_path / "rows", stop=EVERY, scheduler=address,
            limits=WorkLimits(chunk_s=1, attempts=2),
        )  # fmt: skip
        assert result.failed[0].chunks == (2,)
        assert result.failed[0].reason == "the worker hung: no answer in 1 s, 2 times"
        assert result[task(hang).id].samples == 500

        refuse = RuleEngine(act="refuse", victims=(victim(plain, 0),), folder=str(folder), times=9)
        with pytest.raises(InputError, match="this circuit cannot be sensed"):
            run_campaign((task(refuse),), rows_path=tmp_path / "r", stop=EVERY, scheduler=address)

        def report(progress):
            if progress.counted:
                scheduler.kill()

        slow = (task(RuleEngine(pause_s=0.5), seed=3),)
        with pytest.raises(MachineError, match=r"scheduler tcp://.*: lost; what was counted is"):
            run_campaign(
                slow, rows_path=tmp_path / "rows", stop=EVERY, scheduler=address, report=report
            )
    # The campaign goes on here with what was counted there.
    assert run_campaign(slow, rows_path=tmp_path / "rows", stop=EVERY, workers=2).failed == ()


def test_a_scheduler_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("rramsim.counting.dask_pool._CONNECT_LIMIT_S", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    stop = StopRule(relative_error=0.1, max_samples=100)
    with pytest.raises(MachineError, match=rf"scheduler {address}: does not answer"):
        run_campaign((task(RuleEngine()),), rows_path=tmp_path / "r", stop=stop, scheduler=address)


@pytest.mark.parametrize("address", ["", "here", "tcp://", "tcp://host", "http://host:80", "a:1"])
def test_an_address_that_is_none(address):
    with pytest.raises(InputError, match="must look like 'tcp://HOST:PORT'"):
        DaskPool(address=address)
