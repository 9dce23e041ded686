import pytest
import torch
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks import (
    RECIPES,
    NetworkSpec,
    ScalarErrors,
    layer_census,
    quantised_layers,
    set_weight_errors,
)


def vgg(width=4, **changes):
    values = {"weights": "ternary", "activations": "ternary", "width": width} | changes
    return NetworkSpec(**values).build(seed=0)


@pytest.mark.parametrize(
    ("width", "weights_m", "uses_m"),
    [(16, 0.60, 10.4), (32, 1.34, 39.7), (64, 3.25, 155), (128, 8.77, 612), (256, 26.7, 2431)],
)
def test_vgg_has_the_published_weights_and_uses(width, weights_m, uses_m):
    """Weights and multiply-accumulates per 32 x 32 image of Laborieux et al. 2020's code."""
    census = layer_census(vgg(width), (3, 32, 32))
    assert sum(layer.weights for layer in census) / 1e6 == pytest.approx(weights_m, rel=5e-3)
    assert sum(layer.uses for layer in census) / 1e6 == pytest.approx(uses_m, rel=1e-3)


def test_vgg_layers_and_their_exact_uses_at_width_16():
    census = layer_census(vgg(16), (3, 32, 32))
    assert {layer.name: layer.weights for layer in census} == {
        "conv1": 3 * 16 * 9,
        "conv2": 16 * 16 * 9,
        "conv3": 16 * 32 * 9,
        "conv4": 32 * 32 * 9,
        "conv5": 32 * 64 * 9,
        "conv6": 64 * 64 * 9,
        "linear1": 64 * 16 * 512,
        "linear2": 5120,
    }
    positions = [layer.uses // layer.weights for layer in census]
    assert positions == [1024, 1024, 256, 256, 64, 64, 1, 1]


def test_census_counts_the_quantised_values_and_draws_no_error():
    net = vgg(4, **RECIPES["published"])
    layer = quantised_layers(net)["conv2"]
    with torch.no_grad():
        layer.weight.fill_(0.0)
        layer.weight[0, 0] = torch.tensor([[0.06, -0.06, 0.05], [1, -1, -2], [0, 0, 0.2]])
    set_weight_errors(net, ScalarErrors(0.2), seed=0)
    row = layer_census(net, (3, 32, 32))[1]
    assert (row.minus, row.zero, row.plus) == (3, 4 * 4 * 9 - 6, 3)
    assert row.zero_share == pytest.approx(138 / 144)
    assert net.training


def test_nine_in_ten_ternary_weights_start_at_zero():
    """Weights are drawn N(0, 0.03^2) and the threshold is 0.05: erf(0.05/0.03/sqrt 2) = 0.904."""
    census = layer_census(vgg(32, **RECIPES["published"]), (3, 32, 32))
    zeros = sum(layer.zero for layer in census) / sum(layer.weights for layer in census)
    assert zeros == pytest.approx(0.9044, abs=0.002)


def test_pool_then_norm_after_every_layer_and_no_biases():
    net = vgg(4)
    kinds = [type(module).__name__ for module in net.children()]
    block = ["QuantConv2d", "BatchNorm2d", "QuantConv2d", "MaxPool2d", "BatchNorm2d"]
    end = ["Flatten", "QuantLinear", "BatchNorm1d", "QuantLinear", "BatchNorm1d"]
    assert kinds == ["Standardise", *block * 3, *end]
    first, *others = (reader.layer for reader in quantised_layers(net).values())
    assert all(layer.bias is None for layer in (first, *others))
    assert first.activations is None
    assert {layer.activations for layer in others} == {"ternary"}


def test_only_integers_reach_the_inner_layers():
    net = vgg(4).eval()
    seen = []
    for layer in list(quantised_layers(net).values())[1:]:
        layer.layer.register_forward_hook(lambda _l, _i, output: seen.append(output))
    with torch.no_grad():
        net(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert len(seen) == 7
    assert all(torch.equal(output, output.round()) for output in seen)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (1, 1, 1), (2, 5, 9)])
@pytest.mark.parametrize("architecture", ["vgg", "resnet", "mlp"])
@pytest.mark.parametrize("weights", ["binary", "ternary", "full"])
def test_every_input_size_is_taken(shape, architecture, weights):
    net = vgg(2, architecture=architecture, weights=weights, input_shape=shape, classes=7).eval()
    with torch.no_grad():
        assert net(torch.zeros(3, *shape, dtype=torch.uint8)).shape == (3, 7)


def test_flattening_does_not_depend_on_the_memory_layout():
    net = vgg(2).eval()
    images = torch.rand(2, 3, 32, 32) * 255
    with torch.no_grad():
        one = net(images)
        other = net.to(memory_format=torch.contiguous_format)(images)
    assert torch.allclose(one, other, atol=1e-4)


def test_the_seed_decides_the_weights():
    for one, other in zip(vgg().parameters(), vgg().parameters(), strict=True):
        assert torch.equal(one, other)
    again = NetworkSpec(weights="ternary", activations="ternary", width=4).build(seed=1)
    first = quantised_layers(again)["conv1"].weight
    assert not torch.equal(first, quantised_layers(vgg())["conv1"].weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width = 0: must be a whole number between 1 and 4096"),
        ({"width": -16}, "width = -16: must be a whole number between 1"),
        ({"width": 10**9}, "width = 1000000000: must be a whole number between 1"),
        ({"width": 2.5}, "width = 2.5: must be a whole number"),
        ({"width": True}, "width = True: must be a whole number"),
        (
            {"architecture": "lenet"},
            "architecture = 'lenet': must be one of 'vgg', 'resnet', 'mlp'",
        ),
        ({"weights": "int8"}, "weights = 'int8': must be 'binary'"),
        ({"activations": "int8"}, "activations = 'int8': must be 'full'"),
        ({"input_shape": (32, 32)}, "must be \\(channels, height, width\\)"),
        ({"input_shape": (3, 0, 32)}, "must be \\(channels, height, width\\)"),
        ({"classes": 1}, "classes = 1: must be a whole number between 2"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(changes, message):
    values = {
        "architecture": "vgg",
        "width": 4,
        "weights": "ternary",
        "activations": "ternary",
        "input_shape": (3, 32, 32),
        "classes": 10,
    } | changes
    with pytest.raises(InputError, match=message) as caught:
        NetworkSpec(**values).build(seed=0)
    assert "\n" not in str(caught.value)


def test_names():
    spec = NetworkSpec(weights="binary", activations="full", width=8)
    assert spec.name == "vgg8-binary-full"
    assert isinstance(spec.build(seed=0), nn.Module)
