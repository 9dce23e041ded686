"""Put read errors, or what one chip read, on every converted layer, and take them off again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rramsim.counting import ErrorStatistics
from rramsim.exceptions import InputError
from rramsim.networks.reading import WeightReader, reader_of
from rramsim.networks.weight_errors import WeightErrors, errors_of_statistics

__all__ = [
    "ErrorMode",
    "ReadErrors",
    "binary_layers",
    "quantised_layers",
    "set_read_weights",
    "set_weight_errors",
    "without_weight_errors",
    "written_weights",
]

ErrorMode = Literal["redrawn", "frozen"]
ReadErrors = WeightErrors | ErrorStatistics
"""A model of errors, or the counts of a campaign, from which each layer's model follows."""


def quantised_layers(network: nn.Module) -> dict[str, WeightReader]:
    """The converted layers by name, in the order of the model: quantiser, levels and errors."""
    found = ((name, reader_of(module)) for name, module in network.named_modules())
    return {name: reader for name, reader in found if reader is not None}


def set_weight_errors(
    network: nn.Module,
    errors: ReadErrors | Mapping[str, ReadErrors | None] | None,
    *,
    seed: int = 0,
    mode: ErrorMode = "redrawn",
) -> None:
    """Read the weights of every converted layer with `errors` from now on; None takes them off.

    `errors` are one model or one campaign's counts for all layers, or a mapping with each layer's
    own by name; a layer that it does not name is read without errors.

    mode "redrawn" draws anew at every forward pass, in training and in evaluation: what a read
    that fails now and then does. mode "frozen" draws once, now, from the weights as they are: what
    one chip with devices that always read wrong does. Frozen weights do not follow later changes of
    the network's weights until this is called again.

    Each layer has a generator of its own, seeded from (seed, position of the layer), so the errors
    of a layer do not depend on the others. Raises `InputError` if the errors do not fit the
    weights, the mode is unknown or the network has no converted layer.
    """
    if mode not in ("redrawn", "frozen"):
        raise InputError(f"mode = {mode!r}: must be 'redrawn' or 'frozen'")
    if seed < 0:
        raise InputError(f"seed = {seed}: must be 0 or above")
    layers = _layers(network)
    models = _models(layers, errors)
    for index, (name, layer) in enumerate(layers.items()):
        model = models[name]
        if model is None:
            layer.attach_errors(None, generator=None, frozen=False)
            continue
        state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
        generator = layer.error_generator()
        generator.manual_seed(int(state >> np.uint64(1)))
        layer.attach_errors(model, generator=generator, frozen=mode == "frozen")


@contextmanager
def without_weight_errors(network: nn.Module) -> Iterator[None]:
    """Read without errors inside the block, then as before; no random number is drawn."""
    saved = {layer: layer.attached for layer in quantised_layers(network).values()}
    for layer in saved:
        layer.attached = (None, None, None)
    try:
        yield
    finally:
        for layer, attached in saved.items():
            layer.attached = attached


def written_weights(network: nn.Module) -> dict[str, NDArray[np.int8]]:
    """What goes into the devices: every layer's digits, (outputs, ...) int8 of -1, 0 and +1.

    A layer of several slices, or a transposed one, gives its matrix (slices * outputs, inputs).
    Raises `InputError` if a layer's weights are not quantised.
    """
    found = {}
    for name, layer in _layers(network).items():
        if layer.weights == "full":
            raise InputError(f"{name}: weights = 'full' cannot be programmed as -1, 0 and +1")
        found[name] = layer.written()
    return found


def binary_layers(network: nn.Module) -> frozenset[str]:
    """The layers whose read-out must decide between -1 and +1."""
    return frozenset(
        name for name, layer in quantised_layers(network).items() if layer.weights == "binary"
    )


def set_read_weights(network: nn.Module, weights: Mapping[str, NDArray[np.int8]]) -> None:
    """Read these digits from now on, as one chip read them, until errors are set otherwise.

    `weights` has every converted layer by name, as `written_weights` gives them; raises
    `InputError` if one is missing, unknown, of another shape or holds something else.
    """
    layers = _layers(network)
    if set(weights) != set(layers):
        raise InputError(
            f"weights read for the layers {', '.join(sorted(weights)) or 'none'}: the network has "
            f"{', '.join(sorted(layers))}"
        )
    for name, wanted in written_weights(network).items():
        if weights[name].shape != wanted.shape:
            raise InputError(
                f"{name}: weights read of shape {weights[name].shape}, the layer has {wanted.shape}"
            )
        if not np.isin(weights[name], (-1, 0, 1)).all():
            raise InputError(f"{name}: weights read must be -1, 0 or +1")
    for name, layer in layers.items():
        layer.attach_read(weights[name])


def _layers(network: nn.Module) -> dict[str, WeightReader]:
    layers = quantised_layers(network)
    if not layers:
        raise InputError(
            "the network has no converted layer to read weights of; convert it with "
            "rramsim.nn.convert first"
        )
    return layers


def _models(
    layers: dict[str, WeightReader], errors: ReadErrors | Mapping[str, ReadErrors | None] | None
) -> dict[str, WeightErrors | None]:
    """Each layer's errors, all of them checked before any is attached."""
    if isinstance(errors, Mapping):
        unknown = sorted(set(errors) - set(layers))
        if unknown:
            raise InputError(
                f"read errors for {unknown[0]}: no converted layer of this name; there are "
                f"{', '.join(layers)}"
            )
        wanted = {name: errors.get(name) for name in layers}
    else:
        wanted = dict.fromkeys(layers, errors)
    found: dict[str, WeightErrors | None] = {}
    for name, own in wanted.items():
        kind = layers[name].weights
        model = errors_of_statistics(own, kind) if isinstance(own, ErrorStatistics) else own
        if model is not None:
            model.check_weights(layers[name].quantiser.kind)
        found[name] = model
    return found
