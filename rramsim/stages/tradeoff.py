"""Accuracy and energy of every network under every set of conditions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from rramsim.costs import (
    DATA_FLOWS,
    GATES_FILE,
    TRADEOFF_COLUMNS,
    GateTable,
    accuracy_loss,
    cost_row,
    inference_energy,
    mean_accuracy,
    read_gates,
    sense_energy_at,
    with_places,
)
from rramsim.counting import conditions_of, load_dataset, statistics_at
from rramsim.experiment import Experiment
from rramsim.figures import (
    efficiency_figure,
    energy_accuracy_figure,
    front_figure,
    loss_figure,
    save_figure,
)
from rramsim.files import atomic_path, folder_lock
from rramsim.learning import ImageData
from rramsim.networks import errors_of_statistics, layer_census
from rramsim.stages.evaluations import Evaluations
from rramsim.stages.folder import RunFolder
from rramsim.stages.train import TrainedNetwork, trained_networks

__all__ = ["tradeoff_stage"]

_SHARED = (
    "network", "width", "weights", "trained_with_errors", "data", "vdd_v", "temperature_c",
    "corner", "window_s", "accuracy", "accuracy_low", "accuracy_high", "accuracy_without_errors",
)  # fmt: skip
"""Columns of the trade-off that a row of the costs repeats."""
_CENSUS_IMAGES = 64
"""Test images that show what the activations are: their bits, and how many are 0."""


def tradeoff_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    networks: tuple[TrainedNetwork, ...] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Test every network with the errors of every supply into `tradeoff.csv`, `costs.csv` and
    figures.

    Each draw draws the error rates from what the counts leave open, then the errors: so the spread
    between draws holds what is not known of the rates.

    `networks`: those just trained; read from the folder if None. `report` gets the tests done
    and their total. Raises `InputError` if another run is writing in the folder.
    """
    with folder_lock(folder.path):
        return _test(experiment, folder, data, networks, report)


def _test(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    networks: tuple[TrainedNetwork, ...] | None,
    report: Callable[[int, int], None],
) -> pd.DataFrame:
    dataset = load_dataset(folder.sense)
    conditions = conditions_of(dataset)
    networks = networks or trained_networks(experiment, folder, data)
    tests = Evaluations(folder, data, experiment)
    draws = experiment.test.draws
    total = len(networks) * (1 + len(conditions) * draws)
    done = 0
    gates = _gates(experiment)
    column = experiment.make_circuit().column
    rows: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    for trained in networks:
        plan = trained.plan
        census = layer_census(trained.network, torch.from_numpy(data.test_images[:_CENSUS_IMAGES]))
        clean = tests.right(trained, None, draw=0)
        report(done := done + 1, total)
        for condition in conditions:
            statistics = statistics_at(dataset, condition)
            noisy = []
            for draw in range(draws):
                rng = np.random.default_rng([experiment.test.seed, draw])
                errors = errors_of_statistics(statistics, plan.spec.weights, rng=rng)
                noisy.append(tests.right(trained, errors, draw=draw))
                report(done := done + 1, total)
            mean = mean_accuracy([int(r.sum()) for r in noisy], images=tests.images)
            loss = accuracy_loss(clean, np.array(noisy))
            sense = sense_energy_at(dataset, condition)
            row = {
                "network": plan.spec.name,
                "architecture": plan.spec.architecture,
                "width": plan.spec.width,
                "weights": plan.spec.weights,
                "activations": plan.spec.activations,
                "trained_with_errors": plan.trained_with,
                "data": data.label,
                "vdd_v": condition.vdd_v,
                "temperature_c": condition.temperature_c,
                "corner": condition.corner,
                "window_s": condition.window_s,
                "type1": statistics.type1.value,
                "type2": statistics.type2.value,
                "type3": statistics.type3.value,
                "binary": statistics.binary.value,
                "accuracy": mean.value,
                "accuracy_low": mean.low,
                "accuracy_high": mean.high,
                "accuracy_without_errors": float(clean.mean()),
                "draws": draws,
                "images": tests.images,
                "loss": loss.value,
                "loss_low": loss.low,
                "loss_high": loss.high,
                "loss_deviation": loss.deviation,
                "loss_image_error": loss.image_error,
            }
            for flow in ("once", "per_use"):
                energy = inference_energy(census, sense, flow=flow)
                row[f"energy_{flow}_j"] = energy.value_j
                row[f"energy_{flow}_low_j"] = energy.low_j
                row[f"energy_{flow}_high_j"] = energy.high_j
            rows.append(row)
            shared = {name: row[name] for name in _SHARED}
            for flow in DATA_FLOWS:
                costs.append(
                    {**shared, "flow": flow}
                    | cost_row(
                        census, sense, flow=flow, column=column,
                        vdd_v=condition.vdd_v, window_s=condition.window_s, gates=gates,
                    )
                )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(TRADEOFF_COLUMNS))
    with atomic_path(folder.tradeoff) as temporary:
        table.to_csv(temporary, index=False)
    placed = with_places(pd.DataFrame(costs))
    with atomic_path(folder.costs) as temporary:
        placed.to_csv(temporary, index=False)
    if placed.total_j.notna().any():
        save_figure(front_figure(placed), folder.path, "front")
        save_figure(efficiency_figure(placed), folder.path, "efficiency")
    save_figure(loss_figure(table), folder.path, "loss")
    save_figure(energy_accuracy_figure(table), folder.path, "energy_accuracy")
    return table


def _gates(experiment: Experiment) -> GateTable | None:
    """The gates' constants, if they are of the experiment's process."""
    table = read_gates(GATES_FILE)
    same = table.provenance.get("process_sha256") == experiment.make_process().sha256
    return table if same else None
