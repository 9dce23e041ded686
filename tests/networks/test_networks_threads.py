"""A limit of OpenMP's threads holds for PyTorch, too."""

import os
import subprocess
import sys

import pytest
import torch

from rramsim.networks.threads import within_thread_limit

STEP = """
import numpy, torch
from rramsim.learning import ImageData, NetworkSpec, TrainingSettings, train
images, labels = numpy.zeros((100, 3, 32, 32), numpy.uint8), numpy.arange(100) % 10
data = ImageData(
    train_images=images, train_labels=labels, test_images=images, test_labels=labels,
    classes=tuple("abcdefghij"), label="made",
)
before = torch.get_num_threads()
spec = NetworkSpec(width=8, weights="binary", activations="binary")
train(spec, data, TrainingSettings(epochs=1))
print(before == torch.get_num_threads())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="PyTorch has one thread anyway")
def test_a_training_step_ends_where_one_thread_is_allowed():
    done = subprocess.run(
        [sys.executable, "-c", STEP],
        env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        ("2", [2, 4]),
        (" 3 ", [3, 4]),
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
    with within_thread_limit():
        pass
    assert calls == chosen
