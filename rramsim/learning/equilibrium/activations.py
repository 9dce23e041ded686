"""Neuron activations of energy-based networks, and which of them take complex numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rramsim.exceptions import InputError

__all__ = ["ACTIVATIONS", "Activation", "activation"]


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
