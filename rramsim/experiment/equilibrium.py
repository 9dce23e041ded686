"""[equilibrium]: the energy-based network and how it learns."""

from dataclasses import fields
from typing import Any, Literal

from rramsim.exceptions import InputError
from rramsim.experiment.network import TrainingSection
from rramsim.experiment.values import ListOf, Quantity, Section, setting
from rramsim.learning.equilibrium.settings import (
    DescentSettings,
    EquilibriumTraining,
    EstimatorSettings,
    FlipRule,
)
from rramsim.learning.equilibrium.spec import EquilibriumSpec

__all__ = ["EquilibriumSection"]


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
