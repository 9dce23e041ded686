"""A residual network of quantised convolutions, each with a shortcut of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rramsim.networks.layers import QuantConv2d
from rramsim.networks.quantisers import TERNARY_THRESHOLD, ActivationKind, Quantiser, WeightKind

__all__ = ["ResidualConv", "residual_stages"]


class ResidualConv(nn.Module):
    """Quantised 3 x 3 convolution, pool and batch-norm, and around them a shortcut of real values.

    (B, in, H, W) to (B, out, H / pool, W / pool), `out` a multiple of `in`. The shortcut carries
    what quantised activations throw away, and has no weights: it averages where the convolution
    pools, and repeats channels where there are more. Liu et al. 2018 ("Bi-Real Net", arXiv
    1808.00278) have such a shortcut around each convolution, with 1 x 1 convolutions of real
    weights where channels are added, which an array of binary or ternary devices cannot hold.

    >>> block = ResidualConv(2, 4, pool=(2, 2), weights="ternary", activations="ternary",
    ...                      generator=torch.Generator().manual_seed(0))
    >>> block(torch.zeros(1, 2, 8, 8)).shape
    torch.Size([1, 4, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pool: tuple[int, int],
        weights: WeightKind | Quantiser,
        activations: ActivationKind,
        generator: torch.Generator,
        threshold: float = TERNARY_THRESHOLD,
    ) -> None:
        super().__init__()
        self.conv = QuantConv2d(
            in_channels, out_channels, weights=weights, activations=activations,
            generator=generator, threshold=threshold,
        )  # fmt: skip
        self.pool = nn.MaxPool2d(pool)
        self.norm = nn.BatchNorm2d(out_channels)
        self.average = nn.AvgPool2d(pool)
        self.repeats = out_channels // in_channels

    def forward(self, values: Tensor) -> Tensor:
        """Return the sum of both ways."""
        shortcut = self.average(values)
        if self.repeats > 1:
            shortcut = torch.cat([shortcut] * self.repeats, dim=1)
        summed: Tensor = self.norm(self.pool(self.conv(values))) + shortcut
        return summed


def residual_stages(
    in_channels: int,
    width: int,
    *,
    pools: Sequence[tuple[int, int]],
    weights: WeightKind | Quantiser,
    activations: ActivationKind,
    generator: torch.Generator,
    threshold: float = TERNARY_THRESHOLD,
) -> list[tuple[str, nn.Module]]:
    """A convolution of the image to `width` channels, then groups of two residual convolutions.

    Group g has 2^g * width channels; its second convolution pools by `pools[g]`.
    """
    stem = QuantConv2d(in_channels, width, weights=weights, activations=None, generator=generator)
    stages: list[tuple[str, nn.Module]] = [("conv1", stem), ("norm1", nn.BatchNorm2d(width))]
    channels = width
    for group, pool in enumerate(pools):
        out = width * 2**group
        for index, step in enumerate(((1, 1), pool)):
            block = ResidualConv(
                channels, out, pool=step,
                weights=weights, activations=activations, generator=generator,
                threshold=threshold,
            )  # fmt: skip
            stages.append((f"block{2 * group + index + 1}", block))
            channels = out
    return stages
