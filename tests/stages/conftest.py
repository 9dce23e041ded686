"""One small run with every stage, made once for all tests and all of xdist's workers."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from rramsim.experiment import load_experiment
from rramsim.stages import RunFolder, run_stages

EXPERIMENT = """
[sense]
vdd_v = [1.0, 1.2]
[errors]
engine = "batch"
certify_samples = 3
max_samples = 60
workers = 1
boundary_draws = 10
[network]
architecture = "mlp"
weights = ["binary", "ternary"]
width = 16
[training]
data = "digits"
epochs = 2
[test]
draws = 2
images = 100
[chips]
count = 3
surface_points = 350
images = 100
[tolerance]
seeds = 1
rates = [0.05, 0.3]
types = 1
train_rates = "none"
"""


@pytest.fixture(scope="session")
def small_experiment() -> str:
    """The text of the experiment that `results` ran."""
    return EXPERIMENT


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run; tests that change it work on a copy."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with (base / "results.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = base / "results of <all> stages"
        if not (path / "provenance.json").is_file():
            _run(base / "small.toml", path)
    return path


def _run(file: Path, path: Path) -> None:
    file.write_text(EXPERIMENT)
    experiment = load_experiment(file)
    folder = RunFolder.create(path)
    argv, sys.argv = sys.argv, ["rramsim", "run", "small.toml", "--out", "out"]
    try:
        stages = ("sweep", "errors", "shares", "boundary", "train", "tradeoff", "chips", "report")
        run_stages(experiment, folder, stages)
    finally:
        sys.argv = argv
