"""A limit of OpenMP's threads holds for PyTorch, too."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

import rramsim as rs
from rramsim.experiment import load_experiment
from rramsim.learning import TrainingSettings, progress
from rramsim.learning.progress import within_thread_limit
from rramsim.stages import RunFolder, run_stages

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


LOADED = "from rramsim.engines import ngspice_version\nngspice_version()\n"


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="PyTorch has one thread anyway")
@pytest.mark.parametrize(
    ("before", "environment"), [("", {"OMP_THREAD_LIMIT": "1"}), (LOADED, {})],
    ids=["one thread is allowed", "ngspice loaded OpenMP"],
)  # fmt: skip
def test_a_training_step_ends(before, environment):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", before + STEP],
        env=inherited | environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"


def test_bfloat16_without_its_instructions_says_so_and_what_it_costs(monkeypatch, tmp_path):
    """The instructions are taken away from the question only; the training is a real one."""
    told = "this processor has no instructions for it.*about 9 times as long"
    monkeypatch.setattr(progress, "has_bfloat16", lambda: False)
    settings = TrainingSettings(epochs=1, bfloat16=True)
    with pytest.warns(UserWarning, match=told):
        rs.train(rs.images(), architecture="mlp", width=4, settings=settings)
    (tmp_path / "own.toml").write_text(
        "[network]\narchitecture = 'mlp'\nwidth = 4\nweights = 'binary'\n[training]\n"
        "data = 'digits'\nepochs = 1\nbfloat16 = true\n"
    )
    said = []
    folder = RunFolder.create(tmp_path / "out")
    run_stages(load_experiment(tmp_path / "own.toml"), folder, ("train",), notice=said.append)
    assert len(said) == 1 and re.search(told, said[0])
    remarks = json.loads((folder.path / "provenance.json").read_text())["remarks"]
    assert "as many threads" in remarks[0]
    monkeypatch.undo()
    assert progress.bfloat16_remark(bfloat16=False, device="cpu") == ""
    assert progress.bfloat16_remark(bfloat16=True, device="cuda") == ""


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
