"""From a network to the weights that a chip is programmed with, and back to what it read."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks.injection import quantised_layers

__all__ = ["binary_layers", "set_read_weights", "written_weights"]


def written_weights(network: nn.Module) -> dict[str, NDArray[np.int8]]:
    """The quantised weights of every layer, (outputs, ...) int8, as they go to the devices.

    Raises `InputError` if a layer's weights are not quantised.
    """
    found = {}
    for name, layer in quantised_layers(network).items():
        if layer.weights == "full":
            raise InputError(f"{name}: weights = 'full' cannot be programmed as -1, 0 and +1")
        found[name] = layer.quantised_weight().cpu().numpy().astype(np.int8)
    return found


def binary_layers(network: nn.Module) -> frozenset[str]:
    """The layers whose read-out must decide between -1 and +1."""
    return frozenset(
        n for n, layer in quantised_layers(network).items() if layer.weights == "binary"
    )


def set_read_weights(network: nn.Module, weights: Mapping[str, NDArray[np.int8]]) -> None:
    """Read these weights from now on, as one chip read them, until errors are set otherwise.

    `weights` has every quantised layer by name, in the shape of its weights, -1, 0 and +1; raises
    `InputError` if one is missing, unknown, of another shape or holds something else.
    """
    layers = quantised_layers(network)
    if set(weights) != set(layers):
        raise InputError(
            f"weights read for the layers {', '.join(sorted(weights)) or 'none'}: the network has "
            f"{', '.join(sorted(layers))}"
        )
    for name, layer in layers.items():
        values = weights[name]
        if values.shape != tuple(layer.weight.shape):
            raise InputError(
                f"{name}: weights read of shape {values.shape}, the layer has "
                f"{tuple(layer.weight.shape)}"
            )
        if not np.isin(values, (-1, 0, 1)).all():
            raise InputError(f"{name}: weights read must be -1, 0 or +1")
    for name, layer in layers.items():
        layer.attach_read(torch.from_numpy(np.ascontiguousarray(weights[name])))
