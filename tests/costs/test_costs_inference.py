"""Energy per inference against hand calculations; accuracy's interval against simulation."""

import numpy as np
import pytest

from rramsim.costs import SenseEnergy, inference_energy, mean_accuracy
from rramsim.exceptions import InputError
from rramsim.networks import NetworkSpec, layer_census

FEMTO = 1e-15
SENSE = SenseEnergy(
    mean_j={-1: 380 * FEMTO, 0: 120 * FEMTO, 1: 390 * FEMTO},
    standard_error_j={-1: 3 * FEMTO, 0: 2 * FEMTO, 1: 4 * FEMTO},
)


def test_one_layer_by_hand():
    spec = NetworkSpec(
        architecture="mlp", weights="ternary", activations="ternary", width=4,
        input_shape=(1, 2, 2), classes=2,
    )  # fmt: skip
    layer = layer_census(spec.build(seed=0), spec.input_shape)[0]
    assert (layer.weights, layer.uses) == (16, 16), "a linear layer uses each weight once an image"
    by_hand = layer.minus * 380e-15 + layer.zero * 120e-15 + layer.plus * 390e-15
    for flow in ("once", "per_row"):
        energy = inference_energy([layer], SENSE, flow=flow)
        assert energy.value_j == pytest.approx(by_hand)
        spread = np.hypot(
            np.hypot(layer.minus * 3e-15, layer.zero * 2e-15), layer.plus * 4e-15
        )  # fmt: skip
        assert energy.high_j - energy.value_j == pytest.approx(1.96 * spread, rel=1e-3)


def test_a_convolution_reads_each_weight_at_every_position():
    spec = NetworkSpec(weights="ternary", activations="ternary", width=2)
    census = layer_census(spec.build(seed=0), spec.input_shape)
    conv1, linear1 = census[0], census[6]
    assert conv1.weights == 2 * 3 * 9 and conv1.uses == conv1.weights * 32 * 32
    assert linear1.uses == linear1.weights == 512 * 8 * 16
    once = inference_energy([conv1], SENSE, flow="once").value_j
    each = 1024 * (1 - conv1.input_zeros) * once
    assert inference_energy([conv1], SENSE, flow="per_use").value_j == pytest.approx(each)


def test_the_published_sizes_of_the_network():
    # paper.md: N = 16 has 0.60 M weights and 10.4 M multiply-accumulates per image.
    spec = NetworkSpec(weights="ternary", activations="ternary", width=16)
    census = layer_census(spec.build(seed=0), spec.input_shape)
    assert sum(layer.weights for layer in census) == pytest.approx(0.60e6, rel=0.01)
    assert sum(layer.uses for layer in census) == pytest.approx(10.4e6, rel=0.01)


def test_an_energy_that_was_never_sensed_is_refused():
    with pytest.raises(InputError, match="written 0 = nan J"):
        SenseEnergy(mean_j={-1: 1.0, 0: float("nan"), 1: 1.0}, standard_error_j={})


def test_the_interval_of_an_accuracy_covers_the_truth():
    # 300 images of a population that is right with probability 0.8, each draw flips a few more.
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        right = rng.random(300) < 0.85
        draws = [int((right & (rng.random(300) < 0.8 / 0.85)).sum()) for _ in range(4)]
        found = mean_accuracy(draws, images=300)
        covered += found.low <= 0.8 <= found.high
    assert covered / 400 > 0.93


def test_no_draw_has_no_accuracy():
    with pytest.raises(InputError, match="at least one draw"):
        mean_accuracy([], images=10)
