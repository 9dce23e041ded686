"""Needs CIFAR-10: set RRAMSIM_DATA to the folder or file that holds it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from rramsim.learning import NetworkSpec, TrainingSettings, load_images, train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("RRAMSIM_DATA" not in os.environ, reason="RRAMSIM_DATA is not set"),
]


@pytest.fixture(scope="module")
def cifar10():
    return load_images("cifar10", path=Path(os.environ["RRAMSIM_DATA"]))


def test_all_of_cifar10_is_there(cifar10):
    assert cifar10.train_images.shape == (50_000, 3, 32, 32)
    assert cifar10.test_images.shape == (10_000, 3, 32, 32)
    assert np.bincount(cifar10.train_labels).tolist() == [5_000] * 10
    assert np.bincount(cifar10.test_labels).tolist() == [1_000] * 10


def test_a_ternary_network_of_width_16_learns_cifar10(cifar10):
    """8 epochs: a plain loop reaches 68.9 %; see benchmarks/results/training_cifar10.csv."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    spec = NetworkSpec(weights="ternary", activations="ternary", width=16)
    result = train(spec, cifar10, TrainingSettings(epochs=8))
    torch.set_num_threads(threads)
    assert result.test.value > 0.68
