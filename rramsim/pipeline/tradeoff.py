"""Accuracy and energy of every network under every set of conditions."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from rramsim.biterrors import conditions_of, load_dataset, statistics_at
from rramsim.costs import (
    DATA_FLOWS,
    TRADEOFF_COLUMNS,
    inference_energy,
    mean_accuracy,
    sense_energy_at,
)
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures import accuracy_figure, energy_accuracy_figure, save_figure
from rramsim.files import append_line, atomic_path, whole_lines
from rramsim.learning import ImageData, accuracy
from rramsim.networks import WeightErrors, layer_census, set_weight_errors
from rramsim.pipeline.folder import RunFolder
from rramsim.pipeline.train import TrainedNetwork, trained_networks, weight_errors

__all__ = ["tradeoff_stage"]


def tradeoff_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    networks: tuple[TrainedNetwork, ...] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Test every network with the errors of every supply into `tradeoff.csv` and figures.

    `networks`: those just trained; read from the folder if None. `report` gets the tests done
    and their total.
    """
    dataset = load_dataset(folder.sense)
    conditions = conditions_of(dataset)
    networks = networks or trained_networks(experiment, folder, data)
    tests = _Tests(folder, data, experiment)
    draws = experiment.test.draws
    total = len(networks) * (1 + len(conditions) * draws)
    done = 0
    rows: list[dict[str, Any]] = []
    for trained in networks:
        plan = trained.plan
        census = layer_census(trained.network, plan.spec.input_shape)
        clean = tests.correct(trained, None, draw=0)
        report(done := done + 1, total)
        for condition in conditions:
            statistics = statistics_at(dataset, condition)
            errors = weight_errors(statistics, plan.spec.weights)
            correct = []
            for draw in range(draws):
                correct.append(tests.correct(trained, errors, draw=draw))
                report(done := done + 1, total)
            mean = mean_accuracy(correct, images=tests.images)
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
                "accuracy_without_errors": clean / tests.images,
                "draws": draws,
            }
            for flow in DATA_FLOWS:
                energy = inference_energy(census, sense, flow=flow)
                row[f"energy_{flow}_j"] = energy.value_j
                row[f"energy_{flow}_low_j"] = energy.low_j
                row[f"energy_{flow}_high_j"] = energy.high_j
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(TRADEOFF_COLUMNS))
    with atomic_path(folder.tradeoff) as temporary:
        table.to_csv(temporary, index=False)
    save_figure(accuracy_figure(table), folder.path, "accuracy")
    save_figure(energy_accuracy_figure(table), folder.path, "energy_accuracy")
    return table


class _Tests:
    """Tests of networks with frozen error draws; what was tested before is not tested again."""

    def __init__(self, folder: RunFolder, data: ImageData, experiment: Experiment) -> None:
        self._path = folder.evaluations
        self._seed = experiment.test.seed
        wanted = experiment.test.images or len(data.test_labels)
        if wanted > len(data.test_labels):
            raise InputError(
                f"[test] images = {wanted}: {data.label} has {len(data.test_labels)} test images"
            )
        self.images = wanted
        self._data = data
        self._known: dict[str, int] = {}
        self._digests: dict[str, str] = {}
        for line in whole_lines(self._path):
            try:
                row = json.loads(line)
                self._known[str(row["key"])] = int(row["correct"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self._path}: damaged; remove it and run again") from error

    def _digest(self, trained: TrainedNetwork) -> str:
        """Hash of what the network holds; its file differs each time that it is written."""
        name = trained.plan.name
        if name not in self._digests:
            digest = hashlib.sha256(repr(trained.plan.spec).encode())
            for key, value in trained.network.state_dict().items():
                digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
            self._digests[name] = digest.hexdigest()
        return self._digests[name]

    def correct(self, trained: TrainedNetwork, errors: WeightErrors | None, *, draw: int) -> int:
        """Number of images that the network classifies right with one draw of read errors."""
        parts = (
            self._digest(trained),
            self._data.label,
            json.dumps(self._data.source, sort_keys=True),
            json.dumps(errors.describe(), sort_keys=True) if errors else "none",
            f"{self._seed} {draw} {self.images}",
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        if key not in self._known:
            set_weight_errors(
                trained.network, errors, seed=self._seed * 1_000_003 + draw, mode="frozen"
            )
            found = accuracy(
                trained.network,
                self._data.test_images[: self.images],
                self._data.test_labels[: self.images],
            )
            set_weight_errors(trained.network, None)
            row = {"key": key, "network": trained.plan.spec.name, "correct": found.correct}
            append_line(self._path, json.dumps(row))
            self._known[key] = found.correct
        return self._known[key]
