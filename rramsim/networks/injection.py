"""Attach read errors to every quantised layer of a network, and take them off again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks.layers import QuantLayer
from rramsim.networks.weight_errors import WeightErrors

__all__ = ["ErrorMode", "quantised_layers", "set_weight_errors", "without_weight_errors"]

ErrorMode = Literal["forward", "frozen"]


def quantised_layers(network: nn.Module) -> dict[str, QuantLayer]:
    """Return the layers that hold quantised weights, by name, in the order of the data."""
    return {
        name: module for name, module in network.named_modules() if isinstance(module, QuantLayer)
    }


def set_weight_errors(
    network: nn.Module,
    errors: WeightErrors | None,
    *,
    seed: int = 0,
    mode: ErrorMode = "forward",
) -> None:
    """Read the weights of every quantised layer with `errors` from now on; None takes them off.

    mode "forward" draws anew at every forward pass, in training and in evaluation: what a read
    that fails now and then does. mode "frozen" draws once, now, from the weights as they are: what
    one chip with devices that always read wrong does. Frozen weights do not follow later changes of
    the network's weights until this is called again.

    Each layer has a generator of its own, seeded from (seed, position of the layer), so the errors
    of a layer do not depend on the others. Raises `InputError` if the errors do not fit the
    weights, the mode is unknown or the network has no quantised layer.
    """
    if mode not in ("forward", "frozen"):
        raise InputError(f"mode = {mode!r}: must be 'forward' or 'frozen'")
    if seed < 0:
        raise InputError(f"seed = {seed}: must be 0 or above")
    layers = quantised_layers(network)
    if not layers:
        raise InputError("the network has no quantised layer to attach read errors to")
    if errors is not None:
        for layer in layers.values():
            errors.check_weights(layer.weights)
    for index, layer in enumerate(layers.values()):
        if errors is None:
            layer.attach_errors(None, generator=None, frozen=False)
            continue
        state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
        generator = layer.error_generator()
        generator.manual_seed(int(state >> np.uint64(1)))
        layer.attach_errors(errors, generator=generator, frozen=mode == "frozen")


@contextmanager
def without_weight_errors(network: nn.Module) -> Iterator[None]:
    """Read without errors inside the block, then as before; no random number is drawn."""
    saved = {
        layer: (layer._errors, layer._generator, layer._frozen)
        for layer in quantised_layers(network).values()
    }
    for layer in saved:
        layer._errors = layer._generator = layer._frozen = None
    try:
        yield
    finally:
        for layer, attached in saved.items():
            layer._errors, layer._generator, layer._frozen = attached
