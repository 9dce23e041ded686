"""Vector instructions for several transistors side by side, written as LLVM code.

Four numbers of each transistor are neighbours in a vector (coefficients of the current, or charges
of the terminals), so every load is contiguous and no sample waits for another; a group of
transistors shares its instructions, so that the processor works on several chains of dependent
operations at a time. LLVM turns the vectors into AVX2, AVX-512 or NEON instructions, whatever
the processor has; nothing depends on its automatic vectorisation.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

_INT = ir.IntType(64)


class Lanes:
    """Writes instructions on vectors of `count` (a power of two) times four numbers.

    "Row" stands for four neighbouring numbers in memory. `contract` lets LLVM fuse
    multiplications with additions. With `single` the numbers have 32 bits.
    """

    def __init__(self, builder: Any, count: int, *, single: bool = False) -> None:
        self.b, self.count = builder, count
        self.number = ir.FloatType() if single else ir.DoubleType()
        self.bytes = 4 if single else 8
        self.four = ir.VectorType(self.number, 4)
        self.kind = ir.VectorType(self.number, 4 * count)

    def rounded(self, x: Any) -> Any:
        """From numbers of 64 bits."""
        return self.b.fptrunc(x, self.kind)

    def widened(self, x: Any) -> Any:
        """From numbers of 32 bits."""
        return self.b.fpext(x, self.kind)

    # Memory

    def row(self, pointer: Any, index: Any) -> Any:
        """Four neighbours in memory from an index on."""
        place = self.b.gep(pointer, [index])
        loaded = self.b.load(self.b.bitcast(place, self.four.as_pointer()))
        loaded.align = self.bytes
        return loaded

    def rows(self, pointer: Any, indices: Sequence[Any]) -> Any:
        """A row for each transistor."""
        found = [self.row(pointer, index) for index in indices]
        while len(found) > 1:
            found = [self._join(*found[k : k + 2]) for k in range(0, len(found), 2)]
        return found[0]

    def everywhere(self, pointer: Any, row: int) -> Any:
        """The same row, number `row` of an array, for all transistors."""
        loaded = self.row(pointer, ir.Constant(_INT, 4 * row))
        mask = [lane % 4 for lane in range(4 * self.count)]
        return self._shuffle(loaded, loaded, mask)

    def store(self, pointer: Any, indices: Sequence[Any], x: Any) -> None:
        """Write each transistor's four numbers."""
        for k, index in enumerate(indices):
            four = self._shuffle(x, x, range(4 * k, 4 * k + 4)) if self.count > 1 else x
            place = self.b.bitcast(self.b.gep(pointer, [index]), self.four.as_pointer())
            self.b.store(four, place).align = self.bytes

    # Vectors

    def constant(self, *four: float) -> Any:
        """Four numbers (or one), the same for all transistors."""
        return ir.Constant(self.kind, list(four if len(four) == 4 else four * 4) * self.count)

    def build(self, *scalars: Sequence[Any]) -> Any:
        """From up to four sequences of one number a transistor; what is missing is 0."""
        vector = self.constant(0)
        for lane, numbers in enumerate(scalars):
            for k, number in enumerate(numbers):
                place = ir.Constant(ir.IntType(32), 4 * k + lane)
                vector = self.b.insert_element(vector, number, place)
        return vector

    def pick(self, x: Any, *lanes: int, other: Any = None) -> Any:
        """Each transistor's lanes in another order; 4 to 7 are those of `other`."""
        size = 4 * self.count
        mask = [
            4 * k + lane % 4 + (size if lane >= 4 else 0)
            for k in range(self.count)
            for lane in lanes
        ]
        return self._shuffle(x, x if other is None else other, mask)

    def spread(self, x: Any, lane: int) -> Any:
        """One lane of each transistor in all four."""
        return self.pick(x, lane, lane, lane, lane)

    def scalar(self, x: Any, k: int, lane: int) -> Any:
        """One number of transistor `k`."""
        return self.b.extract_element(x, ir.Constant(ir.IntType(32), 4 * k + lane))

    def add(self, x: Any, y: Any) -> Any:
        """x + y."""
        return self.b.fadd(x, y, flags=("contract",))

    def sub(self, x: Any, y: Any) -> Any:
        """x - y."""
        return self.b.fsub(x, y, flags=("contract",))

    def mul(self, x: Any, y: Any) -> Any:
        """x y."""
        return self.b.fmul(x, y, flags=("contract",))

    def muladd(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z."""
        return self.add(self.mul(x, y), z)

    def dot(self, weights: Sequence[Any], vectors: Sequence[Any]) -> Any:
        """The sum of weights times vectors."""
        total = self.mul(weights[0], vectors[0])
        for weight, vector in zip(weights[1:], vectors[1:], strict=True):
            total = self.muladd(weight, vector, total)
        return total

    def largest(self, x: Any, y: Any) -> Any:
        """max(x, y), and y where x is not a number."""
        return self.b.select(self.b.fcmp_ordered(">", x, y), x, y)

    def least(self, x: Any, y: Any) -> Any:
        """min(x, y), and y where x is not a number."""
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def floor(self, x: Any) -> Any:
        """The largest whole number that is not above x, of 64 bits."""
        kind = ir.FunctionType(self.kind, [self.kind])
        name = f"llvm.floor.v{4 * self.count}f64"
        module = self.b.module
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.b.call(function, [x])

    def where(self, condition: Any) -> Any:
        """1 where a comparison holds, else 0."""
        return self.b.select(condition, self.constant(1), self.constant(0))

    def integer(self, x: Any, k: int, lane: int) -> Any:
        """One number of transistor `k` as an integer."""
        return self.b.fptosi(self.scalar(x, k, lane), _INT)

    # Splines

    def cubic(self, t: Any) -> tuple[list[Any], list[Any]]:
        """Four weights and their slopes at t, which fills its lanes."""
        c = self.constant
        u = self.sub(c(1), t)
        t2, u2 = self.mul(t, t), self.mul(u, u)
        w0 = self.mul(self.mul(u2, u), c(1 / 6))
        w3 = self.mul(self.mul(t2, t), c(1 / 6))
        w1 = self.add(self.mul(t2, self.sub(self.mul(t, c(0.5)), c(1))), c(2 / 3))
        w2 = self.sub(self.sub(self.sub(c(1), w0), w3), w1)
        d0, d3 = self.mul(u2, c(-0.5)), self.mul(t2, c(0.5))
        d1 = self.mul(t, self.sub(self.mul(t, c(1.5)), c(2)))
        d2 = self.sub(self.sub(self.sub(c(0), d0), d3), d1)
        return [w0, w1, w2, w3], [d0, d1, d2, d3]

    def cubic_lanes(self, t: Any) -> tuple[Any, Any]:
        """The four weights in the lanes of one vector, and the four slopes; t fills its lanes."""
        row = self.constant
        weight = self.mul(row(-1 / 6, 0.5, -0.5, 1 / 6), t)
        weight = self.mul(self.add(weight, row(0.5, -1.0, 0.5, 0.0)), t)
        linear = row(-0.5, 0.0, 0.5, 0.0)
        weight = self.muladd(self.add(weight, linear), t, row(1 / 6, 2 / 3, 1 / 6, 0.0))
        slope = self.mul(row(-0.5, 1.5, -1.5, 0.5), t)
        return weight, self.muladd(self.add(slope, row(1.0, -2.0, 1.0, 0.0)), t, linear)

    def quadratic(self, t: Any) -> tuple[list[Any], list[Any]]:
        """As `cubic`, for a quadratic spline; t counts from the middle coefficient."""
        c = self.constant
        left, right = self.sub(c(0.5), t), self.add(c(0.5), t)
        w0 = self.mul(self.mul(left, left), c(0.5))
        w2 = self.mul(self.mul(right, right), c(0.5))
        w1 = self.sub(self.sub(c(1), w0), w2)
        return [w0, w1, w2], [self.sub(t, c(0.5)), self.mul(t, c(-2)), right]

    def sums(self, vectors: Sequence[Any]) -> Any:
        """Sums over each transistor's lanes of up to four vectors, in the lanes of one."""
        zero = self.constant(0)
        x = [*vectors, *[zero] * (4 - len(vectors))]

        def pair(a: Any, b: Any) -> Any:
            return self.add(self.pick(a, 0, 4, 2, 6, other=b), self.pick(a, 1, 5, 3, 7, other=b))

        first, second = pair(x[0], x[1]), pair(x[2], x[3])
        return self.add(
            self.pick(first, 0, 1, 4, 5, other=second), self.pick(first, 2, 3, 6, 7, other=second)
        )

    def tensor(
        self,
        load: Callable[[Sequence[int]], Any],
        axes: Sequence[tuple[Sequence[Any], Sequence[Any]]],
    ) -> list[Any]:
        """A tensor-product spline: its value, then its derivative along each of the axes.

        `axes` holds (weights, slopes) of each, outermost first; `load` takes one index for each.
        """

        def inner(done: tuple[int, ...]) -> list[Any]:
            if len(done) == len(axes):
                return [load(done)]
            weights, slopes = axes[len(done)]
            parts = [inner((*done, k)) for k in range(len(weights))]
            value, *others = (self.dot(weights, column) for column in zip(*parts, strict=True))
            return [value, self.dot(slopes, [part[0] for part in parts]), *others]

        return inner(())

    def _join(self, x: Any, y: Any) -> Any:
        return self._shuffle(x, y, range(2 * x.type.count))

    def _shuffle(self, x: Any, y: Any, mask: Sequence[int]) -> Any:
        kind = ir.VectorType(ir.IntType(32), len(mask))
        return self.b.shuffle_vector(x, y, ir.Constant(kind, list(mask)))
