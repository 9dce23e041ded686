"""Binary and ternary quantisers whose gradient goes straight through.

The conventions are those of the training code of Laborieux et al. 2020 (arXiv 2005.01973): ternary
threshold 0.05 for weights and for activations, latent weights not clipped, activations clipped by
a Hardtanh. One convention differs. There sign(0) = 0; here a *binary* value at exactly zero becomes
+1, because a differential pair of devices that stores a binary weight can only be read as -1 or +1.
A latent weight is exactly zero with probability zero, so no trained figure depends on it.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from rramsim.exceptions import InputError

__all__ = [
    "TERNARY_THRESHOLD",
    "ActivationKind",
    "WeightKind",
    "check_activation_kind",
    "check_weight_kind",
    "quantise_activation",
    "quantise_weight",
    "straight_through",
]

WeightKind = Literal["binary", "ternary", "full"]
ActivationKind = Literal["full", "binary", "ternary"]

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


def _ternarise(values: Tensor) -> Tensor:
    # hardshrink then sign: two vectorised passes, and exactly 0 inside the threshold.
    return torch.nn.functional.hardshrink(values, TERNARY_THRESHOLD).sign_()


def _binarise(values: Tensor) -> Tensor:
    # copysign(1, -0.0) is -1; adding +0.0 turns -0.0 into +0.0, so zero of either sign gives +1.
    return torch.copysign(torch.ones((), dtype=values.dtype, device=values.device), values + 0.0)


class _StraightThrough(torch.autograd.Function):
    """Forward: a given value. Backward: the gradient goes to the latent tensor unchanged."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor, value: Tensor) -> Tensor:
        del ctx, latent
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        del ctx
        return gradients[0], None


class _QuantisedHardtanh(torch.autograd.Function):
    """Hardtanh, then a quantiser with a straight-through gradient, in one node.

    One node keeps one tensor for the backward pass in place of three; at width 16 a training step
    is bound by memory traffic, not by arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, ternary: bool) -> Tensor:
        ctx.save_for_backward(values)
        return _ternarise(values) if ternary else _binarise(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (values,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], values, -1.0, 1.0), None


def straight_through(latent: Tensor, value: Tensor) -> Tensor:
    """Return exactly `value`, with the gradient of `latent`.

    `latent + (value - latent).detach()` would do the same up to a rounding error; a weight read
    from a device must be exactly -1, 0 or +1.
    """
    return _StraightThrough.apply(latent, value.detach())


def quantise_weight(latent: Tensor, kind: WeightKind) -> Tensor:
    """Quantise latent weights (any shape) to {-1, +1} or {-1, 0, +1}; gradient straight through.

    "binary": sign, with sign(0) = +1. "ternary": 0 within `TERNARY_THRESHOLD`, else the sign.
    "full": the weights themselves. Raises `InputError` for another kind.

    >>> quantise_weight(torch.tensor([-0.2, -0.05, 0.0, 0.06]), "ternary").tolist()
    [-1.0, 0.0, 0.0, 1.0]
    >>> quantise_weight(torch.tensor([-0.2, 0.0, 3.0]), "binary").tolist()
    [-1.0, 1.0, 1.0]
    """
    if kind == "full":
        return latent
    if kind == "ternary":
        return straight_through(latent, _ternarise(latent.detach()))
    if kind == "binary":
        return straight_through(latent, _binarise(latent.detach()))
    check_weight_kind(kind)
    raise AssertionError(kind)


def quantise_activation(values: Tensor, kind: ActivationKind) -> Tensor:
    """Apply the non-linearity of a layer's input (any shape).

    "full": ReLU. "binary" and "ternary": Hardtanh, then the quantiser; the gradient is that of the
    Hardtanh (one between -1 and +1, zero outside). Raises `InputError` for another kind.

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
            return _ternarise(values) if kind == "ternary" else _binarise(values)
        return _QuantisedHardtanh.apply(values, kind == "ternary")
    check_activation_kind(kind)
    raise AssertionError(kind)
