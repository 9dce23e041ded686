"""Weights and networks in files of others: safetensors, npz, pt, ONNX, QONNX, Brevitas's own."""

import pickle
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

import rramsim.nn as rn
from rramsim.exceptions import InputError
from rramsim.networks import NetworkSpec

IMAGES = torch.randn(1000, 3, 8, 8, generator=torch.Generator().manual_seed(4))


def convolutions(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 2, stride=2), nn.MaxPool2d(2), nn.Hardtanh(), nn.Flatten(),
        nn.Linear(4 * 16, 12), nn.GELU(), nn.LayerNorm(12), nn.Linear(12, 5, bias=False),
        nn.BatchNorm1d(5, momentum=None),
    )  # fmt: skip
    model(IMAGES[:200])  # scores are alike in their means: every class is predicted
    return model.eval()


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pt", "pth"])
def test_weights_come_back_from_every_kind_of_file(tmp_path, ending):
    model, other = rn.convert(convolutions(0)), convolutions(1)
    rn.save_weights(model, tmp_path / f"w.{ending}")
    rn.load_weights(other, tmp_path / f"w.{ending}")
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in model.state_dict().items())
    rn.save_weights(model, tmp_path / f"q.{ending}", quantised=True)
    rn.load_weights(other, tmp_path / f"q.{ending}")
    assert torch.equal(other(IMAGES[:9]), model(IMAGES[:9]))
    assert torch.equal(rn.convert(other, rn.Quantised())(IMAGES[:9]), model(IMAGES[:9]))
    own = builtin("ternary", "mlp")
    rn.save_weights(own, tmp_path / f"own.{ending}", quantised=True)
    levels = builtin("ternary", "mlp")
    rn.load_weights(levels, tmp_path / f"own.{ending}")
    for weight in levels.parameters():
        assert weight.dim() == 1 or set(weight.unique().tolist()) == {-1.0, 0.0, 1.0}


class Runs:
    def __reduce__(self):
        return print, ("run",)


def spoil(state, kind):
    if kind == "missing":
        del state["7.bias"]
    elif kind == "unknown":
        state["8.weight"] = torch.zeros(2)
    elif kind == "shape":
        state["0.weight"] = torch.zeros(8, 3, 5, 5)
    elif kind == "nan":
        state["7.bias"][3] = float("nan")
    return state


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pt"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"has no 7.bias, which the model has; there are 0\."),
        ("unknown", "8.weight is unknown to the model; there are 0.bias"),
        ("shape", r"0.weight has shape \(8, 3, 5, 5\), the model has \(8, 3, 3, 3\)"),
        ("nan", "7.bias holds values that are not finite"),
        ("torn", "not a whole .* file"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed(
    tmp_path, ending, kind, message
):
    model, path = convolutions(), tmp_path / f"w.{ending}"
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = spoil({k: v.clone() for k, v in convolutions(1).state_dict().items()}, kind)
    if ending == "safetensors":
        save_file(state, path)
    elif ending == "npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    else:
        torch.save({"state_dict": state}, path)
    if kind == "torn":
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=message) as caught:
        rn.load_weights(model, path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_files_of_weights_are_never_run(tmp_path, capsys):
    torch.save(Runs(), tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", pickle.dumps(Runs()))
    for name, message in (("w.pt", "not a whole"), ("w.npz", "not a whole"), ("w.bin", "must end"),
                          ("no.npz", "no such file")):  # fmt: skip
        (tmp_path / "w.bin").write_bytes(b"")
        with pytest.raises(InputError, match=message):
            rn.load_weights(convolutions(), tmp_path / name)
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        rn.save_weights(convolutions(), tmp_path / "w.bin")
    assert capsys.readouterr().out == ""


def builtin(weights, architecture):
    spec = NetworkSpec(weights=weights, activations=weights, architecture=architecture, width=4,
                       input_shape=(3, 8, 8), classes=5)  # fmt: skip
    return spec.build(seed=2).eval()


QONNX = {
    "ternary": lambda: rn.convert(convolutions(), rn.Twn()),
    "channels": lambda: rn.convert(convolutions(), rn.Twn(scale="channel"), exclude="10"),
    "binary": lambda: rn.convert(convolutions(), rn.Binary(scale="channel")),
    "sliced": lambda: rn.convert(convolutions(), rn.Sliced(slices=3)),
    "learned": lambda: rn.convert(convolutions(), rn.LearnedScale(rn.AbsMean())),
    "built in, binary": lambda: builtin("binary", "resnet"),
    "built in, ternary": lambda: builtin("ternary", "vgg"),
}


@pytest.mark.parametrize("name", QONNX)
def test_qonnx_out_and_in_again_predicts_the_same_on_a_thousand_images(tmp_path, name):
    model = QONNX[name]()
    keys = list(model.state_dict())
    rn.save_onnx(model, tmp_path / "net.onnx", IMAGES[:4])
    assert list(model.state_dict()) == keys and rn.quantised_layers(model)
    again = rn.load_onnx(tmp_path / "net.onnx")
    with torch.no_grad():
        wanted, found = model(IMAGES), again(IMAGES)
        assert torch.equal(found.argmax(1), wanted.argmax(1)) and len(wanted.argmax(1).unique()) > 1
        assert torch.allclose(found, wanted, atol=1e-4)
    assert b"test_networks_files" not in (tmp_path / "net.onnx").read_bytes()  # no one's paths
    graph = onnx.load(tmp_path / "net.onnx").graph
    quants = [node for node in graph.node if node.domain == "qonnx.custom_op.general"]
    assert len(quants) == len(rn.quantised_layers(model))
    assert {node.op_type for node in quants} == {"BipolarQuant" if "binary" in name else "Quant"}
    rn.convert(again, again.quantisers, layers=list(again.quantisers))
    assert list(rn.quantised_layers(again)) == list(rn.quantised_layers(model))
    written = rn.written_weights(model)
    for layer, digits in rn.written_weights(again).items():
        assert np.array_equal(digits, written[layer])
    twin = pickle.loads(pickle.dumps(again))
    with torch.no_grad():
        assert torch.equal(again(IMAGES), found) and torch.equal(twin(IMAGES), found)
        with rn.read_errors(again, rn.BinaryFlips(0.2)):
            assert not torch.equal(again(IMAGES), found)


def test_a_model_that_brevitas_exported_imports(tmp_path):
    """Brevitas's own exporter, in this environment (setuptools below 81, today's onnx)."""
    from brevitas.export import export_qonnx
    from brevitas_examples.bnn_pynq.models.FC import FC

    torch.manual_seed(1)
    for bits in (1, 2):
        model = FC(10, weight_bit_width=bits, act_bit_width=bits, in_bit_width=8, in_channels=1,
                   out_features=[32, 24], in_features=(8, 8)).eval()  # fmt: skip
        path = tmp_path / f"fc{bits}.onnx"
        export_qonnx(model, args=torch.rand(1, 1, 8, 8), export_path=str(path), dynamo=False)
        again = rn.load_onnx(path)
        images = torch.rand(1000, 1, 8, 8)  # the exporter fixed a batch of one
        with torch.no_grad():
            wanted = model(images)
            assert torch.equal(again(images).argmax(1), wanted.argmax(1))
        assert [q.binary for q in again.quantisers.values()] == 3 * [bits == 1]
        rn.convert(again, again.quantisers, layers=list(again.quantisers))
        with torch.no_grad():
            assert torch.equal(again(images).argmax(1), wanted.argmax(1))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_weights_of_several_bits_import_as_levels_in_slices(tmp_path, bits, per_channel):
    """As Brevitas quantised and exported them, convolutions and linear layers."""
    import brevitas.nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat

    torch.manual_seed(bits)
    weights = {
        "weight_quant": Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat,
        "weight_bit_width": bits,
    }
    model = nn.Sequential(
        qnn.QuantConv2d(3, 8, 3, stride=2, groups=1, bias=False, **weights),
        nn.BatchNorm2d(8), qnn.QuantReLU(bit_width=2),
        qnn.QuantConv2d(8, 8, 3, groups=4, bias=False, **weights), qnn.QuantReLU(bit_width=2),
        nn.Flatten(), qnn.QuantLinear(8, 5, bias=True, **weights),
        nn.BatchNorm1d(5, momentum=None),
    )  # fmt: skip
    model(IMAGES[:200])
    model.eval()
    path = tmp_path / "bits.onnx"
    export_qonnx(model, args=IMAGES[:1], export_path=str(path), dynamo=False)
    again = rn.load_onnx(path)
    with torch.no_grad():
        wanted, found = model(IMAGES).argmax(1), again(IMAGES)
    assert torch.equal(found.argmax(1), wanted) and len(wanted.unique()) > 2
    rn.convert(again, again.quantisers, layers=list(again.quantisers))
    own = [m for m in model if hasattr(m, "quant_weight")]
    for reader, layer in zip(rn.quantised_layers(again).values(), own, strict=True):
        levels = layer.quant_weight().int(float_datatype=True)
        assert torch.equal(reader.levels(), levels) and levels.abs().max() > 1
        digits, slices = reader.written(), len(reader.quantiser.places)
        assert slices == int(levels.abs().max()).bit_length() <= bits - 1
        joined = sum(2**i * part for i, part in enumerate(np.split(digits, slices)))
        assert np.array_equal(joined.reshape(levels.shape), levels.detach())
    identity = rn.TransitionErrors([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    with torch.no_grad():
        assert torch.equal(again(IMAGES), found)
        with rn.read_errors(again, identity):
            assert torch.equal(again(IMAGES), found)
        with rn.read_errors(again, rn.BinaryFlips(0.1)):
            assert not torch.equal(again(IMAGES), found)
    rn.save_onnx(again, tmp_path / "again.onnx", IMAGES[:4])
    third = rn.load_onnx(tmp_path / "again.onnx")
    assert [repr(q) for q in third.quantisers.values()] == [
        repr(q) for q in again.quantisers.values()
    ]
    with torch.no_grad():  # what is on no grid any more is refused, not rounded
        next(iter(rn.quantised_layers(again).values())).latent.mul_(1.01)
    with pytest.raises(InputError, match="is no whole multiple"):
        again(IMAGES[:1])


def graph(*nodes, weights=(), inputs=((2, 4),), opset=17):
    given = [
        helper.make_tensor_value_info(f"x{i or ''}", TensorProto.FLOAT, shape)
        for i, shape in enumerate(inputs)
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ())
    made = helper.make_graph(nodes, "g", given, [out], list(weights))
    domains = [("", opset), ("qonnx.custom_op.general", 1), ("elsewhere", 1)]
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid(*d) for d in domains], ir_version=9
    )


def weight(name, *shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


W = weight("w", 4, 3)
REFUSED = {
    "operator": (graph(helper.make_node("NonZero", ["x"], ["y"])), "operator NonZero: not known"),
    "domain": (
        graph(helper.make_node("Odd", ["x"], ["y"], domain="elsewhere")),
        "operator Odd: not known",
    ),
    "pads": (
        graph(helper.make_node("Conv", ["x", "c"], ["y"], pads=[0, 0, 1, 1]),
              weights=[weight("c", 2, 3, 3, 3)], inputs=((1, 3, 8, 8),)),
        r"Conv y: pads = \[0, 0, 1, 1\]: must be alike",
    ),
    "computed": (
        graph(helper.make_node("Relu", ["x"], ["k"]), helper.make_node("Conv", ["x", "k"], ["y"]),
              inputs=((1, 3, 3, 3),)),
        "Conv y: its weights are computed while it runs",
    ),
    "two inputs": (
        graph(helper.make_node("Add", ["x", "x1"], ["y"]), inputs=((2, 4), (2, 4))),
        "inputs x, x1: must be one",
    ),
    "sizes": (graph(helper.make_node("Relu", ["x"], ["y"]), inputs=((1, "n"),)), "known sizes"),
    "rounding": (
        graph(helper.make_node("Quant", ["x", "s", "s", "s"], ["y"], rounding_mode="COIN",
                               domain="qonnx.custom_op.general"), weights=[weight("s", 1)]),
        "COIN",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_is_named_in_one_line(tmp_path, case):
    proto, message = REFUSED[case]
    onnx.save(proto, tmp_path / "bad.onnx")
    with pytest.raises(InputError, match=message) as caught:
        rn.load_onnx(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value) and "bad.onnx" in str(caught.value)


def test_files_that_are_no_onnx_and_models_that_cannot_be_written(tmp_path):
    path = tmp_path / "net.onnx"
    for content in (b"", b"no model", onnx.load_model_from_string(
        graph(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    ).SerializeToString()[:30]):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a whole ONNX file"):
            rn.load_onnx(path)
    with pytest.raises(InputError, match="no such file"):
        rn.load_onnx(tmp_path / "no.onnx")
    away = graph(helper.make_node("MatMul", ["x", "w"], ["y"]), weights=[W])
    onnx.external_data_helper.convert_model_to_external_data(away, location="../elsewhere.bin",
                                                             size_threshold=0)  # fmt: skip
    away.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(away.SerializeToString())
    with pytest.raises(InputError, match="not a whole ONNX file"):
        rn.load_onnx(path)
    path.unlink()
    with pytest.raises(InputError, match="no converted layer"):
        rn.save_onnx(convolutions(), path, IMAGES[:2])
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    with pytest.raises(InputError, match="its weight is computed by"):
        rn.save_onnx(rn.convert(normed), path, torch.zeros(2, 4))

    class Branches(nn.Linear):
        def forward(self, values):
            return super().forward(values) * (2.0 if float(values.sum()) > 0 else 1.0)

    with pytest.raises(InputError, match="cannot be exported"):
        rn.save_onnx(rn.convert(nn.Sequential(Branches(4, 2))), path, torch.ones(2, 4))
    assert list(tmp_path.iterdir()) == []


def test_operators_are_computed_as_qonnx_executor_does(tmp_path):
    """`load_onnx` compares its outputs with those of QONNX's executor and refuses any other."""

    def node(kind, *given, made="y", **attributes):
        return helper.make_node(kind, list(given), [made] if isinstance(made, str) else made,
                                **attributes)  # fmt: skip

    def whole(name, *values):
        return numpy_helper.from_array(np.array(values, dtype=np.int64), name)

    image = ((1, 3, 6, 6),)
    unary = ("Abs", "Ceil", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu",
             "LogSoftmax", "Neg", "Relu", "Selu", "Sigmoid", "Sign", "Softmax", "Softplus", "Sqrt",
             "Tanh", "Identity", "Flatten", "Round", "Reciprocal", "Mish")  # fmt: skip
    cases = [graph(node(kind, "x"), opset=20) for kind in (*unary, "Gelu")] + [
        graph(node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2]), inputs=image),
        graph(node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), inputs=image),
        graph(node("MaxPool", "x", kernel_shape=[3, 3], pads=[0, 0, 1, 1]), inputs=image),
        graph(node("GlobalMaxPool", "x"), inputs=image),
        graph(node("Gemm", "x", "w", alpha=0.5), weights=[W]),
        graph(node("Pad", "x", "p"), weights=[whole("p", 0, 1, 0, 2)]),
        graph(node("Pad", "x", "p", mode="reflect"), weights=[whole("p", 0, 1, 0, 2)]),
        graph(node("Slice", "x", "a", "b", "c", "d"),
              weights=[whole("a", 3), whole("b", -9), whole("c", 1), whole("d", -2)]),
        graph(node("Split", "x", "s", made=["a", "b"], axis=1), node("Concat", "b", "a", axis=1),
              weights=[whole("s", 1, 3)]),
        graph(node("Gather", "x", "i", axis=1), weights=[whole("i", 3, 0, -1)]),
        graph(node("ReduceMean", "x", axes=[1]), opset=13),
        graph(node("ReduceSum", "x", "i", keepdims=0), weights=[whole("i", 1)]),
        graph(node("Unsqueeze", "x", "i"), weights=[whole("i", 1, 3)]),
        graph(node("Transpose", "x", perm=[0, 2, 1]), inputs=((2, 4, 3),)),
        graph(node("Squeeze", "x", "i"), weights=[whole("i", 1)], inputs=((2, 1, 3),)),
        graph(node("Clip", "x", "l", "", made="y"), weights=[weight("l")]),
        graph(node("Pow", "x", "x")), graph(node("Max", "x", "b", "x"), weights=[weight("b", 4)]),
        graph(node("Greater", "x", "b", made="g"), node("Where", "g", "x", "b"),
              weights=[weight("b", 4)]),
        graph(node("LayerNormalization", "x", "b"), weights=[weight("b", 4)]),
        graph(node("PRelu", "x", "b"), weights=[weight("b", 4)]),
        graph(node("Shape", "x", made="s"), node("Cast", "s", made="f", to=1),
              node("ReduceMax", "f", made="m", keepdims=0), node("Mul", "x", "m")),
    ]  # fmt: skip
    for case in cases:
        onnx.save(case, tmp_path / "one.onnx")
        rn.load_onnx(tmp_path / "one.onnx")


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
@pytest.mark.parametrize(("signed", "narrow"), [(1, 0), (1, 1), (0, 0), (0, 1)])
def test_quant_is_qonnx_own(tmp_path, mode, signed, narrow):
    constants = [
        numpy_helper.from_array(np.array(v, dtype=np.float32), name)
        for name, v in (("s", 0.125), ("z", 1.0), ("n", 3.0))
    ]
    quant = helper.make_node(
        "Quant", ["x", "s", "z", "n"], ["y"], domain="qonnx.custom_op.general",
        rounding_mode=mode, signed=signed, narrow=narrow,
    )  # fmt: skip
    onnx.save(graph(quant, weights=constants, inputs=((4, 200),)), tmp_path / "q.onnx")
    rn.load_onnx(tmp_path / "q.onnx")


QUANTS = {  # scale, zero, bits, signed; levels 0.25 apart; slices that hold them
    "no narrow range": ([0.25], [0.0], [4.0], 1, 4),
    "zero point": ([0.25], [8.0], [4.0], 0, 4),
    "fraction of a level": ([0.25], [7.5], [4.0], 0, None),
    "by output": ([[0.25, 0.5, 1.0]], [0.0], [4.0], 1, 4),
}


@pytest.mark.parametrize(("scale", "zero", "bits", "signed", "slices"), QUANTS.values(), ids=QUANTS)
def test_levels_of_a_quant_are_whole_numbers_or_stay_real(
    tmp_path, scale, zero, bits, signed, slices
):
    values = np.array([[-2.0, 4.0, -8.0]] * 4 + [[1.75, 0.1, 7.0]] * 4, np.float32)
    given = {"w": values, "s": scale, "z": zero, "b": bits}
    model = graph(
        helper.make_node("Quant", list(given), ["q"], domain="qonnx.custom_op.general",
                         signed=signed, narrow=0, rounding_mode="ROUND"),
        helper.make_node("MatMul", ["x", "q"], ["y"]), inputs=((2, 8),),
        weights=[numpy_helper.from_array(np.array(v, np.float32), k) for k, v in given.items()],
    )  # fmt: skip
    onnx.save(model, tmp_path / "q.onnx")
    again, inputs = rn.load_onnx(tmp_path / "q.onnx"), torch.randn(5, 8)
    if slices is None:
        assert again.quantisers == {}
        return
    found = again(inputs)
    rn.convert(again, again.quantisers)
    (reader,) = rn.quantised_layers(again).values()
    assert len(reader.quantiser.places) == slices and torch.equal(again(inputs), found)
    assert reader.levels().min() == -8 and torch.equal(reader.levels(), reader.levels().round())


def test_scales_by_input_are_refused_not_rounded(tmp_path):
    given = {"w": np.ones((4, 3)), "s": [[0.25], [0.5], [0.1], [0.2]], "z": [0.0], "b": [4.0]}
    model = graph(
        helper.make_node("Quant", list(given), ["q"], domain="qonnx.custom_op.general",
                         signed=1, narrow=1, rounding_mode="ROUND"),
        helper.make_node("MatMul", ["x", "q"], ["y"]),
        weights=[numpy_helper.from_array(np.array(v, np.float32), k) for k, v in given.items()],
    )  # fmt: skip
    onnx.save(model, tmp_path / "q.onnx")
    again = rn.load_onnx(tmp_path / "q.onnx")
    with pytest.raises(InputError, match="4 steps for 3 output channels"):
        rn.convert(again, again.quantisers)
