"""A run's folder with a small trade-off, and the program serving it."""

import csv
from pathlib import Path

import pytest
from explorer_program import Program

from rramsim.experiment import load_experiment
from rramsim.explore import Subject, load_subject
from rramsim.stages import RunFolder

EXPERIMENT = """
[sense]
vdd_v = [1.0, 1.2]
temperature_c = [27, 60]
window_s = ["25n", "100n"]
[errors]
engine = "batch"
"""

ACCURACY = {(1.0, 25e-9): 0.5, (1.2, 25e-9): 0.7, (1.0, 100e-9): 0.8, (1.2, 100e-9): 0.6}
"""Accuracies of the one network; at 27 °C, and 0.1 less at 60 °C."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `rramsim run` leaves, as far as the explorer reads it."""
    path = tmp_path_factory.mktemp("explored")
    (path / "small.toml").write_text(EXPERIMENT)
    RunFolder(path=path).save_experiment(load_experiment(path / "small.toml"))
    rows = [
        {
            "network": "mlp16-ternary-ternary", "architecture": "mlp", "width": 16,
            "weights": "ternary", "activations": "ternary",
            "trained_with_errors": "none", "data": "digits",
            "vdd_v": vdd_v, "temperature_c": temperature_c, "corner": "tt", "window_s": window_s,
            "type1": 0, "type2": 0, "type3": 0.1, "binary": 0,
            "rates_by": "counted", "limited_by_samples": False, "accuracy": accuracy - less,
            "accuracy_low": accuracy - less - 0.02, "accuracy_high": accuracy - less + 0.01,
            "accuracy_without_errors": 0.9, "draws": 4, "images": 450,
            "loss": 0.9 - accuracy + less, "loss_low": 0.0, "loss_high": 0.9,
            "loss_deviation": 0.01, "loss_image_error": 0.01, "energy_once_j": 1e-9,
            "energy_once_low_j": 1e-9, "energy_once_high_j": 1e-9, "energy_per_use_j": 1e-6,
            "energy_per_use_low_j": 1e-6, "energy_per_use_high_j": 1e-6,
        }
        for (vdd_v, window_s), accuracy in ACCURACY.items()
        for temperature_c, less in ((27, 0.0), (60, 0.1))
    ]  # fmt: skip
    with (path / "tradeoff.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def subject(folder: Path) -> Subject:
    found = load_subject(folder)
    found.explorer.prepare()
    return found


@pytest.fixture(scope="session")
def program(folder: Path, subject: Subject):
    del subject  # Its tables are in the cache then.
    running = Program(folder, "--port", 0)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate()
