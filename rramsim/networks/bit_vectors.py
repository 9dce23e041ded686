"""Vectors of 32-bit words for numba: one lane an output, so that nothing is summed across lanes.

numba has no vector type, and its own vectorisation of a popcount loop pays a horizontal sum for
every few words. Here a value of type `Lanes` is an LLVM vector; LLVM lowers it to what the
processor has: `vpopcntd` on sixteen lanes (AVX-512 VPOPCNTDQ), or byte counts by table look-up on
eight (AVX2's `pshufb`, NEON's `cnt`), which are summed to words once in 31 steps only. Lanes of 32
bits, not 64: sums are int32 as they stand, and the 288 bits of a patch of 32 channels fill theirs.
"""

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.extending import models, register_model

VECTOR_POPCOUNT = bool(llvmlite.binding.get_host_cpu_features().get("avx512vpopcntdq", False))
"""Whether the processor counts the bits of whole vectors of words in one instruction."""

LANES = 16 if VECTOR_POPCOUNT else 8
"""32-bit words in a vector."""

STEPS = 1 << 20 if VECTOR_POPCOUNT else 31
"""How often `count` may be applied to an accumulator before `totals`: bytes overflow at 32."""

_INT32 = ir.IntType(32)
_WORDS = ir.VectorType(_INT32, LANES)
_BYTES = ir.VectorType(ir.IntType(8), 4 * LANES)


# numba describes an intrinsic by the function that types it; callers give fewer arguments.
intrinsic: Any = extending.intrinsic


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


_lanes = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _WORDS)


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_WORDS, [value] * LANES)


def _element(context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _spread(builder: Any, word: Any) -> Any:
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), word, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(_WORDS, [0] * LANES))


@intrinsic
def zero(typing: Any) -> Any:
    """All lanes 0."""
    return _lanes(), lambda context, builder, signature, values: _constant(0)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """The words array[index : index + LANES] of a flat contiguous uint32 or int32 array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = _element(context, builder, signature.args[0], values[0], values[1], _WORDS)
        return builder.load(address, align=4)

    return _lanes(array, types.int64), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, words: Any) -> Any:
    """Write the words to array[index : index + LANES] of a flat contiguous int32 array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = _element(context, builder, signature.args[0], values[0], values[1], _WORDS)
        builder.store(values[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, _lanes), generate


@intrinsic
def multiply_add(typing: Any, accumulator: Any, factor: Any, words: Any) -> Any:
    """accumulator + factor * words, `factor` an int32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.add(values[0], builder.mul(_spread(builder, values[1]), values[2]))

    return _lanes(_lanes, types.int32, _lanes), generate


@intrinsic
def maximum(typing: Any, left: Any, right: Any) -> Any:
    """The larger of each pair of integers."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        left, right = values
        return builder.select(builder.icmp_signed(">", left, right), left, right)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def at_least_bits(typing: Any, left: Any, right: Any) -> Any:
    """A uint64 whose bit i says whether integer i of `left` is at least that of `right`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(builder.icmp_signed(">=", *values), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.uint64(_lanes, _lanes), generate


@intrinsic
def splat(typing: Any, word: Any) -> Any:
    """The same uint32 in every lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _spread(builder, values[0])

    return _lanes(types.uint32), generate


def _binary(name: str) -> Any:
    @intrinsic
    def operation(typing: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return getattr(builder, name)(values[0], values[1])

        return _lanes(_lanes, _lanes), generate

    return operation


and_ = _binary("and_")
xor = _binary("xor")
add = _binary("add")
sub = _binary("sub")


@intrinsic
def count(typing: Any, accumulator: Any, words: Any) -> Any:
    """Add the set bits of `words` to an accumulator, which `totals` turns into words."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = _WORDS if VECTOR_POPCOUNT else _BYTES
        name = f"llvm.ctpop.v{LANES}i32" if VECTOR_POPCOUNT else f"llvm.ctpop.v{4 * LANES}i8"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind]), name
        )
        counted = builder.call(function, [builder.bitcast(values[1], kind)])
        return builder.bitcast(builder.add(builder.bitcast(values[0], kind), counted), _WORDS)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def totals(typing: Any, accumulator: Any) -> Any:
    """The bits counted in each lane, as words."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value = values[0]
        if VECTOR_POPCOUNT:
            return value
        mask = _constant(0x00FF00FF)
        value = builder.add(
            builder.and_(value, mask), builder.and_(builder.lshr(value, _constant(8)), mask)
        )
        value = builder.add(value, builder.lshr(value, _constant(16)))
        return builder.and_(value, _constant(0xFFFF))

    return _lanes(_lanes), generate
