"""What an energy-based network is; PyTorch is loaded once it is built or checked."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.settings import Loss, Pooling, Wiring
from rramsim.numbers import check_limits, limited

if TYPE_CHECKING:
    import torch

    from rramsim.learning.equilibrium.connections import Connection
    from rramsim.learning.equilibrium.network import EquilibriumNetwork

__all__ = ["EquilibriumSpec"]


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
    classes: int = 10
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
        for name, known in (
            ("pooling", ("max", "softmax", "none")),
            ("loss", ("squared", "cross-entropy")),
            ("wiring", ("symmetric", "asymmetric")),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"{name} = {getattr(self, name)!r}: must be one of {known}")
        if self.paddings and len(self.paddings) != len(self.channels):
            raise InputError(f"paddings = {self.paddings}: must be one for each of channels")
        if not (self.channels or self.hidden) and self.loss == "cross-entropy":
            raise InputError(
                "loss = 'cross-entropy' reads the last layer of neurons: give channels or hidden"
            )
        if self.wiring == "asymmetric" and self.channels and self.pooling == "softmax":
            raise InputError("wiring = 'asymmetric' with pooling = 'softmax': use 'max' or 'none'")
        check_limits(self)
        if not (isinstance(self.classes, int) and 2 <= self.classes <= 100_000):
            raise InputError(f"classes = {self.classes}: must be between 2 and 100000")
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
