"""What a user sets of equilibrium propagation; nothing here needs PyTorch."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from rramsim.exceptions import InputError

if TYPE_CHECKING:
    from rramsim.learning.equilibrium.network import EquilibriumNetwork

__all__ = [
    "DescentSettings",
    "EquilibriumTraining",
    "Estimator",
    "EstimatorSettings",
    "FlipRule",
    "Loss",
    "Order",
    "PixelKind",
    "Pooling",
    "Wiring",
]

Loss = Literal["squared", "cross-entropy"]
Order = Literal["synchronous", "asynchronous"]
PixelKind = Literal["unit", "standardised"]
Pooling = Literal["max", "softmax", "none"]
Wiring = Literal["symmetric", "asymmetric"]

Estimator = Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"]


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings:
    """An estimator of the gradient and the lengths of its phases.

    "one-sided": one nudge of strength `beta`, compared with the free equilibrium, bias O(beta).
    "random-sign": the same with a sign drawn for every batch. "symmetric": +beta and -beta, bias
    O(beta^2) (Laborieux et al. 2021). "holomorphic": `points` nudges on the circle |beta|, bias
    O(beta^points) inside the radius of holomorphy; "continuous": beta turns all the time, `periods`
    times, with no free phase, and the first period is not counted (Laborieux and Zenke 2022).
    "bptt": back-propagation through the last `nudged_steps` of the free phase, the reference.

    `free_steps` is T1, `nudged_steps` T2 (for "continuous", the steps at each point). `noise` is
    the deviation of the noise of every neuron's input in every step. Points of the upper half
    circle stand for their conjugates unless `conjugates` is False. A sample counts as settled when
    no neuron moves more than `settle_tolerance` in the last step (ten times the noise are allowed
    on top). `shared_update` gives forward and backward weights of an asymmetric network the mean of
    their updates. Raises `InputError` for a value out of range.

    >>> EstimatorSettings(estimator="holomorphic", points=3, beta=0.4).nudges()[0]
    (0.4+0j)
    """

    estimator: Estimator = "symmetric"
    """How the gradient is estimated from equilibria. Left out: as the rule has it."""
    beta: float = 0.5
    """Strength of the nudge."""
    points: int = 2
    """Nudges on the circle of radius beta. Left out: 2, or 4 for holomorphic-ep."""
    free_steps: int = 60
    """Steps of the free phase."""
    nudged_steps: int = 20
    """Steps of each nudged phase."""
    periods: int = 3
    """Turns of a continuous nudge."""
    noise: float = 0.0
    """SD of the noise in every neuron's input."""
    order: Order = "synchronous"
    """All layers at once, or the odd ones and then the even ones."""
    conjugates: bool = True
    settle_tolerance: float = 0.1
    """Largest last move of a neuron of a settled sample."""
    shared_update: bool = False
    """Whether forward and backward weights get their mean update."""

    def __post_init__(self) -> None:
        for name, kind in (("estimator", Estimator), ("order", Order)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise InputError(f"{name} = {getattr(self, name)!r}: must be one of {known}")
        if self.beta == 0:
            raise InputError("beta = 0: must be above 0; without a nudge there is no gradient")
        for name, low, high in (
            ("beta", 0.0, 100.0),
            ("noise", None, 10.0),
            ("settle_tolerance", 0.0, 1e6),
        ):
            value = getattr(self, name)
            inside = math.isfinite(value) and value <= high
            inside = inside and (value >= 0.0 if low is None else value > low)
            if not inside:
                floor = "at least 0" if low is None else "above 0"
                raise InputError(f"{name} = {value!r}: must be {floor} and at most {high:g}")
        for name, low_whole, high_whole in (
            ("points", 1, 256),
            ("free_steps", 1, 100_000),
            ("nudged_steps", 1, 100_000),
            ("periods", 2, 1000),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} = {value!r}: must be a whole number")
            if not low_whole <= value <= high_whole:
                raise InputError(f"{name} = {value}: must be from {low_whole} to {high_whole}")
        if self.estimator == "continuous" and self.points < 3:
            raise InputError(
                f"points = {self.points} with estimator = 'continuous': a turn needs 3 or more"
            )

    @property
    def is_complex(self) -> bool:
        """Whether the neurons take complex values."""
        if self.estimator == "holomorphic":
            return self.points > 2
        return self.estimator == "continuous"

    @property
    def motion_allowed(self) -> float:
        """Largest last change of a sample that counts as settled."""
        return self.settle_tolerance + 10.0 * self.noise

    def nudges(self) -> list[complex]:
        """The strengths at which the network settles, for a positive sign."""
        if self.estimator in ("one-sided", "random-sign"):
            return [complex(self.beta)]
        if self.estimator == "symmetric":
            return [complex(self.beta), complex(-self.beta)]
        return [self._on_circle(k) for k in range(self._relaxed_points())]

    def coefficients(self) -> list[complex]:
        """c of each nudge: the gradient is -sum Re(c dPhi/dw), less that of the free phase.

        The first Fourier coefficient, (1/N) sum 1/beta_k; a point that stands for its conjugate
        too counts twice. For one nudge, and for two, this is the finite difference.
        """
        nudges = self.nudges()
        if self.estimator in ("one-sided", "random-sign", "symmetric"):
            return [1.0 / (len(nudges) * beta) for beta in nudges]
        folded = self.conjugates and self.estimator == "holomorphic"
        return [
            (2.0 if folded and k % self.points and 2 * k != self.points else 1.0)
            / (self.points * beta)
            for k, beta in enumerate(nudges)
        ]

    @property
    def free_coefficient(self) -> float:
        """c of the free phase: the coefficients of a difference sum to zero."""
        single = len(self.nudges()) == 1 and self.estimator != "bptt"
        return -1.0 / self.beta if single else 0.0

    def _on_circle(self, k: int) -> complex:
        # Exact where it should be: a real point must have no imaginary dust.
        if k == 0:
            return complex(self.beta)
        if 2 * k == self.points:
            return complex(-self.beta)
        angle = 2.0 * math.pi * k / self.points
        return self.beta * complex(math.cos(angle), math.sin(angle))

    def _relaxed_points(self) -> int:
        if self.conjugates and self.estimator == "holomorphic":
            return self.points // 2 + 1
        return self.points


@dataclass(frozen=True, kw_only=True)
class DescentSettings:
    """Stochastic gradient descent with momentum, along a cosine to zero.

    `learning_rate` is one number, or one for each connection and then the read-out, as in
    Laborieux et al. 2021. `weight_decay` adds that share of every weight to its gradient. Raises
    `InputError` for a value out of range.

    >>> DescentSettings(learning_rate=(0.1,)).rate_at(0, 10)
    1.0
    """

    learning_rate: tuple[float, ...] = (0.1,)
    momentum: float = 0.9
    """Of the descent."""
    weight_decay: float = 0.0
    """Share of every weight added to its gradient."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", tuple(self.learning_rate))
        if not self.learning_rate:
            raise InputError("learning_rate = []: must hold at least one rate")
        for rate in self.learning_rate:
            if not (math.isfinite(rate) and 0 < rate <= 10):
                raise InputError(f"learning_rate = {rate!r}: must be above 0 and at most 10")
        for name, limit in (("momentum", 0.999), ("weight_decay", 1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= limit):
                raise InputError(f"{name} = {value!r}: must be from 0 to {limit:g}")

    def rate_at(self, step: int, steps: int) -> float:
        """Share of the learning rate at step `step` of `steps`."""
        return 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps)))

    def rates(self, network: "EquilibriumNetwork") -> dict[str, float]:
        """Learning rate of every parameter."""
        groups = network.layers + (network.spec.loss == "cross-entropy")
        if len(self.learning_rate) not in (1, groups):
            raise InputError(
                f"learning_rate has {len(self.learning_rate)} values: must be one, or {groups} for "
                f"the connections and the read-out of {network.spec.name}"
            )
        every = self.learning_rate * (groups if len(self.learning_rate) == 1 else 1)
        return {
            name: every[-1 if name.startswith("readout") else _connection(name) - 1]
            for name in network.parameters
        }


def _connection(name: str) -> int:
    """The number in forwardN.weight."""
    return int("".join(ch for ch in name.partition(".")[0] if ch.isdigit()))


@dataclass(frozen=True, kw_only=True)
class FlipRule:
    """When a weight is written.

    `averaging` is the weight of a new gradient in the moving average m. A weight moves when |m|
    exceeds threshold * sqrt(averaging) * g, with g the root mean square of its layer's gradients so
    far: gradients that are pure noise leave m at an SD of g * sqrt(averaging / 2). After a write
    the average of that weight starts anew: what it gathered spoke of the weight that was.
    Of those that would move, at most the share `most_moves` of the layer's weights does so in one
    update, those with the largest m first: neurons are never negative, so the weights of a neuron
    tend to ask for the same move together, and all of them at once would overshoot.
    `zero_share` of the ternary weights start at 0. `endurance_writes`: writes that a device
    survives; HfO2 devices written fast and weakly last about 1e6 (taken from the literature, not
    measured here). Raises `InputError` for a value out of range.
    """

    levels: Literal["binary", "ternary"] = "ternary"
    """Of ternary-ep: two or three levels."""
    averaging: float = 0.01
    """Of ternary-ep: weight of a new gradient in the moving average."""
    threshold: float = 1.5
    """Of ternary-ep: how clearly the average must ask for a write."""
    most_moves: float = 1e-3
    """Of ternary-ep: largest share of a layer that an update writes."""
    zero_share: float = 1.0 / 3.0
    """Of ternary-ep: share of the weights that start at 0."""
    endurance_writes: float = 1e6
    """Of ternary-ep: writes that a device survives."""

    def __post_init__(self) -> None:
        if self.levels not in ("binary", "ternary"):
            raise InputError(f"levels = {self.levels!r}: must be 'binary' or 'ternary'")
        for name, low, high in (
            ("averaging", 0.0, 1.0),
            ("threshold", 0.0, 1e6),
            ("most_moves", 0.0, 1.0),
            ("endurance_writes", 0.0, 1e18),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low < value <= high):
                raise InputError(f"{name} = {value!r}: must be above {low:g} and at most {high:g}")
        if not 0.0 <= self.zero_share < 1.0:
            raise InputError(f"zero_share = {self.zero_share!r}: must be from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class EquilibriumTraining:
    """How an energy-based network is trained.

    With `flips` the weights are binary or ternary devices (`TernaryWeights`), else real numbers.
    `pixels` "unit" takes images from 0 to 1, "standardised" with mean 0 and deviation 1 in each
    channel. Raises `InputError` for a value out of range.
    """

    estimator: EstimatorSettings = field(default_factory=EstimatorSettings)
    """How the gradient is estimated from equilibria. Left out: as the rule has it."""
    descent: DescentSettings = field(default_factory=DescentSettings)
    flips: FlipRule | None = None
    epochs: int = 10
    batch: int = 20
    seed: int = 0
    pixels: PixelKind = "unit"
    """Images from 0 to 1, or with mean 0 and deviation 1."""
    augment: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch", 1, 1_000_000),
            ("seed", 0, 2**62),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name} = {value!r}: must be a whole number from {low} to {high}")
        if self.pixels not in ("unit", "standardised"):
            raise InputError(f"pixels = {self.pixels!r}: must be 'unit' or 'standardised'")
