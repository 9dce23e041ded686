"""Dot products of packed -1, 0, +1 values by XNOR or GXNOR and popcount, many at a time; weights
packed as bit planes.

A value is two bits in two planes: `sign` (1 for -1) and `some` (1 unless 0); a plane that is all
ones is left out. Per word, with s the XOR of the signs and a the AND of the `some` planes, the
products that are -1 are a & s and those that are not 0 are a, so the sum is |a| - 2 |a & s| (GXNOR;
Laborieux et al. 2020, arXiv 2005.01973). With binary weights or inputs |a| does not depend on the
pair and one popcount a word is enough.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from rramsim.compiled import compiled
from rramsim.exceptions import InputError
from rramsim.networks.bit_vectors import (
    LANES,
    STEPS,
    add,
    and_,
    at_least_bits,
    count,
    intrinsic,
    load,
    maximum,
    multiply_add,
    splat,
    store,
    sub,
    totals,
    xor,
    zero,
)

Words = NDArray[np.uint64]
Halves = NDArray[np.uint32]
_FULL = np.uint64((1 << LANES) - 1)


@intrinsic
def popcount(typing: Any, word: Any) -> Any:
    """Set bits of a uint64, as int64."""
    return types.int64(types.uint64), lambda context, builder, signature, values: builder.ctpop(
        values[0]
    )


# Each kernel gets inputs of shape (rows, at least words), rows a multiple of 4, weights of shape
# (groups, words, LANES), both in words of 32 bits, and fills sums of shape (rows, groups * LANES),
# int32.
# Four rows share each load of weights; more would not fit the registers.


@compiled()
def _binary_binary(x_sign: Halves, w_sign: Halves, bits: int, sums: Any) -> None:
    rows = x_sign.shape[0]
    groups, words = w_sign.shape[:2]
    weights, flat = w_sign.ravel(), sums.ravel()
    width = groups * LANES
    base = splat(np.uint32(bits))
    for p in range(0, rows, 4):
        for g in range(groups):
            s0, s1, s2, s3 = zero(), zero(), zero(), zero()
            for start in range(0, words, STEPS):
                a0, a1, a2, a3 = zero(), zero(), zero(), zero()
                for k in range(start, min(words, start + STEPS)):
                    w = load(weights, (g * words + k) * LANES)
                    a0 = count(a0, xor(w, splat(x_sign[p, k])))
                    a1 = count(a1, xor(w, splat(x_sign[p + 1, k])))
                    a2 = count(a2, xor(w, splat(x_sign[p + 2, k])))
                    a3 = count(a3, xor(w, splat(x_sign[p + 3, k])))
                s0, s1 = add(s0, totals(a0)), add(s1, totals(a1))
                s2, s3 = add(s2, totals(a2)), add(s3, totals(a3))
            at = p * width + g * LANES
            store(flat, at, sub(base, add(s0, s0)))
            store(flat, at + width, sub(base, add(s1, s1)))
            store(flat, at + 2 * width, sub(base, add(s2, s2)))
            store(flat, at + 3 * width, sub(base, add(s3, s3)))


@compiled()
def _ternary_weights(
    x_sign: Halves, w_sign: Halves, w_some: Halves, nonzero: Halves, sums: Any
) -> None:
    rows = x_sign.shape[0]
    groups, words = w_sign.shape[:2]
    signs, somes, bases = w_sign.ravel(), w_some.ravel(), nonzero.ravel()
    flat = sums.ravel()
    width = groups * LANES
    for p in range(0, rows, 4):
        for g in range(groups):
            s0, s1, s2, s3 = zero(), zero(), zero(), zero()
            for start in range(0, words, STEPS):
                a0, a1, a2, a3 = zero(), zero(), zero(), zero()
                for k in range(start, min(words, start + STEPS)):
                    at = (g * words + k) * LANES
                    w, n = load(signs, at), load(somes, at)
                    # A zero weight's sign bit is 0, so masking the input alone is enough.
                    a0 = count(a0, xor(w, and_(n, splat(x_sign[p, k]))))
                    a1 = count(a1, xor(w, and_(n, splat(x_sign[p + 1, k]))))
                    a2 = count(a2, xor(w, and_(n, splat(x_sign[p + 2, k]))))
                    a3 = count(a3, xor(w, and_(n, splat(x_sign[p + 3, k]))))
                s0, s1 = add(s0, totals(a0)), add(s1, totals(a1))
                s2, s3 = add(s2, totals(a2)), add(s3, totals(a3))
            base = load(bases, g * LANES)
            at = p * width + g * LANES
            store(flat, at, sub(base, add(s0, s0)))
            store(flat, at + width, sub(base, add(s1, s1)))
            store(flat, at + 2 * width, sub(base, add(s2, s2)))
            store(flat, at + 3 * width, sub(base, add(s3, s3)))


@compiled()
def _ternary_inputs(x_sign: Halves, x_some: Halves, w_sign: Halves, sums: Any) -> None:
    rows = x_sign.shape[0]
    groups, words = w_sign.shape[:2]
    weights, flat = w_sign.ravel(), sums.ravel()
    width = groups * LANES
    nonzero = np.zeros(4, dtype=np.uint32)
    for p in range(0, rows, 4):
        for r in range(4):
            found = 0
            for k in range(words):
                found += popcount(np.uint64(x_some[p + r, k]))
            nonzero[r] = found
        for g in range(groups):
            s0, s1, s2, s3 = zero(), zero(), zero(), zero()
            for start in range(0, words, STEPS):
                a0, a1, a2, a3 = zero(), zero(), zero(), zero()
                for k in range(start, min(words, start + STEPS)):
                    w = load(weights, (g * words + k) * LANES)
                    a0 = count(a0, xor(splat(x_sign[p, k]), and_(w, splat(x_some[p, k]))))
                    a1 = count(a1, xor(splat(x_sign[p + 1, k]), and_(w, splat(x_some[p + 1, k]))))
                    a2 = count(a2, xor(splat(x_sign[p + 2, k]), and_(w, splat(x_some[p + 2, k]))))
                    a3 = count(a3, xor(splat(x_sign[p + 3, k]), and_(w, splat(x_some[p + 3, k]))))
                s0, s1 = add(s0, totals(a0)), add(s1, totals(a1))
                s2, s3 = add(s2, totals(a2)), add(s3, totals(a3))
            at = p * width + g * LANES
            store(flat, at, sub(splat(nonzero[0]), add(s0, s0)))
            store(flat, at + width, sub(splat(nonzero[1]), add(s1, s1)))
            store(flat, at + 2 * width, sub(splat(nonzero[2]), add(s2, s2)))
            store(flat, at + 3 * width, sub(splat(nonzero[3]), add(s3, s3)))


@compiled()
def _ternary_ternary(
    x_sign: Halves, x_some: Halves, w_sign: Halves, w_some: Halves, sums: Any
) -> None:
    rows = x_sign.shape[0]
    groups, words = w_sign.shape[:2]
    signs, somes, flat = w_sign.ravel(), w_some.ravel(), sums.ravel()
    width = groups * LANES
    for p in range(0, rows, 4):
        for g in range(groups):
            s0, s1, s2, s3 = zero(), zero(), zero(), zero()
            for start in range(0, words, STEPS):
                a0, a1, a2, a3 = zero(), zero(), zero(), zero()
                m0, m1, m2, m3 = zero(), zero(), zero(), zero()
                for k in range(start, min(words, start + STEPS)):
                    at = (g * words + k) * LANES
                    w, n = load(signs, at), load(somes, at)
                    both = and_(n, splat(x_some[p, k]))
                    a0 = count(a0, both)
                    m0 = count(m0, and_(both, xor(w, splat(x_sign[p, k]))))
                    both = and_(n, splat(x_some[p + 1, k]))
                    a1 = count(a1, both)
                    m1 = count(m1, and_(both, xor(w, splat(x_sign[p + 1, k]))))
                    both = and_(n, splat(x_some[p + 2, k]))
                    a2 = count(a2, both)
                    m2 = count(m2, and_(both, xor(w, splat(x_sign[p + 2, k]))))
                    both = and_(n, splat(x_some[p + 3, k]))
                    a3 = count(a3, both)
                    m3 = count(m3, and_(both, xor(w, splat(x_sign[p + 3, k]))))
                m0, m1, m2, m3 = totals(m0), totals(m1), totals(m2), totals(m3)
                s0 = add(s0, sub(totals(a0), add(m0, m0)))
                s1 = add(s1, sub(totals(a1), add(m1, m1)))
                s2 = add(s2, sub(totals(a2), add(m2, m2)))
                s3 = add(s3, sub(totals(a3), add(m3, m3)))
            at = p * width + g * LANES
            store(flat, at, s0)
            store(flat, at + width, s1)
            store(flat, at + 2 * width, s2)
            store(flat, at + 3 * width, s3)


def dot_products(
    x_sign: Halves,
    x_some: Halves | None,
    w_sign: Halves,
    w_some: Halves | None,
    *,
    bits: int,
    nonzero: Halves,
    sums: NDArray[np.int32],
) -> None:
    """Fill `sums` (rows, groups * LANES) with the products of every input row and every output.

    `x_sign`, `x_some`: (rows, words of 64 bits), rows a multiple of 4; `w_sign`, `w_some`: (groups,
    words of 32 bits, LANES); None stands for a plane of ones. `bits` values lie in a row; `nonzero`
    (groups, LANES) counts each output's non-zero weights. Bits beyond `bits` must be 0 in every
    plane.
    """
    signs = x_sign.view(np.uint32)
    somes = None if x_some is None else x_some.view(np.uint32)
    if w_some is None and somes is None:
        _binary_binary(signs, w_sign, bits, sums)
    elif somes is None:
        assert w_some is not None
        _ternary_weights(signs, w_sign, w_some, nonzero, sums)
    elif w_some is None:
        _ternary_inputs(signs, somes, w_sign, sums)
    else:
        assert somes is not None and w_some is not None
        _ternary_ternary(signs, somes, w_sign, w_some, sums)


@compiled()
def _lay_column(
    column: Any, flat: Words, image: int, at: int, length: int, height: int, width: int
) -> None:
    for y in range(height):
        start, row = y * (width + 2), (image * height + y) * width
        for x in range(width):
            flat[(row + x) * length + at] = column[start + x]


@compiled()
def gather_patches(planes: Words, channels: int, patches: Words) -> None:
    """Lay the 3 x 3 neighbourhood of every pixel as a bit string.

    `planes`: (images, height, width, words), `channels` bits a pixel. `patches`: (rows >= images *
    height * width, words), filled with 9 * channels bits a row, tap by tap; bits outside an image
    are 0.
    """
    images, height, width, words = planes.shape
    length = patches.shape[1]
    flat = patches.ravel()
    flat[images * height * width * length :] = 0
    # One image with a frame of zeros, word by word, so that a tap is the same shift of all pixels
    # and one word of all their patches is made at a time, by vectors.
    across = width + 2
    span = height * across
    framed = np.zeros((words, (height + 3) * across), dtype=np.uint64)
    column = np.empty(span, dtype=np.uint64)
    for i in range(images):
        for k in range(words):
            for y in range(height):
                start = (y + 1) * across + 1
                for x in range(width):
                    framed[k, start + x] = planes[i, y, x, k]
        at, filled = 0, 0
        column[:] = 0
        for tap in range(9):
            shift = (tap // 3) * across + tap % 3
            for k in range(words):
                bits = channels - 64 * k if k == words - 1 else 64
                new = framed[k, shift : shift + span]
                up = np.uint64(filled)
                for n in range(span):
                    column[n] |= new[n] << up
                filled += bits
                if filled >= 64:
                    _lay_column(column, flat, i, at, length, height, width)
                    at += 1
                    filled -= 64
                    column[:] = 0
                    if filled:
                        # What of the tap's word did not fit.
                        down = np.uint64(bits - filled)
                        for n in range(span):
                            column[n] = new[n] >> down
        if filled:
            _lay_column(column, flat, i, at, length, height, width)


@compiled()
def flatten_pixels(planes: Words, channels: int, rows: Words) -> None:
    """Lay each image's pixels as one bit string: rows (>= images, words), pixel by pixel."""
    images, height, width, words = planes.shape
    length = rows.shape[1]
    rows[:] = 0
    flat = rows.ravel()
    for i in range(images):
        for y in range(height):
            for x in range(width):
                at = (y * width + x) * channels
                for k in range(words):
                    index, shift = i * length + ((at + 64 * k) >> 6), np.uint64(at & 63)
                    word = planes[i, y, x, k]
                    flat[index] |= word << shift
                    if (at & 63) + min(64, channels - 64 * k) > 64:
                        flat[index + 1] |= word >> (np.uint64(64) - shift)


@compiled()
def remove_padding(tap_sums: Any, images: int, height: int, width: int, sums: Any) -> None:
    """Take back what taps outside an image added, whose bits of a binary plane count as +1.

    `tap_sums`: (9, outputs), each tap's weights summed over channels; `sums` changes in place.
    """
    for i in range(images):
        for y in range(height):
            for x in range(width):
                if 0 < y < height - 1 and 0 < x < width - 1:
                    continue
                p = (i * height + y) * width + x
                for tap in range(9):
                    v, u = y + tap // 3 - 1, x + tap % 3 - 1
                    if v < 0 or v >= height or u < 0 or u >= width:
                        for o in range(tap_sums.shape[1]):
                            sums[p, o] -= tap_sums[tap, o]


@compiled()
def fixed_point_convolution(pixels: Any, weights: Any, sums: Any) -> None:
    """Convolve int32 pixels (images, height, width, channels), zeros around them, 3 x 3.

    `weights`: (9 * channels, width) int32, width a multiple of LANES; fills `sums` (images *
    height * width, width) int32.
    """
    images, height, width, channels = pixels.shape
    outputs = weights.shape[1]
    flat, out = weights.ravel(), sums.ravel()
    for i in range(images):
        for y in range(height):
            for x in range(width):
                p = (i * height + y) * width + x
                for g in range(0, outputs, LANES):
                    total = zero()
                    for dy in range(3):
                        v = y + dy - 1
                        if v < 0 or v >= height:
                            continue
                        for dx in range(3):
                            u = x + dx - 1
                            if u < 0 or u >= width:
                                continue
                            row = (3 * dy + dx) * channels
                            for c in range(channels):
                                factors = load(flat, (row + c) * outputs + g)
                                total = multiply_add(total, pixels[i, v, u, c], factors)
                    store(out, p * outputs + g, total)


@compiled()
def threshold_and_pack(
    sums: Any, pool: Any, flip: Any, from_plus: Any, from_zero: Any, sign: Words, some: Words
) -> None:
    """Pool integer sums of one image by their maximum, compare with thresholds, pack the bits.

    `sums`: (images * height * width, width) int32, width a multiple of LANES like the length of
    the thresholds; `pool` = (rows, columns) of a pooling cell. With m the maximum, inverted bit by
    bit where `flip` is -1 instead of 0, a value is +1 from `from_plus` on, 0 from `from_zero` on,
    else -1. Fills `sign` and `some` of shape (images, height / pool, width / pool, words).
    """
    down, across = pool
    images, height, width, words = sign.shape
    outputs = sums.shape[1]
    flat = sums.ravel()
    for i in range(images):
        for y in range(height):
            for x in range(width):
                first = (i * height * down + y * down) * width * across + x * across
                for k in range(words):
                    minus, present = np.uint64(0), np.uint64(0)
                    for g in range(64 * k, min(outputs, 64 * k + 64), LANES):
                        value = load(flat, first * outputs + g)
                        for dy in range(down):
                            for dx in range(across):
                                p = first + dy * width * across + dx
                                value = maximum(value, load(flat, p * outputs + g))
                        value = xor(value, load(flip, g))
                        shift = np.uint64(g - 64 * k)
                        above = at_least_bits(value, load(from_zero, g))
                        plus = at_least_bits(value, load(from_plus, g))
                        minus |= (above ^ _FULL) << shift
                        present |= ((above ^ _FULL) | plus) << shift
                    sign[i, y, x, k] = minus
                    some[i, y, x, k] = present


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
