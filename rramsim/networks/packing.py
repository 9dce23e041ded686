"""Quantised weights as bit planes, in the order in which the kernels read them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.networks.bit_kernels import LANES

__all__ = ["PackedWeights", "pack_bits", "pack_weights"]


@dataclass(frozen=True, kw_only=True)
class PackedWeights:
    """One layer's weights, `outputs` rows of `bits` values -1, 0, +1.

    `sign`, `some`: (groups, words of 32 bits, LANES) uint32; `some` is None if no weight is 0.
    `nonzero`: (groups, LANES), each output's non-zero weights.
    """

    outputs: int
    bits: int
    sign: NDArray[np.uint32]
    some: NDArray[np.uint32] | None
    nonzero: NDArray[np.uint32]

    @property
    def words(self) -> int:
        """64-bit words in a row of inputs."""
        return -(-self.bits // 64)

    @property
    def width(self) -> int:
        """Columns of the sums: `outputs` rounded up to whole groups."""
        return self.sign.shape[0] * LANES


def pack_bits(values: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack (rows, bits) booleans into (rows, words) uint64, the first in the lowest bit.

    >>> pack_bits(np.array([[True, False, True]])).tolist()
    [[5]]
    """
    rows, bits = values.shape
    words = max(1, -(-bits // 64))
    packed = np.zeros((rows, 8 * words), dtype=np.uint8)
    packed[:, : -(-bits // 8)] = np.packbits(values, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64)


def pack_weights(weights: NDArray[np.int8]) -> PackedWeights:
    """Pack weights (outputs, bits) of -1, 0 and +1; raises `InputError` for another value."""
    if weights.ndim != 2 or not np.isin(weights, (-1, 0, 1)).all():
        raise InputError("weights to pack: must be -1, 0 or +1, of shape (outputs, inputs)")
    outputs, bits = weights.shape
    groups = -(-outputs // LANES)
    padded = np.zeros((groups * LANES, bits), dtype=np.int8)
    padded[:outputs] = weights

    def plane(values: NDArray[np.bool_]) -> NDArray[np.uint32]:
        words = pack_bits(values).view(np.uint32)[:, : -(-bits // 32)]
        return np.ascontiguousarray(words.reshape(groups, LANES, -1).transpose(0, 2, 1))

    some = None if weights.all() else plane(padded != 0)
    return PackedWeights(
        outputs=outputs,
        bits=bits,
        sign=plane(padded < 0),
        some=some,
        nonzero=(padded != 0).sum(axis=1).astype(np.uint32).reshape(groups, LANES),
    )
