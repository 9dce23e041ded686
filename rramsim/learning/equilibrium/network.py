"""Energy-based perceptrons and convolutional networks: what they are, and their dynamics.

Primitive function Phi = sum_n s_(n+1) . (P(w_n * s_n) + b_n), with s_0 the clamped image. A free
step is s <- sigma(dPhi/ds); its fixed points are the stationary points of the energy
E = sum G(s) - Phi, G' the inverse of sigma (Laborieux et al. 2021, arXiv 2006.03824).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.activations import Activation, activation
from rramsim.learning.equilibrium.connections import Connection, Convolution, Dense, Pooling

__all__ = ["Clamped", "EquilibriumNetwork", "EquilibriumSpec", "Loss", "Wiring"]

Loss = Literal["squared", "cross-entropy"]
Wiring = Literal["symmetric", "asymmetric"]


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
    paddings: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    activation: str = "hard-sigmoid"
    pooling: Pooling = "max"
    loss: Loss = "squared"
    wiring: Wiring = "symmetric"
    gain: float = 1.0

    def __post_init__(self) -> None:
        for name in ("input_shape", "channels", "paddings", "hidden"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            low = 0 if name == "paddings" else 1
            if not all(isinstance(n, int) and low <= n <= 65536 for n in values):
                raise InputError(f"{name} = {values}: must be whole numbers from {low} to 65536")
        if len(self.input_shape) != 3:
            raise InputError(f"input_shape = {self.input_shape}: must be (channels, height, width)")
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
        if not (math.isfinite(self.gain) and self.gain > 0):
            raise InputError(f"gain = {self.gain}: must be above 0")
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
        pooled = bool(self.channels) and self.pooling == "max"
        return activation(self.activation).holomorphic and not pooled

    def connections(self) -> tuple[Connection, ...]:
        """The connections in order; raises `InputError` if an image shrinks to nothing."""
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

    def build(self, *, seed: int, dtype: torch.dtype = torch.float32) -> "EquilibriumNetwork":
        """Draw the weights from `seed`; biases start at zero."""
        if seed < 0:
            raise InputError(f"seed = {seed}: must be 0 or above")
        generator = torch.Generator().manual_seed(seed)

        def drawn(shape: tuple[int, ...], fan_in: int) -> Tensor:
            uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
            return ((2.0 * uniform - 1.0) * self.gain / math.sqrt(fan_in)).to(dtype)

        parameters: dict[str, Tensor] = {}
        connections = self.connections()
        for index, connection in enumerate(connections, start=1):
            shape = connection.weight_shape
            parameters[f"forward{index}.weight"] = drawn(shape, connection.fan_in)
            parameters[f"forward{index}.bias"] = torch.zeros(shape[0], dtype=dtype)
            if self.wiring == "asymmetric" and index > 1:
                parameters[f"backward{index}.weight"] = drawn(shape, connection.fan_in)
        if self.loss == "cross-entropy":
            width = math.prod(connections[-1].upper_shape)
            parameters["readout.weight"] = drawn((self.classes, width), width)
            parameters["readout.bias"] = torch.zeros(self.classes, dtype=dtype)
        return EquilibriumNetwork(spec=self, parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class Clamped:
    """Images held at the input: their drive of the first layer, and what its pool keeps."""

    images: Tensor
    drive: Tensor
    kept: Tensor | None


class EquilibriumNetwork:
    """A network's parameters and the derivatives of its primitive function, in closed form.

    States are a list of tensors, one a layer of neurons: (B, *shape), real or complex.
    `parameters` are named forwardN.weight, forwardN.bias, backwardN.weight (asymmetric wiring),
    readout.weight, readout.bias (cross-entropy).
    """

    def __init__(self, *, spec: EquilibriumSpec, parameters: dict[str, Tensor]) -> None:
        self.spec = spec
        self.parameters = parameters
        self.connections = spec.connections()
        self.activation: Activation = activation(spec.activation)

    @property
    def layers(self) -> int:
        """Number of layers of neurons."""
        return len(self.connections)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return self.parameters["forward1.weight"].dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.parameters["forward1.weight"].device

    def with_parameters(self, parameters: dict[str, Tensor]) -> "EquilibriumNetwork":
        """The same network with other parameters (as read with errors, say)."""
        return EquilibriumNetwork(spec=self.spec, parameters=parameters)

    def to(self, device: torch.device) -> "EquilibriumNetwork":
        """The same network on another device."""
        return self.with_parameters({k: v.to(device) for k, v in self.parameters.items()})

    def weight(self, index: int, *, backward: bool = False) -> Tensor:
        """Weight of connection `index` (from 0), as seen by the upper or by the lower layer."""
        name = f"backward{index + 1}.weight"
        if backward and name in self.parameters:
            return self.parameters[name]
        return self.parameters[f"forward{index + 1}.weight"]

    def initial_states(self, batch: int, *, dtype: torch.dtype | None = None) -> list[Tensor]:
        """All neurons at zero."""
        states = [
            torch.zeros(
                (batch, *connection.upper_shape), dtype=dtype or self.dtype, device=self.device
            )
            for connection in self.connections
        ]
        # Channels last: on a CPU its pools take a tenth of the time.
        return [
            s.contiguous(memory_format=torch.channels_last) if s.dim() == 4 else s for s in states
        ]

    def clamp(self, images: Tensor) -> "Clamped":
        """Clamp images (B, C, H, W): their drive of the first layer is worked out once."""
        images = images.contiguous(memory_format=torch.channels_last)
        drive, kept = self.connections[0].forward(images, self.weight(0))
        return Clamped(images=images, drive=self._biased(drive, 0), kept=kept)

    def upward(self, index: int, lower: Tensor) -> tuple[Tensor, Tensor | None]:
        """Drive of layer `index` by the layer below; what its pool keeps for `downward`."""
        drive, kept = self.connections[index].forward(lower, self.weight(index))
        if f"backward{index + 1}.weight" in self.parameters and kept is not None:
            # The backward weights have a pool of their own.
            _, kept = self.connections[index].forward(lower, self.weight(index, backward=True))
        return self._biased(drive, index), kept

    def downward(self, index: int, upper: Tensor, kept: Tensor | None) -> Tensor:
        """Drive of layer `index` - 1 by layer `index`."""
        weight = self.weight(index, backward=True)
        return self.connections[index].backward(upper, weight, kept)  # type: ignore[arg-type]

    def scores(self, states: list[Tensor]) -> Tensor:
        """What is compared over classes: the last layer, or the read-out before its softmax."""
        if self.spec.loss == "squared":
            return states[-1]
        last = states[-1].flatten(1)
        weight = self.parameters["readout.weight"].to(last.dtype)
        return last @ weight.t() + self.parameters["readout.bias"]

    def _biased(self, drive: Tensor, index: int) -> Tensor:
        # A pool passes a constant per channel on as it is, so the bias may come after it.
        bias = self.parameters[f"forward{index + 1}.bias"]
        return drive + bias.view(-1, *(1,) * (drive.dim() - 2))
