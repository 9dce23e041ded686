"""Batch-norm measured anew on the chip that reads."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from rramsim.exceptions import InputError
from rramsim.learning import (
    TrainingSettings,
    load_images,
    recalibrate,
    recalibrated,
    right_with_errors,
    train,
)
from rramsim.networks import NetworkSpec, TransitionErrors, set_weight_errors

LOST = TransitionErrors([[0.4, 0.6, 0], [0, 1, 0], [0, 0.6, 0.4]])


@pytest.fixture(scope="module")
def trained():
    digits = load_images("digits")
    spec = NetworkSpec(architecture="mlp", weights="ternary", activations="ternary", width=64,
                       input_shape=digits.input_shape)  # fmt: skip
    return train(spec, digits, TrainingSettings(epochs=12, seed=1)).network, digits


def test_recalibration_takes_back_part_of_what_errors_cost(trained):
    network, digits = trained

    def right(errors, images):
        return np.mean([
            right_with_errors(network, digits, errors, images=0, seed=0, draw=d, recalibrate=images)
            for d in range(6)
        ])  # fmt: skip

    clean, lost, mended = right(None, 0), right(LOST, 0), right(LOST, 500)
    assert lost < clean - 0.05 and mended > lost + 0.03
    assert right(None, 500) > clean - 0.02  # without errors it has nothing to mend


def test_statistics_are_those_of_all_inputs_and_come_back_afterwards():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, momentum=0.3)).eval()
    inputs = torch.randn(500, 6)
    before = copy.deepcopy(network.state_dict())
    with recalibrated(network, inputs) as cost:
        assert cost == 500 and not network.training and network[1].momentum == 0.3
        sums = network[0](inputs)
        assert torch.allclose(network[1].running_mean, sums.mean(dim=0), atol=1e-5)
        assert torch.allclose(network[1].running_var, sums.var(dim=0), rtol=0.02)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    recalibrate(network, inputs)
    assert not torch.equal(before["1.running_mean"], network[1].running_mean)


def test_what_cannot_be_recalibrated_is_refused(trained):
    with pytest.raises(InputError, match="no batch-norm to recalibrate"):
        recalibrate(nn.Linear(3, 3), torch.zeros(5, 3))
    with pytest.raises(InputError, match="1 inputs to recalibrate on: must be 2"):
        recalibrate(trained[0], trained[1].train_images[:1])
    set_weight_errors(trained[0], None)
