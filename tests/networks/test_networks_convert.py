"""Conversion of any model: what stays as it was, what is exact, what is refused."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from rramsim.counting import ErrorStatistics
from rramsim.exceptions import InputError
from rramsim.networks import (
    AbsMean,
    Binary,
    LearnedScale,
    Quantised,
    ScalarErrors,
    Sliced,
    Threshold,
    TransitionErrors,
    Twn,
    convert,
    layer_census,
    quantised_layers,
    restore,
    set_read_weights,
    set_weight_errors,
    summary,
    without_weight_errors,
    written_weights,
)

IDENTITY = TransitionErrors(np.eye(3))


class Mixed(nn.Module):
    """Every kind of layer that can be converted: strided, grouped, dilated, with bias or not."""

    def __init__(self):
        super().__init__()
        self.volume = nn.Conv3d(2, 4, (1, 3, 3), stride=(1, 2, 2), groups=2)
        self.image = nn.Conv2d(4, 6, 3, padding=2, dilation=2, bias=False, padding_mode="reflect")
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.line = nn.Conv1d(4, 8, 5, stride=2)
        self.back = nn.ConvTranspose1d(8, 3, 4)
        self.out = nn.Linear(3, 5)

    def forward(self, values):
        values = torch.relu(self.volume(values))[:, :, 0]
        values = torch.relu(self.norm(self.up(torch.relu(self.image(values)))))
        values = torch.relu(self.back(torch.relu(self.line(values.flatten(2)))))
        return self.out(values.mean(dim=2))


def mixed(seed=0):
    torch.manual_seed(seed)
    return Mixed().eval()


INPUTS = torch.randn(5, 2, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def independent_twn(weight):
    """Levels times scale by the paper's formulas, without the code under test."""
    size = weight.double().abs()
    kept = weight.abs() > torch.tensor(0.7) * size.mean().float()
    return (weight.sign() * kept) * size[kept].mean().float()


def weighted(model):
    return [m for m in model.modules() if isinstance(getattr(m, "weight", None), nn.Parameter)]


@pytest.mark.parametrize("errors", [None, IDENTITY])
def test_logits_equal_an_independently_quantised_copy_to_the_last_bit(errors):
    model, other = mixed(), mixed()
    for layer in weighted(other):
        if not isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = independent_twn(layer.weight.data)
    convert(model, Twn())
    set_weight_errors(model, errors)
    assert torch.equal(model(INPUTS), other(INPUTS))


def test_model_state_parameters_and_classes_stay_as_they_were():
    model = mixed()
    classes = [type(m) for m in model.modules()]
    keys, parameters = list(model.state_dict()), list(model.parameters())
    before = copy.deepcopy(model.state_dict())
    assert convert(model) is model
    assert [type(m) for m in model.modules()] == classes
    assert list(model.state_dict()) == keys
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    model(INPUTS)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match=r"shape|size"):  # a failed forward leaves no read weight
        model(INPUTS[:, :, :, :1, :1])
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    clean = restore(model)(INPUTS)
    assert torch.equal(clean, mixed()(INPUTS)) and not quantised_layers(model)


def test_optimiser_checkpoint_deepcopy_and_pickle_go_on_working():
    model = mixed().train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)  # made before: it holds the parameters
    convert(model, {"out": Twn(scale="channel"), "*": Twn()})
    set_weight_errors(model, ScalarErrors(0.1), seed=3)
    start = copy.deepcopy(model.state_dict())
    model(INPUTS).square().sum().backward()
    optimiser.step()
    assert all(not torch.equal(start[k], v) for k, v in model.state_dict().items() if "weight" in k)
    stored = io.BytesIO()
    torch.save(model.state_dict(), stored)
    stored.seek(0)
    plain = Mixed()
    plain.load_state_dict(torch.load(stored, weights_only=True))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for net in (model, twin):
            set_weight_errors(net, ScalarErrors(0.1), seed=4)
        assert torch.equal(twin.eval()(INPUTS), model.eval()(INPUTS))
        with torch.no_grad():
            twin.out.weight.zero_()
        assert not torch.equal(twin(INPUTS), model(INPUTS))


def test_compiled_model_reads_the_same_with_and_without_errors():
    model = convert(mixed())
    whole = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(whole(INPUTS), model(INPUTS))
    torch._dynamo.reset()
    set_weight_errors(model, ScalarErrors(0.1), seed=2)
    wanted = [model(INPUTS) for _ in range(3)]
    set_weight_errors(model, ScalarErrors(0.1), seed=2)
    compiled = torch.compile(model, backend="aot_eager")
    assert all(torch.equal(compiled(INPUTS), one) for one in wanted)
    assert not torch.equal(wanted[0], wanted[1])


def test_autocast_and_functional_calls():
    model = convert(mixed())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(INPUTS).dtype == torch.bfloat16
    doubled = {key: 2 * value for key, value in model.named_parameters()}
    assert not torch.equal(torch.func.functional_call(model, doubled, (INPUTS,)), model(INPUTS))


def test_distributed_data_parallel_trains_a_converted_model(tmp_path):
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        model = convert(mixed().train(), LearnedScale(Twn()))
        set_weight_errors(model, ScalarErrors(0.05))
        parallel = nn.parallel.DistributedDataParallel(model)
        parallel(INPUTS).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        del parallel  # what holds the group last must not be DDP: it then waits for gloo for ever
    finally:
        dist.destroy_process_group()


SCALES = {"scaled": Twn(), "channels": Twn(scale="channel"), "absmean": AbsMean(),
          "threshold": Threshold(0.5, scale="tensor")}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("quantiser", SCALES.values(), ids=SCALES)
def test_all_nine_transitions_over_a_million_weights(quantiser, dtype):
    torch.manual_seed(5)
    layer = nn.Linear(1000, 1000, bias=False).to(dtype)
    nn.init.normal_(layer.weight)
    convert(layer, quantiser)
    reader = quantised_layers(layer)[""]
    matrix = np.array([[0.9, 0.07, 0.03], [0.02, 0.93, 0.05], [0.005, 0.1, 0.895]])
    set_weight_errors(layer, TransitionErrors(matrix), seed=8)
    written = reader.quantised_weight()
    read = reader.read_weight().detach()
    assert read.dtype == dtype
    rows = written.abs().amax(dim=1, keepdim=True)  # one magnitude in each row
    assert bool(((read == 0) | (read.abs() == rows)).all())
    for i, w in enumerate((-1, 0, 1)):
        chosen = torch.sign(read[torch.sign(written) == w].float())
        total = chosen.numel()
        assert total > 50_000
        for j, r in enumerate((-1, 0, 1)):
            seen, expected = int((chosen == r).sum()), total * matrix[i, j]
            assert abs(seen - expected) < 4 * np.sqrt(expected * (1 - matrix[i, j]))


def test_weights_that_are_quantised_already_are_found_and_others_refused():
    levels = torch.randint(-1, 2, (6, 4), generator=torch.Generator().manual_seed(0))
    levels[:, 0] = 1  # no row of zeros alone
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        layer = nn.Linear(4, 6).to(dtype)
        layer.weight.data = levels.to(dtype) * torch.tensor(0.037, dtype=dtype)
        kept = layer.weight.data.clone()
        reader = quantised_layers(convert(layer, Quantised()))[""]
        assert torch.equal(reader.quantised_weight(), kept)
        assert np.array_equal(reader.written(), levels.numpy())
    rows = torch.arange(1.0, 7.0)[:, None]
    layer = nn.Linear(4, 6)
    layer.weight.data = levels * rows
    with pytest.raises(InputError, match=r"^model: its weights are not quantised: .* nor \+-6"):
        convert(layer, Quantised())
    assert torch.equal(
        quantised_layers(convert(layer, Quantised(scale="channel")))[""].quantised_weight(),
        levels * rows,
    )
    layer = nn.Linear(4, 6)
    layer.weight.data = levels * 0.037
    layer.weight.data[3, 0] = 0.0370001
    with pytest.raises(InputError, match="not quantised"):
        convert(layer, Quantised())


def test_errors_are_not_applied_to_what_is_no_level():
    for value in (0.37, -0.5, float("nan"), 2.0):
        with pytest.raises(InputError, match="must be -1, 0 or \\+1"):
            TransitionErrors(np.eye(3)).apply(
                torch.tensor([1.0, value]), generator=torch.Generator()
            )


def statistics(errors):
    kept = 1000 - errors
    return ErrorStatistics(
        counts=np.array([[kept, errors, 0, 0], [0, 1000, 0, 0], [0, errors, kept, 0]])
    )


def test_layers_may_have_errors_of_their_own():
    model = convert(mixed(), {"out": Binary(scale="tensor"), "*": Twn()})
    readers = quantised_layers(model)
    set_weight_errors(model, {"out": statistics(900), "line": statistics(500)}, seed=1)
    assert torch.equal(readers["image"].read_weight(), readers["image"].quantised_weight())
    line = readers["line"]
    lost = (line.read_weight() == 0) & (line.quantised_weight() != 0)
    assert 0.3 < float(lost.sum()) / float((line.quantised_weight() != 0).sum()) < 0.7
    out = readers["out"]  # binary: an unresolved read is a sign by chance, never a zero
    assert bool((out.read_weight() != 0).all())
    assert not torch.equal(out.read_weight(), out.quantised_weight())
    with pytest.raises(InputError, match="read errors for nowhere"):
        set_weight_errors(model, {"nowhere": IDENTITY})


def test_what_a_chip_read_comes_back_to_the_place_it_was_written_from():
    model = convert(mixed(), {"line": Sliced(slices=3, base=3), "*": Twn()})
    clean = model(INPUTS)
    written = written_weights(model)
    assert written["line"].shape == (3 * 8, 4 * 5) and written["up"].shape == (4, 3 * 9)
    set_read_weights(model, written)
    assert torch.equal(model(INPUTS), clean)
    written["back"][1, 2] *= -1
    written["back"][0, 0] = 1 - written["back"][0, 0]
    set_read_weights(model, written)
    changed = quantised_layers(model)["back"]
    moved = changed.read_weight() != changed.quantised_weight()
    assert bool(moved[:, 0].any()) and not bool(moved[:, 2].any())
    with without_weight_errors(model):
        assert torch.equal(model(INPUTS), clean)


@pytest.mark.parametrize(("slices", "base"), [(1, 2), (3, 2), (7, 2), (2, 3), (4, 3), (1, 3)])
def test_slices_hold_every_level_and_each_has_errors_of_its_own(slices, base):
    quantiser = Sliced(slices=slices, base=base)
    levels = torch.arange(-quantiser.highest, quantiser.highest + 1.0)
    digits = quantiser.digits(levels)
    assert set(digits.unique().tolist()) <= {-1.0, 0.0, 1.0}
    places = torch.tensor(quantiser.places, dtype=torch.float32)
    assert torch.equal((places[:, None] * digits).sum(dim=0), levels)
    layer = convert(nn.Linear(400, 500, bias=False), quantiser)
    reader = quantised_layers(layer)[""]
    set_weight_errors(layer, TransitionErrors([[0.9, 0.1, 0], [0, 1, 0], [0, 0.1, 0.9]]), seed=2)
    scale = float(layer.weight.detach().abs().max()) / quantiser.highest
    off = (reader.quantised_weight() - reader.read_weight()).detach() / scale
    lost = quantiser.digits(reader.levels())
    expected = 0.1 * float((places[:, None, None] * lost).abs().sum())
    moved = float((off * reader.levels().sign()).sum()) if base == 2 else float(off.abs().sum())
    assert moved == pytest.approx(expected, rel=0.05 if base == 2 else 0.4)


def test_learned_scale_is_a_parameter_with_the_gradient_of_a_scale():
    layer = convert(nn.Linear(30, 20), LearnedScale(Twn()))
    assert sorted(layer.state_dict()) == ["bias", "weight", "weight_scale"]
    values = torch.randn(7, 30)
    plain = convert(nn.Linear(30, 20), Twn())
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k != "weight_scale"})
    assert torch.equal(layer(values), plain(values))
    layer(values).sum().backward()
    levels = quantised_layers(layer)[""].levels()
    wanted = (values @ levels.T).sum()
    assert float(layer.weight_scale.grad) == pytest.approx(float(wanted), rel=1e-4)
    assert bool((layer.weight.grad != 0).any())


def test_census_counts_every_kind_of_layer():
    model = convert(mixed(), {"line": Sliced(slices=3), "*": Twn()})
    rows = {row.name: row for row in layer_census(model, INPUTS)}
    assert rows["volume"].uses == 4 * 1 * 9 * 25 and rows["volume"].groups == 2
    assert rows["up"].uses == 6 * 2 * 9 * 25  # a transposed one, at each place of its input
    assert rows["line"].weights == 3 * 8 * 4 * 5 and rows["line"].outputs == 24
    assert rows["line"].inputs == 20 and rows["line"].positions == (121 - 5) // 2 + 1
    assert rows["out"].positions == 1 and rows["out"].output_rows == 1
    assert 0.3 < rows["image"].input_zeros < 0.7  # after a ReLU
    sequence = convert(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)))
    tokens = torch.randint(-1, 2, (3, 10, 8)).float()
    first, second = layer_census(sequence, tokens)
    assert first.positions == second.positions == 10
    assert first.input_bits == 2 and second.input_bits == 8


def test_parametrised_weights_are_read_where_they_are_computed():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4, bias=False))
    wanted = independent_twn(layer.weight.detach())
    convert(layer, Twn())
    values = torch.randn(3, 6)
    assert torch.equal(layer(values), nn.functional.linear(values, wanted))
    layer(values).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


class OwnBitLinear(nn.Linear):
    """A layer that quantises its weight itself, as many BitNet codes do."""

    def forward(self, values):
        scale = self.weight.abs().mean()
        return nn.functional.linear(values, (self.weight / scale).round().clamp(-1, 1) * scale)


class NormedLinear(nn.Linear):
    """An own forward that uses its weight as it is."""

    def forward(self, values):
        return super().forward(nn.functional.layer_norm(values, values.shape[-1:]))


class OwnAttention(nn.MultiheadAttention):
    def forward(self, *arguments, **options):
        return super().forward(*arguments, **options)


def tied():
    model = nn.ModuleDict({"embed": nn.Embedding(9, 4), "inner": nn.Linear(4, 4),
                           "head": nn.Linear(4, 9, bias=False)})  # fmt: skip
    model["head"].weight = model["embed"].weight
    return model


def spoiled(value):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].weight.data[1, 1] = value
    return model


def empty(channel=False):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].weight.data[1 if channel else slice(None)] = 0.0
    return model


REFUSED = [
    (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), {}, "has no layer to convert"),
    (tied, {}, "^head: shares its weight with embed"),
    (lambda: spoiled(float("nan")), {}, "^1: its weights hold NaN"),
    (lambda: spoiled(float("inf")), {"quantiser": Binary()}, "^1: its weights hold NaN or inf"),
    (empty, {}, "^1: its scale is zero: every"),
    (lambda: empty(channel=True), {"quantiser": Twn(scale="channel")}, "zero in channel 1"),
    (mixed, {"quantiser": Quantised()}, "^volume: its weights are not quantised"),
    (lambda: nn.Sequential(OwnBitLinear(4, 4)), {}, "^0: .* OwnBitLinear does not use its weight"),
    (lambda: nn.MultiheadAttention(8, 2, kdim=4), {}, "^model: its keys or values have another"),
    (lambda: OwnAttention(8, 2), {"layers": "out*"}, "^out_proj: OwnAttention has an attention of"),
    (lambda: nn.Sequential(nn.LazyLinear(3)), {}, "^0: has no weights yet"),
    (mixed, {"layers": "nowhere"}, "no layer is called 'nowhere'; there are volume, image"),
    (mixed, {"layers": "norm"}, "^norm: a BatchNorm2d cannot be converted"),
    (mixed, {"quantiser": {"out": Twn()}}, "^volume: no quantiser for it"),
    (lambda: convert(mixed()), {}, "^volume: converted already"),
]


@pytest.mark.parametrize(("make", "options", "message"), REFUSED)
def test_what_cannot_be_converted_is_refused_by_name_and_nothing_is_half_converted(
    make, options, message
):
    model = make()
    before = set(quantised_layers(model))
    with pytest.raises(InputError, match=message) as caught:
        convert(model, **options)
    assert "\n" not in str(caught.value)
    assert set(quantised_layers(model)) == before


def test_layers_are_chosen_by_name_type_or_function_and_the_others_listed():
    model = convert(mixed(), layers=[nn.Conv2d, "o*"], exclude=lambda name, _: name == "image")
    assert list(quantised_layers(model)) == ["out"]
    found = summary(model)
    assert dict(found.left_out)["image"] == "Conv2d: not chosen"
    assert dict(found.left_out)["norm"] == "BatchNorm2d: stays real"
    assert 0.05 < found.layers[0].error < 0.35 and "out: Linear, Twn" in str(found)
    shared = tied()
    convert(shared, exclude="head")
    assert list(quantised_layers(shared)) == ["inner"]
    assert list(quantised_layers(convert(nn.Sequential(NormedLinear(4, 4))))) == ["0"]


def test_transformer_of_torch_reads_its_converted_layers_in_evaluation_too():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = convert(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval(),
                    layers="*linear?")  # fmt: skip
    tokens = torch.randn(2, 5, 8)
    with torch.no_grad():
        clean = model(tokens)
        set_weight_errors(model, ScalarErrors(0.3))
        assert not torch.equal(model(tokens), clean)  # no fast path past the layers


def test_attention_reads_both_its_weights_quantised_and_with_errors():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    other = copy.deepcopy(model)
    keys = list(model.state_dict())
    for module in other.modules():
        for key in ("weight", "in_proj_weight"):
            value = getattr(module, key, None)
            if value is not None and value.dim() == 2:
                value.data = independent_twn(value.data)
    convert(model)
    names = list(quantised_layers(model))
    assert names[:2] == ["layers.0.self_attn", "layers.0.self_attn.out_proj"] and len(names) == 8
    tokens = torch.randn(3, 5, 8)
    for net in (model.train(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        net.train()
        assert torch.equal(net(tokens), other.train()(tokens))  # no fast path for the copy either
        with torch.no_grad():
            assert torch.allclose(net.eval()(tokens), net.train()(tokens), atol=1e-5)
    assert list(model.state_dict()) == keys
    model(tokens).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    rows = {row.name: row for row in layer_census(model, tokens)}
    own, out = (rows[f"layers.0.self_attn{end}"] for end in ("", ".out_proj"))
    assert own.weights == 3 * 64 and own.positions == out.positions == 5 and own.outputs == 24
    for name, reader in quantised_layers(model).items():
        set_weight_errors(model, {name: ScalarErrors(0.3)}, seed=1)
        assert not torch.equal(model(tokens), other(tokens)), name
        assert reader.layer._parameters[reader.key] is not None
    set_weight_errors(model, None)
    set_read_weights(model, written_weights(model))
    assert torch.equal(model(tokens), other(tokens))
    assert torch.equal(restore(model)(tokens), restore(copy.deepcopy(model))(tokens))
