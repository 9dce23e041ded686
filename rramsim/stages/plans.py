"""What an experiment trains: a plan for each of its networks, whichever rule it names."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rramsim import counting, learning, networks
from rramsim.exceptions import InputError
from rramsim.stages.folder import RunFolder
from rramsim.stages.sweep import SENSE

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning.equilibrium import EquilibriumSpec, EquilibriumTraining


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One training: what is trained, on what, with which read errors in its weights."""

    errors_vdd_v: float | None
    errors: "networks.WeightErrors | None"
    data_label: str
    spec: Any
    settings: Any

    @property
    def name(self) -> str:
        """A file name that no other plan shares."""
        from rramsim.learning.settings import deciding

        value = {
            "spec": asdict(self.spec),
            "settings": deciding(self.settings),
            "errors": self.errors.describe() if self.errors else None,
            "data": self.data_label,
        }
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return f"{self.stem}-{digest[:8]}"

    @property
    def stem(self) -> str:
        """What the name of its files begins with."""
        return str(self.spec.name)

    @property
    def network_name(self) -> str:
        """What tables call the network."""
        return str(self.spec.name)

    @property
    def trained_with(self) -> str:
        """The supply whose errors were injected in training, or "none"."""
        return "none" if self.errors_vdd_v is None else f"{self.errors_vdd_v:g}"

    @property
    def epochs(self) -> int:
        """How many times the training sees every image."""
        return int(self.settings.epochs)

    def train(
        self, data: "learning.ImageData", *, file: Path, checkpoint: Path,
        report: "Callable[[learning.EpochMetrics | float], None]",
    ) -> "TrainedNetwork":  # fmt: skip
        """Train, going on from the checkpoint, and save the network.

        `report` is told every finished epoch, and within one how many are done, as 1.4.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A plan and its trained network, with the file that holds it, its epochs, its devices' wear.

    `remark` says what must be known of the training.
    """

    plan: Plan
    network: Any
    path: Path
    epochs: "tuple[learning.EpochMetrics, ...]" = ()
    wear: tuple[dict[str, Any], ...] = ()
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class NetworkPlan(Plan):
    """A quantised network, trained by back-propagation."""

    spec: "networks.NetworkSpec | networks.ModuleSpec"
    settings: "learning.TrainingSettings"

    @property
    def epochs(self) -> int:
        """How many times the training sees every image."""
        return 0 if getattr(self.spec, "weights_file", "") else int(self.settings.epochs)

    def train(
        self, data: "learning.ImageData", *, file: Path, checkpoint: Path,
        report: "Callable[[learning.EpochMetrics | float], None]",
    ) -> TrainedNetwork:  # fmt: skip
        """Train, going on from the checkpoint, and save the network."""
        if isinstance(self.spec, networks.ModuleSpec) and self.spec.weights_file:
            network, row = learning.finished(self.spec, data, self.settings)
            learning.save_network(file, self.spec, network)
            return TrainedNetwork(plan=self, network=network, path=file, epochs=(row,))
        result = learning.train(
            self.spec, data, self.settings, errors=self.errors, checkpoint=checkpoint,
            progress=report, under_way=report,
        )  # fmt: skip
        learning.save_network(file, self.spec, result.network)
        return TrainedNetwork(
            plan=self, network=result.network, path=file, epochs=tuple(result.rows)
        )


@dataclass(frozen=True, kw_only=True)
class EquilibriumPlan(Plan):
    """An energy-based network, trained by a rule of equilibrium propagation."""

    spec: "EquilibriumSpec"
    settings: "EquilibriumTraining"
    rule: str

    @property
    def stem(self) -> str:
        """What the name of its files begins with."""
        return f"{self.spec.name}-{self.rule}"

    @property
    def network_name(self) -> str:
        """Its layers, its weights if they are devices, the rule."""
        flips = self.settings.flips
        return f"{self.spec.name}{'' if flips is None else '-' + flips.levels}, {self.rule}"

    def train(
        self, data: "learning.ImageData", *, file: Path, checkpoint: Path,
        report: "Callable[[learning.EpochMetrics | float], None]",
    ) -> TrainedNetwork:  # fmt: skip
        """Train, going on from the checkpoint, and save the network."""
        from rramsim.learning.equilibrium import save_equilibrium, train_equilibrium

        result = train_equilibrium(
            self.spec, data, self.settings, errors=self.errors, checkpoint=checkpoint,
            progress=report, under_way=report,
        )  # fmt: skip
        save_equilibrium(file, result.network, result.pixels)
        remark = ""
        if result.dropped or result.fell_back:
            remark = (
                f"{self.network_name}: {100 * result.dropped:.2g} % of training samples did not "
                f"settle and were left out, {100 * result.fell_back:.2g} % settled at real points "
                "only"
            )
        worn = tuple(
            {
                "weight": weight,
                **asdict(wear),
                "mean_writes": wear.mean_writes,
                "most_of_endurance": wear.most_of_endurance,
            }
            for weight, wear in result.wear.items()
        )
        return TrainedNetwork(
            plan=self, network=result.network, path=file, epochs=tuple(result.rows), wear=worn,
            remark=remark,
        )  # fmt: skip


def network_plans(
    experiment: "Experiment", folder: RunFolder, data: "learning.ImageData"
) -> tuple[NetworkPlan, ...]:
    """Every network of the experiment's axes, in their order; rule "backprop"."""
    section, training = experiment.network, experiment.training
    settings = training.make_settings()
    steps_per_epoch = math.ceil(len(data.train_labels) / settings.batch)
    least = math.ceil(training.min_steps / steps_per_epoch)
    settings = replace(settings, epochs=max(settings.epochs, least))
    axes = product(section.architecture, section.width, section.weights, section.activations)
    specs: Sequence[networks.NetworkSpec | networks.ModuleSpec]
    if section.module is not None:
        specs = experiment.make_own_networks(data.input_shape, len(data.classes))
    else:
        specs = [
            networks.NetworkSpec.of_recipe(
                section.recipe,
                architecture=architecture,
                width=width,
                weights=weights,
                activations=activations,
                weight_threshold=section.weight_threshold,
                activation_threshold=section.activation_threshold,
                input_shape=data.input_shape,
                classes=len(data.classes),
            )
            for architecture, width, weights, activations in axes
        ]
    return tuple(
        NetworkPlan(
            spec=spec, settings=settings, data_label=data.label,
            **_injected(folder, vdd_v, spec.weights),
        )
        for spec in specs
        for vdd_v in training.errors_vdd_v
    )  # fmt: skip


def equilibrium_plans(
    experiment: "Experiment", folder: RunFolder, data: "learning.ImageData"
) -> tuple[EquilibriumPlan, ...]:
    """The training without read errors and with those of each supply, as the experiment says."""
    spec, settings = experiment.make_equilibrium(data.input_shape, len(data.classes))
    levels = settings.flips.levels if settings.flips else "ternary"
    return tuple(
        EquilibriumPlan(
            spec=spec,
            settings=settings,
            rule=experiment.training.rule,
            data_label=data.label,
            **_injected(folder, vdd_v, levels),
        )
        for vdd_v in experiment.training.errors_vdd_v
    )


def _injected(folder: RunFolder, vdd_v: float | str, weights: str) -> dict[str, Any]:
    """The read errors of a supply, at the first temperature, corner and window; or none."""
    if vdd_v == "none":
        return {"errors_vdd_v": None, "errors": None}
    dataset = SENSE.need(folder)
    for conditions in counting.conditions_of(dataset):
        if conditions.vdd_v == vdd_v:
            errors = networks.errors_of_statistics(
                counting.statistics_at(dataset, conditions), weights
            )
            return {"errors_vdd_v": float(vdd_v), "errors": errors}
    raise InputError(
        f"[training] errors_vdd_v = {float(vdd_v):g}: {SENSE.path(folder)} has no such supply"
    )


def plans_of(
    experiment: "Experiment", folder: RunFolder, data: "learning.ImageData"
) -> tuple[Plan, ...]:
    """Every training of the experiment, by its rule."""
    if experiment.training.rule == "backprop":
        return network_plans(experiment, folder, data)
    return equilibrium_plans(experiment, folder, data)
