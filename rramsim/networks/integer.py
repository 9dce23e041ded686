"""The trained network as the hardware computes it: packed bits, XNOR/GXNOR, popcount, thresholds.

Weights are those the float network reads at the moment of conversion, read errors included. Every
hidden layer is integer arithmetic alone. The first layer's input is an image, and there are two
ways to treat it:

- "fixed": standardised pixels become integers of 2^-F, F as many bits as an int32 sum allows (at
  most 24), so the first layer is integer arithmetic too. Its sums are exact; the float network
  rounds them, so an activation can differ where the two straddle a threshold (about one in 10^7).
- "float32": the first layer runs as the float network runs it, and only its activations are packed;
  everything equals the float network by construction.

The last layer's integer sums go through its batch-norm in float32 and are the scores.

Batch-norm and quantiser between layers become integer thresholds, exactly as float32 arithmetic
decides: batch-norm is increasing or decreasing in its input, also in rounded arithmetic, so the
quantised activation is a staircase of the integer sum. Its steps are found by bisection on the
layer's own batch-norm and quantiser, which settles ties, gamma <= 0 and rounding as they do.
"""

import copy
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks.architectures import QuantConv2d, QuantLinear, Standardise
from rramsim.networks.bit_kernels import (
    LANES,
    PackedWeights,
    dot_products,
    fixed_point_convolution,
    flatten_pixels,
    gather_patches,
    pack_bits,
    pack_weights,
    remove_padding,
    threshold_and_pack,
)
from rramsim.networks.quantisers import (
    TERNARY_THRESHOLD,
    ActivationKind,
    quantise_activation,
)
from rramsim.networks.reading import reader_of

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationThresholds:
    """Staircase of each channel: with m = n ^ flip, +1 from `from_plus`, 0 from `from_zero`, else
    -1. All of shape (channels,); `flip` is -1 (m = -n - 1) where the activation falls, else 0.

    One threshold is enough for binary activations: the two are then equal.
    """

    flip: Integers
    from_plus: Integers
    from_zero: Integers

    def apply(self, sums: Integers) -> NDArray[np.int8]:
        """The activations of sums (..., channels)."""
        value = sums ^ self.flip
        plus = (value >= self.from_plus).astype(np.int8)
        return plus - (value < self.from_zero).astype(np.int8)

    def padded(self, multiple: int) -> tuple[NDArray[np.int32], ...]:
        """The three as int32, with channels added, whose bits stay 0, to a multiple of a number."""
        short = -len(self.flip) % multiple
        fill = (0, np.iinfo(np.int32).max, np.iinfo(np.int32).min)
        return tuple(
            np.concatenate((values, np.full(short, value))).astype(np.int32)
            for values, value in zip((self.flip, self.from_plus, self.from_zero), fill, strict=True)
        )


def activation_thresholds(
    norm: nn.Module,
    kind: ActivationKind,
    *,
    limit: int,
    scale: float = 1.0,
    threshold: float = TERNARY_THRESHOLD,
) -> ActivationThresholds:
    """Fold a batch-norm (in evaluation mode) and the next layer's quantiser.

    The sum n of a channel runs from -limit to limit and stands for the float32 number n * scale;
    `threshold` is the next layer's, of ternary activations.
    Raises `InputError` if the batch-norm holds values that are not finite, or if the activations
    are not quantised.

    >>> norm = nn.BatchNorm1d(1).eval()
    >>> folded = activation_thresholds(norm, "ternary", limit=9)
    >>> folded.apply(np.array([[-2], [-1], [0], [1]])).ravel().tolist()
    [-1, -1, 0, 1]
    """
    if kind not in ("binary", "ternary"):
        raise InputError(f"activations = {kind!r}: only 'binary' and 'ternary' fold to thresholds")
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) or norm.training:
        raise InputError("a batch-norm in evaluation mode is needed to fold")
    for name, tensor in norm.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"batch-norm: {name} holds values that are not finite")
    image = isinstance(norm, nn.BatchNorm2d)

    def activation(sums: Integers) -> NDArray[np.int8]:
        values = torch.from_numpy((sums * scale).astype(np.float32))
        if image:
            # The layout of the network's own data, so that the same kernel does the arithmetic.
            values = values[None, :, None, None].repeat(1, 1, 2, 2)
            values = values.contiguous(memory_format=torch.channels_last)
        else:
            values = values[None]
        with torch.no_grad():
            found = quantise_activation(norm(values), kind, threshold)
        return (found[0, :, 0, 0] if image else found[0]).numpy().astype(np.int8)

    channels = norm.num_features
    low = np.full(channels, -limit, dtype=np.int64)
    falls = activation(low) > activation(-low)
    flip = np.where(falls, -1, 0).astype(np.int64)

    def first(level: int) -> Integers:
        # The smallest m at which the activation reaches `level`, or one beyond the largest m.
        below = low + flip - 1
        reached = limit + flip + 1
        while (reached - below > 1).any():
            middle = (below + reached) // 2
            high_enough = activation(np.clip(middle ^ flip, -limit, limit)) >= level
            reached = np.where(high_enough, middle, reached)
            below = np.where(high_enough, below, middle)
        return reached

    from_plus = first(1)
    return ActivationThresholds(
        flip=flip, from_plus=from_plus, from_zero=from_plus if kind == "binary" else first(0)
    )


FirstLayer = Literal["fixed", "float32"]
Planes = tuple[NDArray[np.uint64], NDArray[np.uint64] | None]
QuantLayer = QuantConv2d | QuantLinear

_MOST_BITS = 24
_ROWS = 2048
"""Patches in work at once; about what the second-level cache holds."""
_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A layer, its pool and its batch-norm, as the float network has them."""

    name: str
    layer: QuantLayer
    pool: tuple[int, int]
    norm: nn.Module


class IntegerNetwork:
    """A network of packed weights; made by `IntegerNetwork.of`."""

    def __init__(self, network: nn.Module, *, first: FirstLayer) -> None:
        if first not in ("fixed", "float32"):
            raise InputError(f"first = {first!r}: must be 'fixed' or 'float32'")
        self._standardise, stages = _stages(network)
        self._input = (
            _FixedInput(self._standardise, stages[0], stages[1].layer)
            if first == "fixed"
            else _FloatInput(self._standardise, stages[0], stages[1].layer)
        )
        self.layers = tuple(
            _BitLayer(stage, previous=before, following=after)
            for before, stage, after in zip(
                stages, stages[1:], [*[s.layer for s in stages[2:]], None], strict=False
            )
        )

    @staticmethod
    def of(network: nn.Module, *, first: FirstLayer = "fixed") -> "IntegerNetwork":
        """Convert a trained network, with its read errors as they are now.

        Raises `InputError` if weights or activations are not quantised, if a read weight is none of
        -1, 0 and +1, or if the network is not one of `build_network`'s.
        """
        training = network.training
        try:
            return IntegerNetwork(network.eval(), first=first)
        finally:
            network.train(training)

    def with_weights(self, weights: Mapping[str, NDArray[np.int8]]) -> "IntegerNetwork":
        """The same network that reads other weights, by layer, (outputs, ...) of -1, 0 and +1.

        Much faster than converting again: the thresholds do not depend on what is read. Raises
        `InputError` if a layer is missing or its weights do not fit.
        """
        names = [self._input.name, *(layer.name for layer in self.layers)]
        if set(weights) != set(names):
            raise InputError(
                f"weights for the layers {', '.join(sorted(weights)) or 'none'}: the network has "
                f"{', '.join(names)}"
            )
        other = copy.copy(self)
        other._input = self._input.with_weights(weights[self._input.name])
        other.layers = tuple(layer.with_weights(weights[layer.name]) for layer in self.layers)
        return other

    def scores(self, images: NDArray[np.uint8], *, threads: int = 1) -> NDArray[np.float32]:
        """The scores (images, classes) of images (images, C, H, W), pixels 0 to 255."""
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype != np.uint8:
            raise InputError(
                f"images are {images.dtype} of shape {images.shape}: must be uint8 of shape "
                "(images, channels, height, width)"
            )
        parts = [images[start : start + _IMAGES] for start in range(0, len(images), _IMAGES)]
        if threads <= 1:
            return np.concatenate([self._scores(part) for part in parts])
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(self._scores, parts)))

    def predict(self, images: NDArray[np.uint8], *, threads: int = 1) -> NDArray[np.int64]:
        """The class of each image: the first of its highest scores."""
        return self.scores(images, threads=threads).argmax(axis=1)

    def _scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = self._input.activations(images)
        for layer in self.layers[:-1]:
            planes = layer.activations(planes)
        return self.layers[-1].scores(planes)


class _Weighted:
    """A layer whose weights may be others, as a chip reads them: `_lay` takes them up."""

    name: str
    _shape: tuple[int, ...]

    def with_weights(self, weights: NDArray[np.int8]) -> Self:
        if weights.shape != self._shape:
            raise InputError(
                f"{self.name}: weights of shape {weights.shape}, the layer has {self._shape}"
            )
        if not np.isin(weights, (-1, 0, 1)).all():
            raise InputError(f"{self.name}: weights must be -1, 0 or +1")
        other = copy.copy(self)
        other._lay(weights)
        return other

    def _lay(self, weights: NDArray[np.int8]) -> None:
        raise NotImplementedError


class _BitLayer(_Weighted):
    """A layer of packed weights on packed activations, with its thresholds or, last, its norm."""

    def __init__(self, stage: _Stage, *, previous: _Stage, following: QuantLayer | None) -> None:
        self._convolution = isinstance(stage.layer, QuantConv2d)
        self._ternary = stage.layer.activations == "ternary"
        self._pool = stage.pool
        self._norm = stage.norm
        self.name = stage.name
        self._shape = tuple(stage.layer.weight.shape)
        self._channels = previous.layer.weight.shape[0]
        self._lay(read_weights(stage.layer))
        self._thresholds: tuple[NDArray[np.int32], ...] | None = None
        if following is not None:
            folded = _fold(stage.norm, following, limit=self.weights.bits)
            self._thresholds = folded.padded(LANES)

    def _lay(self, weights: NDArray[np.int8]) -> None:
        if self._convolution:
            taps = weights.transpose(0, 2, 3, 1)
            self._tap_sums = np.ascontiguousarray(
                taps.sum(axis=3, dtype=np.int32).reshape(len(weights), 9).T
            )
            weights = taps.reshape(len(weights), -1)
        else:
            # The float network flattens channel by channel, the packed one pixel by pixel.
            outputs, inputs = weights.shape
            split = weights.reshape(outputs, self._channels, inputs // self._channels)
            weights = split.transpose(0, 2, 1).reshape(outputs, inputs)
        self.weights: PackedWeights = pack_weights(np.ascontiguousarray(weights))

    def activations(self, planes: Planes) -> Planes:
        """The packed activations of packed inputs: (images, height, width, words) planes."""
        assert self._thresholds is not None
        sign, some = planes
        images, height, width, _ = sign.shape
        down, across = self._pool
        if not self._convolution:
            height = width = 1
        out = _empty_planes(images, height // down, width // across, self.weights.outputs)
        for part in _slices(images, height * width):
            sums = self._sums(sign[part], None if some is None else some[part])
            _threshold(sums, self._pool, self._thresholds, out[0][part], out[1][part])
        return out[0], out[1]

    def scores(self, planes: Planes) -> NDArray[np.float32]:
        """The scores (images, outputs) of the last layer."""
        images = len(planes[0])
        sums = self._sums(*planes)[:images, : self.weights.outputs]
        with torch.no_grad():
            scores: NDArray[np.float32] = self._norm(
                torch.from_numpy(sums.astype(np.float32))
            ).numpy()
        return scores

    def _sums(self, sign: NDArray[np.uint64], some: NDArray[np.uint64] | None) -> NDArray[np.int32]:
        images, height, width, _ = sign.shape
        rows = images * height * width if self._convolution else images
        shape = (-(-rows // 4) * 4, self.weights.words)
        lay = self._lay_patches if self._convolution else self._lay_pixels
        x_sign = lay(sign, shape)
        x_some = lay(some, shape) if self._ternary and some is not None else None
        sums = np.empty((shape[0], self.weights.width), dtype=np.int32)
        packed = self.weights
        dot_products(
            x_sign, x_some, packed.sign, packed.some,
            bits=packed.bits, nonzero=packed.nonzero, sums=sums,
        )  # fmt: skip
        if self._convolution and x_some is None:
            remove_padding(self._tap_sums, images, height, width, sums)
        return sums

    def _lay_patches(self, plane: NDArray[np.uint64], shape: tuple[int, int]) -> Any:
        patches = np.empty(shape, dtype=np.uint64)
        gather_patches(plane, self._channels, patches)
        return patches

    def _lay_pixels(self, plane: NDArray[np.uint64], shape: tuple[int, int]) -> Any:
        rows = np.empty(shape, dtype=np.uint64)
        flatten_pixels(plane, self._channels, rows)
        return rows


class _FixedInput(_Weighted):
    """The first layer on standardised pixels as integers of 2^-bits."""

    def __init__(self, standardise: Standardise, stage: _Stage, following: QuantLayer) -> None:
        weights = read_weights(stage.layer)
        self.name, self._shape = stage.name, weights.shape
        self._pool = stage.pool
        self._convolution = isinstance(stage.layer, QuantConv2d)
        inputs = weights[0].size
        # What every pixel value becomes, by the trained network's own float32 arithmetic.
        levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256, 1)
        channels = len(standardise.mean)
        with torch.no_grad():
            table = standardise(levels.repeat(1, channels, 1, 1))[0, :, :, 0].double().numpy()
        largest = float(np.abs(table).max())
        room = np.log2((2**31 - 1) / max(inputs * largest, 1e-30)) if self._convolution else 30.0
        self.fraction_bits = int(min(_MOST_BITS, np.floor(room)))
        self._table = np.rint(table * 2.0**self.fraction_bits).astype(np.int64)
        limit = int(np.abs(self._table).max()) * inputs
        self._thresholds = _fold(stage.norm, following, limit=limit, scale=2.0**-self.fraction_bits)
        self._padded = self._thresholds.padded(LANES) if self._convolution else ()
        self._outputs = len(weights)
        self._lay(weights)

    def _lay(self, weights: NDArray[np.int8]) -> None:
        if self._convolution:
            laid = weights.transpose(2, 3, 1, 0).reshape(-1, self._outputs).astype(np.int32)
            self._weights: NDArray[Any] = np.pad(laid, ((0, 0), (0, -self._outputs % LANES)))
        else:
            # Sums stay below 2^53: float64 holds them exactly, and the library's product serves.
            self._weights = weights.T.astype(np.float64)

    def activations(self, images: NDArray[np.uint8]) -> Planes:
        channels = np.arange(images.shape[1])[:, None, None]
        pixels = self._table[channels, images]
        if not self._convolution:
            product = pixels.reshape(len(images), -1).astype(np.float64) @ self._weights
            return _pack(self._thresholds.apply(product.astype(np.int64))[:, None, None])
        count, _, height, width = images.shape
        laid = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1), dtype=np.int32)
        out = _empty_planes(count, height // self._pool[0], width // self._pool[1], self._outputs)
        for part in _slices(count, height * width):
            rows = len(laid[part]) * height * width
            sums = np.empty((rows, self._weights.shape[1]), dtype=np.int32)
            fixed_point_convolution(laid[part], self._weights, sums)
            _threshold(sums, self._pool, self._padded, out[0][part], out[1][part])
        return out


class _FloatInput(_Weighted):
    """The first layer as the float network runs it; its activations are packed."""

    def __init__(self, standardise: Standardise, stage: _Stage, following: QuantLayer) -> None:
        self._standardise, self._stage = standardise, stage
        self.name, self._shape = stage.name, tuple(stage.layer.weight.shape)
        # The weights as read now: a layer that draws its errors at each pass must not draw again.
        self._lay(read_weights(stage.layer))
        assert following.activations is not None
        self._kind, self._threshold = following.activations, following.threshold

    def _lay(self, weights: NDArray[np.int8]) -> None:
        self._weight = torch.from_numpy(weights).to(self._stage.layer.weight.dtype)
        if self._weight.dim() == 4:
            self._weight = self._weight.contiguous(memory_format=torch.channels_last)

    def activations(self, images: NDArray[np.uint8]) -> Planes:
        with torch.no_grad():
            values = self._standardise(torch.from_numpy(images))
            if isinstance(self._stage.layer, QuantConv2d):
                values = nn.functional.conv2d(values, self._weight, padding=1)
                values = nn.functional.max_pool2d(values, self._stage.pool)
            else:
                values = nn.functional.linear(values.flatten(1), self._weight)
            found = quantise_activation(self._stage.norm(values), self._kind, self._threshold)
            laid = found.permute(0, 2, 3, 1) if found.dim() == 4 else found[:, None, None]
        return _pack(laid.numpy())


def _threshold(
    sums: NDArray[np.int32],
    pool: tuple[int, int],
    thresholds: tuple[NDArray[np.int32], ...],
    sign: NDArray[np.uint64],
    some: NDArray[np.uint64],
) -> None:
    flip, from_plus, from_zero = thresholds
    threshold_and_pack(sums, pool, flip, from_plus, from_zero, sign, some)


def _empty_planes(
    images: int, height: int, width: int, channels: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    shape = (images, height, width, -(-channels // 64))
    return np.empty(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint64)


def _pack(values: NDArray[Any]) -> Planes:
    """Activations (images, height, width, channels) of -1, 0 and +1 as planes."""
    rows = values.reshape(-1, values.shape[-1])
    shape = (*values.shape[:-1], -1)
    return pack_bits(rows < 0).reshape(shape), pack_bits(rows != 0).reshape(shape)


def read_weights(layer: QuantLayer) -> NDArray[np.int8]:
    """A layer's weights as it reads them now, -1, 0 and +1; raises `InputError` for others."""
    reader = reader_of(layer)
    if reader is None or reader.weights == "full":
        raise InputError("weights = 'full': only 'binary' and 'ternary' weights can be packed")
    with torch.no_grad():
        values = reader.read_weight().detach().cpu().numpy()
    integers = values.astype(np.int8)
    if not (np.isin(integers, (-1, 0, 1)).all() and np.array_equal(integers, values)):
        raise InputError("a layer reads weights other than -1, 0 and +1; they cannot be packed")
    return integers


def _fold(
    norm: nn.Module, following: QuantLayer, *, limit: int, scale: float = 1.0
) -> ActivationThresholds:
    assert following.activations is not None
    return activation_thresholds(
        norm, following.activations, limit=limit, scale=scale, threshold=following.threshold
    )


def _slices(images: int, rows: int) -> Iterator[slice]:
    step = max(1, _ROWS // rows)
    for start in range(0, images, step):
        yield slice(start, start + step)


def _stages(network: nn.Module) -> tuple[Standardise, list[_Stage]]:
    """The parts of one of `build_network`'s networks; raises `InputError` for another."""
    named = list(network.named_children())
    modules = [module for _, module in named]
    if not modules or not isinstance(modules[0], Standardise):
        raise InputError("the network does not start by standardising images")
    stages: list[_Stage] = []
    layer: QuantLayer | None = None
    pool = (1, 1)
    name = ""
    for own_name, module in named[1:]:
        if isinstance(module, QuantConv2d | QuantLinear) and layer is None:
            name, layer, pool = own_name, module, (1, 1)
        elif isinstance(module, nn.MaxPool2d) and layer is not None:
            pool = _pair(module.kernel_size)
            if _pair(module.stride) != pool or _pair(module.padding) != (0, 0):
                raise InputError("a pool whose cells overlap cannot be made bit-true")
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and layer is not None:
            stages.append(_Stage(name=name, layer=layer, pool=pool, norm=module))
            layer = None
        elif not isinstance(module, nn.Flatten):
            raise InputError(
                f"{type(module).__name__}: bit-true inference knows chains of quantised layers, "
                "pools and batch-norms only"
            )
    if layer is not None or len(stages) < 2:
        raise InputError("bit-true inference needs two quantised layers with batch-norm or more")
    for before, stage in pairwise(stages):
        if isinstance(stage.layer, QuantConv2d) and isinstance(before.layer, QuantLinear):
            raise InputError("a convolution after a linear layer cannot be made bit-true")
    return modules[0], stages


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
