"""What tests of several packages share: the process, the circuit, torch on one thread, skips."""

import json
import os

# Two workers on two processors: more threads of their own only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import settings

from rramsim.circuits import SenseCircuit, sense_circuit
from rramsim.cli import app as program
from rramsim.processes import Process, load_process

# Machines under load are no reason to fail: examples have no time limit.
settings.register_profile("rramsim", deadline=None)
settings.load_profile("rramsim")

EXPECTED_SKIPS = (
    "root may write anywhere",
    "only root can become another user",
    "another user cannot read this checkout, or its interpreter",
    "PyTorch has one thread anyway",
)
"""Reasons that depend on who runs the tests, not on what is missing."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With RRAMSIM_SKIPS=fail, a test skipped for any other reason fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("RRAMSIM_SKIPS") != "fail" or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    reasons = {str(r.longrepr[2]) for r in skipped if isinstance(r.longrepr, tuple)}
    strange = sorted(r for r in reasons if not any(known in r for known in EXPECTED_SKIPS))
    if strange:
        reporter.write_line(f"skipped without being expected: {'; '.join(strange)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, and far slower beside others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def rramsim(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run the program in this process; returns (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["rramsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            program.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture
def ends_soon() -> Iterator[None]:
    """Fails a test that computes for a minute: no speed, but a guard against a hang."""

    def late(*_: object) -> None:
        raise AssertionError("a minute of processor time, and no end")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, 60)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.fixture(scope="session")
def sky130() -> Process:
    return load_process("sky130-5v")


@pytest.fixture(scope="session")
def pcsa(sky130: Process) -> SenseCircuit:
    return sense_circuit(process=sky130)


@contextmanager
def _cluster(folder, *, workers, threads=1):
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


@pytest.fixture
def cluster():
    """A scheduler and workers; yields its address, the workers' processes and its own."""
    return _cluster
