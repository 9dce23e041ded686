"""Spline evaluation in four-wide vector instructions, written as LLVM code.

The numbers of one transistor fill a vector (four neighbouring coefficients of the current, or
the charges of the terminals), so every load is contiguous and no sample waits for another. LLVM
turns the vectors into AVX2, AVX-512 or NEON instructions, whatever the processor has; nothing
depends on its automatic vectorisation.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = [
    "charge2",
    "charge3",
    "current2",
    "current3",
    "shift2",
    "spline1",
]

_DOUBLE = ir.DoubleType()
_LANES = ir.VectorType(_DOUBLE, 4)
_INT = ir.IntType(64)
_FOUR = types.UniTuple(types.float64, 4)


class _Writer:
    """Vector instructions; `fast` lets LLVM fuse multiplications with additions."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.b = context, builder
        array_type, array = signature.args[0], arguments[0]
        self.pointer = context.make_array(array_type)(context, builder, array).data

    def constant(self, value: float) -> Any:
        return ir.Constant(_LANES, [value] * 4)

    def load(self, index: Any, extra: int = 0) -> Any:
        if extra:
            index = self.b.add(index, ir.Constant(_INT, extra))
        place = self.b.gep(self.pointer, [index])
        vector = self.b.bitcast(place, _LANES.as_pointer())
        loaded = self.b.load(vector)
        loaded.align = 8
        return loaded

    def splat(self, scalar: Any) -> Any:
        first = self.b.insert_element(
            ir.Constant(_LANES, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0, 0, 0, 0])
        return self.b.shuffle_vector(first, ir.Constant(_LANES, ir.Undefined), mask)

    def add(self, x: Any, y: Any) -> Any:
        return self.b.fadd(x, y, flags=("contract",))

    def sub(self, x: Any, y: Any) -> Any:
        return self.b.fsub(x, y, flags=("contract",))

    def mul(self, x: Any, y: Any) -> Any:
        return self.b.fmul(x, y, flags=("contract",))

    def dot(self, weights: list[Any], rows: list[Any]) -> Any:
        total = self.mul(weights[0], rows[0])
        for weight, row in zip(weights[1:], rows[1:], strict=True):
            total = self.add(self.mul(weight, row), total)
        return total

    def cubic(self, t: Any) -> tuple[list[Any], list[Any]]:
        """Weights and slopes at the number t, each in every lane."""
        c = partial(ir.Constant, _DOUBLE)
        u = self.sub(c(1), t)
        t2, u2 = self.mul(t, t), self.mul(u, u)
        w0 = self.mul(self.mul(u2, u), c(1 / 6))
        w3 = self.mul(self.mul(t2, t), c(1 / 6))
        w1 = self.add(self.mul(t2, self.sub(self.mul(t, c(0.5)), c(1))), c(2 / 3))
        w2 = self.sub(self.sub(self.sub(c(1), w0), w3), w1)
        d0, d3 = self.mul(u2, c(-0.5)), self.mul(t2, c(0.5))
        d1 = self.mul(t, self.sub(self.mul(t, c(1.5)), c(2)))
        d2 = self.sub(self.sub(self.sub(c(0), d0), d3), d1)
        return [self.splat(x) for x in (w0, w1, w2, w3)], [self.splat(x) for x in (d0, d1, d2, d3)]

    def cubic_lanes(self, t: Any) -> tuple[Any, Any]:
        """The four weights in the lanes of one vector, and the four slopes."""

        def row(*values: float) -> Any:
            return ir.Constant(_LANES, list(values))

        a = row(-1 / 6, 0.5, -0.5, 1 / 6)
        b = row(0.5, -1.0, 0.5, 0.0)
        c = row(-0.5, 0.0, 0.5, 0.0)
        d = row(1 / 6, 2 / 3, 1 / 6, 0.0)
        weight = self.mul(a, t)
        weight = self.mul(self.add(weight, b), t)
        weight = self.add(self.mul(self.add(weight, c), t), d)
        slope = self.mul(row(-0.5, 1.5, -1.5, 0.5), t)
        slope = self.add(self.mul(self.add(slope, row(1.0, -2.0, 1.0, 0.0)), t), c)
        return weight, slope

    def quadratic(self, t: Any) -> tuple[list[Any], list[Any]]:
        """As `cubic`, for a quadratic spline."""
        c = partial(ir.Constant, _DOUBLE)
        left, right = self.sub(c(0.5), t), self.add(c(0.5), t)
        w0 = self.mul(self.mul(left, left), c(0.5))
        w2 = self.mul(self.mul(right, right), c(0.5))
        w1 = self.sub(self.sub(c(1), w0), w2)
        weights, slopes = (w0, w1, w2), (self.sub(t, c(0.5)), self.mul(t, c(-2)), right)
        return [self.splat(x) for x in weights], [self.splat(x) for x in slopes]

    def sums(self, vectors: list[Any]) -> Any:
        """The sums over the lanes of four vectors, as a tuple of four numbers."""
        b, undefined = self.b, ir.Constant(_LANES, ir.Undefined)
        kind = ir.VectorType(ir.IntType(32), 4)

        def pair(x: Any, y: Any) -> Any:
            even = b.shuffle_vector(x, y, ir.Constant(kind, [0, 4, 2, 6]))
            odd = b.shuffle_vector(x, y, ir.Constant(kind, [1, 5, 3, 7]))
            return b.fadd(even, odd)

        first, second = pair(vectors[0], vectors[1]), pair(vectors[2], vectors[3])
        low = b.shuffle_vector(first, second, ir.Constant(kind, [0, 1, 4, 5]))
        high = b.shuffle_vector(first, second, ir.Constant(kind, [2, 3, 6, 7]))
        del undefined
        return self.numbers(b.fadd(low, high), 4)

    def numbers(self, *vectors_and_count: Any) -> Any:
        """The first `count` lanes of each vector, one after the other, as a tuple."""
        *vectors, count = vectors_and_count
        found = [
            self.b.extract_element(vector, ir.Constant(ir.IntType(32), lane))
            for vector in vectors
            for lane in range(count)
        ]
        kind = types.UniTuple(types.float64, len(found))
        return self.context.make_tuple(self.b, kind, found)


@intrinsic
def current3(typing: Any, data: Any, at: Any, stride_s: Any, stride_g: Any, s: Any, g: Any, d: Any):
    """Current and its derivatives over (vgs, vds, vsb) in grid units, from cubic coefficients."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, stride_s, stride_g, s, g, d = arguments
        ws, ds = w.cubic(s)
        wg, dg = w.cubic(g)
        wd, dd = w.cubic_lanes(w.splat(d))
        values, gates = [], []
        for layer in range(4):
            start = builder.add(at, builder.mul(stride_s, ir.Constant(_INT, layer)))
            rows = []
            for row in range(4):
                rows.append(
                    w.load(builder.add(start, builder.mul(stride_g, ir.Constant(_INT, row))))
                )
            values.append(w.dot(wg, rows))
            gates.append(w.dot(dg, rows))
        value = w.dot(ws, values)
        return w.sums(
            [
                w.mul(value, wd),
                w.mul(w.dot(ws, gates), wd),
                w.mul(value, dd),
                w.mul(w.dot(ds, values), wd),
            ]
        )

    i, f = types.int64, types.float64
    return _FOUR(data, i, i, i, f, f, f), generate


@intrinsic
def current2(typing: Any, data: Any, at: Any, stride_g: Any, g: Any, d: Any):
    """Current and its derivatives over (vgs, vds), and a zero; see `current3`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, stride_g, g, d = arguments
        wg, dg = w.cubic(g)
        wd, dd = w.cubic_lanes(w.splat(d))
        rows = [
            w.load(builder.add(at, builder.mul(stride_g, ir.Constant(_INT, row))))
            for row in range(4)
        ]
        value = w.dot(wg, rows)
        return w.sums(
            [w.mul(value, wd), w.mul(w.dot(dg, rows), wd), w.mul(value, dd), w.constant(0)]
        )

    i, f = types.int64, types.float64
    return _FOUR(data, i, i, f, f), generate


@intrinsic
def charge3(typing: Any, data: Any, at: Any, stride_s: Any, stride_g: Any, s: Any, g: Any, d: Any):
    """Charges of (gate, drain, source), then their derivatives over vgs, over vds, over vsb."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, stride_s, stride_g, s, g, d = arguments
        ws, ds = w.quadratic(s)
        wg, dg = w.quadratic(g)
        wd, dd = w.quadratic(d)
        values, gates, drains = [], [], []
        for layer in range(3):
            start = builder.add(at, builder.mul(stride_s, ir.Constant(_INT, layer)))
            along, slopes = [], []
            for row in range(3):
                place = builder.add(start, builder.mul(stride_g, ir.Constant(_INT, row)))
                cells = [w.load(place, 4 * cell) for cell in range(3)]
                along.append(w.dot(wd, cells))
                slopes.append(w.dot(dd, cells))
            values.append(w.dot(wg, along))
            gates.append(w.dot(dg, along))
            drains.append(w.dot(wg, slopes))
        return w.numbers(
            w.dot(ws, values), w.dot(ws, gates), w.dot(ws, drains), w.dot(ds, values), 3
        )

    i, f = types.int64, types.float64
    return types.UniTuple(f, 12)(data, i, i, i, f, f, f), generate


@intrinsic
def charge2(typing: Any, data: Any, at: Any, stride_g: Any, g: Any, d: Any):
    """Charges of (gate, drain, source), then their derivatives over vgs and over vds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, stride_g, g, d = arguments
        wg, dg = w.quadratic(g)
        wd, dd = w.quadratic(d)
        along, slopes = [], []
        for row in range(3):
            place = builder.add(at, builder.mul(stride_g, ir.Constant(_INT, row)))
            cells = [w.load(place, 4 * cell) for cell in range(3)]
            along.append(w.dot(wd, cells))
            slopes.append(w.dot(dd, cells))
        return w.numbers(w.dot(wg, along), w.dot(dg, along), w.dot(wg, slopes), 3)

    i, f = types.int64, types.float64
    return types.UniTuple(f, 9)(data, i, i, f, f), generate


@intrinsic
def spline1(typing: Any, data: Any, at: Any, z: Any):
    """A cubic spline over z, its slope, and two zeros."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, z = arguments
        weight, slope = w.cubic_lanes(w.splat(z))
        row = w.load(at)
        zero = w.constant(0)
        return w.sums([w.mul(row, weight), w.mul(row, slope), zero, zero])

    i, f = types.int64, types.float64
    return _FOUR(data, i, f), generate


@intrinsic
def shift2(typing: Any, data: Any, at: Any, stride: Any, z: Any, vsb: Any):
    """Shift (row one + vsb times row two), its slopes over z and over vsb, and a zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        _, at, stride, z, vsb = arguments
        weight, slope = w.cubic_lanes(w.splat(z))
        body = w.load(builder.add(at, stride))
        row = w.add(w.mul(body, w.splat(vsb)), w.load(at))
        return w.sums([w.mul(row, weight), w.mul(row, slope), w.mul(body, weight), w.constant(0)])

    i, f = types.int64, types.float64
    return _FOUR(data, i, i, f, f), generate
