"""Work in a child: its answer, its faults, and its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rramsim.durable.child import in_child
from rramsim.exceptions import InputError, MachineError


def _refused():
    raise InputError("vdd_v = 9: must lie between 0.3 and 5.5 V")


def test_answers_and_refusals_come_through():
    assert in_child(lambda: {"read": 1}, what="a sense") == {"read": 1}
    with pytest.raises(InputError, match="vdd_v = 9"):
        in_child(_refused, what="a sense")
    with pytest.raises(MachineError, match="ZeroDivisionError"):
        in_child(lambda: 1 / 0, what="a sense")


def test_a_crash_of_the_child_is_one_line():
    with pytest.raises(MachineError, match=r"a sense: the process .* died \(signal SIGSEGV\)"):
        in_child(lambda: os.kill(os.getpid(), signal.SIGSEGV), what="a sense")


HANGS = """
import os, sys, time
from rramsim.durable.child import in_child
def hang():
    print(os.getpid(), os.environ.get("TMPDIR"), flush=True)
    time.sleep(1000)
in_child(hang, what="a sense")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_its_parent_however_that_ends(how, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(parent.stdout.readline().split()[0])
    parent.send_signal(how)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)
    if how == signal.SIGINT:
        assert not list(tmp_path.iterdir())


def _lives(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
