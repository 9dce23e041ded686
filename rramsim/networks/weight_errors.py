"""What a read does to a quantised weight: three statistical models of its errors.

All draw independently for every weight. Type 1 is a sign flip, type 2 a non-zero weight read as
zero, type 3 a zero read as non-zero (Laborieux et al. 2020, arXiv 2005.01973).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rramsim.counting import ErrorStatistics, FoundRate
from rramsim.exceptions import InputError
from rramsim.networks.quantisers import WeightKind
from rramsim.networks.sampling import draw_reads, draw_reads_densely, on_device, share_of_zeros

__all__ = [
    "BinaryFlips",
    "ScalarErrors",
    "TransitionErrors",
    "WeightErrors",
    "errors_of_statistics",
    "errors_of_type",
]


class WeightErrors(ABC):
    """A model of the errors with which quantised weights are read."""

    def apply(self, quantised: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the weights as read, of the same shape and type.

        `quantised` holds -1, 0 and +1 and is left as it is. Every random number comes from
        `generator`. Raises `InputError` for other values: they are nothing that a pair of devices
        holds, and quantising them is not this method's to do.
        """
        levels = quantised.detach()
        wrong = (levels != 0) & (levels.abs() != 1)
        if bool(wrong.any()):
            value = float(levels[wrong][0])
            raise InputError(
                f"weights to read hold {value:.6g}: must be -1, 0 or +1; scaled or full-precision "
                "weights are read through rramsim.nn.convert"
            )
        working = levels if levels.dtype in (torch.float32, torch.float64) else levels.float()
        return self.draw(working, generator=generator).to(quantised.dtype)

    @abstractmethod
    def draw(
        self, quantised: Tensor, *, generator: torch.Generator, in_place: bool = False
    ) -> Tensor:
        """As `apply`, of float32 or float64 levels that are not looked at first.

        With `in_place` they may be overwritten, which saves a copy of weights that nothing else
        needs.
        """

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Return the model as plain values (JSON), the same for models that draw the same."""

    def check_weights(self, kind: WeightKind) -> None:
        """Raise `InputError` if the model makes no sense for weights of this kind."""
        if kind == "full":
            raise InputError(
                "weights = 'full': read errors are defined for 'binary' and 'ternary' weights only"
            )


def _check_rate(name: str, rate: float, limit: float) -> None:
    if not (math.isfinite(rate) and 0.0 <= rate <= limit):
        raise InputError(f"{name} = {rate}: must be a probability between 0 and {limit:g}")


class TransitionErrors(WeightErrors):
    """Each weight is read according to the row of a 3 x 3 matrix that its written value picks.

    `matrix[i, j]` is the probability that a weight written as (-1, 0, +1)[i] is read as
    (-1, 0, +1)[j]. Raises `InputError` if an entry is not a probability or a row does not sum to 1.

    >>> swap = TransitionErrors([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    >>> weights = torch.tensor([-1.0, 0.0, 1.0])
    >>> swap.apply(weights, generator=torch.Generator().manual_seed(0)).tolist()
    [1.0, 0.0, -1.0]
    """

    def __init__(self, matrix: ArrayLike) -> None:
        values = np.array(matrix, dtype=np.float64)
        if values.shape != (3, 3):
            raise InputError(f"transition matrix of shape {values.shape}: must be 3 x 3")
        for written, row in zip((-1, 0, 1), values, strict=True):
            if not (np.isfinite(row).all() and (row >= 0.0).all()):
                raise InputError(
                    f"transition matrix, row of written {written:+d} = {row.tolist()}: "
                    "must hold probabilities between 0 and 1"
                )
            if abs(float(row.sum()) - 1.0) > 1e-6:
                raise InputError(
                    f"transition matrix, row of written {written:+d} = {row.tolist()}: "
                    f"sums to {row.sum():.9g}, must sum to 1"
                )
        values /= values.sum(axis=1, keepdims=True)
        values.setflags(write=False)
        self.matrix = values

    def __repr__(self) -> str:
        return f"TransitionErrors({self.matrix.tolist()})"

    def describe(self) -> dict[str, object]:
        """Return the matrix."""
        return {"model": "transition", "matrix": self.matrix.tolist()}

    def check_weights(self, kind: WeightKind) -> None:
        """Refuse full-precision weights, and binary ones that could be read as 0."""
        super().check_weights(kind)
        if kind == "binary" and self.matrix[[0, 2], 1].any():
            raise InputError(
                "weights = 'binary' with a transition matrix that reads -1 or +1 as 0: a binary "
                "read-out gives -1 or +1; use TransitionErrors.without_zero_reads()"
            )

    def without_zero_reads(self) -> "TransitionErrors":
        """Return the errors of a read-out that must decide: each read of 0 becomes -1 or +1 evenly.

        A sense amplifier that has not resolved when a binary read-out samples it holds no
        information on the sign. Its latch then decides by chance.

        >>> TransitionErrors([[0.9, 0.1, 0], [0, 1, 0], [0, 0, 1]]).without_zero_reads().matrix[0]
        array([0.95, 0.  , 0.05])
        """
        values = self.matrix.copy()
        values[:, [0, 2]] += values[:, [1]] / 2.0
        values[:, 1] = 0.0
        return TransitionErrors(values)

    def draw(
        self, quantised: Tensor, *, generator: torch.Generator, in_place: bool = False
    ) -> Tensor:
        """Return the weights as read (see `WeightErrors.draw`)."""
        if quantised.is_cuda:
            matrix = on_device(self.matrix, quantised.device)
            return draw_reads_densely(quantised, matrix, generator=generator)
        return draw_reads(quantised, self.matrix, generator=generator, in_place=in_place)


_PER_VANISH = np.array([[-1.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -1.0]])
"""By how much each entry of `ScalarErrors`' ternary matrix grows with the rate of vanishing."""


class BinaryFlips(WeightErrors):
    """Each weight changes sign with probability `rate`; a zero stays zero.

    >>> flips = BinaryFlips(1.0)
    >>> flips.apply(torch.tensor([-1.0, 1.0]), generator=torch.Generator().manual_seed(0)).tolist()
    [1.0, -1.0]
    """

    def __init__(self, rate: float) -> None:
        _check_rate("flip rate", rate, 1.0)
        self.rate = float(rate)

    def __repr__(self) -> str:
        return f"BinaryFlips({self.rate!r})"

    def describe(self) -> dict[str, object]:
        """Return the rate."""
        return {"model": "flips", "rate": self.rate}

    def draw(
        self, quantised: Tensor, *, generator: torch.Generator, in_place: bool = False
    ) -> Tensor:
        """Return the weights as read (see `WeightErrors.draw`)."""
        keep = 1.0 - self.rate
        matrix = [[keep, 0.0, self.rate], [0.0, 1.0, 0.0], [self.rate, 0.0, keep]]
        return TransitionErrors(matrix).draw(quantised, generator=generator, in_place=in_place)


class ScalarErrors(WeightErrors):
    """One total error rate b, as in the released training code of Laborieux et al. 2020.

    Binary weights: the sign flips with probability b. Ternary weights: a zero is read as non-zero
    with probability 2b / (1 + p0), either sign alike; a non-zero weight is read as zero with
    probability b / (1 + p0); no sign flips. p0 is the share of zeros in the layer, so the share of
    weights read wrong is b. `weights` says which of the two. b may be at most 0.5: above, the
    probability for a zero could exceed 1.

    >>> ScalarErrors(0.1).matrix(zero_share=1.0)[1].tolist()
    [0.05, 0.9, 0.05]
    """

    def __init__(self, rate: float, *, weights: WeightKind = "ternary") -> None:
        _check_rate("error rate b", rate, 0.5)
        if weights not in ("binary", "ternary"):
            raise InputError(f"weights = {weights!r}: must be 'binary' or 'ternary'")
        self.rate = float(rate)
        self.weights = weights

    def __repr__(self) -> str:
        return f"ScalarErrors({self.rate!r}, weights={self.weights!r})"

    def describe(self) -> dict[str, object]:
        """Return the rate and the kind of weights."""
        return {"model": "scalar", "rate": self.rate, "weights": self.weights}

    def check_weights(self, kind: WeightKind) -> None:
        """Refuse weights of another kind than the one the formulas are for."""
        super().check_weights(kind)
        if kind != self.weights:
            raise InputError(
                f"weights = {kind!r} with ScalarErrors for {self.weights!r} weights: "
                f"use ScalarErrors({self.rate!r}, weights={kind!r})"
            )

    def matrix(self, *, zero_share: float) -> np.ndarray:
        """Return the 3 x 3 transition matrix for a layer with this share of zeros (0 to 1)."""
        _check_rate("zero_share", zero_share, 1.0)
        if self.weights == "binary":
            keep = 1.0 - self.rate
            return np.array([[keep, 0.0, self.rate], [0.0, 1.0, 0.0], [self.rate, 0.0, keep]])
        return np.eye(3) + self.rate / (1.0 + zero_share) * _PER_VANISH

    def draw(
        self, quantised: Tensor, *, generator: torch.Generator, in_place: bool = False
    ) -> Tensor:
        """Return the weights as read (see `WeightErrors.draw`)."""
        if not quantised.is_cuda:
            zeros = share_of_zeros(quantised) if self.weights == "ternary" else 0.0
            matrix = self.matrix(zero_share=zeros)
            return draw_reads(quantised, matrix, generator=generator, in_place=in_place)
        device = quantised.device
        if self.weights == "binary":
            rates = on_device(self.matrix(zero_share=0.0), device)
        else:  # the share of zeros is left on the device: nothing waits for it
            vanish = self.rate / (1.0 + (quantised == 0).double().mean())
            rates = on_device(np.eye(3), device) + vanish * on_device(_PER_VANISH, device)
        return draw_reads_densely(quantised, rates, generator=generator)


def errors_of_statistics(
    statistics: ErrorStatistics,
    kind: str,
    *,
    rng: np.random.Generator | None = None,
    found: Mapping[str, FoundRate] | None = None,
) -> WeightErrors:
    """The read errors of weights: the full 3 x 3 matrix, or sign flips for "binary" ones.

    With `rng` the rates are drawn from what the counts leave open, or from what was `found` of an
    error type (`drawn_matrix`).
    """
    if kind != "binary":
        matrix = (
            statistics.transition_matrix() if rng is None else statistics.drawn_matrix(rng, found)
        )
        return TransitionErrors(matrix)
    if rng is None:
        return BinaryFlips(statistics.binary_flip_probability)
    matrix = statistics.drawn_matrix(rng, found)
    # As `ErrorStatistics.binary_flip_probability`, over the two written values alike.
    flips = (matrix[0, 2] + matrix[2, 0] + (matrix[0, 1] + matrix[2, 1]) / 2) / 2
    return BinaryFlips(float(flips))


def errors_of_type(kind: int, rate: float, weights: str) -> WeightErrors:
    """Read errors of one type alone: 1 sign flips, 2 a ±1 read as 0, 3 a 0 read as ±1, evenly.

    `rate` is the probability for a value that can make the error. Raises `InputError` for types 2
    and 3 of binary weights, which have no zero.

    >>> errors_of_type(3, 0.2, "ternary").matrix[1].tolist()
    [0.1, 0.8, 0.1]
    """
    if kind == 1:
        return BinaryFlips(rate)
    if weights == "binary":
        raise InputError(f"error type {kind} of binary weights: they have no zero; must be type 1")
    vanish, appear = (rate, 0.0) if kind == 2 else (0.0, rate)
    return TransitionErrors(
        [
            [1 - vanish, vanish, 0.0],
            [appear / 2, 1 - appear, appear / 2],
            [0.0, vanish, 1 - vanish],
        ]
    )
