"""Quantisers: latent weights to integer levels and a scale, kept apart; activations to levels.

Gradients go straight through (Bengio et al. 2013, arXiv 1308.3432). Scales are computed in float64
and rounded once, so they depend neither on the layout of a tensor nor on the number of threads.

The built-in networks follow the training code of Laborieux et al. 2020 (arXiv 2005.01973):
`Threshold(0.05)` for weights and activations, no scale, latent weights not clipped, activations
clipped by a Hardtanh. One convention differs. There sign(0) = 0; here a *binary* value at exactly
zero becomes +1: a differential pair that stores a binary weight is read as -1 or +1 only.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from rramsim.exceptions import InputError

WeightKind = Literal["binary", "ternary", "full"]
ActivationKind = Literal["full", "binary", "ternary"]
ScaleOf = Literal["none", "tensor", "channel"]

TERNARY_THRESHOLD = 0.05
"""Values within this distance of zero become 0 (Laborieux et al. 2020, released code)."""


def check_weight_kind(kind: str) -> None:
    """Raise `InputError` unless `kind` is a `WeightKind`."""
    if kind not in get_args(WeightKind):
        raise InputError(f"weights = {kind!r}: must be 'binary', 'ternary' or 'full'")


def check_activation_kind(kind: str) -> None:
    """Raise `InputError` unless `kind` is an `ActivationKind`."""
    if kind not in get_args(ActivationKind):
        raise InputError(f"activations = {kind!r}: must be 'full', 'binary' or 'ternary'")


@dataclass(frozen=True)
class Quantiser(ABC):
    """Latent weights to levels and a scale.

    `kind` says what a read-out must decide, "binary" or "ternary". `places` are the place values of
    the slices that a level is stored in: (1,) for one 2T2R pair a weight.
    """

    kind: ClassVar[WeightKind] = "ternary"
    places: ClassVar[tuple[int, ...]] = (1,)

    @abstractmethod
    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """Levels (whole numbers, as floats) of the shape of `weight`, and the scale.

        `weight` is float32 or float64; `dims` are its axes within one output channel. The scale is
        None for 1, a number for the tensor, or one for each channel, broadcast to `weight`. The
        weights then are levels * scale.
        """

    def check(self, weight: Tensor, dims: tuple[int, ...]) -> None:
        """Raise `InputError` if these weights cannot be quantised so."""
        if not bool(torch.isfinite(weight).all()):
            raise InputError("its weights hold NaN or infinite values")
        _, scale = self.quantise(weight, dims)
        if scale is not None and not bool((scale > 0).all()):
            where = (
                "" if scale.numel() == 1 else f" in channel {int((scale <= 0).nonzero()[0].max())}"
            )
            raise InputError(f"its scale is zero{where}: every weight there is zero")

    def digits(self, levels: Tensor) -> Tensor:
        """The levels as slices of -1, 0 and +1, of shape (slices, ...)."""
        return levels[None]


def _check_scale(scale: str) -> None:
    if scale not in get_args(ScaleOf):
        raise InputError(f"scale = {scale!r}: must be 'none', 'tensor' or 'channel'")


def _mean(total: Tensor, dims: tuple[int, ...], of: ScaleOf, where: Tensor | None = None) -> Tensor:
    """Mean over a channel or the tensor of magnitudes, optionally of those where a mask holds."""
    keep = of == "channel"
    axes = dims if keep else tuple(range(total.dim()))
    if where is None:
        return (total.mean(dim=axes, keepdim=True, dtype=torch.float64)).to(total.dtype)
    number = where.sum(dim=axes, keepdim=True, dtype=torch.float64).clamp(min=1)
    kept = (total * where).sum(dim=axes, keepdim=True, dtype=torch.float64)
    return (kept / number).to(total.dtype)


def _ternarise(values: Tensor, threshold: float = TERNARY_THRESHOLD) -> Tensor:
    # hardshrink then sign: two vectorised passes, and exactly 0 inside the threshold.
    return torch.nn.functional.hardshrink(values, threshold).sign_()


def _binarise(values: Tensor) -> Tensor:
    # copysign(1, -0.0) is -1; adding +0.0 turns -0.0 into +0.0, so zero of either sign gives +1.
    return torch.copysign(torch.ones((), dtype=values.dtype, device=values.device), values + 0.0)


@dataclass(frozen=True)
class Threshold(Quantiser):
    """0 within a fixed threshold, else the sign; a scale is the mean of `|w|` of the others.

    >>> Threshold().quantise(torch.tensor([[-0.2, -0.05, 0.0, 0.06]]), (1,))
    (tensor([[-1.,  0.,  0.,  1.]]), None)
    """

    threshold: float = TERNARY_THRESHOLD
    scale: ScaleOf = "none"

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise InputError(f"threshold = {self.threshold!r}: must be 0 or above")

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`."""
        levels = _ternarise(weight, self.threshold)
        if self.scale == "none":
            return levels, None
        return levels, _mean(weight.abs(), dims, self.scale, levels.abs())


@dataclass(frozen=True)
class Twn(Quantiser):
    """Ternary weight networks: threshold `factor` times mean(`|w|`), scale the mean beyond it.

    Li and Liu 2016 (arXiv 1605.04711) derive 0.7. `scale` "channel" does both for each output
    channel, "none" leaves the levels unscaled (where batch-norm follows, it takes the scale up).
    """

    factor: float = 0.7
    scale: ScaleOf = "tensor"

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        if not (math.isfinite(self.factor) and self.factor >= 0):
            raise InputError(f"factor = {self.factor!r}: must be 0 or above")

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`."""
        size = weight.abs()
        # The mask as floats: products and sums with it are then vectorised.
        kept = torch.gt(size, self.factor * _mean(size, dims, self.scale)).to(weight.dtype)
        levels = weight.sign().mul_(kept)
        return levels, None if self.scale == "none" else _mean(size, dims, self.scale, kept)


@dataclass(frozen=True)
class AbsMean(Quantiser):
    """BitNet b1.58 (Ma et al. 2024, arXiv 2402.17764): w / mean(`|w|`) rounded, clipped to +-1."""

    scale: Literal["tensor", "channel"] = "tensor"

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`."""
        scale = _mean(weight.abs(), dims, self.scale)
        return (weight / scale).round_().clamp_(-1.0, 1.0), scale


@dataclass(frozen=True)
class Binary(Quantiser):
    """The sign, 0 as +1; a scale, where wanted, is mean(`|w|`) (Rastegari et al. 2016, 1603.05279).

    >>> Binary().quantise(torch.tensor([[-0.2, 0.0, 3.0]]), (1,))
    (tensor([[-1.,  1.,  1.]]), None)
    """

    kind: ClassVar[WeightKind] = "binary"
    scale: ScaleOf = "none"

    def __post_init__(self) -> None:
        _check_scale(self.scale)

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`."""
        scale = None if self.scale == "none" else _mean(weight.abs(), dims, self.scale)
        return _binarise(weight), scale


@dataclass(frozen=True)
class FullPrecision(Quantiser):
    """No quantiser: such weights are in no 2T2R pair, and read errors are not defined for them."""

    kind: ClassVar[WeightKind] = "full"

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """The weights themselves."""
        del dims
        return weight, None


@dataclass(frozen=True)
class Quantised(Quantiser):
    """Weights that are quantised already: levels -1, 0, +1 and a scale are found in them.

    `scale` "tensor" wants one magnitude in the tensor, "channel" one in each output channel.
    Anything else is refused, never rounded. `binary` says that the read-out decides between -1 and
    +1; a weight of zero is then refused.
    """

    scale: Literal["tensor", "channel"] = "tensor"
    binary: bool = False

    @property
    def kind(self) -> WeightKind:  # type: ignore[override]
        """Whether a read-out decides between two levels or three."""
        return "binary" if self.binary else "ternary"

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`; raises `InputError` for weights of several magnitudes."""
        axes = dims if self.scale == "channel" else tuple(range(weight.dim()))
        size = weight.abs()
        scale = size.amax(dim=axes, keepdim=True)
        wrong = (size != scale) & (size != 0)
        if bool(wrong.any()):
            place = tuple(int(i) for i in wrong.nonzero()[0])
            own = scale.expand_as(weight)[place]
            of = "its channel's" if self.scale == "channel" else "its"
            raise InputError(
                f"its weights are not quantised: {float(weight[place]):.9g} at {place} is neither "
                f"0 nor +-{float(own):.9g}, {of} largest; give a quantiser such as Twn()"
            )
        if self.binary and bool((size == 0).any()):
            raise InputError("its weights are not binary: they hold zeros")
        return weight.sign(), scale


@dataclass(frozen=True)
class Sliced(Quantiser):
    """Whole numbers in several 2T2R pairs a weight, each pair with read errors of its own.

    `slices` pairs hold one digit -1, 0 or +1 each. `base` 2: a sign and `slices` bits, levels up to
    2^slices - 1, so a weight of b bits with sign takes b - 1 slices. `base` 3: balanced ternary,
    levels up to (3^slices - 1) / 2. The largest `|w|` takes the highest level, unless weights are
    quantised already and their `step` is known, one or one for each output channel: what is no
    whole multiple of it is then refused, never rounded.

    >>> quantiser = Sliced(slices=3, base=2)
    >>> levels, scale = quantiser.quantise(torch.tensor([[-7.0, 5.0, 0.0]]), (1,))
    >>> quantiser.digits(levels)[:, 0].tolist()
    [[-1.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [-1.0, 1.0, 0.0]]
    """

    slices: int = 3
    base: Literal[2, 3] = 2
    scale: Literal["tensor", "channel"] = "tensor"
    step: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not all(math.isfinite(step) and step > 0 for step in self.step):
            raise InputError(f"step = {self.step[:4]}: must be above 0")
        if self.base not in (2, 3) or not 1 <= self.slices <= 12:
            raise InputError(
                f"base = {self.base}, slices = {self.slices}: must be base 2 or 3, 1 to 12 slices"
            )

    @property
    def places(self) -> tuple[int, ...]:  # type: ignore[override]
        """The slices' place values, lowest first."""
        return tuple(self.base**index for index in range(self.slices))

    @property
    def highest(self) -> int:
        """The highest level."""
        return sum(self.places)

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """See `Quantiser.quantise`; raises `InputError` for what is not on the `step`'s grid."""
        if self.step:
            return self._found(weight, dims)
        axes = dims if self.scale == "channel" else tuple(range(weight.dim()))
        scale = weight.abs().amax(dim=axes, keepdim=True) / self.highest
        found = (weight / scale).round_().clamp_(-self.highest, self.highest)
        return torch.where(scale > 0, found, torch.zeros_like(found)), scale

    def _found(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        shape = [1 if axis in dims else size for axis, size in enumerate(weight.shape)]
        if len(self.step) not in (1, math.prod(shape)):
            raise InputError(f"{len(self.step)} steps for {math.prod(shape)} output channels")
        scale = weight.new_tensor(self.step).reshape(shape if len(self.step) > 1 else (1,))
        levels = (weight / scale).round_()
        wrong = (levels * scale - weight).abs() > weight.abs() * 2.0**-22  # a rounding of float32
        wrong |= levels.abs() > self.highest
        if bool(wrong.any()):
            place = tuple(int(i) for i in wrong.nonzero()[0])
            raise InputError(
                f"its weights are not quantised: {float(weight[place]):.9g} at {place} is no whole "
                f"multiple, up to {self.highest}, of {float(scale.expand_as(weight)[place]):.9g}"
            )
        return levels, scale

    def digits(self, levels: Tensor) -> Tensor:
        """See `Quantiser.digits`."""
        if self.base == 2:
            size, sign = levels.abs(), levels.sign()
            return torch.stack([(size // place) % 2 * sign for place in self.places])
        rest, found = levels, []
        for _ in self.places:
            digit = (rest + 1) % 3 - 1
            rest = (rest - digit) / 3
            found.append(digit)
        return torch.stack(found)


@dataclass(frozen=True)
class LearnedScale(Quantiser):
    """The levels of another quantiser, with its scale a parameter that is trained.

    The layer gets a parameter `weight_scale`, which starts at the other quantiser's scale (Zhu et
    al. 2016, arXiv 1612.01064, learn scales of ternary weights).
    """

    levels: Quantiser = Twn()

    @property
    def kind(self) -> WeightKind:  # type: ignore[override]
        """As the levels'."""
        return self.levels.kind

    def quantise(self, weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """The levels with the scale that they start from."""
        levels, scale = self.levels.quantise(weight, dims)
        return levels, torch.ones((1,) * weight.dim()).to(weight) if scale is None else scale


def quantiser_of_kind(kind: WeightKind) -> Quantiser:
    """The built-in networks' published quantiser of these weights.

    Raises `InputError` for an unknown kind.
    """
    check_weight_kind(kind)
    return {"binary": Binary(), "ternary": Threshold(), "full": FullPrecision()}[kind]


class _StraightThrough(torch.autograd.Function):
    """Forward: levels * scale. Backward: to the latent tensor unchanged, to the scale its own."""

    generate_vmap_rule = True  # torch.func's vmap and grad

    @staticmethod
    def forward(latent: Tensor, levels: Tensor, scale: Tensor | None) -> Tensor:
        value = levels.view_as(levels) if scale is None else levels * scale
        return value.to(latent.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        del output
        _, levels, scale = inputs
        ctx.save_for_backward(levels if ctx.needs_input_grad[2] else None)
        ctx.scale_shape = None if scale is None else scale.shape

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor | None]:
        (levels,) = ctx.saved_tensors
        gradient = gradients[0]
        if levels is None:
            return gradient, None, None
        return gradient, None, (gradient * levels).sum_to_size(ctx.scale_shape).to(levels.dtype)


def straight_through(latent: Tensor, levels: Tensor, scale: Tensor | None = None) -> Tensor:
    """Return exactly `levels` (* `scale`), with the gradient of `latent`, in its type.

    `latent + (value - latent).detach()` would do the same up to a rounding error; a weight read
    from a device must be exactly a level.
    """
    return _StraightThrough.apply(latent, levels.detach(), scale)


class _QuantisedHardtanh(torch.autograd.Function):
    """Hardtanh, then a quantiser with a straight-through gradient, in one node.

    One node keeps one tensor for the backward pass in place of three; at width 16 a training step
    is bound by memory traffic, not by arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, ternary: bool, threshold: float) -> Tensor:
        ctx.save_for_backward(values)
        return _ternarise(values, threshold) if ternary else _binarise(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], values, -1.0, 1.0), None, None


def quantise_activation(
    values: Tensor, kind: ActivationKind, threshold: float = TERNARY_THRESHOLD
) -> Tensor:
    """Apply the non-linearity of a layer's input (any shape).

    "full": ReLU. "binary" and "ternary": Hardtanh, then the quantiser; the gradient is that of the
    Hardtanh (one between -1 and +1, zero outside). `threshold`: below it a ternary activation is 0.
    Raises `InputError` for another kind.

    >>> x = torch.tensor([-2.0, -0.5, 0.01, 0.5], requires_grad=True)
    >>> y = quantise_activation(x, "ternary"); y.tolist()
    [-1.0, -1.0, 0.0, 1.0]
    >>> y.sum().backward(); x.grad.tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    if kind == "full":
        return torch.relu(values)
    if kind in ("binary", "ternary"):
        if not torch.is_grad_enabled():
            return _ternarise(values, threshold) if kind == "ternary" else _binarise(values)
        return _QuantisedHardtanh.apply(values, kind == "ternary", threshold)
    check_activation_kind(kind)
    raise AssertionError(kind)
