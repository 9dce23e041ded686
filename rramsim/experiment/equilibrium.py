"""[equilibrium]: the energy-based network and how it learns."""

from typing import TYPE_CHECKING, Any, Literal

from rramsim.exceptions import InputError
from rramsim.experiment.network import TrainingSection
from rramsim.experiment.values import ListOf, Quantity, Section

if TYPE_CHECKING:
    from rramsim.learning.equilibrium import EquilibriumSpec, EquilibriumTraining

__all__ = ["EquilibriumSection"]


class EquilibriumSection(Section):
    """[equilibrium]: the energy-based network and how it settles, for every rule but "backprop".

    What is left out is as `EquilibriumSpec`, `EstimatorSettings`, `DescentSettings` and `FlipRule`
    have it.
    """

    channels: ListOf[int] | None = None
    paddings: ListOf[int] | None = None
    hidden: ListOf[int] | None = None
    activation: str | None = None
    pooling: Literal["max", "softmax", "none"] | None = None
    loss: Literal["squared", "cross-entropy"] | None = None
    wiring: Literal["symmetric", "asymmetric"] | None = None
    gain: Quantity | None = None
    pixels: Literal["unit", "standardised"] | None = None
    estimator: (
        Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"] | None
    ) = None
    beta: Quantity | None = None
    points: int | None = None
    free_steps: int | None = None
    nudged_steps: int | None = None
    periods: int | None = None
    noise: Quantity | None = None
    order: Literal["synchronous", "asynchronous"] | None = None
    settle_tolerance: Quantity | None = None
    shared_update: bool | None = None
    learning_rates: ListOf[Quantity] | None = None
    momentum: Quantity | None = None
    weight_decay: Quantity | None = None
    levels: Literal["binary", "ternary"] | None = None
    averaging: Quantity | None = None
    threshold: Quantity | None = None
    most_moves: Quantity | None = None
    zero_share: Quantity | None = None
    endurance_writes: Quantity | None = None

    def given(self, *names: str) -> dict[str, Any]:
        """The keys among `names` that were given, lists as tuples."""
        values = {name: getattr(self, name) for name in names}
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if value is not None
        }

    def make(
        self, training: TrainingSection, input_shape: tuple[int, int, int], classes: int
    ) -> "tuple[EquilibriumSpec, EquilibriumTraining]":
        """The energy-based network and its training, for images of this shape.

        Raises `InputError` for keys that go with another rule.
        """
        # PyTorch takes seconds to load; only these rules need it here.
        from rramsim.learning.equilibrium import (
            DescentSettings,
            EquilibriumSpec,
            EquilibriumTraining,
            EstimatorSettings,
            FlipRule,
        )

        given = self.given
        flips = given(
            "levels", "averaging", "threshold", "most_moves", "zero_share", "endurance_writes"
        )
        if training.rule != "ternary-ep" and flips:
            raise InputError(f"[equilibrium] {next(iter(flips))}: goes with rule = 'ternary-ep'")
        holomorphic = training.rule == "holomorphic-ep"
        estimator = self.estimator or ("holomorphic" if holomorphic else "symmetric")
        if holomorphic != (estimator in ("holomorphic", "continuous")):
            raise InputError(
                f"[equilibrium] estimator = {estimator!r}: does not go with [training] rule = "
                f"{training.rule!r}"
            )
        spec = EquilibriumSpec(
            input_shape=input_shape,
            classes=classes,
            **given(
                "channels", "paddings", "hidden", "activation", "pooling", "loss", "wiring", "gain"
            ),
        )
        settings = EstimatorSettings(
            **{"points": 4 if holomorphic else 2}
            | {"estimator": estimator}
            | given(
                "beta",
                "points",
                "free_steps",
                "nudged_steps",
                "periods",
                "noise",
                "order",
                "settle_tolerance",
                "shared_update",
            )
        )
        if settings.is_complex and not spec.holomorphic:
            raise InputError(
                f"[equilibrium] activation = {spec.activation!r}, pooling = {spec.pooling!r}: not "
                "holomorphic; use 'sigmoid' or 'smooth-clip' with 'softmax' or 'none', or points "
                "= 2"
            )
        descent = given("momentum", "weight_decay")
        rates = self.learning_rates
        if rates is None and training.learning_rate is not None:
            rates = [training.learning_rate]
        if rates is not None:
            descent["learning_rate"] = tuple(rates)
        chosen: dict[str, Any] = given("pixels")
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
