"""The ternary VGG of Laborieux et al. 2020 (arXiv 2005.01973) as one would first write it down.

The opponent of `benchmarks/training`: float32, torch's default memory layout, and in every layer at
every forward pass random numbers for every weight. Written here from the paper's description and
the conventions of the released code (`rramsim.networks` documents them), with torch's usual parts.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PlainNetwork", "plain_optimiser"]

_THRESHOLD = 0.05


class _Ternary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        return torch.where(values.abs() <= _THRESHOLD, torch.zeros_like(values), values.sign())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return gradients[0]


class _Layer(nn.Module):
    """What both kinds of layer do: read the weight with errors, quantise the input."""

    def __init__(self, shape: tuple[int, ...], *, rate: float, first: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) * 0.03)
        self.rate = rate
        self.first = first

    def read(self) -> Tensor:
        written = _Ternary.apply(self.weight)
        if self.rate == 0.0:
            return written
        with torch.no_grad():
            zero = written == 0
            vanish = self.rate / (1.0 + zero.float().mean())
            uniform = torch.rand_like(written)
            sign = (torch.rand_like(written) - 0.5).sign()
            appeared = torch.where(uniform < 2.0 * vanish, sign, torch.zeros_like(written))
            kept = torch.where(uniform < vanish, torch.zeros_like(written), written)
            noise = torch.where(zero, appeared, kept) - written
        return written + noise

    def activated(self, values: Tensor) -> Tensor:
        return values if self.first else _Ternary.apply(nn.functional.hardtanh(values))


class _Conv(_Layer):
    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.conv2d(self.activated(values), self.read(), padding=1)


class _Linear(_Layer):
    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.linear(self.activated(values), self.read())


class PlainNetwork(nn.Sequential):
    """The VGG for images (B, 3, 32, 32) of floats; `rate` is the error rate b (0: no errors)."""

    def __init__(self, width: int, *, rate: float, classes: int = 10) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for factor in (1, 2, 4):
            for pooled in (False, True):
                out = factor * width
                layers.append(_Conv((out, channels, 3, 3), rate=rate, first=channels == 3))
                layers += [nn.MaxPool2d(2)] * pooled
                layers.append(nn.BatchNorm2d(out))
                channels = out
        layers.append(nn.Flatten())
        for inputs, outputs in ((channels * 16, 512), (512, classes)):
            layers.append(_Linear((outputs, inputs), rate=rate, first=False))
            layers.append(nn.BatchNorm1d(outputs))
        super().__init__(*layers)


def plain_optimiser(network: nn.Module, *, learning_rate: float, decay: float) -> Any:
    """AdamW as torch makes it when nothing is asked for."""
    return torch.optim.AdamW(
        network.parameters(), lr=learning_rate, weight_decay=decay, betas=(0.9, 0.99)
    )
