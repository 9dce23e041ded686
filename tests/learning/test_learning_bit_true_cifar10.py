"""All 10,000 CIFAR-10 test predictions of the packed network against the float network's."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from rramsim.learning import NetworkSpec, TrainingSettings, load_images, train
from rramsim.networks import (
    IntegerNetwork,
    TransitionErrors,
    quantised_layers,
    set_read_weights,
    set_weight_errors,
)

PAIRS = list(product(("binary", "ternary"), repeat=2))
# About what chips at 1.2 V read (docs/chips.md); the slow chip tests use a real one.
RATES = TransitionErrors([[0.999, 0.0005, 0.0005], [0.06, 0.88, 0.06], [0.0005, 0.0005, 0.999]])


@pytest.mark.slow
@pytest.mark.skipif("RRAMSIM_DATA" not in os.environ, reason="needs CIFAR-10 in RRAMSIM_DATA")
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_all_test_predictions_are_the_float_networks(pair):
    weights, activations = pair
    data = load_images("cifar10", path=Path(os.environ["RRAMSIM_DATA"]))
    spec = NetworkSpec(weights=weights, activations=activations, width=8)
    few = data.subset(train=2000, test=100)
    network = train(spec, few, TrainingSettings(epochs=1)).network
    errors = RATES.without_zero_reads() if weights == "binary" else RATES
    set_weight_errors(network, errors, seed=1, mode="frozen")
    chip = {
        name: layer.read_weight().detach().numpy().astype(np.int8)
        for name, layer in quantised_layers(network).items()
    }
    set_weight_errors(network, None)
    packed = IntegerNetwork.of(network)
    for read in (None, chip):
        if read is not None:
            set_read_weights(network, read)
            packed = packed.with_weights(read)
        with torch.inference_mode():
            wanted = np.concatenate(
                [network(part).argmax(dim=1).numpy() for part in
                 torch.from_numpy(data.test_images).split(500)]
            )  # fmt: skip
        found = packed.predict(data.test_images)
        assert len(found) == 10_000 and len(np.unique(wanted)) > 3
        assert np.array_equal(found, wanted)
