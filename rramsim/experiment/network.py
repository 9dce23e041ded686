"""[network], [training], [equilibrium], [test] and [chips]: which networks, how they learn, how
they are tested, and on which chips.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field

from rramsim.chips import ArrayShape, ChipModel, Verify
from rramsim.devices import Retention
from rramsim.exceptions import InputError
from rramsim.experiment.values import ListOf, Quantity, Section, Seed, setting
from rramsim.learning.equilibrium.settings import (
    DescentSettings,
    EquilibriumSpec,
    EquilibriumTraining,
    EstimatorSettings,
    FlipRule,
)
from rramsim.learning.settings import Adaptation, Schedule, TrainingSettings
from rramsim.numbers import LARGEST_WIDTH


class NetworkSection(Section):
    """[network]: the networks that are trained; every list is an axis."""

    architecture: ListOf[Literal["vgg", "resnet", "mlp"]] = ["vgg"]
    """Convolutional (vgg), with shortcuts (resnet), or fully connected (mlp)."""
    width: ListOf[Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]] = [8]
    """Channels of the first layer, or hidden neurons."""
    weights: ListOf[Literal["binary", "ternary"]] = ["binary", "ternary"]
    """Two or three levels."""
    activations: ListOf[Literal["same", "full", "binary", "ternary"]] = ["same"]
    """Quantised as the weights are (same), or otherwise."""
    recipe: Literal["tuned", "published"] = "tuned"
    """Thresholds of ternary networks: the best found, or those of Laborieux et al. 2020."""
    module: str | None = None
    """Your own instead: "my_model:build", run as Python by `rramsim run --allow-module` alone."""
    weights_file: str | None = None
    """Finished weights of the module (.safetensors, .npz, .pt), beside this file; no training."""
    pixels: Literal["standardised", "unit", "bytes"] = "standardised"
    """What the module takes: mean 0 and deviation 1 in each channel, 0 to 1, or 0 to 255."""
    weight_threshold: Quantity | Literal["twn"] | None = None
    """Ternary weights nearer to zero are 0; "twn" for 0.7 times their mean size (Li and Liu 2016,
    arXiv 1605.04711). Left out: the recipe's."""
    activation_threshold: Quantity | None = None
    """Ternary activations nearer to zero, after batch-norm, are 0. Left out: the recipe's."""


class TrainingSection(Section):
    """[training]: how the networks learn, and from which images."""

    rule: Literal["backprop", "ep", "holomorphic-ep", "ternary-ep"] = "backprop"
    """Back-propagation, or a rule of equilibrium propagation (see [equilibrium])."""
    data: Literal[
        "auto", "digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "imagenet32", "images"
    ] = "auto"  # fmt: skip
    """The images; auto takes what --data or RRAMSIM_DATA holds, else the digits."""
    epochs: int = setting(TrainingSettings, "epochs")
    min_steps: int = Field(default=0, ge=0, le=10_000_000)
    """More epochs on a small data set, until this many batches have been seen."""
    batch: int | None = setting(
        EquilibriumTraining,
        "batch",
        default=None,
        description=f"Images of a batch. Left out: {TrainingSettings.batch}, or "
        f"{EquilibriumTraining.batch} for equilibrium propagation.",
    )
    learning_rate: Quantity | None = setting(
        TrainingSettings,
        "learning_rate",
        default=None,
        description=f"Largest learning rate. Left out: {TrainingSettings.learning_rate:g}, or "
        f"{DescentSettings.learning_rate[0]:g} for equilibrium propagation.",
    )
    seed: Seed = setting(TrainingSettings, "seed")
    bfloat16: bool = setting(TrainingSettings, "bfloat16")
    device: str = setting(TrainingSettings, "device")
    schedule: Schedule = setting(TrainingSettings, "schedule")
    warmup: Quantity = setting(TrainingSettings, "warmup")
    weight_decay: Quantity = setting(TrainingSettings, "weight_decay")
    label_smoothing: Quantity = setting(TrainingSettings, "label_smoothing")
    cutout_pixels: int = setting(TrainingSettings, "cutout_pixels")
    average: Quantity = setting(TrainingSettings, "average")
    distillation: Quantity = setting(TrainingSettings, "distillation")
    distillation_temperature: Quantity = setting(TrainingSettings, "distillation_temperature")
    errors_vdd_v: ListOf[Quantity | Literal["none"]] = ["none"]
    """Train with the read errors of this supply (one of [sense] vdd_v), or "none"."""

    def make_settings(self) -> TrainingSettings:
        """How a network is trained by back-propagation."""
        names = {field.name for field in fields(TrainingSettings)} & type(self).model_fields.keys()
        chosen = {name: getattr(self, name) for name in names}
        return TrainingSettings(**{k: v for k, v in chosen.items() if v is not None})


class TestSection(Section):
    """[test]: how the networks are tested."""

    draws: int = Field(default=3, ge=1, le=1000)
    """Draws of the read errors at every point."""
    images: int = Field(default=0, ge=0)
    """Test images used, as many of each class as can be; 0 for all."""
    recalibrate: int = setting(Adaptation, "recalibrate")
    fine_tune: int = setting(Adaptation, "fine_tune")
    seed: Seed = 0
    """Of the read errors that are drawn."""

    @property
    def adaptation(self) -> Adaptation:
        """What a network does on each chip, of the trade-off and of [chips], before it is used."""
        return Adaptation(recalibrate=self.recalibrate, fine_tune=self.fine_tune)


class ChipsSection(Section):
    """[chips]: virtual chips that hold the networks; its presence makes `rramsim run` test them.

    They are read at the first temperature, corner and window of [sense].
    """

    count: int = Field(default=100, ge=2, le=100_000)
    """Chips of each kind."""
    vdd_v: Quantity | None = None
    """Supply at which they are read, one of [sense]. Left out: its first."""
    columns: int = setting(ArrayShape, "columns")
    compare: list[Literal["iid", "own"]] = ["iid"]
    """Also test independent errors ("iid"), and an amplifier for each synapse ("own")."""
    read_noise_ln: Quantity = setting(ChipModel, "read_noise_ln")
    age_s: Quantity = 0.0
    """Time since programming."""
    relaxation_ln: Quantity = setting(Retention, "relaxation_ln")
    cell_share: tuple[Quantity, Quantity] = Field(default=(0.47, 0.60), strict=False)
    """With verify: part of ln R's variance that stays with a cell written again: LRS, HRS."""
    verify_lrs_max_ohm: Quantity | None = None
    """Write an LRS again until it is below this. Left out: no verify."""
    verify_hrs_min_ohm: Quantity | None = None
    """Write an HRS again until it is above this. Left out: no verify."""
    verify_max_writes: int = setting(Verify, "max_writes")
    surface_points: int = Field(default=1600, ge=350, le=1_000_000)
    """Pairs of resistances that the read surface is fitted to."""
    images: int = Field(default=0, ge=0)
    """Test images used; 0 for all."""
    seed: Seed = 0
    """Of the devices and amplifiers that are drawn."""

    def make_verify(self) -> Verify | None:
        """The limits that programming verifies against, if any is given."""
        low, high = self.verify_lrs_max_ohm, self.verify_hrs_min_ohm
        if low is None and high is None:
            return None
        # A limit that is left out is the other one.
        return Verify(
            lrs_max_ohm=high if low is None else low,  # type: ignore[arg-type]
            hrs_min_ohm=low if high is None else high,  # type: ignore[arg-type]
            max_writes=self.verify_max_writes,
        )


class EquilibriumSection(Section):
    """[equilibrium]: the energy-based network and how it settles, for every rule but "backprop"."""

    channels: ListOf[int] | None = setting(EquilibriumSpec, "channels", default=None)
    paddings: ListOf[int] | None = setting(EquilibriumSpec, "paddings", default=None)
    hidden: ListOf[int] | None = setting(EquilibriumSpec, "hidden", default=None)
    activation: str = setting(EquilibriumSpec, "activation")
    pooling: Literal["max", "softmax", "none"] = setting(EquilibriumSpec, "pooling")
    loss: Literal["squared", "cross-entropy"] = setting(EquilibriumSpec, "loss")
    wiring: Literal["symmetric", "asymmetric"] = setting(EquilibriumSpec, "wiring")
    gain: Quantity = setting(EquilibriumSpec, "gain")
    pixels: Literal["unit", "standardised"] = setting(EquilibriumTraining, "pixels")
    estimator: (
        Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"] | None
    ) = setting(EstimatorSettings, "estimator", default=None)
    beta: Quantity = setting(EstimatorSettings, "beta")
    points: int | None = setting(EstimatorSettings, "points", default=None)
    free_steps: int = setting(EstimatorSettings, "free_steps")
    nudged_steps: int = setting(EstimatorSettings, "nudged_steps")
    periods: int = setting(EstimatorSettings, "periods")
    noise: Quantity = setting(EstimatorSettings, "noise")
    order: Literal["synchronous", "asynchronous"] = setting(EstimatorSettings, "order")
    settle_tolerance: Quantity = setting(EstimatorSettings, "settle_tolerance")
    shared_update: bool = setting(EstimatorSettings, "shared_update")
    learning_rates: ListOf[Quantity] | None = None
    """One learning rate, or one for each connection and the read-out."""
    momentum: Quantity = setting(DescentSettings, "momentum")
    weight_decay: Quantity = setting(DescentSettings, "weight_decay")
    levels: Literal["binary", "ternary"] = setting(FlipRule, "levels")
    averaging: Quantity = setting(FlipRule, "averaging")
    threshold: Quantity = setting(FlipRule, "threshold")
    most_moves: Quantity = setting(FlipRule, "most_moves")
    zero_share: Quantity = setting(FlipRule, "zero_share")
    endurance_writes: Quantity = setting(FlipRule, "endurance_writes")

    def given(self, owner: type) -> dict[str, Any]:
        """The keys that were given among the fields of a dataclass, lists as tuples."""
        names = {field.name for field in fields(owner)} & self.model_fields_set
        values = {name: getattr(self, name) for name in names}
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if value is not None
        }

    def make(
        self, training: TrainingSection, input_shape: tuple[int, int, int], classes: int
    ) -> tuple[EquilibriumSpec, EquilibriumTraining]:
        """The energy-based network and its training, for images of this shape."""
        flips = self.given(FlipRule)
        holomorphic = training.rule == "holomorphic-ep"
        estimator = self.estimator or ("holomorphic" if holomorphic else "symmetric")
        if holomorphic != (estimator in ("holomorphic", "continuous")):
            raise InputError(
                f"[equilibrium] estimator = {estimator!r}: does not go with [training] rule = "
                f"{training.rule!r}"
            )
        spec = EquilibriumSpec(
            input_shape=input_shape, classes=classes, **self.given(EquilibriumSpec)
        )
        by_rule = {"points": 4 if holomorphic else 2, "estimator": estimator}
        settings = EstimatorSettings(**by_rule | self.given(EstimatorSettings))
        if settings.is_complex and not spec.holomorphic:
            raise InputError(
                f"[equilibrium] activation = {spec.activation!r}, pooling = {spec.pooling!r}: not "
                "holomorphic; use 'sigmoid' or 'smooth-clip' with 'softmax' or 'none', or points "
                "= 2"
            )
        descent = self.given(DescentSettings)
        rates = self.learning_rates
        if rates is None and training.learning_rate is not None:
            rates = [training.learning_rate]
        if rates is not None:
            descent["learning_rate"] = tuple(rates)
        chosen: dict[str, Any] = {"pixels": self.pixels}
        if training.batch is not None:
            chosen["batch"] = training.batch
        made = EquilibriumTraining(
            estimator=settings,
            descent=DescentSettings(**descent),
            flips=FlipRule(**flips) if training.rule == "ternary-ep" else None,
            epochs=training.epochs,
            seed=training.seed,
            device=training.device,
            **chosen,
        )
        made.descent.rates(spec.build(seed=0))
        return spec, made
