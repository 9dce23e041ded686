"""What a user sets of equilibrium propagation: the network, the estimator, the training.

Nothing here needs PyTorch before a network is built or checked.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

if TYPE_CHECKING:
    import torch

    from rramsim.learning.equilibrium.connections import Connection
    from rramsim.learning.equilibrium.network import EquilibriumNetwork

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
    beta: float = limited(0.5, low=0, high=100, above=True)
    """Strength of the nudge."""
    points: int = limited(2, low=1, high=256)
    """Nudges on the circle of radius beta. Left out: 2, or 4 for holomorphic-ep."""
    free_steps: int = limited(60, low=1, high=100_000)
    """Steps of the free phase."""
    nudged_steps: int = limited(20, low=1, high=100_000)
    """Steps of each nudged phase."""
    periods: int = limited(3, low=2, high=1000)
    """Turns of a continuous nudge."""
    noise: float = limited(0.0, low=0, high=10)
    """SD of the noise in every neuron's input."""
    order: Order = "synchronous"
    """All layers at once, or the odd ones and then the even ones."""
    conjugates: bool = True
    settle_tolerance: float = limited(0.1, low=0, high=1e6, above=True)
    """Largest last move of a neuron of a settled sample."""
    shared_update: bool = False
    """Whether forward and backward weights get their mean update."""

    def __post_init__(self) -> None:
        check_limits(self)
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
    momentum: float = limited(0.9, low=0, high=0.999)
    """Of the descent."""
    weight_decay: float = limited(0.0, low=0, high=1)
    """Share of every weight added to its gradient."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", tuple(self.learning_rate))
        if not self.learning_rate:
            raise InputError("learning_rate = []: must hold at least one rate")
        for rate in self.learning_rate:
            if not (math.isfinite(rate) and 0 < rate <= 10):
                raise InputError(f"learning_rate = {rate!r}: must be above 0 and at most 10")
        check_limits(self)

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
    """Two or three levels."""
    averaging: float = limited(0.01, low=0, high=1, above=True)
    """Weight of a new gradient in the moving average."""
    threshold: float = limited(1.5, low=0, high=1e6, above=True)
    """How clearly the average must ask for a write."""
    most_moves: float = limited(1e-3, low=0, high=1, above=True)
    """Largest share of a layer that an update writes."""
    zero_share: float = limited(1.0 / 3.0, low=0, high=1, below=True)
    """Share of the weights that start at 0."""
    endurance_writes: float = limited(1e6, low=0, high=1e18, above=True)
    """Writes that a device survives."""

    def __post_init__(self) -> None:
        check_limits(self)


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
    epochs: int = limited(10, low=1, high=100_000)
    batch: int = limited(20, low=1, high=1_000_000)
    seed: int = limited(0, low=0, high=2**62)
    pixels: PixelKind = "unit"
    """Images from 0 to 1, or with mean 0 and deviation 1."""
    augment: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class EquilibriumSpec:
    """What an energy-based network is, apart from its weights.

    `channels` are 3 x 3 convolutions, each followed by a 2 x 2 pool; `paddings` theirs (1 each if
    left out); then fully connected layers of `hidden` neurons. With `loss` "squared" the last layer
    of the dynamics has a neuron per class; with "cross-entropy" a read-out softmax(W s + b) outside
    of the dynamics looks at the last layer. `wiring` "asymmetric" gives every connection between
    two layers of neurons its own backward weight. `gain` scales the initial weights,
    uniform in +- gain / sqrt(fan-in). Raises `InputError` for a value out of range.

    >>> EquilibriumSpec(input_shape=(1, 8, 8), hidden=(128,)).name
    'ep-128-hard-sigmoid-squared'
    """

    input_shape: tuple[int, int, int]
    classes: int = limited(10, low=2, high=100_000)
    channels: tuple[int, ...] = ()
    """Channels of each convolution. Left out: no convolution."""
    paddings: tuple[int, ...] = ()
    """Padding of each convolution."""
    hidden: tuple[int, ...] = ()
    """Neurons of each fully connected layer."""
    activation: str = "hard-sigmoid"
    """The neurons' function, such as hard-sigmoid, sigmoid or smooth-clip."""
    pooling: Pooling = "max"
    """Pooling behind every convolution."""
    loss: Loss = "squared"
    """Squared on output neurons, or cross-entropy of a read-out."""
    wiring: Wiring = "symmetric"
    """Whether backward weights are the forward ones."""
    gain: float = limited(1.0, low=0, above=True)
    """Scale of the initial weights."""

    def __post_init__(self) -> None:
        for name in ("input_shape", "channels", "paddings", "hidden"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            low = 0 if name == "paddings" else 1
            if not all(isinstance(n, int) and low <= n <= 65536 for n in values):
                raise InputError(f"{name} = {values}: must be whole numbers from {low} to 65536")
        if len(self.input_shape) != 3:
            raise InputError(f"input_shape = {self.input_shape}: must be (channels, height, width)")
        from rramsim.learning.equilibrium.network import activation

        activation(self.activation)
        check_limits(self)
        if self.paddings and len(self.paddings) != len(self.channels):
            raise InputError(f"paddings = {self.paddings}: must be one for each of channels")
        if not (self.channels or self.hidden) and self.loss == "cross-entropy":
            raise InputError(
                "loss = 'cross-entropy' reads the last layer of neurons: give channels or hidden"
            )
        if self.wiring == "asymmetric" and self.channels and self.pooling == "softmax":
            raise InputError("wiring = 'asymmetric' with pooling = 'softmax': use 'max' or 'none'")
        self.connections()

    @property
    def name(self) -> str:
        """A short name: layers, activation, loss."""
        layers = [f"{n}c" for n in self.channels] + [str(n) for n in self.hidden]
        wiring = "" if self.wiring == "symmetric" else "-asymmetric"
        return f"ep-{'-'.join(layers) or 'linear'}-{self.activation}-{self.loss}{wiring}"

    @property
    def holomorphic(self) -> bool:
        """Whether the dynamics may be continued to complex numbers."""
        from rramsim.learning.equilibrium.network import activation

        pooled = bool(self.channels) and self.pooling == "max"
        return activation(self.activation).holomorphic and not pooled

    def connections(self) -> "tuple[Connection, ...]":
        """The connections in order; raises `InputError` if an image shrinks to nothing."""
        from rramsim.learning.equilibrium.connections import Convolution, Dense

        made: list[Connection] = []
        shape: tuple[int, ...] = self.input_shape
        for index, channels in enumerate(self.channels):
            padding = self.paddings[index] if self.paddings else 1
            connection = Convolution(
                lower_shape=(shape[0], shape[1], shape[2]),
                channels=channels,
                padding=padding,
                pooling=self.pooling,
            )
            shape = connection.upper_shape
            if min(shape) < 1:
                raise InputError(
                    f"channels = {self.channels}: an image {self.input_shape} is too small for "
                    f"convolution {index + 1} and its pool"
                )
            made.append(connection)
        outputs = (self.classes,) if self.loss == "squared" else ()
        for width in (*self.hidden, *outputs):
            made.append(Dense(inputs=math.prod(shape), lower_shape=shape, outputs=width))
            shape = (width,)
        return tuple(made)

    def build(self, *, seed: int, dtype: "torch.dtype | None" = None) -> "EquilibriumNetwork":
        """Draw the weights from `seed`, as float32 if not told; biases start at zero."""
        from rramsim.learning.equilibrium.network import draw_network

        return draw_network(self, seed=seed, dtype=dtype)
