"""Energy-based perceptrons and convolutional networks: their dynamics, inputs and files.

Primitive function Phi = sum_n s_(n+1) . (P(w_n * s_n) + b_n), with s_0 the clamped image. A free
step is s <- sigma(dPhi/ds); its fixed points are the stationary points of the energy
E = sum G(s) - Phi, G' the inverse of sigma (Laborieux et al. 2021, arXiv 2006.03824).

On disk a trained network is tensors and plain values, never pickled code.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.settings import EquilibriumSpec, PixelKind
from rramsim.learning.image_data import ImageData
from rramsim.learning.progress import read_tensors, write_tensors


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A neuron's response. Only a holomorphic one may be given complex numbers."""

    name: str
    value: Callable[[Tensor], Tensor]
    holomorphic: bool


def _logistic(values: Tensor) -> Tensor:
    """1 / (1 + e^-z); a complex e^-z is kept in range, so a runaway state saturates, not NaNs."""
    if not values.is_complex():
        return torch.sigmoid(values)
    limit = 40.0 if values.dtype == torch.complex64 else 300.0
    bounded = torch.complex(values.real.clamp(-limit, limit), values.imag)
    return 1.0 / (1.0 + torch.exp(-bounded))


def _hard_sigmoid(values: Tensor) -> Tensor:
    return (0.5 * values).clamp(0.0, 1.0)


def _steep_sigmoid(values: Tensor) -> Tensor:
    return _logistic(4.0 * values - 2.0)


def _smooth_clip(values: Tensor) -> Tensor:
    half = 0.5 * values
    return half * _logistic(values) + (1.0 - half) * _logistic(values - 2.0)


ACTIVATIONS: dict[str, Activation] = {
    chosen.name: chosen
    for chosen in (
        Activation(name="hard-sigmoid", value=_hard_sigmoid, holomorphic=False),
        Activation(name="clip", value=lambda z: z.clamp(0.0, 1.0), holomorphic=False),
        Activation(name="sigmoid", value=_steep_sigmoid, holomorphic=True),
        Activation(name="smooth-clip", value=_smooth_clip, holomorphic=True),
    )
}
"""By name. "hard-sigmoid" is clip(z/2, 0, 1), of Laborieux et al. 2021's convolutional networks
(arXiv 2006.03824). "sigmoid" is 1/(1+e^(-4z+2)) and "smooth-clip" is
.5z/(1+e^-z) + (1-.5z)/(1+e^-(z-2)), a smooth hard-sigmoid: both of Laborieux and Zenke 2022
(arXiv 2209.00530), for perceptrons and convolutional networks. "clip" is clip(z, 0, 1)."""


def activation(name: str) -> Activation:
    """Find an activation by name; raises `InputError`.

    >>> activation("hard-sigmoid").value(torch.tensor([-1.0, 1.0, 5.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    if name not in ACTIVATIONS:
        raise InputError(f"activation = {name!r}: must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def draw_network(
    spec: EquilibriumSpec, *, seed: int, dtype: torch.dtype | None
) -> "EquilibriumNetwork":
    """A network of `spec` with weights drawn from `seed`."""
    if seed < 0:
        raise InputError(f"seed = {seed}: must be 0 or above")
    dtype = dtype or torch.float32
    generator = torch.Generator().manual_seed(seed)

    def drawn(shape: tuple[int, ...], fan_in: int) -> Tensor:
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        return ((2.0 * uniform - 1.0) * spec.gain / math.sqrt(fan_in)).to(dtype)

    parameters: dict[str, Tensor] = {}
    connections = spec.connections()
    for index, connection in enumerate(connections, start=1):
        shape = connection.weight_shape
        parameters[f"forward{index}.weight"] = drawn(shape, connection.fan_in)
        parameters[f"forward{index}.bias"] = torch.zeros(shape[0], dtype=dtype)
        if spec.wiring == "asymmetric" and index > 1:
            parameters[f"backward{index}.weight"] = drawn(shape, connection.fan_in)
    if spec.loss == "cross-entropy":
        width = math.prod(connections[-1].upper_shape)
        parameters["readout.weight"] = drawn((spec.classes, width), width)
        parameters["readout.bias"] = torch.zeros(spec.classes, dtype=dtype)
    return EquilibriumNetwork(spec=spec, parameters=parameters)


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


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """(pixel - mean) / deviation, one of each for every channel; pixels run from 0 to 255."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @staticmethod
    def of(data: ImageData, kind: PixelKind) -> "Pixels":
        """From 0 to 1, or with the training images' mean 0 and deviation 1 in each channel."""
        channels = data.input_shape[0]
        if kind == "unit":
            return Pixels(mean=(0.0,) * channels, deviation=(255.0,) * channels)
        return Pixels(
            mean=tuple(data.train_images.mean(axis=(0, 2, 3)).tolist()),
            deviation=tuple(data.train_images.std(axis=(0, 2, 3)).clip(min=1.0).tolist()),
        )

    def prepare(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 images (B, C, H, W) as inputs."""
        mean, deviation = (
            torch.tensor(values, dtype=dtype, device=images.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images.to(dtype) - mean) / deviation


_FORMAT = "rramsim equilibrium 1"


def save_equilibrium(path: Path, network: EquilibriumNetwork, pixels: Pixels) -> None:
    """Write a network and what its inputs are, whole or not at all.

    Raises `InputError` if a weight is not a finite number or the path cannot be written.
    """
    for name, value in network.parameters.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: not written, {name} holds values that are not finite")
    write_tensors(
        path,
        {
            "format": _FORMAT,
            "spec": json.dumps(asdict(network.spec)),
            "pixels": json.dumps(asdict(pixels)),
            "parameters": {n: p.detach().cpu() for n, p in network.parameters.items()},
        },
    )


def load_equilibrium(path: Path) -> tuple[EquilibriumNetwork, Pixels]:
    """Read what `save_equilibrium` wrote; `InputError` of one line if it is not that."""
    path = Path(path)
    values = read_tensors(path, wanted=_FORMAT)
    try:
        fields = json.loads(values["spec"])
        spec = EquilibriumSpec(**fields)
        pixels = Pixels(**{key: tuple(v) for key, v in json.loads(values["pixels"]).items()})
        parameters = dict(values["parameters"])
        shapes = {name: value.shape for name, value in spec.build(seed=0).parameters.items()}
        if {name: value.shape for name, value in parameters.items()} != shapes:
            raise ValueError("its weights do not fit the network it names")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a whole rramsim network ({error})") from error
    for name, value in parameters.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds values that are not finite")
    return EquilibriumNetwork(spec=spec, parameters=parameters), pixels
