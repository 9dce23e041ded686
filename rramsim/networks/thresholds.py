"""Batch-norm and quantiser folded into integer thresholds, exactly as float32 arithmetic decides.

Batch-norm is increasing or decreasing in its input, also in rounded arithmetic, so the quantised
activation is a staircase of the integer sum. Its steps are found by bisection on the layer's own
batch-norm and quantiser, which settles ties, gamma <= 0 and rounding as the float network does.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks.quantisers import (
    TERNARY_THRESHOLD,
    ActivationKind,
    quantise_activation,
)

__all__ = ["ActivationThresholds", "activation_thresholds"]

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
