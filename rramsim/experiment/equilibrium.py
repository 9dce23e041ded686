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
    """Channels of each convolution. Left out: no convolution."""
    paddings: ListOf[int] | None = None
    """Padding of each convolution. Left out: 1."""
    hidden: ListOf[int] | None = None
    """Neurons of each fully connected layer."""
    activation: str | None = None
    """The neurons' function, such as hard-sigmoid, sigmoid or smooth-clip."""
    pooling: Literal["max", "softmax", "none"] | None = None
    """Pooling behind every convolution. Left out: max."""
    loss: Literal["squared", "cross-entropy"] | None = None
    """Squared on output neurons, or cross-entropy of a read-out. Left out: squared."""
    wiring: Literal["symmetric", "asymmetric"] | None = None
    """Whether backward weights are the forward ones. Left out: symmetric."""
    gain: Quantity | None = None
    """Scale of the initial weights. Left out: 1."""
    pixels: Literal["unit", "standardised"] | None = None
    """Images from 0 to 1, or with mean 0 and deviation 1. Left out: unit."""
    estimator: (
        Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"] | None
    ) = None
    """How the gradient is estimated from equilibria. Left out: as the rule has it."""
    beta: Quantity | None = None
    """Strength of the nudge. Left out: 0.5."""
    points: int | None = None
    """Nudges on the circle of radius beta. Left out: 2, or 4 for holomorphic-ep."""
    free_steps: int | None = None
    """Steps of the free phase. Left out: 60."""
    nudged_steps: int | None = None
    """Steps of each nudged phase. Left out: 20."""
    periods: int | None = None
    """Turns of a continuous nudge. Left out: 3."""
    noise: Quantity | None = None
    """Deviation of the noise in every neuron's input. Left out: 0."""
    order: Literal["synchronous", "asynchronous"] | None = None
    """All layers at once, or the odd ones and then the even ones. Left out: synchronous."""
    settle_tolerance: Quantity | None = None
    """Largest last move of a neuron of a settled sample. Left out: 0.1."""
    shared_update: bool | None = None
    """Whether forward and backward weights get their mean update. Left out: no."""
    learning_rates: ListOf[Quantity] | None = None
    """One learning rate, or one for each connection and the read-out."""
    momentum: Quantity | None = None
    """Of the descent. Left out: 0.9."""
    weight_decay: Quantity | None = None
    """Share of every weight added to its gradient. Left out: 0."""
    levels: Literal["binary", "ternary"] | None = None
    """Of ternary-ep: two or three levels. Left out: ternary."""
    averaging: Quantity | None = None
    """Of ternary-ep: weight of a new gradient in the moving average. Left out: 0.01."""
    threshold: Quantity | None = None
    """Of ternary-ep: how clearly the average must ask for a write. Left out: 1.5."""
    most_moves: Quantity | None = None
    """Of ternary-ep: largest share of a layer that an update writes. Left out: 0.001."""
    zero_share: Quantity | None = None
    """Of ternary-ep: share of the weights that start at 0. Left out: a third."""
    endurance_writes: Quantity | None = None
    """Of ternary-ep: writes that a device survives. Left out: 1e6."""

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
