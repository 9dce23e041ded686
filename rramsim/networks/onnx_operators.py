"""ONNX operators as torch computes them, and QONNX's `Quant`, `BipolarQuant` and `Trunc`.

Each takes the node's attributes and its inputs (None where one is left out) and returns a tensor,
or a tuple of several. `onnx_files` makes layers of those whose weights lie in arrays.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rramsim.exceptions import InputError
from rramsim.networks.quantisers import straight_through

Attributes = Mapping[str, Any]
Operator = Callable[..., Any]

_ROUND: dict[str, Callable[[Tensor], Tensor]] = {
    "ROUND": torch.round,
    "HALF_EVEN": torch.round,
    "CEIL": torch.ceil,
    "FLOOR": torch.floor,
    "UP": lambda x: x.sign() * x.abs().ceil(),
    "DOWN": torch.trunc,
    "HALF_UP": lambda x: x.sign() * (x.abs() + 0.5).floor(),
    "HALF_DOWN": lambda x: x.sign() * (x.abs() - 0.5).ceil(),
}


def _rounding(a: Attributes) -> Callable[[Tensor], Tensor]:
    name = str(a.get("rounding_mode", "ROUND")).upper()
    if name not in _ROUND:
        raise InputError(f"rounding_mode = {name!r}: must be one of {', '.join(_ROUND)}")
    return _ROUND[name]


def _quant(a: Attributes, x: Tensor, scale: Tensor, zero: Tensor, bits: Tensor) -> Tensor:
    signed, narrow = bool(a.get("signed", 1)), int(a.get("narrow", 0))
    levels = x / scale + zero
    if signed and float(bits.max()) == 1:
        return _bipolar(a, x, scale)
    half = 2.0 ** (bits - 1)
    low = -half + narrow if signed else torch.zeros_like(bits)
    high = half - 1 if signed else 2.0**bits - 1 - narrow
    clamped = torch.minimum(torch.maximum(levels, low), high)
    value = (_rounding(a)(clamped) - zero) * scale
    return straight_through((clamped - zero) * scale, value)


def _bipolar(a: Attributes, x: Tensor, scale: Tensor) -> Tensor:
    ones = torch.ones_like(x)
    return straight_through(functional.hardtanh(x), torch.where(x >= 0, ones, -ones) * scale)


def _trunc(
    a: Attributes, x: Tensor, scale: Tensor, zero: Tensor, bits: Tensor, *rest: Tensor
) -> Tensor:
    if len(rest) != 1:
        raise InputError("Trunc of its second version: only the first is known")
    factor = 2.0 ** (bits - rest[0])
    levels = torch.round(x / scale + zero)
    value = (_ROUND[str(a.get("rounding_mode", "FLOOR")).upper()](levels / factor) - zero) * scale
    return straight_through(x, value)


def _ints(values: Tensor | None, given: Any = None) -> list[int] | None:
    """An input of whole numbers, or the attribute that older operator sets have."""
    if values is not None:
        return [int(v) for v in values.flatten().tolist()]
    return None if given is None else [int(v) for v in given]


def _reshape(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = _ints(shape) or []
    if not a.get("allowzero"):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _slice(a: Attributes, x: Tensor, *given: Tensor | None) -> Tensor:
    parts = [*given, None, None, None, None]
    starts, ends = _ints(parts[0], a.get("starts")), _ints(parts[1], a.get("ends"))
    assert starts is not None and ends is not None
    axes = _ints(parts[2], a.get("axes")) or list(range(len(starts)))
    steps = _ints(parts[3]) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = list(range(x.shape[axis]))[start:end:step]
        x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis, parts = int(a.get("axis", 0)), _ints(sizes, a.get("split"))
    if parts is None:
        parts_wanted = int(a.get("num_outputs", 0) or a["outputs"])
        return x.split(-(-x.shape[axis] // parts_wanted), dim=axis)
    return x.split(parts, dim=axis)


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _ints(axes, a.get("axes"))
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _ints(axes, a.get("axes")) or []
    rank = x.dim() + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _pad(
    a: Attributes, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:  # fmt: skip
    given = _ints(pads, a.get("pads")) or []
    chosen = _ints(axes) or list(range(x.dim()))
    sides = [0] * (2 * x.dim())
    for index, axis in enumerate(chosen):
        place = 2 * (x.dim() - 1 - axis % x.dim())
        sides[place : place + 2] = given[index], given[index + len(chosen)]
    mode = a.get("mode", "constant")
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in modes:
        raise InputError(f"mode = {mode!r}: must be one of {', '.join(modes)}")
    if mode != "constant":
        while len(sides) > 2 and sides[-2:] == [0, 0]:  # torch pads the last axes only
            sides = sides[:-2]
        return functional.pad(x, sides, mode=modes[mode])
    fill = a.get("value", 0.0) if value is None else float(value)
    return functional.pad(x, sides, value=fill)


def symmetric_pads(a: Attributes, rank: int) -> list[int] | None:
    """Padding before and after each axis where both are alike, else None."""
    if a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise InputError(f"auto_pad = {a['auto_pad']!r}: must be 'NOTSET'; write its pads")
    pads = list(a.get("pads", [0] * (2 * rank)))
    return pads[:rank] if pads[:rank] == pads[rank:] else None


def _pool(a: Attributes, x: Tensor, *, largest: bool) -> Tensor:
    kernel = list(a["kernel_shape"])
    rank = len(kernel)
    stride, ceil = list(a.get("strides", [1] * rank)), bool(a.get("ceil_mode", 0))
    dilation = list(a.get("dilations", [1] * rank))
    pads = symmetric_pads(a, rank)
    if pads is None or any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        if not largest and not a.get("count_include_pad", 0):
            raise InputError("pads that are not alike on both sides of an average")
        given = list(a["pads"])
        sides = [s for i in reversed(range(rank)) for s in (given[i], given[i + rank])]
        x, pads = functional.pad(x, sides, value=-math.inf if largest else 0.0), [0] * rank
    if largest:
        pool: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
        return pool(x, kernel, stride, pads, dilation, ceil)
    if dilation != [1] * rank:
        raise InputError(f"dilations = {dilation}: must be 1 in an average")
    mean: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    return mean(x, kernel, stride, pads, ceil, bool(a.get("count_include_pad", 0)))


def _reduced(function: Callable[..., Tensor]) -> Operator:
    def reduce(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = _ints(axes, a.get("axes"))
        if chosen is None:
            if a.get("noop_with_empty_axes"):
                return x
            chosen = list(range(x.dim()))
        return function(x, dim=chosen, keepdim=bool(a.get("keepdims", 1)))

    return reduce


def _softmax(function: Callable[..., Tensor]) -> Operator:
    def soft(a: Attributes, x: Tensor) -> Tensor:
        if a["opset"] >= 13:
            return function(x, dim=int(a.get("axis", -1)))
        axis = int(a.get("axis", 1)) % x.dim()
        return function(x.flatten(axis), dim=-1).reshape(x.shape)

    return soft


def _clip(a: Attributes, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low = a.get("min") if low is None else low
    high = a.get("max") if high is None else high
    if low is not None:
        x = torch.maximum(x, torch.as_tensor(low, dtype=x.dtype, device=x.device))
    return (
        x
        if high is None
        else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype, device=x.device))
    )


def _gemm(a: Attributes, x: Tensor, w: Tensor, c: Tensor | None = None) -> Tensor:
    x = x.T if a.get("transA") else x
    product = float(a.get("alpha", 1.0)) * (x @ (w.T if a.get("transB") else w))
    return product if c is None else product + float(a.get("beta", 1.0)) * c


def _layer_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = int(a.get("axis", -1)) % x.dim()
    return functional.layer_norm(x, x.shape[axis:], scale, bias, float(a.get("epsilon", 1e-5)))


def _batch_norm(
    a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return functional.batch_norm(x, mean, variance, scale, bias, eps=float(a.get("epsilon", 1e-5)))


def _gather(a: Attributes, x: Tensor, places: Tensor) -> Tensor:
    axis = int(a.get("axis", 0)) % x.dim()
    wanted = torch.where(places < 0, places + x.shape[axis], places)
    found = x.index_select(axis, wanted.flatten())
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _expand(a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(_ints(shape) or ())))


def _cast(a: Attributes, x: Tensor) -> Tensor:
    from onnx.helper import tensor_dtype_to_np_dtype

    name = str(tensor_dtype_to_np_dtype(int(a["to"])))
    return x.to(getattr(torch, name))


def _constant_of_shape(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    return value.reshape(()).expand(_ints(shape) or []).clone()


def _power(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return torch.pow(x, y).to(x.dtype)


def _divide(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    if x.is_floating_point():
        return x / y
    return torch.div(x, y, rounding_mode="trunc")


def _plain(function: Callable[..., Any]) -> Operator:
    return lambda a, *given: function(*given)


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def fold(a: Attributes, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = function(first, other)
        return first

    return fold


def _global(function: Callable[..., Tensor]) -> Operator:
    return lambda a, x: function(x, dim=list(range(2, x.dim())), keepdim=True)


_SAME: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs, "Add": torch.add, "And": torch.logical_and, "Ceil": torch.ceil,
    "Equal": torch.eq, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor,
    "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt,
    "LessOrEqual": torch.le, "Log": torch.log, "MatMul": torch.matmul, "Mul": torch.mul,
    "Neg": torch.neg, "Not": torch.logical_not, "Or": torch.logical_or,
    "Reciprocal": torch.reciprocal, "Relu": torch.relu, "Round": torch.round,
    "Sigmoid": torch.sigmoid, "Sign": torch.sign, "Softplus": functional.softplus,
    "Sqrt": torch.sqrt, "Sub": torch.sub, "Tanh": torch.tanh, "Where": torch.where,
    "HardSwish": functional.hardswish, "Mish": functional.mish,
}  # fmt: skip
"""Operators that torch has as a function of the same inputs."""

OPERATORS: dict[str, Operator] = {
    **{name: _plain(function) for name, function in _SAME.items()},
    "AveragePool": lambda a, x: _pool(a, x, largest=False),
    "BatchNormalization": _batch_norm,
    "BipolarQuant": _bipolar,
    "Cast": _cast,
    "CastLike": lambda a, x, like: x.to(like.dtype),
    "Clip": _clip,
    "Concat": lambda a, *parts: torch.cat(parts, dim=int(a["axis"])),
    "ConstantOfShape": _constant_of_shape,
    "Div": _divide,
    "Dropout": lambda a, x, *rest: x,
    "Elu": lambda a, x: functional.elu(x, float(a.get("alpha", 1.0))),
    "Expand": _expand,
    "Flatten": lambda a, x: x.reshape(math.prod(x.shape[: int(a.get("axis", 1))]), -1),
    "Gather": _gather,
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", "none")),
    "Gemm": _gemm,
    "GlobalAveragePool": _global(torch.mean),
    "GlobalMaxPool": _global(torch.amax),
    "HardSigmoid": lambda a, x: (
        (float(a.get("alpha", 0.2)) * x + float(a.get("beta", 0.5))).clamp(0.0, 1.0)
    ),
    "Identity": lambda a, x: x,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, float(a.get("alpha", 0.01))),
    "LogSoftmax": _softmax(functional.log_softmax),
    "Max": _folded(torch.maximum),
    "MaxPool": lambda a, x: _pool(a, x, largest=True),
    "Min": _folded(torch.minimum),
    "PRelu": lambda a, x, slope: torch.where(x < 0, slope * x, x),
    "Pad": _pad,
    "Pow": _power,
    "Quant": _quant,
    "IntQuant": _quant,
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(torch.sum),
    "Reshape": _reshape,
    "Selu": lambda a, x: functional.selu(x),
    "Shape": lambda a, x: torch.tensor(x.shape[int(a.get("start", 0)) : a.get("end")]),
    "Slice": _slice,
    "Softmax": _softmax(functional.softmax),
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": lambda a, x: x.permute(*a.get("perm", reversed(range(x.dim())))),
    "Trunc": _trunc,
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
"""By their names in ONNX and QONNX."""
