"""Train the experiment's networks."""

import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from rramsim.counting import ErrorStatistics, conditions_of, load_dataset, statistics_at
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.files import atomic_path, folder_lock, output_folder
from rramsim.learning import (
    EpochMetrics,
    ImageData,
    TrainingSettings,
    load_network,
    save_network,
    train,
)
from rramsim.networks import NetworkSpec, WeightErrors, errors_of_statistics
from rramsim.stages.folder import RunFolder

__all__ = [
    "NetworkPlan",
    "TrainedNetwork",
    "network_plans",
    "statistics_of_supply",
    "train_plan",
    "train_stage",
]


_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """One network of the experiment: what it is, how it is trained, with which errors."""

    spec: NetworkSpec
    settings: TrainingSettings
    errors_vdd_v: float | None
    errors: WeightErrors | None
    data_label: str

    @property
    def name(self) -> str:
        """A file name that no other plan shares."""
        value = {
            "spec": asdict(self.spec),
            # A network may be trained on one device and tested on another.
            "settings": asdict(self.settings) | {"device": "cpu"},
            "errors": self.errors.describe() if self.errors else None,
            "data": self.data_label,
        }
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return f"{self.spec.name}-{digest[:8]}"

    @property
    def trained_with(self) -> str:
        """The supply whose errors were injected in training, or "none"."""
        return "none" if self.errors_vdd_v is None else f"{self.errors_vdd_v:g}"


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A plan and its trained network, with the file that holds it."""

    plan: NetworkPlan
    network: nn.Module
    path: Path


def network_plans(
    experiment: Experiment, folder: RunFolder, data: ImageData
) -> tuple[NetworkPlan, ...]:
    """Every network of the experiment's axes, in their order."""
    section, training = experiment.network, experiment.training
    chosen = {
        name: getattr(training, name)
        for name in ("epochs", "batch", "learning_rate", "seed", "bfloat16", "device")
    }
    settings = TrainingSettings(**{k: v for k, v in chosen.items() if v is not None})
    steps_per_epoch = math.ceil(len(data.train_labels) / settings.batch)
    least = math.ceil(training.min_steps / steps_per_epoch)
    settings = replace(settings, epochs=max(settings.epochs, least))
    plans = []
    axes = product(section.architecture, section.width, section.weights, section.activations)
    for architecture, width, weights, activations in axes:
        spec = NetworkSpec(
            architecture=architecture,
            width=width,
            weights=weights,
            activations=weights if activations == "same" else activations,
            input_shape=data.input_shape,
            classes=len(data.classes),
        )
        for vdd_v in training.errors_vdd_v:
            errors = None
            if vdd_v != "none":
                errors = errors_of_statistics(statistics_of_supply(folder, float(vdd_v)), weights)
            plans.append(
                NetworkPlan(
                    spec=spec,
                    settings=settings,
                    errors_vdd_v=None if vdd_v == "none" else float(vdd_v),
                    errors=errors,
                    data_label=data.label,
                )
            )
    return tuple(plans)


def train_plan(
    plan: NetworkPlan,
    folder: RunFolder,
    data: ImageData,
    *,
    report: Callable[[NetworkPlan, EpochMetrics], None] = lambda plan, metrics: None,
) -> tuple[TrainedNetwork, tuple[EpochMetrics, ...]]:
    """Train a network, going on from its checkpoint, and save it; returns its epochs too."""
    checkpoint = folder.networks / f"{plan.name}.checkpoint.pt"
    _log.debug(
        "%s, trained with errors of %s: %s", plan.spec.name, plan.trained_with,
        f"goes on from {checkpoint}" if checkpoint.exists() else "starts",
    )  # fmt: skip
    result = train(
        plan.spec,
        data,
        plan.settings,
        errors=plan.errors,
        checkpoint=checkpoint,
        progress=lambda metrics: report(plan, metrics),
    )
    path = folder.networks / f"{plan.name}.pt"
    save_network(path, plan.spec, result.network)
    return TrainedNetwork(plan=plan, network=result.network, path=path), tuple(result.rows)


def train_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    report: Callable[[NetworkPlan, EpochMetrics], None] = lambda plan, metrics: None,
) -> tuple[TrainedNetwork, ...]:
    """Train every network, resuming from checkpoints, and write `training.csv`.

    Raises `InputError` if another run is writing in the folder.
    """
    with folder_lock(folder.path):
        return _train(experiment, folder, data, report)


def _train(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    report: Callable[[NetworkPlan, EpochMetrics], None],
) -> tuple[TrainedNetwork, ...]:
    plans = network_plans(experiment, folder, data)
    folder.save_experiment(experiment)
    output_folder(folder.networks)
    rows: list[dict[str, Any]] = []
    trained: list[TrainedNetwork] = []
    for plan in plans:
        network, epochs = train_plan(plan, folder, data, report=report)
        for metrics in epochs:
            rows.append(
                {
                    "network": plan.spec.name,
                    "trained_with_errors": plan.trained_with,
                    "data": data.label,
                    "seed": plan.settings.seed,
                    **asdict(metrics),
                }
            )
        with atomic_path(folder.training) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
        trained.append(network)
    return tuple(trained)


def trained_networks(
    experiment: Experiment, folder: RunFolder, data: ImageData
) -> tuple[TrainedNetwork, ...]:
    """The experiment's networks as an earlier `train_stage` left them."""
    trained = []
    for plan in network_plans(experiment, folder, data):
        path = folder.networks / f"{plan.name}.pt"
        if not path.is_file():
            raise InputError(
                f"{path}: {plan.spec.name} is not trained yet on {data.label}; make it with "
                f"'rramsim train EXPERIMENT.toml --out {folder.path}'"
            )
        _, network = load_network(path, expected=plan.spec)
        trained.append(TrainedNetwork(plan=plan, network=network, path=path))
    return tuple(trained)


def statistics_of_supply(folder: RunFolder, vdd_v: float) -> ErrorStatistics:
    """The error statistics at a supply, at the first temperature, corner and window."""
    dataset = load_dataset(folder.sense)
    for conditions in conditions_of(dataset):
        if conditions.vdd_v == vdd_v:
            return statistics_at(dataset, conditions)
    raise InputError(f"[training] errors_vdd_v = {vdd_v:g}: {folder.sense} has no such supply")
