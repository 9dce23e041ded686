"""What joins two layers of an energy-based network: P(w * s), its adjoint, its weight gradient.

A connection adds upper . P(w * lower) to the primitive function. States may be complex, weights
are real: a complex batch goes through as one real batch of twice the size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional, grad

from rramsim.learning.equilibrium.settings import Pooling

_KERNEL = 3


def _per_part(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Apply a real-linear function to real and imaginary parts, stacked along the batch."""
    if not values.is_complex():
        return function(values)
    real, imaginary = function(torch.cat([values.real, values.imag])).chunk(2)
    return torch.complex(real, imaginary)


def _parts_for_product(upper: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
    """Two real batches whose summed products are Re(upper * lower), without conjugation."""
    if not upper.is_complex() and not lower.is_complex():
        return upper, lower
    if not lower.is_complex():
        return upper.real, lower
    if not upper.is_complex():
        return upper, lower.real
    return torch.cat([upper.real, -upper.imag]), torch.cat([lower.real, lower.imag])


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Fully connected: lower (B, ...) is flattened to (B, inputs), upper is (B, outputs)."""

    inputs: int
    lower_shape: tuple[int, ...]
    outputs: int

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight."""
        return (self.outputs, self.inputs)

    @property
    def fan_in(self) -> int:
        """Inputs of one neuron."""
        return self.inputs

    @property
    def upper_shape(self) -> tuple[int, ...]:
        """Shape of an upper state, without the batch."""
        return (self.outputs,)

    def forward(self, lower: Tensor, weight: Tensor) -> tuple[Tensor, None]:
        """Return w . lower; nothing needs keeping for `backward`."""
        return _per_part(lambda s: functional.linear(s, weight), lower.flatten(1)), None

    def backward(self, upper: Tensor, weight: Tensor, kept: None) -> Tensor:
        """Return the derivative of upper . P(w * lower) by `lower`."""
        del kept
        back = _per_part(lambda s: functional.linear(s, weight.t()), upper)
        return back.unflatten(1, self.lower_shape)

    def weight_gradient(self, upper: Tensor, lower: Tensor, kept: None) -> Tensor:
        """Return Re of the derivative of upper . P(w * lower) by the weight, batch summed."""
        del kept
        one, other = _parts_for_product(upper, lower.flatten(1))
        return one.t() @ other


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """3 x 3 convolution of stride 1, then a 2 x 2 pool (or none).

    `pooling` "max" routes each upper neuron to the largest of its window; "softmax" weighs the
    window by e^x (Laborieux and Zenke 2022), which is holomorphic.
    """

    lower_shape: tuple[int, int, int]
    channels: int
    padding: int
    pooling: Pooling

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight."""
        return (self.channels, self.lower_shape[0], _KERNEL, _KERNEL)

    @property
    def fan_in(self) -> int:
        """Inputs of one neuron."""
        return self.lower_shape[0] * _KERNEL * _KERNEL

    @property
    def convolved_shape(self) -> tuple[int, int]:
        """Height and width after the convolution, before the pool."""
        grown = 2 * self.padding - _KERNEL + 1
        return self.lower_shape[1] + grown, self.lower_shape[2] + grown

    @property
    def upper_shape(self) -> tuple[int, ...]:
        """Shape of an upper state, without the batch."""
        step = 1 if self.pooling == "none" else 2
        height, width = self.convolved_shape
        return (self.channels, height // step, width // step)

    def forward(self, lower: Tensor, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return P(w * lower) and what the pool keeps for `backward`."""
        convolved = _per_part(lambda s: functional.conv2d(s, weight, padding=self.padding), lower)
        if self.pooling == "none":
            return convolved, None
        if self.pooling == "max":
            return functional.max_pool2d(convolved, 2, return_indices=True)
        windows = self._windows(convolved)
        weights = complex_softmax(windows)
        pooled = (weights * windows).sum(dim=-1)
        # d pooled / d x_i = p_i (1 + x_i - pooled)
        return pooled, weights * (1.0 + windows - pooled[..., None])

    def backward(self, upper: Tensor, weight: Tensor, kept: Tensor | None) -> Tensor:
        """Return the derivative of upper . P(w * lower) by `lower`."""
        routed = self._routed(upper, kept)
        return _per_part(
            lambda s: functional.conv_transpose2d(s, weight, padding=self.padding), routed
        )

    def weight_gradient(self, upper: Tensor, lower: Tensor, kept: Tensor | None) -> Tensor:
        """Return Re of the derivative of upper . P(w * lower) by the weight, batch summed."""
        one, other = _parts_for_product(self._routed(upper, kept), lower)
        return grad.conv2d_weight(other, list(self.weight_shape), one, padding=self.padding)

    def _routed(self, upper: Tensor, kept: Tensor | None) -> Tensor:
        """Take an upper state back through the pool, to the convolution's outputs."""
        if self.pooling == "none":
            return upper
        assert kept is not None
        if self.pooling == "max":
            return functional.max_unpool2d(upper, kept, (2, 2), output_size=self.convolved_shape)
        spread = (kept * upper[..., None]).unflatten(-1, (2, 2)).transpose(3, 4)
        spread = spread.flatten(4, 5).flatten(2, 3)
        height, width = self.convolved_shape
        return functional.pad(spread, (0, width % 2, 0, height % 2))

    def _windows(self, convolved: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/2, W/2, 4); an odd last row or column belongs to no window."""
        height, width = self.upper_shape[1:]
        cut = convolved[:, :, : 2 * height, : 2 * width]
        return cut.unflatten(3, (width, 2)).unflatten(2, (height, 2)).transpose(3, 4).flatten(4, 5)


Connection = Dense | Convolution


def complex_softmax(values: Tensor) -> Tensor:
    """Softmax over the last dimension, of real or complex values.

    The largest real part is taken off first: a constant shift changes nothing, the result stays
    holomorphic.
    """
    shift = values.real if values.is_complex() else values
    exponentials = torch.exp(values - shift.detach().amax(dim=-1, keepdim=True))
    return exponentials / exponentials.sum(dim=-1, keepdim=True)
