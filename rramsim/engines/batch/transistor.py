"""Current, charges and mismatch of several transistors side by side, compiled; used by generated
code.

Evaluated in three stages, each for all groups of transistors before the next: `outer` places the
voltages in the current's table and finds what mismatch adds to the gate's, `inner` places the gate,
`values` contracts the tables. A stage is a chain of dependent operations; a processor looks only
some hundred instructions ahead, so the chains of several groups must stand close to overlap.

Arrays are those of `layout.py`. Cell numbers are kept inside the tables: no voltage reads
outside of them. Results go to `found[k]`, rows of four numbers: the current and its derivatives
over (vgs, vds, vsb); charges of (gate, drain, source, -); their derivatives over vgs; over vds;
over vsb. Where the source is tied to the bulk there is no vsb.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rramsim.engines.batch.contractions import Lanes
from rramsim.engines.batch.layout import (
    FOUND_ROWS,
    MODEL,
    MOVE_ROWS,
    OFFSETS,
    SHIFTS,
    SLOT,
    Draft,
    Frame,
    Move,
    Stride,
)

# mypy: allow-untyped-defs, allow-incomplete-defs


_INT = ir.IntType(64)
_USED = ("tab", "strides", "off", "frame", "par", "moves", "draft", "found")


def _stage(stage: str, tied: bool) -> Any:
    """An intrinsic: call a stage for a group.

    Its arguments: the arrays (`layout.MODEL`), the group's place in `draft`, the transistors'
    numbers, and for `outer` their voltages, (vgs, vds, vsb) of each in turn.
    """

    @intrinsic
    def call(typingctx, model, slot, numbers, voltages):
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointers = []
            for name in _USED:
                place = MODEL.index(name)
                array = builder.extract_value(arguments[0], place)
                kind = signature.args[0][place]
                pointers.append(context.make_array(kind)(context, builder, array).data)
            which, at = (
                [builder.extract_value(tupled, k) for k in range(len(kind))]
                for kind, tupled in zip(signature.args[2:], arguments[2:], strict=True)
            )
            values = [*pointers, arguments[1], *which, *at]
            name = f"rramsim.{stage}.{'tied' if tied else 'free'}{len(which)}"
            if name not in builder.module.globals:
                _write(builder.module, name, [v.type for v in values], len(which), stage, tied)
            builder.call(builder.module.globals[name], values)
            return context.get_dummy_value()

        return types.void(model, slot, numbers, voltages), generate

    return call


def _write(
    module: Any, name: str, kinds: Sequence[Any], count: int, stage: str, tied: bool
) -> None:
    """Add a stage for such a group to the module, a function of its own that all of them share."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block())
    pointers = dict(zip(_USED, function.args, strict=False))
    slot, *others = function.args[len(_USED) :]
    group = _Group(builder, pointers, slot, others[:count], tied)
    if stage == "outer":
        group.outer(others[count:])
    elif stage == "inner":
        group.inner()
    else:
        group.charge()
        group.current()
    builder.ret_void()


class _Group:
    """Writes the stages of a group; `w` are vectors of 64 bits, `f` of 32."""

    def __init__(
        self, builder: Any, arrays: dict[str, Any], slot: Any, numbers: list[Any], tied: bool
    ) -> None:
        self.b, self.arrays, self.numbers, self.tied = builder, arrays, numbers, tied
        self.w = Lanes(builder, len(numbers))
        self.f = Lanes(builder, len(numbers), single=True)
        self.slot = builder.mul(slot, ir.Constant(_INT, SLOT))

    def outer(self, voltages: list[Any]) -> None:
        """Places in z, vds, vsb of the current's table, and what mismatch adds to vgs."""
        w, b = self.w, self.b
        at = w.build(voltages[0::3], voltages[1::3], voltages[2::3])
        ds = w.spread(at, 1)
        body = None if self.tied else w.spread(at, 2)
        place = at if body is None else w.muladd(self.move(Move.BODY), body, at)
        place = w.muladd(place, self.row(Frame.OUTER_INVERSE), self.row(Frame.OUTER_OFFSET))
        inside = w.least(w.largest(place, self.row(Frame.OUTER_LOW)), self.row(Frame.OUTER_HIGH))
        cell = self.cell(inside, Frame.OUTER_LAST)
        t = w.sub(inside, cell)

        # The shift is a spline over z; others are its slope and bow over vds above 0, and its slope
        # over vsb, where there is one. Over z it ends where the table does.
        weight, slope = w.cubic_lanes(w.spread(t, 0))
        points = self.stride(Stride.SHIFT)
        starts = [
            b.add(b.mul(self.times(k, SHIFTS), points), w.integer(cell, n, 0))
            for n, k in enumerate(self.numbers)
        ]
        row, lean, bow, *over_body = (
            w.rows(self.arrays["par"], [b.add(start, self.times(points, k)) for start in starts])
            for k in range(SHIFTS - 1 if body is None else SHIFTS)
        )
        forward = w.where(b.fcmp_ordered(">", ds, w.constant(0)))
        along = w.mul(forward, ds)
        lean = w.muladd(bow, along, lean)
        row = w.muladd(lean, along, row)
        for spline in over_body:
            row = w.muladd(spline, body, row)
        lean = w.mul(w.muladd(bow, along, lean), forward)
        # The shift and its derivatives over z, vds, vsb.
        parts = [w.mul(row, weight), w.mul(row, slope)]
        shift = w.sums([*parts, *(w.mul(spline, weight) for spline in (lean, *over_body))])
        held, zero = w.where(b.fcmp_ordered("==", place, inside)), w.constant(0)
        # How the gate of the table moves with (-, vgs, vds, vsb), less vgs itself.
        bend = w.muladd(
            w.mul(w.spread(shift, 1), w.spread(held, 0)),
            self.move(Move.BEND),
            w.pick(shift, 4, 4, 2, 3, other=zero),
        )
        gate = w.add(w.pick(at, 0, 0, 1, 2), self.move(Move.OFFSET))
        gate = w.add(gate, w.pick(shift, 0, 4, 4, 4, other=zero))
        self.put(Draft.AT, at)
        self.put(Draft.OUTER, t)
        self.put(Draft.CELL, w.mul(cell, self.row(Frame.OUTER_STRIDE)))
        self.put(Draft.BEND, bend)
        self.put(Draft.GATE, gate)

    def inner(self) -> None:
        """Places in vgs of the current's table and in vgs, vds, vsb of the charges'."""
        w = self.w
        place = w.muladd(
            self.get(Draft.GATE), self.row(Frame.INNER_INVERSE), self.row(Frame.INNER_OFFSET)
        )
        cell = self.cell(w.add(place, w.constant(0, 0.5, 0.5, 0.5)), Frame.INNER_LAST)
        self.put(Draft.INNER, w.sub(place, cell))
        flat, deep = w.mul(cell, self.row(Frame.INNER_STRIDE)), self.get(Draft.CELL)
        current = w.add(flat, w.spread(deep, 1))
        charge = w.add(flat, w.spread(flat, 2))
        if not self.tied:
            current = w.add(current, w.spread(deep, 2))
            charge = w.add(charge, w.spread(flat, 3))
        self.put(Draft.CURRENT, current)
        self.put(Draft.CHARGE, charge)

    def current(self) -> None:
        w, f = self.w, self.f
        outer, inner = f.rounded(self.get(Draft.OUTER)), f.rounded(self.get(Draft.INNER))
        axes, steps = [f.cubic(f.spread(inner, 0))], [self.stride(Stride.CURRENT_GATE)]
        if not self.tied:
            axes.insert(0, f.cubic(f.spread(outer, 2)))
            steps.insert(0, self.stride(Stride.CURRENT_BODY))
        value, *others = f.tensor(self.loads(Draft.CURRENT, 0, steps), axes)
        weight, slope = f.cubic_lanes(f.spread(outer, 1))
        parts = [f.mul(value, weight), f.mul(others[-1], weight), f.mul(value, slope)]
        if not self.tied:
            parts.append(f.mul(others[0], weight))
        found = w.mul(w.widened(f.sums(parts)), self.move(Move.CURRENT))
        self.store(0, w.muladd(w.spread(found, 1), self.get(Draft.BEND), found))

    def charge(self) -> None:
        w, f = self.w, self.f
        inner, at = f.rounded(self.get(Draft.INNER)), self.get(Draft.AT)
        axes = [f.quadratic(f.spread(inner, lane)) for lane in (1, 2)]
        steps = [self.stride(Stride.CHARGE_GATE), ir.Constant(_INT, 4)]
        if not self.tied:
            axes.insert(0, f.quadratic(f.spread(inner, 3)))
            steps.insert(0, self.stride(Stride.CHARGE_BODY))
        splines = f.tensor(self.loads(Draft.CHARGE, 1, steps), axes)
        value, *slopes = (w.widened(x) for x in splines)
        if not self.tied:
            slopes = [*slopes[1:], slopes[0]]
        scale = self.move(Move.CHARGE)
        total = w.mul(w.spread(scale, 0), value)
        # The table's charges, and those of linear capacitors.
        for lane, slope in enumerate(slopes):
            linear = self.move((Move.GATE, Move.DRAIN, Move.SOURCE)[lane])
            total = w.muladd(linear, w.spread(at, lane), total)
            self.store(2 + lane, w.muladd(w.spread(scale, 1 + lane), slope, linear))
        self.store(1, total)

    # Arrays

    def element(self, array: str, index: Any) -> Any:
        return self.b.load(self.b.gep(self.arrays[array], [index]))

    def row(self, row: Frame) -> Any:
        return self.w.everywhere(self.arrays["frame"], row)

    def stride(self, number: Stride) -> Any:
        return self.element("strides", ir.Constant(_INT, number))

    def times(self, x: Any, factor: int, more: int = 0) -> Any:
        return self.b.add(self.b.mul(x, ir.Constant(_INT, factor)), ir.Constant(_INT, more))

    def move(self, row: Move) -> Any:
        places = [self.times(k, 4 * MOVE_ROWS, 4 * row) for k in self.numbers]
        return self.w.rows(self.arrays["moves"], places)

    def cell(self, x: Any, last: Frame) -> Any:
        """The cells' numbers, kept inside the tables."""
        w = self.w
        return w.least(w.largest(w.floor(x), w.constant(0)), self.row(last))

    def loads(
        self, draft: Draft, table: int, steps: Sequence[Any]
    ) -> Callable[[Sequence[int]], Any]:
        """Rows of a table by numbers of steps from each transistor's cell, for `Lanes.tensor`."""
        starts = []
        for n, k in enumerate(self.numbers):
            lane = ir.Constant(_INT, 4 * (self.w.count * draft + n) + table)
            cell = self.element("draft", self.b.add(self.slot, lane))
            offset = self.element("off", self.times(k, OFFSETS, table))
            starts.append(self.b.add(offset, self.b.fptosi(cell, _INT)))

        def load(counts: Sequence[int]) -> Any:
            places = []
            for start in starts:
                place = start
                for count, step in zip(counts, steps, strict=True):
                    if count:
                        place = self.b.add(place, self.times(step, count))
                places.append(place)
            return self.f.rows(self.arrays["tab"], places)

        return load

    def _place(self, draft: Draft) -> Any:
        """The draft's vector, whole: what one instruction writes, another can read at once."""
        index = self.b.add(self.slot, ir.Constant(_INT, 4 * self.w.count * draft))
        place = self.b.gep(self.arrays["draft"], [index])
        return self.b.bitcast(place, self.w.kind.as_pointer())

    def put(self, draft: Draft, x: Any) -> None:
        self.b.store(x, self._place(draft)).align = 8

    def get(self, draft: Draft) -> Any:
        loaded = self.b.load(self._place(draft))
        loaded.align = 8
        return loaded

    def store(self, row: int, x: Any) -> None:
        places = [self.times(k, 4 * FOUND_ROWS, 4 * row) for k in self.numbers]
        self.w.store(self.arrays["found"], places, x)


free_outer, free_inner, free_values = (
    _stage(name, tied=False) for name in ("outer", "inner", "values")
)
tied_outer, tied_inner, tied_values = (
    _stage(name, tied=True) for name in ("outer", "inner", "values")
)

_JUNCTION = int(Frame.JUNCTION)


@njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})
def junction(v, tab, at, frame):
    """Current from a diffusion, v above the bulk, into the bulk; and its derivative."""
    inverse = frame[_JUNCTION, 1]
    x = (min(v, 0.0) - frame[_JUNCTION, 0]) * inverse
    cell = min(max(int(x), 0), int(frame[_JUNCTION, 3]))
    t = x - cell
    u = 1.0 - t
    c0, c1, c2, c3 = tab[at + cell], tab[at + cell + 1], tab[at + cell + 2], tab[at + cell + 3]
    current = (c0 * u**3 + c3 * t**3) / 6.0 + c1 * (2.0 / 3.0 - t * t * (1.0 - 0.5 * t))
    current += c2 * (2.0 / 3.0 - u * u * (1.0 - 0.5 * u))
    slope = 0.5 * (c3 * t * t - c0 * u * u) + c1 * t * (1.5 * t - 2.0) - c2 * u * (1.5 * u - 2.0)
    return current, slope * inverse


# mypy: allow-untyped-defs, allow-incomplete-defs


OUTER, INNER = int(Frame.OUTER_INVERSE), int(Frame.INNER_INVERSE)
CURRENT, BODY, BEND, CHARGE, GATE, DRAIN, SOURCE, OFFSET = (4 * int(row) for row in Move)


@njit(nogil=True, error_model="numpy")
def mismatch(
    sample, frame, body, deviates, site_of, powers, power_of, shift, whole, par, moves, values,
):  # fmt: skip
    """Write a sample's `par` (its shift splines) and `moves` (rows of `layout.Move`).

    `deviates` (samples, sites); transistor k's are those from `site_of[k]` on. Its shift is the
    polynomial with the exponents `powers[power_of[k]:power_of[k + 1]]`; `whole` (terms, 12) are
    those of its log gain and of what moves its charges (see `DeviceTable`).
    `values` is scratch for these.
    """
    over_z = frame[OUTER, 0]
    # Of a value and its derivatives over vgs, vds, vsb, which the splines give per grid step.
    current = (1.0, frame[INNER, 0], frame[OUTER, 1], frame[OUTER, 2])
    charge = (1.0, frame[INNER, 1], frame[INNER, 2], frame[INNER, 3])
    for k in range(par.shape[0]):
        for p in range(par.shape[1]):
            par[k, p] = 0.0
        for p in range(moves.shape[1]):
            moves[k, p] = 0.0
        for column in range(whole.shape[1]):
            values[column] = 0.0
        if deviates.shape[1] > 0:
            for term in range(power_of[k], power_of[k + 1]):
                value = 1.0
                for parameter in range(powers.shape[1]):
                    x = 1.0
                    if powers[term, parameter] > 0:
                        x = deviates[sample, site_of[k] + parameter]
                    for _ in range(powers[term, parameter]):
                        value *= x
                for column in range(whole.shape[1]):
                    values[column] += value * whole[term, column]
                for p in range(par.shape[1]):
                    par[k, p] += value * shift[term, p]
        for lane in range(4):
            moves[k, CURRENT + lane] = math.exp(values[0]) * current[lane]
            moves[k, CHARGE + lane] = math.exp(values[1]) * charge[lane]
        moves[k, OFFSET + 1] = values[2]
        moves[k, BODY] = -body[k]
        moves[k, BEND + 1] = over_z
        moves[k, BEND + 3] = -body[k] * over_z
        # Linear capacitors: charges of (gate, drain, source) per volt of vgs, of vds, of vsb.
        for lane in range(3):
            moves[k, GATE + lane] = values[3 + lane]
            moves[k, DRAIN + lane] = values[6 + lane]
            moves[k, SOURCE + lane] = values[9 + lane]
