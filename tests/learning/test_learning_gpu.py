"""What only a CUDA device can show; run with -m gpu."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from rramsim.learning import TrainingSettings, load_images, train, training_step
from rramsim.learning.training import GraphedStep
from rramsim.networks import NetworkSpec, ScalarErrors, quantised_layers, set_weight_errors

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def spec(width=8):
    return NetworkSpec(
        weights="ternary", activations="ternary", width=width, input_shape=(1, 8, 8), classes=10
    )


def batches(count, size=64):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        images = torch.randint(0, 17, (size, 1, 8, 8), generator=generator, dtype=torch.uint8)
        yield images.cuda(), torch.randint(0, 10, (size,), generator=generator).cuda()


def test_training_with_errors_learns(digits):
    settings = TrainingSettings(epochs=12, batch=64, device="cuda", bfloat16=True)
    result = train(spec(), digits, settings, errors=ScalarErrors(0.01))
    assert result.test.value > 0.85


def test_replayed_steps_are_plain_steps():
    """Ten steps by graph and ten plain ones from the same weights, a short batch among them."""
    # In double precision: rounding must not decide on which side of a threshold a value lies.
    networks = [spec().build(seed=0).double().cuda().train()]
    networks.append(copy.deepcopy(networks[0]))
    losses = []
    for number, network in enumerate(networks):
        rate = torch.tensor(1e-3, device="cuda")
        optimiser = torch.optim.AdamW(network.parameters(), lr=rate, capturable=True, fused=True)
        step = partial(training_step, network, optimiser)
        if number == 0:
            step = GraphedStep(step, network)
        found = []
        for index, (images, labels) in enumerate(batches(10)):
            rate.fill_(1e-3 / (1 + index))
            count = 30 if index == 7 else 64
            found.append(step(images[:count], labels[:count])[0])
        losses.append(torch.stack(found))
    assert torch.allclose(losses[0], losses[1], rtol=1e-5)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert float((one - other).detach().abs().mean()) < 1e-6


def test_errors_are_drawn_anew_at_every_replay_and_repeat_with_the_seed():
    network = spec(width=32).build(seed=0).cuda()
    set_weight_errors(network, ScalarErrors(0.1), seed=1)
    layer = list(quantised_layers(network).values())[-2]
    step = GraphedStep(lambda images, labels: (layer.read_weight().detach(), labels), network)
    written = layer.quantised_weight()
    reads = []
    for _ in range(2):
        set_weight_errors(network, ScalarErrors(0.1), seed=7)
        reads.append([step(images, labels)[0] for images, labels in batches(8)])
    errors = [float((read != written).double().mean()) for read in reads[1]]
    assert abs(np.mean(errors) - 0.1) < 5 * np.sqrt(0.1 * 0.9 / (8 * written.numel()))
    assert all(not torch.equal(a, b) for a, b in zip(reads[1], reads[1][1:], strict=False))
    set_weight_errors(network, ScalarErrors(0.1), seed=7)
    again = [step(images, labels)[0] for images, labels in batches(8)]
    assert all(torch.equal(a, b) for a, b in zip(reads[1], again, strict=True))


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_an_interrupted_training_goes_on_on_either_device(digits, tmp_path, device):
    class StopError(Exception):
        pass

    def stop(row):
        if row.epoch == 2:
            raise StopError

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(StopError):
        train(
            spec(), digits, TrainingSettings(epochs=12, device="cuda"),
            errors=ScalarErrors(0.01), checkpoint=path, progress=stop,
        )  # fmt: skip
    seen = []
    result = train(
        spec(), digits, TrainingSettings(epochs=12, device=device),
        errors=ScalarErrors(0.01), checkpoint=path, progress=lambda row: seen.append(row.epoch),
    )  # fmt: skip
    assert seen == list(range(3, 13))
    assert result.test.value > 0.85
