"""Convolution and linear layers whose weights and inputs are quantised, without biases."""

import torch
from torch import Tensor, nn

from rramsim.networks.quantisers import (
    ActivationKind,
    WeightKind,
    check_activation_kind,
    check_weight_kind,
    quantise_activation,
    quantise_weight,
    straight_through,
)
from rramsim.networks.weight_errors import WeightErrors

__all__ = ["QuantConv2d", "QuantLayer", "QuantLinear"]

_WEIGHT_DEVIATION = 0.03
"""Latent weights start as N(0, 0.03^2): about nine in ten ternary weights start at zero."""


class QuantLayer(nn.Module):
    """What both layers share: the latent weight, its quantiser and the errors of its reads.

    `activations=None` leaves the input as it is, which is what a first layer does.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        weights: WeightKind,
        activations: ActivationKind | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        check_weight_kind(weights)
        if activations is not None:
            check_activation_kind(activations)
        self.weights: WeightKind = weights
        self.activations: ActivationKind | None = activations
        self.weight = nn.Parameter(torch.randn(shape, generator=generator) * _WEIGHT_DEVIATION)
        self._errors: WeightErrors | None = None
        self._generator: torch.Generator | None = None
        self._frozen: Tensor | None = None

    def quantised_weight(self) -> Tensor:
        """Return the weight as written to the devices: no read errors, no gradient."""
        with torch.no_grad():
            return quantise_weight(self.weight, self.weights)

    def read_weight(self) -> Tensor:
        """Return the weight as read now: with its errors if any, gradient straight through."""
        if self._frozen is not None:
            return straight_through(self.weight, self._frozen)
        if self._errors is None or self._generator is None:
            return quantise_weight(self.weight, self.weights)
        read = self._errors.apply(
            self.quantised_weight(), generator=self._generator, in_place=self.weights != "full"
        )
        return straight_through(self.weight, read)

    @property
    def draws_errors(self) -> bool:
        """Whether every forward pass draws errors anew."""
        return self._errors is not None and self._frozen is None

    def error_generator(self) -> torch.Generator:
        """Return the generator to draw errors from: the one in use, where the weight still is.

        A CUDA graph that was recorded with it keeps to it, and a new seed then reaches the graph.
        """
        if self._generator is not None and self._generator.device == self.weight.device:
            return self._generator
        return torch.Generator(device=self.weight.device)

    def attach_errors(
        self, errors: WeightErrors | None, *, generator: torch.Generator | None, frozen: bool
    ) -> None:
        """Read with these errors from now on; `frozen` draws them now, once.

        Use `set_weight_errors`, which does this to every layer of a network.
        """
        self._errors, self._generator, self._frozen = errors, generator, None
        if frozen and errors is not None and generator is not None:
            self._frozen = errors.apply(
                self.quantised_weight(), generator=generator, in_place=self.weights != "full"
            )

    def attach_read(self, read: Tensor) -> None:
        """Read these values from now on; use `set_read_weights`, which checks them."""
        self._errors = self._generator = None
        frozen = read.to(device=self.weight.device, dtype=self.weight.dtype)
        if frozen.dim() == 4:
            frozen = frozen.contiguous(memory_format=torch.channels_last)
        self._frozen = frozen

    def activated(self, values: Tensor) -> Tensor:
        """Return the layer's input after its non-linearity."""
        return values if self.activations is None else quantise_activation(values, self.activations)

    def extra_repr(self) -> str:
        """Say what `print(network)` shows between the parentheses."""
        shape = "x".join(str(size) for size in self.weight.shape)
        return f"{shape}, weights={self.weights}, activations={self.activations}"


class QuantConv2d(QuantLayer):
    """3 x 3 convolution, padding 1, stride 1, no bias: (B, in, H, W) to (B, out, H, W).

    A padded pixel is 0 whatever the activations, as in the authors' code.

    >>> layer = QuantConv2d(1, 2, weights="ternary", activations=None,
    ...                     generator=torch.Generator().manual_seed(0))
    >>> layer(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        weights: WeightKind,
        activations: ActivationKind | None,
        generator: torch.Generator,
    ) -> None:
        shape = (out_channels, in_channels, 3, 3)
        super().__init__(shape, weights=weights, activations=activations, generator=generator)

    def forward(self, values: Tensor) -> Tensor:
        """Convolve the activated input with the weight as read."""
        return nn.functional.conv2d(self.activated(values), self.read_weight(), padding=1)


class QuantLinear(QuantLayer):
    """Linear layer without bias: (B, in) to (B, out)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        weights: WeightKind,
        activations: ActivationKind | None,
        generator: torch.Generator,
    ) -> None:
        shape = (out_features, in_features)
        super().__init__(shape, weights=weights, activations=activations, generator=generator)

    def forward(self, values: Tensor) -> Tensor:
        """Multiply the activated input by the weight as read."""
        return nn.functional.linear(self.activated(values), self.read_weight())
