"""Train the experiment's energy-based network by equilibrium propagation."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rramsim.experiment import Experiment
from rramsim.files import atomic_path, output_folder
from rramsim.learning import EpochMetrics, ImageData
from rramsim.learning.equilibrium import (
    EquilibriumResult,
    EquilibriumSpec,
    EquilibriumTraining,
    save_equilibrium,
    train_equilibrium,
)
from rramsim.networks import WeightErrors, errors_of_statistics
from rramsim.stages.folder import RunFolder
from rramsim.stages.train import statistics_of_supply

__all__ = [
    "EquilibriumPlan",
    "TrainedEquilibrium",
    "equilibrium_plans",
    "train_equilibrium_stage",
]


@dataclass(frozen=True, kw_only=True)
class EquilibriumPlan:
    """One training: the network, how it learns, and the errors with which its weights are read."""

    spec: EquilibriumSpec
    settings: EquilibriumTraining
    rule: str
    errors_vdd_v: float | None
    errors: WeightErrors | None
    data_label: str

    @property
    def network_name(self) -> str:
        """What tables call the network: its layers, its weights if they are devices, the rule."""
        flips = self.settings.flips
        return f"{self.spec.name}{'' if flips is None else '-' + flips.levels}, {self.rule}"

    @property
    def name(self) -> str:
        """A file name that no other plan shares."""
        value = {
            "spec": asdict(self.spec),
            "settings": {k: v for k, v in asdict(self.settings).items() if k != "device"},
            "errors": self.errors.describe() if self.errors else None,
            "data": self.data_label,
        }
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return f"{self.spec.name}-{self.rule}-{digest[:8]}"

    @property
    def trained_with(self) -> str:
        """The supply whose errors were injected in training, or "none"."""
        return "none" if self.errors_vdd_v is None else f"{self.errors_vdd_v:g}"


@dataclass(frozen=True, kw_only=True)
class TrainedEquilibrium:
    """A plan, what came of it, and the file that holds the network."""

    plan: EquilibriumPlan
    result: EquilibriumResult
    path: Path


def equilibrium_plans(
    experiment: Experiment, folder: RunFolder, data: ImageData
) -> tuple[EquilibriumPlan, ...]:
    """The training without read errors and with those of each supply, as the experiment says."""
    spec, settings = experiment.make_equilibrium(data.input_shape, len(data.classes))
    levels = settings.flips.levels if settings.flips else "ternary"
    plans = []
    for vdd_v in experiment.training.errors_vdd_v:
        errors = None
        if vdd_v != "none":
            errors = errors_of_statistics(statistics_of_supply(folder, float(vdd_v)), levels)
        plans.append(
            EquilibriumPlan(
                spec=spec,
                settings=settings,
                rule=experiment.training.rule,
                errors_vdd_v=None if vdd_v == "none" else float(vdd_v),
                errors=errors,
                data_label=data.label,
            )
        )
    return tuple(plans)


def train_equilibrium_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    report: Callable[[EquilibriumPlan, EpochMetrics], None] = lambda plan, metrics: None,
) -> tuple[TrainedEquilibrium, ...]:
    """Train, resuming from checkpoints; write `training.csv` and, for devices, `wear.csv`."""
    plans = equilibrium_plans(experiment, folder, data)
    folder.save_experiment(experiment)
    output_folder(folder.networks)
    rows: list[dict[str, Any]] = []
    worn: list[dict[str, Any]] = []
    trained: list[TrainedEquilibrium] = []
    for plan in plans:
        result = train_equilibrium(
            plan.spec,
            data,
            plan.settings,
            errors=plan.errors,
            checkpoint=folder.networks / f"{plan.name}.checkpoint.pt",
            progress=lambda metrics, plan=plan: report(plan, metrics),  # type: ignore[misc]
        )
        path = folder.networks / f"{plan.name}.pt"
        save_equilibrium(path, result.network, result.pixels)
        common = {
            "network": plan.network_name,
            "trained_with_errors": plan.trained_with,
            "data": data.label,
            "seed": plan.settings.seed,
        }
        rows += [{**common, **asdict(metrics)} for metrics in result.rows]
        for weight, wear in result.wear.items():
            worn.append(
                {
                    **common,
                    "weight": weight,
                    **asdict(wear),
                    "mean_writes": wear.mean_writes,
                    "most_of_endurance": wear.most_of_endurance,
                }
            )
        with atomic_path(folder.training) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
        if worn:
            with atomic_path(folder.wear) as temporary:
                pd.DataFrame(worn).to_csv(temporary, index=False)
        trained.append(TrainedEquilibrium(plan=plan, result=result, path=path))
    return tuple(trained)
