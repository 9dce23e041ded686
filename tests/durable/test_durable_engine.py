"""The same values whatever happens to workers, runs, files and machines."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from durable_jobs import Squares, jobs, square

from rramsim.durable import Failed, Limits, RowFile, Runner
from rramsim.durable.dask import DaskPool
from rramsim.durable.worker import Packed
from rramsim.exceptions import InputError, MachineError

RIGHT = {f"square of {n}": n * n for n in range(8)}


def gathered(path, shared, *, retry_failed=False, report=lambda *progress: None, **runner):
    with RowFile(path, parse=square, retry_failed=retry_failed) as rows:
        return Runner(**runner).gather(jobs(shared), rows, report=report)


def misbehaving(folder, act, *, times=1):
    (folder / "acts").mkdir(exist_ok=True)
    return Squares(act=act, victims=(3,), folder=str(folder / "acts"), times=times)


@pytest.mark.parametrize(
    ("act", "times"), [("hang", 1), ("die", 1), ("die", 2), ("fault", 1), ("exhaust", 1)]
)
def test_a_worker_that_fails_once_or_twice_loses_nothing(tmp_path, act, times):
    limits = Limits(chunk_limit_s=2, memory_bytes=2**33)
    shared = misbehaving(tmp_path, act, times=times)
    found = gathered(tmp_path / "rows", shared, workers=2, limits=limits)
    acts = sorted(path.name for path in (tmp_path / "acts").iterdir())
    assert acts == [f"{act}-{k}" for k in range(times)]
    assert found == RIGHT


def test_a_job_that_always_fails_is_named_and_all_others_are_kept(tmp_path):
    limits = Limits(chunk_limit_s=1, attempts=2)
    shared = misbehaving(tmp_path, "hang", times=2)
    said = "1 of 8 could not be done: number 3: the worker hung: no answer in 1 s, 2 times"
    with pytest.raises(MachineError, match=said):
        gathered(tmp_path / "rows", shared, workers=2, limits=limits)
    assert len((tmp_path / "rows").read_text().splitlines()) == 7
    assert gathered(tmp_path / "rows", shared, workers=1) == RIGHT


def test_a_refusal_ends_the_run_with_its_words(tmp_path):
    with pytest.raises(InputError, match="this number cannot be squared"):
        gathered(tmp_path / "rows", misbehaving(tmp_path, "refuse"), workers=2)


@pytest.mark.parametrize(("workers", "safe"), [(1, True), (2, False)])
def test_what_a_job_says_is_heard_in_this_process_or_another(workers, safe):
    heard = []
    found = Runner(workers=workers).outcomes(
        jobs(Squares()), safe=safe, say=lambda job, said: heard.append((job.part, said))
    )
    assert sorted(job.part for job, _ in found) == list(range(8))
    assert sorted(heard) == [(n, -n) for n in range(8)]


def test_time_that_is_over_keeps_what_was_done(tmp_path):
    known = []
    with pytest.raises(MachineError, match="the time is over; what was done is kept"):
        gathered(
            tmp_path / "rows", Squares(pause_s=0.5), workers=1,
            stop_at_s=time.monotonic() + 4, report=lambda done, total, name: known.append(done),
        )  # fmt: skip
    kept = (tmp_path / "rows").read_text().splitlines()
    assert len(kept) == known[-1] < 8
    assert gathered(tmp_path / "rows", Squares(), workers=1) == RIGHT


def test_workers_that_cannot_start_and_other_versions_are_told(tmp_path, monkeypatch):
    packed = Packed.of(Squares(version="squares 2"))
    object.__setattr__(packed, "version", "squares 1")
    with pytest.raises(MachineError, match="a worker has squares 2, but this run counts squares 1"):
        packed.unpack()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match=r"ended as they started; .*exit status 1"):
        gathered(tmp_path / "rows", Squares(), workers=2)


RUN = """
import resource, sys
from pathlib import Path
from durable_jobs import Squares, jobs, square
from rramsim.durable import RowFile, Runner
from rramsim.exceptions import InputError, MachineError
if int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    with RowFile(Path(sys.argv[1]), parse=square) as rows:
        Runner(workers=2).gather(jobs(Squares(pause_s=float(sys.argv[3]))), rows)
except (InputError, MachineError) as error:
    print(error)
"""


def process(rows, *, most_bytes=0, pause_s=0.0, **options):
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))
    return subprocess.Popen(
        [sys.executable, "-c", RUN, rows, str(most_bytes), str(pause_s)],
        env=os.environ | {"PYTHONPATH": paths}, **options,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_run_that_is_killed(tmp_path, monkeypatch, how):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    run = process(tmp_path / "rows", pause_s=1000)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    deadline = time.monotonic() + 60
    workers: list[str] = []
    while len(workers) < 2 and time.monotonic() < deadline:
        workers = children.read_text().split()
        time.sleep(0.05)
    time.sleep(2)  # let them begin the job of which they will not come back
    run.send_signal(how)
    run.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its run"
        time.sleep(0.05)
    assert len(workers) == 2
    assert list((tmp_path / "tmp").iterdir()) == []
    assert gathered(tmp_path / "rows", Squares(), workers=1) == RIGHT


def test_a_full_disk_keeps_what_was_done(tmp_path):
    rows = tmp_path / "rows"
    run = process(rows, most_bytes=400, stdout=subprocess.PIPE, text=True)
    assert (
        "rows: the largest size of a file is reached; what was done is kept"
        in (run.communicate()[0])
    )
    kept = rows.read_bytes()
    assert 1 <= kept.count(b"\n") < 8
    assert kept.endswith(b"\n")
    assert gathered(rows, Squares(), workers=1) == RIGHT
    assert rows.read_bytes().startswith(kept)


def test_rows_torn_changed_doubled_or_from_elsewhere(tmp_path):
    rows = tmp_path / "rows"
    gathered(rows, Squares(), workers=1)
    good = rows.read_bytes()
    lines = good.splitlines(keepends=True)

    def again():
        found = {}
        with RowFile(rows, parse=square) as file:
            found.update(file.rows)
        return found

    # Torn by a kill: what is left counts, and the torn row is cut off.
    rows.write_bytes(good[:-20])
    assert len(again()) == 7
    assert rows.read_bytes() == b"".join(lines[:-1])
    # Twice the same row: one. Rows of other jobs: nobody asks for them.
    rows.write_bytes(good + lines[0])
    assert again() == RIGHT
    # Any one byte of any row changed is found.
    for place in range(len(lines[3]) - 1):
        changed = bytearray(lines[3])
        changed[place] ^= 1
        rows.write_bytes(lines[0] + bytes(changed) + lines[1])
        with pytest.raises(InputError, match=r"rows line [23]: not a row of results"):
            again()


def signed(row):
    """A row with the right checksum, as somebody who wants to be believed would write it."""
    import zlib

    text = (json.dumps(row) if isinstance(row, dict) else row)[:-1].encode()
    return text + b', "crc32": "%08x"}\n' % zlib.crc32(text)


def test_rows_that_contradict_themselves_or_are_no_rows_are_refused_at_once(tmp_path):
    rows = tmp_path / "rows"
    row = {"key": "k", "name": "n", "value": {"square": 16, "digits": [1, 6]}}
    for wrong, why in (
        (signed(row | {"value": {"square": 17, "digits": [1, 6]}}), "another number's"),
        (signed('{"key": "k", "value": Infinity}'), "Infinity is no number"),
        (signed('{"key": "k", "value": ' + "[" * 100_000 + "]" * 100_000 + "}"), "recursion"),
        (signed('{"key": "k", "value": ' + "9" * 5000 + "}"), "digits"),
        (signed({"name": "n"}), "no 'key'"),
        (signed(row) + signed(row | {"value": {"square": 25, "digits": [2, 5]}}), "given twice"),
        (b"[1, 2]\n", "checksum"),
        (b"\0" * 2**23, "checksum"),
    ):
        rows.write_bytes(wrong)
        with pytest.raises(InputError, match=rf"rows line \d: .*{why}"):
            RowFile(rows, parse=square).__enter__()
        assert rows.read_bytes() == wrong, "a damaged file was changed"
    rows.unlink()
    os.mkfifo(rows)
    with pytest.raises(InputError, match="rows: not a file"):
        RowFile(rows, parse=square).__enter__()


def test_a_second_run_in_the_same_file_is_refused_and_failures_are_remembered(tmp_path):
    rows = tmp_path / "rows"
    with RowFile(rows, parse=square) as file:
        file.append("square of 2", "number 2", Failed(reason="the worker hung"))
        with pytest.raises(InputError, match="another run is writing there"):
            gathered(rows, Squares(), workers=1)
    with RowFile(rows, parse=square) as file:
        assert file.rows == {"square of 2": Failed(reason="the worker hung")}
    with RowFile(rows, parse=square, retry_failed=True) as file:
        assert file.rows == {}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"workers": 0}, "between 1 and 1024"), ({"workers": 1_000_000}, "between 1 and 1024"),
     *(({"scheduler": a}, "must look like 'tcp://HOST:PORT'")
       for a in ("", "here", "tcp://", "tcp://host", "http://host:80", "a:1"))],
)  # fmt: skip
def test_a_runner_that_cannot_be(wrong, why):
    with pytest.raises(InputError, match=why):
        Runner(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunk_limit_s": 0.0},
        {"chunk_limit_s": float("nan")},
        {"chunk_limit_s": float("inf")},
        {"attempts": 0},
        {"memory_bytes": 1},
    ],
)
def test_wrong_limits(wrong):
    with pytest.raises(InputError, match="must be"):
        Limits(**wrong)


def test_dask_workers_killed_jobs_that_hang_and_a_lost_scheduler(tmp_path, cluster):
    with cluster(tmp_path, workers=2) as (address, workers, scheduler):

        def kill_one(done, total, name):
            if done == 2:
                workers[0].send_signal(signal.SIGKILL)

        shared = Squares(pause_s=0.2)
        assert gathered(tmp_path / "rows", shared, scheduler=address, report=kill_one) == RIGHT
        assert workers[0].wait(timeout=5) == -signal.SIGKILL
        shared = misbehaving(tmp_path, "hang", times=2)
        with pytest.raises(MachineError, match=r"number 3: the worker hung: no answer .* 2 times"):
            gathered(
                tmp_path / "hung",
                shared,
                scheduler=address,
                limits=Limits(chunk_limit_s=1, attempts=2),
            )
        with pytest.raises(InputError, match="this number cannot be squared"):
            gathered(tmp_path / "refused", misbehaving(tmp_path, "refuse", times=9),
                     scheduler=address)  # fmt: skip

        def kill_all(done, total, name):
            if done:
                scheduler.kill()

        with pytest.raises(MachineError, match=r"scheduler tcp://.*: lost; what was done is kept"):
            gathered(tmp_path / "lost", Squares(pause_s=0.5), scheduler=address, report=kill_all)
    # The run goes on here with what was done there.
    assert gathered(tmp_path / "lost", Squares(), workers=1) == RIGHT


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("rramsim.durable.dask._CONNECT_LIMIT_S", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MachineError, match=rf"scheduler {address}: does not answer"):
        next(DaskPool(address=address).run(iter(()), lambda job, said: None))
