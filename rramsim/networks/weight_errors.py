"""What a read does to a quantised weight: three statistical models of its errors.

All draw independently for every weight. Type 1 is a sign flip, type 2 a non-zero weight read as
zero, type 3 a zero read as non-zero (Laborieux et al. 2020, arXiv 2005.01973).

On the CPU one compiled pass goes from error to error; on a GPU every weight draws a number, by
operations of fixed shape that a CUDA graph can replay. Both are exact draws of the same
distribution, and differ in the numbers they draw.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rramsim.compiled import compiled
from rramsim.counting import ErrorStatistics, FoundRate
from rramsim.exceptions import InputError
from rramsim.networks.quantisers import WeightKind

Flat = NDArray[Any]
_DENSE_ABOVE = 0.005
"""Above this rate one random number a weight is cheaper than the gaps between errors."""


def draw_reads(
    written: Tensor,
    matrix: NDArray[np.float64],
    *,
    generator: torch.Generator,
    in_place: bool = False,
) -> Tensor:
    """Return `written` (any shape, float32 or float64: -1, 0 or +1) as read, on the CPU.

    `matrix[i, j]` is the probability that (-1, 0, +1)[i] is read as (-1, 0, +1)[j]. At low rates
    the gaps between errors are drawn (they are geometric), so random numbers are needed for the
    errors alone: at 1e-4 ten thousand times fewer than one for each weight. `generator` gives the
    seed of each call. `in_place` overwrites `written` and returns it.

    >>> weights = torch.tensor([-1.0, 0.0, 1.0])
    >>> flip = np.eye(3)[::-1]
    >>> draw_reads(weights, flip, generator=torch.Generator().manual_seed(0)).tolist()
    [1.0, 0.0, -1.0]
    """
    read = written if in_place else torch.empty_like(written)
    if read.stride() != written.stride():  # a view with gaps or repeats: lay it out afresh
        written = written.contiguous()
        read = torch.empty_like(written)
    seed = np.uint64(int(torch.randint(2**63 - 1, (), generator=generator)))
    # The layout in memory is a detail: draws are independent, so any fixed order will do.
    values = _flat(read)
    if not in_place:
        values[:] = _flat(written)
    if 1.0 - min(matrix[0, 0], matrix[1, 1], matrix[2, 2]) > _DENSE_ABOVE:
        _draw_each(values, *_bounds(matrix), seed)
    else:
        _draw_errors(values, np.ascontiguousarray(matrix), seed)
    return read


def draw_reads_densely(written: Tensor, matrix: Tensor, *, generator: torch.Generator) -> Tensor:
    """As `draw_reads`, on any device, without a look at the values: nothing waits for a GPU.

    `matrix` (3, 3), float64, and `generator` are on the device of `written`.
    """
    row = written.to(torch.int64) + 1
    zero_from = matrix[:, 0]
    plus_from = torch.where(matrix[:, 2] > 0.0, zero_from + matrix[:, 1], 2.0)
    uniform = torch.rand(
        written.shape, generator=generator, device=written.device, dtype=torch.float64
    )
    zero = (uniform >= zero_from[row]).to(written.dtype)
    return zero + (uniform >= plus_from[row]).to(written.dtype) - 1


def share_of_zeros(written: Tensor) -> float:
    """The share of zeros, 0 to 1, of weights on the CPU; 0 if there are no weights."""
    flat = _flat(written)
    return float(_zeros(flat)) / len(flat) if len(flat) else 0.0


def on_device(matrix: NDArray[np.float64], device: torch.device) -> Tensor:
    """The matrix on a device, copied there once: a copy is not allowed in a CUDA graph."""
    return _copied(matrix.tobytes(), matrix.shape, device)


@lru_cache(maxsize=256)
def _copied(values: bytes, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(values).reshape(shape).copy()).to(device)


def _flat(values: Tensor) -> Flat:
    """A tensor as one row; a dense one, which is not copied, in the order in which it lies."""
    if values.is_contiguous():
        rows: Flat = values.detach().view(-1).numpy()
        return rows
    order = sorted(range(values.dim()), key=values.stride, reverse=True)
    flat: Flat = values.detach().permute(order).reshape(-1).numpy()
    return flat


def _bounds(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each written value: from where on, of [0, 1), a number means 0, and from where on +1."""
    # A value that is never read as +1 must not be so for a rounding error of the sum either.
    return matrix[:, 0].copy(), np.where(matrix[:, 2] > 0.0, matrix[:, 0] + matrix[:, 1], 2.0)


_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@compiled(inline="always")
def _uniform(seed: np.uint64, index: np.uint64) -> float:
    """Number `index` of the stream `seed`, of [0, 1): SplitMix64 (Steele, Lea, Flood 2014).

    The generator is a hash of a counter, so a loop over it needs no state and is vectorised.
    """
    bits = seed + index * _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    bits = bits ^ (bits >> np.uint64(31))
    return np.int64(bits >> np.uint64(11)) * 2.0**-53


@compiled()
def _zeros(written: Flat) -> int:
    count = 0
    for place in range(written.size):
        count += written[place] == 0
    return count


@compiled(error_model="numpy")
def _draw_each(
    values: Flat,
    zero_from: NDArray[np.float64],
    plus_from: NDArray[np.float64],
    seed: np.uint64,
) -> None:
    """Draw a number for every weight. No branch depends on a value, so that it is vectorised."""
    zero_minus, zero_zero, zero_plus = zero_from[0], zero_from[1], zero_from[2]
    plus_minus, plus_zero, plus_plus = plus_from[0], plus_from[1], plus_from[2]
    for place in range(values.size):
        uniform = _uniform(seed, np.uint64(place))
        value = values[place]
        zero = zero_zero if value == 0 else (zero_plus if value > 0 else zero_minus)
        plus = plus_zero if value == 0 else (plus_plus if value > 0 else plus_minus)
        values[place] = np.float32(uniform >= zero) + np.float32(uniform >= plus) - np.float32(1)


@compiled(error_model="numpy")
def _draw_errors(values: Flat, matrix: NDArray[np.float64], seed: np.uint64) -> None:
    """Go from candidate to candidate at the largest of the three rates of error.

    Each is then kept as its own written value demands (thinning).
    """
    # By written value: the rate of errors, that of the lower wrong value, and both wrong values.
    low = np.array([0, -1, -1])
    high = np.array([1, 1, 0])
    rate = np.empty(3)
    first = np.empty(3)
    for row in range(3):
        first[row] = matrix[row, low[row] + 1]
        rate[row] = first[row] + matrix[row, high[row] + 1]
    largest = rate.max()
    if largest <= 0.0:
        return
    per_gap = 1.0 / math.log1p(-largest)
    place = -1
    index = np.uint64(0)
    while True:
        # 1 - U lies in (0, 1], so its logarithm is finite.
        gap = math.floor(math.log(1.0 - _uniform(seed, index)) * per_gap) + 1.0
        if gap > values.size - 1 - place:  # compared as floats: a gap may exceed any integer
            return
        place += int(gap)
        uniform = _uniform(seed, index + np.uint64(1)) * largest
        index += np.uint64(2)
        row = 1 + (values[place] > 0) - (values[place] < 0)
        if uniform < rate[row]:
            values[place] = low[row] if uniform < first[row] else high[row]


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
