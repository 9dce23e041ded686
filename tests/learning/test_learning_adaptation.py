"""Batch-norm measured anew, and learnt, on the chip that reads."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import rramsim as rs
from rramsim.costs import SupplyTarget, TestedNetwork, lowest_supply
from rramsim.exceptions import InputError
from rramsim.learning import (
    Adaptation,
    TrainingSettings,
    fine_tune,
    load_images,
    recalibrate,
    recalibrated,
    right_with_errors,
    train,
)
from rramsim.networks import NetworkSpec, TransitionErrors, set_weight_errors

SPEC = NetworkSpec(
    architecture="mlp", weights="ternary", activations="ternary", width=64, input_shape=(1, 8, 8)
)
LOST = TransitionErrors([[0.4, 0.6, 0], [0, 1, 0], [0, 0.6, 0.4]])


@pytest.fixture(scope="module")
def trained():
    digits = load_images("digits")
    return train(SPEC, digits, TrainingSettings(epochs=12, seed=1)).network, digits


def right(trained, errors, adaptation=None):
    network, digits = trained
    return np.mean([
        right_with_errors(network, digits, errors, images=0, seed=0, draw=d, adaptation=adaptation)
        for d in range(6)
    ])  # fmt: skip


def test_adaptation_takes_back_part_of_what_errors_cost(trained):
    before = copy.deepcopy(trained[0].state_dict())
    clean, lost = right(trained, None), right(trained, LOST)
    recalibrated = right(trained, LOST, Adaptation(recalibrate=500))
    tuned = right(trained, LOST, Adaptation(recalibrate=500, fine_tune=40))
    assert lost < clean - 0.05 and recalibrated > lost + 0.03 and tuned > recalibrated + 0.01
    # Without errors the network is the one that was trained, and it is that again afterwards.
    assert right(trained, None, Adaptation(recalibrate=500)) == clean
    assert all(torch.equal(before[k], v) for k, v in trained[0].state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in trained[0].parameters())


def test_the_tradeoff_counts_what_adapting_costs(trained):
    network, digits = trained
    circuit, spec = rs.circuit(), SPEC
    counted = rs.sweep(circuit, vdd_v=[0.97, 1.2], samples=300, workers=1)
    one = TestedNetwork(spec=spec, network=network)
    plain, adapted = (
        rs.tradeoff(
            one,
            counted,
            digits,
            circuit=circuit,
            rare=False,
            draws=2,
            test_images=200,
            adaptation=adaptation,
        ).table
        for adaptation in (None, Adaptation(recalibrate=300, fine_tune=2))
    )
    assert adapted.adaptation_images.tolist() == [428, 428]
    assert np.allclose(adapted.adaptation_j, 428 * adapted.energy_per_use_j)
    assert (
        not plain.adaptation_j.any() and (plain.energy_per_use_j == adapted.energy_per_use_j).all()
    )
    assert (plain.accuracy_without_errors == adapted.accuracy_without_errors).all()
    assert (plain.accuracy != adapted.accuracy).any()
    best = lowest_supply(adapted, SupplyTarget(max_loss=0.5)).best
    assert best.adaptation_j == adapted.adaptation_j[adapted.vdd_v == best.vdd_v].item()


def test_fine_tuning_is_adam_on_scales_and_shifts_alone():
    """Against torch's own layers in training: one norm after fixed weights, the same batches."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 3, bias=False), nn.BatchNorm1d(3)).eval()
    inputs, labels = torch.randn(64, 6), torch.randint(0, 3, (64,))
    weight, bias = (p.detach().clone().double().requires_grad_() for p in network[1].parameters())
    sums = (inputs.double() @ network[0].weight.detach().double().T) / (1 + 1e-5) ** 0.5
    first, second = [torch.zeros(3, dtype=torch.double) for _ in "wb"], [0.0, 0.0]
    for step in range(5):
        scores = sums * weight + bias
        chosen = scores.log_softmax(dim=1)[torch.arange(64), labels]
        found = torch.autograd.grad(-chosen.mean(), (weight, bias))
        rate = 0.01 * 0.5 * (1 + np.cos(np.pi * step / 5))
        for k, (value, gradient) in enumerate(zip((weight, bias), found, strict=True)):
            first[k] = 0.9 * first[k] + 0.1 * gradient
            second[k] = 0.999 * second[k] + 0.001 * gradient**2
            moved = (first[k] / (1 - 0.9 ** (step + 1))) / (
                (second[k] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            )
            with torch.no_grad():
                value -= rate * moved
    assert fine_tune(network, inputs, labels, steps=5) == 5 * 64
    assert torch.allclose(network[1].weight.double(), weight, atol=1e-6)
    assert torch.allclose(network[1].bias.double(), bias, atol=1e-6)


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
    with pytest.raises(InputError, match="no scale and shift to fine-tune"):
        fine_tune(nn.BatchNorm1d(3, affine=False), torch.zeros(5, 3), torch.zeros(5), steps=1)
    with pytest.raises(InputError, match="fine_tune = -1"):
        Adaptation(fine_tune=-1)
    with pytest.raises(InputError, match="1 inputs to recalibrate on: must be 2"):
        recalibrate(trained[0], trained[1].train_images[:1])
    set_weight_errors(trained[0], None)
