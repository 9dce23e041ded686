"""The networks: the VGG of Laborieux et al. 2020 (arXiv 2005.01973), a residual one, and an MLP.

Each layer is a quantised activation, then a torch layer without bias whose weights are read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.networks.conversion import convert
from rramsim.networks.quantisers import (
    TERNARY_THRESHOLD,
    ActivationKind,
    Quantiser,
    Threshold,
    Twn,
    WeightKind,
    check_activation_kind,
    check_weight_kind,
    quantise_activation,
    quantiser_of_kind,
)
from rramsim.numbers import LARGEST_WIDTH, check_limits, limited

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


Architecture = Literal["vgg", "resnet", "mlp"]
Recipe = Literal["tuned", "published"]

RECIPES: dict[Recipe, dict[str, Any]] = {
    "tuned": {"weight_threshold": "twn", "activation_threshold": 0.5},
    "published": {
        "weight_threshold": TERNARY_THRESHOLD, "activation_threshold": TERNARY_THRESHOLD
    },
}  # fmt: skip
"""Thresholds of ternary networks. "published": 0.05 for both, as the released code of Laborieux et
al. 2020, at which 4 % of a standardised activation is zero. "tuned": weights by Li and Liu 2016
(0.7 mean|w|), activations within 0.5 of zero are zero; CIFAR-10, width 16, 12,800 images, 8 epochs,
five seeds: 4.2 points more (95 %: 3.4 to 5.0).
Binary networks have no threshold: both are one."""

_VGG_HIDDEN = 512


class Standardise(nn.Module):
    """Subtract a mean and divide by a deviation, channel by channel; takes uint8 images too.

    Both are buffers, so they travel with the weights: a network takes raw images (B, C, H, W) with
    pixels 0 to 255 as they are in the data set. A training sets them from its images, unless a
    `deviation` is given: pixels are then divided by it, and nothing is subtracted.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, *, deviation: float | None = None) -> None:
        super().__init__()
        self.measured = deviation is None
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.full((channels,), deviation or 1.0))

    def forward(self, images: Tensor) -> Tensor:
        """Return float images in the channels-last layout, which CPUs and GPUs convolve faster."""
        images = images.to(self.mean.dtype, memory_format=torch.channels_last)
        return (images - self.mean[:, None, None]) / self.deviation[:, None, None]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """What a network is, apart from its weights.

    `width` is N: the channels of the first convolution, or the hidden units of the perceptron.
    `input_shape` is (channels, height, width). `weight_threshold`: ternary weights nearer to zero
    are 0, "twn" for 0.7 mean|w| (`Twn`); `activation_threshold`: the same of ternary activations,
    after batch-norm; both start from the recipe "tuned" of `RECIPES`. Raises `InputError` for a
    value out of range.

    >>> NetworkSpec(weights="ternary", activations="ternary", width=16).name
    'vgg16-ternary-ternary'
    """

    weights: WeightKind
    activations: ActivationKind
    width: int = limited(low=1, high=LARGEST_WIDTH)
    architecture: Architecture = "vgg"
    input_shape: tuple[int, int, int] = field(default=(3, 32, 32))
    classes: int = limited(10, low=2, high=100_000)
    weight_threshold: float | Literal["twn"] = RECIPES["tuned"]["weight_threshold"]
    activation_threshold: float = RECIPES["tuned"]["activation_threshold"]

    def __post_init__(self) -> None:
        check_weight_kind(self.weights)
        check_activation_kind(self.activations)
        check_limits(self)
        shape = tuple(self.input_shape)
        if len(shape) != 3 or not all(isinstance(n, int) and 1 <= n <= 4096 for n in shape):
            raise InputError(
                f"input_shape = {shape}: must be (channels, height, width), each 1 to 4096"
            )
        object.__setattr__(self, "input_shape", shape)
        for key in ("weight_threshold", "activation_threshold"):
            value = getattr(self, key)
            if value == "twn" and key == "weight_threshold":
                continue
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                raise InputError(f"{key} = {value!r}: must be a number from 0 to 1")

    @classmethod
    def of_recipe(
        cls,
        recipe: Recipe = "tuned",
        *,
        weights: WeightKind,
        activations: ActivationKind | Literal["same"] = "same",
        weight_threshold: float | Literal["twn"] | None = None,
        activation_threshold: float | None = None,
        **others: Any,
    ) -> "NetworkSpec":
        """A spec with the thresholds of a recipe, but for those given; "same": as the weights.

        A network without ternary values has no threshold, whatever the recipe. Raises `InputError`
        for an unknown recipe.

        >>> NetworkSpec.of_recipe("published", weights="ternary", width=8).activation_threshold
        0.05
        """
        if recipe not in RECIPES:
            raise InputError(f"recipe = {recipe!r}: must be one of {', '.join(RECIPES)}")
        kinds = weights, weights if activations == "same" else activations
        own = {"weight_threshold": weight_threshold, "activation_threshold": activation_threshold}
        if "ternary" in kinds:
            others |= RECIPES[recipe] | {k: v for k, v in own.items() if v is not None}
        return cls(weights=kinds[0], activations=kinds[1], **others)

    @property
    def quantiser(self) -> Quantiser:
        """Of the weights; unscaled, since batch-norm follows every layer."""
        if self.weights != "ternary":
            return quantiser_of_kind(self.weights)
        if self.weight_threshold == "twn":
            return Twn(scale="none")
        return Threshold(float(self.weight_threshold))

    @property
    def name(self) -> str:
        """A short name: architecture and width, weights, activations."""
        return f"{self.architecture}{self.width}-{self.weights}-{self.activations}"

    def build(self, *, seed: int) -> nn.Module:
        """Build a network that takes images `(B, *input_shape)` and returns scores (B, classes).

        "vgg": convolutions N, N, pool, 2N, 2N, pool, 4N, 4N, pool, then linear 512 and `classes`;
        3 x 3 kernels, padding 1, no biases; max-pool before batch-norm; batch-norm after every
        layer, the output included. A pool that would leave a side below 3, the size of the kernel,
        leaves that side as it is: an image of 32 x 32 ends at 4 x 4 after three pools as published,
        one of 8 x 8 (scikit-learn's digits) at 4 x 4 after one.
        "resnet": a convolution to N channels, then six of N, N, 2N, 2N, 4N, 4N channels, each with
        a shortcut of real values around it (`ResidualConv`) and pools as the VGG's, then one linear
        layer to `classes`.
        "mlp": linear N, N and `classes`, each followed by batch-norm.

        All weights are quantised, first and last too, and drawn from N(0, 0.03^2). The input of the
        first layer stays real; the others' goes through Hardtanh and the quantiser, or through a
        ReLU with activations "full". Raises `InputError` for a seed below 0.
        """
        if seed < 0:
            raise InputError(f"seed = {seed}: must be 0 or above")
        generator = torch.Generator().manual_seed(seed)
        stages = {"vgg": _vgg, "resnet": _resnet, "mlp": _mlp}[self.architecture](self, generator)
        network = nn.Sequential(OrderedDict(stages))
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _vgg(spec: NetworkSpec, generator: torch.Generator) -> list[tuple[str, nn.Module]]:
    channels, height, width = spec.input_shape
    stages: list[tuple[str, nn.Module]] = [("standardise", Standardise(channels))]
    first = True
    index = 0
    for factor in (1, 2, 4):
        for pooled in (False, True):
            index += 1
            out = factor * spec.width
            layer = QuantConv2d(
                channels,
                out,
                weights=spec.quantiser,
                activations=None if first else spec.activations,
                generator=generator,
                threshold=spec.activation_threshold,
            )
            stages.append((f"conv{index}", layer))
            if pooled:
                kernel = (_pool_step(height), _pool_step(width))
                height, width = height // kernel[0], width // kernel[1]
                stages.append((f"pool{index}", nn.MaxPool2d(kernel)))
            stages.append((f"norm{index}", nn.BatchNorm2d(out)))
            channels, first = out, False
    stages.append(("flatten", nn.Flatten()))
    sizes = (channels * height * width, _VGG_HIDDEN, spec.classes)
    return stages + _linear_stages(sizes, spec, generator, first=False)


def _pool_step(side: int) -> int:
    """By how much a pool divides this side; below 3 x 3 a kernel would see mostly padding."""
    return 2 if side // 2 >= 3 else 1


def _resnet(spec: NetworkSpec, generator: torch.Generator) -> list[tuple[str, nn.Module]]:
    channels, height, width = spec.input_shape
    pools = []
    for _ in range(3):
        pools.append((_pool_step(height), _pool_step(width)))
        height, width = height // pools[-1][0], width // pools[-1][1]
    stages = residual_stages(
        channels, spec.width, pools=pools,
        weights=spec.quantiser, activations=spec.activations, generator=generator,
        threshold=spec.activation_threshold,
    )  # fmt: skip
    sizes = (4 * spec.width * height * width, spec.classes)
    return [
        ("standardise", Standardise(channels)),
        *stages,
        ("flatten", nn.Flatten()),
        *_linear_stages(sizes, spec, generator, first=False),
    ]


def _mlp(spec: NetworkSpec, generator: torch.Generator) -> list[tuple[str, nn.Module]]:
    channels, height, width = spec.input_shape
    sizes = (channels * height * width, spec.width, spec.width, spec.classes)
    stages: list[tuple[str, nn.Module]] = [
        ("standardise", Standardise(channels)),
        ("flatten", nn.Flatten()),
    ]
    return stages + _linear_stages(sizes, spec, generator, first=True)


def _linear_stages(
    sizes: tuple[int, ...], spec: NetworkSpec, generator: torch.Generator, *, first: bool
) -> list[tuple[str, nn.Module]]:
    stages: list[tuple[str, nn.Module]] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        layer = QuantLinear(
            inputs,
            outputs,
            weights=spec.quantiser,
            activations=None if first and index == 1 else spec.activations,
            generator=generator,
            threshold=spec.activation_threshold,
        )
        stages.append((f"linear{index}", layer))
        stages.append((f"linear_norm{index}", nn.BatchNorm1d(outputs)))
    return stages
