"""ONNX and QONNX: a model out of a file, and a converted model into one.

QONNX (Pappalardo et al. 2022, arXiv 2206.07527) adds `Quant` and `BipolarQuant` to ONNX, which say
how weights and activations are quantised; Brevitas writes it, and FINN and others read it.
"""

import copy
import inspect
import math
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.imports import require_package
from rramsim.networks.conversion import restore
from rramsim.networks.onnx_operators import OPERATORS, symmetric_pads
from rramsim.networks.quantisers import Quantised, Quantiser, Sliced
from rramsim.networks.reading import quantised_layers, without_weight_errors

_DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_QUANT_DOMAIN = "qonnx.custom_op.general"
_MOST_BYTES = 1 << 31
_CHECKED = 2
"""Inputs on which an imported network is compared with QONNX's executor."""
_MOST_SLICES = 12
_AGREES = 0.02
"""Of the scores' norm: rounding moves a quantised activation now and then, an error moves more."""


class OnnxModel(nn.Module):
    """A network from an ONNX file; made by `load_onnx`.

    Convolutions and products with constant weights are torch's layers, under the names that their
    weights have in the file, batch-norms too; everything else is a step of `forward`.
    `quantisers` has, by layer, the quantiser that finds the levels and scales that `Quant` or
    `BipolarQuant` left, binary, ternary or of more bits in slices:
    `convert(model, model.quantisers, layers=list(model.quantisers))`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, dict[str, Any], list[str], list[str]]] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.shape: tuple[int, ...] = ()
        self.quantisers: dict[str, Quantiser] = {}
        self.constants: dict[str, str] = {}

    def forward(self, *inputs: Tensor) -> Any:
        """The file's outputs, a tensor or a tuple, for its inputs, in batches of any size."""
        if len(inputs) != len(self.inputs):
            raise InputError(f"{len(inputs)} inputs: must be {', '.join(self.inputs)}")
        values: dict[str, Any] = {name: getattr(self, key) for name, key in self.constants.items()}
        values |= dict(zip(self.inputs, inputs, strict=True)) | {"": None}
        last = {name: index for index, step in enumerate(self.steps) for name in step[2]}
        for index, (kind, attributes, given, made) in enumerate(self.steps):
            arguments = [values[name] for name in given]
            if kind == "layer":
                found = self.get_submodule(attributes["name"])(*arguments)
            else:
                found = OPERATORS[kind](attributes, *arguments)
            values.update(zip(made, found if isinstance(found, tuple) else (found,), strict=False))
            for name in given:
                if name and last[name] == index and name not in self.outputs:
                    values[name] = None
        outputs = tuple(values[name] for name in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def load_onnx(path: str | Path) -> OnnxModel:
    """Read an ONNX or QONNX file as a module whose layers `convert` finds.

    Its outputs are compared with those of QONNX's executor (and QONNX's own quantisers)
    on random inputs before it is returned. A batch size that the exporter fixed is freed. Raises
    `InputError` of one line for an operator that is not known, naming it, for a file that is
    damaged, and if the outputs disagree; `MissingPackageError` without the extra "onnx".
    """
    path = Path(path)
    proto = _read(path)
    try:
        model = _Reader(proto).model.eval()
        _compare(model, proto)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return model


def save_onnx(model: nn.Module, path: str | Path, example: Tensor) -> None:
    """Write a converted model as QONNX: its quantised weights, each with its `Quant`.

    Binary weights go through `BipolarQuant`, others through `Quant` of as many bits as their levels
    need; activations as torch's exporter writes them. `example` is a batch of inputs, on which the
    file, read again, must give the same predictions. Whole or not at all; raises `InputError` for a
    model that computes its weights itself (Brevitas's has an exporter of its own), that cannot be
    exported, or that is not converted.
    """
    path = Path(path)
    require_package("qonnx", "QONNX files")
    import onnx

    readers = quantised_layers(model)
    if not readers:
        raise InputError("the model has no converted layer; convert it with rramsim.nn.convert")
    for name, reader in readers.items():
        if reader.source is not None:
            raise InputError(
                f"{name}: its weight is computed by {type(reader.source).__name__}; export it with "
                "that library's own exporter, or remove the parametrization first"
            )
    with torch.no_grad(), without_weight_errors(model):
        training = model.training
        wanted = model.eval()(example)
        model.train(training)
        twin = restore(copy.deepcopy(model)).eval()
        weights = dict(twin.named_parameters())
        for name, reader in readers.items():
            weights[reader.parameter(name)].copy_(reader.quantised_weight())
    with atomic_path(path) as temporary:
        _export(twin, example, temporary)
        proto = onnx.load(temporary)
        for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, proto.graph):
            del part.metadata_props[:]  # where the exporter notes paths of this machine
        for name, reader in readers.items():
            _insert_quant(proto, reader.parameter(name), reader)
        opset = proto.opset_import.add()
        opset.domain, opset.version = _QUANT_DOMAIN, 1
        onnx.save(proto, temporary)
        again = load_onnx(temporary)
        with torch.no_grad():
            if not torch.equal(again(example).argmax(-1), wanted.argmax(-1)):
                raise InputError(f"{path}: not written, the file would predict otherwise")


def _export(model: nn.Module, example: Tensor, path: Path) -> None:
    import logging
    import warnings

    given: Any = {0: torch.export.Dim("batch", min=1)}
    first = next(iter(inspect.signature(model.forward).parameters.values()))
    if first.kind is inspect.Parameter.VAR_POSITIONAL:  # as our own, out of a file
        given = (given,)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # operators of other packages that are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model, (example,), path, dynamo=True, optimize=False, external_data=False,
                verbose=False, dynamic_shapes=(given,),
                custom_translation_table={torch.ops.aten.copysign.Tensor: _copysign()},
            )  # fmt: skip
    except Exception as error:
        told = " ".join(str(error).split())[:160]
        raise InputError(f"cannot be exported ({type(error).__name__}: {told})") from error
    finally:
        logger.setLevel(level)


def _copysign() -> Any:
    from onnxscript import opset18 as op

    def copysign(size, sign):  # type: ignore[no-untyped-def]
        positive = op.Abs(size)
        return op.Where(op.Less(sign, op.CastLike(0.0, sign)), op.Neg(positive), positive)

    return copysign


def _insert_quant(proto: Any, weight: str, reader: Any) -> None:
    """Put a `Quant` between a weight of the graph and those that use it."""
    from onnx import helper, numpy_helper

    graph = proto.graph
    if weight not in {one.name for one in graph.initializer}:
        raise InputError(f"{weight}: the exporter left no weight of this name")
    _, scale = reader.quantise()
    factor = np.ones(1, np.float32) if scale is None else scale.detach().cpu().float().numpy()
    made = f"{weight}.quantised"
    given = {"scale": factor}
    attributes: dict[str, Any] = {}
    if reader.quantiser.kind == "binary":
        kind = "BipolarQuant"
    else:
        kind = "Quant"
        highest = sum(reader.quantiser.places)
        bits = math.ceil(math.log2(highest + 1)) + 1
        given |= {"zero": np.zeros(1, np.float32), "bits": np.full(1, bits, np.float32)}
        attributes = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    for node in graph.node:
        node.input[:] = [made if name == weight else name for name in node.input]
    for key, value in given.items():
        graph.initializer.append(numpy_helper.from_array(value, f"{weight}.{key}"))
    graph.node.insert(
        0,
        helper.make_node(
            kind, [weight, *(f"{weight}.{key}" for key in given)], [made],
            name=made, domain=_QUANT_DOMAIN, **attributes,
        ),
    )  # fmt: skip


def _read(path: Path) -> Any:
    require_package("onnx", "ONNX files")
    require_package("qonnx", "QONNX files")
    import onnx

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: larger than {_MOST_BYTES} bytes")
    try:
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf's, and onnx's for files beside it that are not there
        told = (str(error).strip().splitlines() or [""])[0][:160]
        raise InputError(f"{path}: not a whole ONNX file ({told})") from error
    return proto


class _Reader:
    """Makes a model of a graph: constants are folded, layers made, the rest are steps."""

    def __init__(self, proto: Any) -> None:
        from onnx import numpy_helper

        graph = proto.graph
        self.opset = max(x.version for x in proto.opset_import if x.domain in ("", "ai.onnx"))
        self.model = OnnxModel()
        self.known: dict[str, Tensor] = {
            one.name: _tensor(numpy_helper.to_array(one)) for one in graph.initializer
        }
        self.origin: dict[str, str] = {name: name for name in self.known}
        self.found: dict[str, Quantiser] = {}
        self.types = _types(proto)
        inputs = [one for one in graph.input if one.name not in self.known]
        self.model.inputs = [one.name for one in inputs]
        self.model.outputs = [one.name for one in graph.output]
        sizes = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if inputs else []
        self.batch = sizes[0] if sizes else 0
        self.model.shape = tuple(sizes[1:])
        unknown = Counter(
            n.op_type for n in graph.node
            if n.domain not in _DOMAINS or n.op_type not in {*OPERATORS, "Constant", *_LAYERS}
        )  # fmt: skip
        if unknown:
            raise InputError(
                f"operator {', '.join(sorted(unknown))}: not known; nothing was imported"
            )
        for node in graph.node:
            try:
                self._take(node)
            except InputError as error:
                raise InputError(
                    f"{node.op_type} {node.name or node.output[0]}: {error}"
                ) from error
        for name, value in self.known.items():
            if any(name in given for _, _, given, _ in self.model.steps):
                key = f"constant{len(self.model.constants)}"
                self.model.register_buffer(key, value)
                self.model.constants[name] = key

    def _take(self, node: Any) -> None:
        from onnx.helper import get_attribute_value

        attributes = {a.name: _plain(get_attribute_value(a)) for a in node.attribute}
        attributes |= {"opset": self.opset, "outputs": len(node.output)}
        given, made, kind = list(node.input), list(node.output), node.op_type
        if kind == "Constant":
            value = next(v for k, v in attributes.items() if k.startswith("value"))
            self.known[made[0]] = torch.as_tensor(value)
            return
        constant = all(not name or name in self.known for name in given)
        if kind == "CastLike" and given[0] in self.known:
            wanted = self.types.get(given[1], torch.float32)
            self.known[made[0]] = self.known[given[0]].to(wanted)
            return
        if constant and kind in OPERATORS:
            with torch.no_grad():
                found = OPERATORS[kind](attributes, *(self.known.get(name) for name in given))
            self.known.update(
                zip(made, found if isinstance(found, tuple) else (found,), strict=False)
            )
            self._follow(kind, given, made[0])
            return
        if kind in _LAYERS and len(given) > 1 and given[1] in self.known:
            layer = _LAYERS[kind](self, attributes, given)
            if layer is not None:
                name = self._placed(given[1], node, layer)
                self.model.steps.append(("layer", {"name": name}, given[:1], made))
                return
        if kind not in OPERATORS:
            raise InputError("its weights are computed while it runs, must be constants")
        if kind == "Reshape" and given[1] in self.known and self.batch > 0:
            given[1], attributes["allowzero"] = self._freed(given[1]), 0
        self.model.steps.append((kind, attributes, given, made))

    def _follow(self, kind: str, given: list[str], made: str) -> None:
        """Remember from which weight a constant was made, and by which quantiser."""
        if given and given[0] in self.origin:
            self.origin[made] = self.origin[given[0]]
        if given and given[0] in self.found:
            self.found[made] = self.found[given[0]]
        if kind not in ("Quant", "IntQuant", "BipolarQuant"):
            return
        value, scale = self.known[made], self.known[given[1]]
        levels = (value / scale).round()
        most = int(levels.abs().max())
        by: Any = "tensor" if scale.numel() == 1 else "channel"
        if most <= 1:
            one_bit = kind == "BipolarQuant" or float(self.known[given[3]].max()) == 1
            self.found[made] = Quantised(scale=by, binary=one_bit)
        elif most.bit_length() <= _MOST_SLICES and torch.equal(levels * scale, value):
            step = tuple(scale.flatten().tolist())
            self.found[made] = Sliced(slices=most.bit_length(), scale=by, step=step)

    def _freed(self, name: str) -> str:
        """A shape whose first size is the batch that the exporter saw, for any batch."""
        sizes = self.known[name].tolist()
        if not sizes or sizes[0] != self.batch:
            return name
        if -1 in sizes[1:]:
            sizes[0] = 0  # as the input has it
        else:
            sizes[0] = -1
        free = f"{name}.any_batch"
        self.known[free] = torch.tensor(sizes)
        return free

    def _placed(self, weight: str, node: Any, layer: nn.Module) -> str:
        """Put a layer into the model under the name of its weight, and return that."""
        name = self.origin.get(weight, "").removesuffix(".weight")
        parts = name.split(".")
        taken = dict(self.model.named_modules())
        if (
            not all(part.replace("_", "a").isalnum() for part in parts)
            or name in taken
            or (hasattr(self.model, parts[0]) and parts[0] not in taken)
        ):
            clean = "".join(c if c.isalnum() else "_" for c in node.name or node.output[0])
            parts = [f"{node.op_type.lower()}{len(taken)}_{clean}".strip("_")]
        parent: nn.Module = self.model
        for part in parts[:-1]:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = cast(nn.Module, parent._modules[part])
        parent.add_module(parts[-1], layer)
        placed = ".".join(parts)
        if weight in self.found:
            self.model.quantisers[placed] = self.found[weight]
        return placed

    def value(self, given: list[str], index: int) -> Tensor | None:
        """The constant at an input; None where it is left out."""
        if len(given) <= index or not given[index]:
            return None
        if given[index] not in self.known:
            raise InputError(f"input {index} is computed while it runs, must be a constant")
        return self.known[given[index]]


def _with(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.register_parameter("weight", nn.Parameter(weight.clone().contiguous()))
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias.clone()))
    return layer


def _convolution(reader: _Reader, a: dict[str, Any], given: list[str]) -> nn.Module:
    weight, bias = cast(Tensor, reader.value(given, 1)), reader.value(given, 2)
    rank, groups = weight.dim() - 2, int(a.get("group", 1))
    pads = symmetric_pads(a, rank)
    if pads is None:
        raise InputError(f"pads = {a['pads']}: must be alike on both sides")
    make: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    layer = make(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), groups=groups,
        stride=tuple(a.get("strides", [1] * rank)), padding=tuple(pads),
        dilation=tuple(a.get("dilations", [1] * rank)), bias=bias is not None, device="meta",
    )  # fmt: skip
    return _with(layer, weight, bias)


def _transposed(reader: _Reader, a: dict[str, Any], given: list[str]) -> nn.Module:
    weight, bias = cast(Tensor, reader.value(given, 1)), reader.value(given, 2)
    rank, groups = weight.dim() - 2, int(a.get("group", 1))
    pads = symmetric_pads(a, rank)
    if pads is None or "output_shape" in a:
        raise InputError("pads must be alike on both sides, and output_shape left out")
    make: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
    layer = make(
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), groups=groups,
        stride=tuple(a.get("strides", [1] * rank)), padding=tuple(pads),
        output_padding=tuple(a.get("output_padding", [0] * rank)),
        dilation=tuple(a.get("dilations", [1] * rank)), bias=bias is not None, device="meta",
    )  # fmt: skip
    return _with(layer, weight, bias)


def _linear(reader: _Reader, a: dict[str, Any], given: list[str]) -> nn.Module | None:
    """A product with a constant matrix; None for one that a linear layer is not."""
    weight = cast(Tensor, reader.value(given, 1))
    if weight.dim() != 2 or a.get("transA") or float(a.get("alpha", 1)) != 1:
        return None
    if not a.get("transB"):
        weight = weight.T
    if len(given) > 2 and given[2] and given[2] not in reader.known:
        return None
    bias = reader.value(given, 2)
    if bias is not None:
        if float(a.get("beta", 1)) != 1 or bias.numel() != len(weight):
            return None
        bias = bias.flatten()
    layer = nn.Linear(weight.shape[1], len(weight), bias=bias is not None, device="meta")
    return _with(layer, weight, bias)


class _AnyNorm(nn.BatchNorm2d):
    """Batch-norm of inputs of any rank, as ONNX has it."""

    def _check_input_dim(self, input: Tensor) -> None:
        del input


def _norm(reader: _Reader, a: dict[str, Any], given: list[str]) -> nn.Module | None:
    if a.get("training_mode"):
        raise InputError("training_mode = 1: export the model in evaluation mode")
    scale, bias, mean, variance = (reader.value(given, i) for i in range(1, 5))
    assert scale is not None and bias is not None and mean is not None and variance is not None
    layer = _AnyNorm(len(scale), eps=float(a.get("epsilon", 1e-5)))
    layer.load_state_dict(
        {"weight": scale, "bias": bias, "running_mean": mean, "running_var": variance,
         "num_batches_tracked": torch.tensor(0)}
    )  # fmt: skip
    return layer


_LAYERS: dict[str, Any] = {
    "Conv": _convolution, "ConvTranspose": _transposed, "Gemm": _linear, "MatMul": _linear,
    "BatchNormalization": _norm,
}  # fmt: skip


def _types(proto: Any) -> dict[str, torch.dtype]:
    """What numbers a value of the graph is made of, as far as it can be inferred."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(proto).graph
    names = {one.name: one.type.tensor_type.elem_type for one in (*graph.input, *graph.value_info)}
    return {
        name: getattr(torch, str(onnx.helper.tensor_dtype_to_np_dtype(kind)), torch.float32)
        for name, kind in names.items()
        if kind
    }


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array))


def _plain(value: Any) -> Any:
    """An attribute as text, numbers, or a tensor."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if hasattr(value, "raw_data"):
        from onnx import numpy_helper

        return _tensor(numpy_helper.to_array(value))
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value


def _compare(model: OnnxModel, proto: Any) -> None:
    """Raise `InputError` if the model computes otherwise than QONNX's executor."""
    if len(model.inputs) != 1 or not all(size > 0 for size in model.shape):
        raise InputError(
            f"inputs {', '.join(model.inputs) or 'none'}: must be one, of known sizes but the batch"
        )
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(_CHECKED * batch, *model.shape, generator=generator)
    try:
        with torch.no_grad():
            found = model(inputs)
    except InputError:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:160]
        raise InputError(f"cannot be computed here ({type(error).__name__}: {told})") from error
    wanted = np.concatenate([_executed(proto, part.numpy()) for part in inputs.split(batch)])
    first = (found[0] if isinstance(found, tuple) else found).double().numpy()
    if first.shape != wanted.shape:
        raise InputError(f"outputs of shape {first.shape}, QONNX's executor gives {wanted.shape}")
    off = float(np.linalg.norm(first - wanted))
    if not off <= _AGREES * float(np.linalg.norm(wanted)) + 1e-6:
        raise InputError("its outputs differ from those of QONNX's executor")


def _executed(proto: Any, inputs: Any) -> Any:
    """The first output, by QONNX's own executor: its quantisers, onnxruntime for the others."""
    import warnings

    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    fixed = copy.deepcopy(proto)
    given = fixed.graph.input[0]
    given.type.tensor_type.shape.dim[0].dim_value = len(inputs)
    del fixed.graph.value_info[:]
    for one in fixed.graph.output:
        one.type.tensor_type.ClearField("shape")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shapes that were left open
            model = ModelWrapper(fixed).transform(InferShapes())
            return execute_onnx(model, {given.name: inputs})[fixed.graph.output[0].name]
    except Exception as error:
        told = " ".join(str(error).split())[:160]
        raise InputError(f"QONNX's executor cannot run it ({told})") from error
