"""Campaigns give the same counts whatever happens to their workers, runs, files and machines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from campaign_engines import FAST_NGSPICE, RuleEngine, task

from rramsim.counting import StopRule, WorkLimits, run_campaign
from rramsim.counting.rows import RowFile
from rramsim.counting.task import draw_samples
from rramsim.counting.worker import PackedTask, WorkerProcess
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


@pytest.mark.parametrize("act", ["hang", "die", "fault", "exhaust"])
def test_a_worker_that_fails_once_loses_nothing(tmp_path, act):
    tasks, counts, folder = misbehaving(tmp_path, act)
    began = time.monotonic()
    result = run_campaign(
        tasks, rows_path=tmp_path / "rows", stop=EVERY, workers=2, limits=WorkLimits(chunk_s=2)
    )
    assert [p.name for p in folder.iterdir()] == [f"{act}-0"]
    assert result.failed == ()
    for each, count in zip(tasks, counts, strict=True):
        assert result[each.id].count.tolist() == count.tolist()
    assert time.monotonic() - began < 60


def test_a_chunk_that_always_hangs_is_recorded_by_name_and_the_rest_is_counted(tmp_path):
    tasks, counts, _ = misbehaving(tmp_path, "hang", times=2)
    reports = []
    result = run_campaign(
        tasks,
        rows_path=tmp_path / "rows",
        stop=EVERY,
        workers=2,
        limits=WorkLimits(chunk_s=1, attempts=2),
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
    assert [(row["chunk"], "tally" in row) for row in rows if "failed" in row] == [(2, False)]

    # Run again, it stays recorded; asked to, the chunk is tried again and counted.
    again = run_campaign(tasks, rows_path=tmp_path / "rows", stop=EVERY, workers=1)
    assert again.failed[0].chunks == (2,)
    mended = run_campaign(
        tasks, rows_path=tmp_path / "rows", stop=EVERY, workers=1, retry_failed=True
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
        workers=2,
        limits=WorkLimits(attempts=1),
    )
    assert len(result.failed[0].chunks) == 3
    assert "the worker died (killed, or the memory ran out)" in result.failed[0].reason
    assert result[tasks[0].id].samples == 0
    assert result[tasks[1].id].samples == 600
    with pytest.raises(MachineError, match=r"nothing could be sensed: written \+0 at .*died"):
        run_campaign(tasks[:1], rows_path=tmp_path / "alone", stop=EVERY, workers=1,
                     limits=WorkLimits(attempts=1))  # fmt: skip


def test_a_refused_circuit_ends_the_campaign_with_the_engines_words(tmp_path):
    tasks, _, _ = misbehaving(tmp_path, "refuse", chunk=0)
    with pytest.raises(InputError, match="this circuit cannot be sensed"):
        run_campaign(tasks, rows_path=tmp_path / "rows", stop=EVERY, workers=2)


def test_workers_leave_no_files_behind(tmp_path, monkeypatch):
    ngspice_version()  # this process's own library has a folder until the process ends
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    one = task(FAST_NGSPICE)
    stop = StopRule(relative_error=0.1, max_samples=3)
    result = run_campaign((one,), rows_path=tmp_path / "rows", stop=stop, workers=1)
    assert result[one.id].samples == 3
    assert not any((tmp_path / "tmp").iterdir())


def test_workers_that_cannot_start_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match=r"ended as they started; .*exit status 1"):
        run_campaign((task(RuleEngine()),), rows_path=tmp_path / "rows", stop=EVERY, workers=2)


def test_workers_end_with_a_campaign_that_is_killed(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from campaign_engines import RuleEngine, task\n"
        "from rramsim.counting import StopRule, run_campaign\n"
        "t = task(RuleEngine(pause_s=1000))\n"
        "run_campaign((t,), rows_path=Path(sys.argv[1]), workers=2,\n"
        "             stop=StopRule(relative_error=1e-9, max_samples=600))\n"
    )
    campaign = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "rows"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    children = Path(f"/proc/{campaign.pid}/task/{campaign.pid}/children")
    workers: list[int] = []
    deadline = time.monotonic() + 60
    while len(workers) < 2 and time.monotonic() < deadline:
        workers = [int(pid) for pid in children.read_text().split()]
        time.sleep(0.05)
    time.sleep(4)  # let them begin the sense of which they will not come back
    campaign.send_signal(signal.SIGKILL)
    campaign.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its campaign"
        time.sleep(0.05)
    assert len(workers) == 2


CAMPAIGN = """
import sys
from pathlib import Path
from campaign_engines import FAST_NGSPICE, task
from rramsim.counting import StopRule, run_campaign
tasks = tuple(task(FAST_NGSPICE, written=w) for w in (0, 1))
run_campaign(tasks, rows_path=Path(sys.argv[1]), workers=int(sys.argv[2]),
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
        tasks, rows_path=rows, stop=StopRule(relative_error=1e-9, max_samples=samples), workers=1
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


def test_rows_torn_damaged_doubled_or_from_elsewhere(tmp_path):
    tasks = (task(RuleEngine()),)
    rows = tmp_path / "rows"

    def campaign():
        return run_campaign(tasks, rows_path=rows, stop=EVERY, workers=1)[tasks[0].id]

    whole = campaign()
    good = rows.read_bytes()
    lines = good.splitlines(keepends=True)
    # Torn by a kill: sensed again, the same.
    rows.write_bytes(good[:-20])
    assert campaign() == whole
    # Twice the same row: counted once. Rows of another campaign: not counted.
    other = task(RuleEngine(), seed=7)
    run_campaign((other,), rows_path=tmp_path / "other", stop=EVERY, workers=1)
    rows.write_bytes(good + lines[0] + (tmp_path / "other").read_bytes())
    assert campaign() == whole
    # One digit changed on the disk: told, with the line.
    for damaged in (
        lines[0].replace(b'"count": [', b'"count": [1'),
        lines[0].replace(b"e-1", b"e-0", 1),
        b"\x00" * 40 + b"\n",
        lines[0].replace(b"count", b"c\runt"),
        b"[1, 2]\n",
        b'{"task": "a"}\n',
    ):
        rows.write_bytes(lines[1] + damaged + lines[2])
        with pytest.raises(InputError, match=r"rows line 2: not a row of senses"):
            campaign()
        assert rows.read_bytes() == lines[1] + damaged + lines[2], "a damaged file was changed"


def test_a_second_campaign_in_the_same_file_is_refused(tmp_path):
    rows = tmp_path / "rows"
    with RowFile(rows), pytest.raises(InputError, match="another run is writing there"):
        run_campaign((task(RuleEngine()),), rows_path=rows, stop=EVERY, workers=1)


def test_a_full_disk_loses_nothing_that_was_counted(tmp_path):
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from campaign_engines import RuleEngine, task\n"
        "from rramsim.counting import StopRule, run_campaign\n"
        "from rramsim.exceptions import MachineError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    run_campaign((task(RuleEngine()),), rows_path=Path(sys.argv[1]), workers=1,\n"
        "                 stop=StopRule(relative_error=1e-9, max_samples=600))\n"
        "except MachineError as error:\n"
        "    print(error)\n"
    )
    rows = tmp_path / "rows"
    full = subprocess.run(
        [sys.executable, "-c", script, rows, "2500"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "cannot be written (File too large); what was done is kept" in full.stdout
    kept = rows.read_bytes()
    assert 1 <= kept.count(b"\n") < 6
    assert kept.endswith(b"\n")
    result = run_campaign((task(RuleEngine()),), rows_path=rows, stop=EVERY, workers=1)
    assert rows.read_bytes().startswith(kept)
    whole = run_campaign((task(RuleEngine()),), rows_path=tmp_path / "whole", stop=EVERY, workers=1)
    assert list(result.values()) == list(whole.values())


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": -1}])
def test_wrong_number_of_workers(tmp_path, wrong):
    with pytest.raises(InputError, match=r"workers = -?\d: must be at least 1"):
        run_campaign((task(RuleEngine()),), rows_path=tmp_path / "rows", stop=EVERY, **wrong)


@pytest.mark.parametrize(
    "wrong", [{"chunk_s": 0.0}, {"chunk_s": float("nan")}, {"chunk_s": float("inf")},
              {"attempts": 0}],
)  # fmt: skip
def test_wrong_limits(wrong):
    with pytest.raises(InputError, match="must be"):
        WorkLimits(**wrong)


def resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize("senses", [400, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_workers_memory_does_not_grow(senses):
    sensed = task(FAST_NGSPICE)
    packed, worker = PackedTask.of(sensed), WorkerProcess()
    try:
        for chunk in range(1 + senses // 100):
            tally = worker.sense(packed, (sensed.id, chunk, 100), limit_s=300)
            assert tally.samples == 100
            if chunk == 0:
                first_mb = resident_mb(worker.pid)
        assert resident_mb(worker.pid) - first_mb < 20
    finally:
        worker.end()
