"""The built-in networks' layers: a quantised activation, then a torch layer without bias."""

from typing import Any

import torch
from torch import Tensor, nn

from rramsim.networks.conversion import convert
from rramsim.networks.quantisers import (
    TERNARY_THRESHOLD,
    ActivationKind,
    Quantiser,
    WeightKind,
    check_activation_kind,
    quantise_activation,
    quantiser_of_kind,
)

__all__ = ["QuantConv2d", "QuantLinear"]

_WEIGHT_DEVIATION = 0.03
"""Latent weights start as N(0, 0.03^2): about nine in ten ternary weights start at zero."""


class _QuantInput:
    """What both layers share: how they start, and the non-linearity of their input.

    `activations=None` leaves the input as it is, which is what a first layer does. `weights` is a
    kind, with the published quantiser, or a quantiser.
    """

    weight_used_linearly = True
    activations: ActivationKind | None
    threshold: float

    def _start(  # of a torch layer, which this class is mixed into
        self: Any,
        weights: WeightKind | Quantiser,
        activations: ActivationKind | None,
        threshold: float,
        generator: torch.Generator,
    ) -> None:
        if activations is not None:
            check_activation_kind(activations)
        self.activations, self.threshold = activations, threshold
        start = torch.randn(self.weight.shape, generator=generator) * _WEIGHT_DEVIATION
        self.register_parameter("weight", nn.Parameter(start))
        quantiser = weights if isinstance(weights, Quantiser) else quantiser_of_kind(weights)
        convert(self, quantiser)

    def activated(self, values: Tensor) -> Tensor:
        """Return the layer's input after its non-linearity."""
        if self.activations is None:
            return values
        return quantise_activation(values, self.activations, self.threshold)


class QuantConv2d(_QuantInput, nn.Conv2d):
    """3 x 3 convolution, padding 1, stride 1, no bias: (B, in, H, W) to (B, out, H, W).

    A padded pixel is 0 whatever the activations, as in the authors' code.

    >>> layer = QuantConv2d(1, 2, weights="ternary", activations=None,
    ...                     generator=torch.Generator().manual_seed(0))
    >>> layer(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, weights: WeightKind | Quantiser,
        activations: ActivationKind | None, generator: torch.Generator,
        threshold: float = TERNARY_THRESHOLD,
    ) -> None:  # fmt: skip
        nn.Conv2d.__init__(self, in_channels, out_channels, 3, padding=1, bias=False, device="meta")
        self._start(weights, activations, threshold, generator)

    def forward(self, values: Tensor) -> Tensor:
        """Convolve the activated input with the weight as read."""
        return nn.Conv2d.forward(self, self.activated(values))


class QuantLinear(_QuantInput, nn.Linear):
    """Linear layer without bias: (B, in) to (B, out)."""

    def __init__(
        self, in_features: int, out_features: int, *, weights: WeightKind | Quantiser,
        activations: ActivationKind | None, generator: torch.Generator,
        threshold: float = TERNARY_THRESHOLD,
    ) -> None:  # fmt: skip
        nn.Linear.__init__(self, in_features, out_features, bias=False, device="meta")
        self._start(weights, activations, threshold, generator)

    def forward(self, values: Tensor) -> Tensor:
        """Multiply the activated input by the weight as read."""
        return nn.Linear.forward(self, self.activated(values))
