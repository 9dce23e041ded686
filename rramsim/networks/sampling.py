"""Draw what many quantised weights are read as, each on its own, from a 3 x 3 matrix.

On the CPU one compiled pass goes from error to error; on a GPU every weight draws a number, by
operations of fixed shape that a CUDA graph can replay. Both are exact draws of the same
distribution, and differ in the numbers they draw.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rramsim.compiled import compiled

__all__ = ["draw_reads", "draw_reads_densely", "on_device", "share_of_zeros"]

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
