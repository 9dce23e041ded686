"""A limit of OpenMP's threads holds for PyTorch, too."""

import os
import subprocess
import sys

import pytest
import torch

from rramsim.networks.threads import respect_thread_limit

STEP = """
import torch
import rramsim.networks
layer = torch.nn.Conv2d(3, 8, 3, padding=1)
layer(torch.randn(100, 3, 32, 32)).square().sum().backward()
print(torch.get_num_threads())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="PyTorch has one thread anyway")
def test_a_training_step_ends_where_one_thread_is_allowed():
    done = subprocess.run(
        [sys.executable, "-c", STEP],
        env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        ("2", [2]),
        (" 3 ", [3]),
        ("4", []),
        ("1000", []),
        ("0", []),
        ("", []),
        ("many", []),
        ("²", []),
    ],
)
def test_only_a_limit_below_the_threads_in_use_is_set(limit, chosen, monkeypatch):
    calls = []
    monkeypatch.setenv("OMP_THREAD_LIMIT", limit)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", calls.append)
    respect_thread_limit()
    assert calls == chosen
