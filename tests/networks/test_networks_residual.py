"""The residual network: its sizes, and a shortcut that carries everything where weights are 0."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rramsim.exceptions import InputError
from rramsim.experiment import parse_experiment
from rramsim.learning import TrainingSettings, load_images, train
from rramsim.networks import IntegerNetwork, NetworkSpec, ResidualConv, layer_census


def resnet(width=4, **changes):
    chosen = {"weights": "ternary", "activations": "ternary", "width": width} | changes
    return NetworkSpec(architecture="resnet", **chosen).build(seed=0)


def test_weights_and_uses_by_hand_at_width_16():
    census = {layer.name: layer for layer in layer_census(resnet(16), (3, 32, 32))}
    shapes = [(3, 16, 32), (16, 16, 32), (16, 16, 32), (16, 32, 16), (32, 32, 16), (32, 64, 8)]
    shapes.append((64, 64, 8))
    names = ["conv1", *(f"block{n}.conv" for n in range(1, 7))]
    for name, (inputs, outputs, side) in zip(names, shapes, strict=True):
        assert census[name].weights == 9 * inputs * outputs
        assert census[name].uses == 9 * inputs * outputs * side**2
    assert census["linear1"].weights == 64 * 4 * 4 * 10


def test_only_quantised_layers_and_batch_norm_have_weights():
    inside = {type(m) for m in resnet().modules() if list(m.parameters(recurse=False))}
    assert {kind.__name__ for kind in inside} == {
        "QuantConv2d", "QuantLinear", "BatchNorm2d", "BatchNorm1d"
    }  # fmt: skip


def test_with_weights_of_zero_only_the_shortcut_is_left():
    block = ResidualConv(
        2, 4, pool=(2, 2), weights="ternary", activations="ternary",
        generator=torch.Generator().manual_seed(0),
    ).eval()  # fmt: skip
    nn.init.zeros_(block.conv.weight)
    values = torch.rand(3, 2, 8, 8)
    pooled = nn.functional.avg_pool2d(values, 2)
    assert torch.allclose(block(values), torch.cat([pooled, pooled], dim=1))


@pytest.mark.slow
def test_it_learns_the_digits():
    data = load_images("digits")
    spec = NetworkSpec(
        architecture="resnet", weights="ternary", activations="ternary", width=8,
        input_shape=data.input_shape,
    )  # fmt: skip
    result = train(spec, data, TrainingSettings(epochs=20))
    assert result.test.value > 0.93


def test_bit_true_inference_and_chips_refuse_shortcuts():
    with pytest.raises(InputError, match="ResidualConv: bit-true inference knows chains"):
        IntegerNetwork.of(resnet())
    values = {"network": {"architecture": "resnet"}, "chips": {"count": 2}}
    with pytest.raises(InputError, match=r"\[network\] architecture = 'resnet'.*\[chips\]"):
        parse_experiment(values, folder=Path(), where="test").check()
