"""Count a network's weights, their values and their uses: what costs and mappings start from."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.networks.quantisers import WeightKind
from rramsim.networks.reading import WeightReader, quantised_layers, without_weight_errors

REAL_BITS = 8
"""Bits that a real-valued input is counted with: it enters the logic bit by bit (assumption)."""


@dataclass(frozen=True, kw_only=True)
class LayerCensus:
    """One layer: its weights, its multiply-accumulates per image and its quantised values.

    `weights` are digits in devices: a weight in several slices counts as many. `uses` counts a
    product with a padded pixel too, since a sense array reads its weight there as well. `minus`,
    `zero` and `plus` count the digits written as -1, 0 and +1 (by sign with weights "full"); `kind`
    is what a read must decide, "binary" or "ternary". `outputs` are the layer's channels or neurons
    (times its slices), `output_rows` the rows of its output image (1 for a linear layer), `groups`
    those of a convolution. `input_bits` are the bits of an input as the example showed them,
    `input_zeros` the share of zeros among them.
    """

    name: str
    weights: int
    uses: int
    minus: int
    zero: int
    plus: int
    outputs: int = 1
    output_rows: int = 1
    groups: int = 1
    input_bits: int = 1
    input_zeros: float = 0.0
    kind: WeightKind = "ternary"

    @property
    def inputs(self) -> int:
        """Weights of one output."""
        return self.weights // self.outputs

    @property
    def positions(self) -> int:
        """Places of the output image: how often an image uses each weight."""
        return self.uses // self.weights

    @property
    def zero_share(self) -> float:
        """The share of weights written as 0."""
        return self.zero / self.weights


def layer_census(
    network: nn.Module, example: tuple[int, ...] | Tensor | tuple[Tensor, ...]
) -> tuple[LayerCensus, ...]:
    """Count every converted layer of `network`, for one image (one element of the batch).

    `example`: the shape of an image (C, H, W), or a batch of inputs, of which the bits and zeros of
    each layer's own inputs are taken; of a shape alone, noise is. Runs it through the network
    without read errors; the network is left as it was. Raises `InputError` if a converted layer is
    never called or not for each element.
    """
    layers = quantised_layers(network)
    if not layers:
        raise InputError("the network has no converted layer; convert it with rramsim.nn.convert")
    device = next(network.parameters()).device
    inputs = _batch(example, device)
    batch = len(inputs[0])
    seen: dict[str, _Uses] = {}
    handles = []
    for name, layer in layers.items():
        seen[name] = _Uses(layer, name, batch)
        handles.append(layer.host.register_forward_hook(seen[name].note))
    training = network.training
    try:
        network.eval()
        with torch.no_grad(), without_weight_errors(network):
            network(*inputs)
    except (RuntimeError, TypeError, IndexError) as error:
        shapes = ", ".join(str(tuple(part.shape)) for part in inputs)
        told = " ".join(str(error).split())[:160]
        raise InputError(f"the network does not take inputs of shape {shapes} ({told})") from error
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return tuple(seen[name].counted(layer) for name, layer in layers.items())


def _batch(example: Any, device: torch.device) -> tuple[Tensor, ...]:
    if isinstance(example, Tensor | np.ndarray):
        example = (torch.as_tensor(example),)
    if not isinstance(example, tuple) or not all(isinstance(p, Tensor | int) for p in example):
        raise InputError(
            f"example is a {type(example).__name__}: must be a batch of inputs (a tensor, or a "
            "tuple of them) or the shape of one input (a tuple of numbers)"
        )
    if all(isinstance(part, Tensor) for part in example):
        return tuple(part.to(device) for part in example)
    generator = torch.Generator().manual_seed(0)
    return (torch.randint(0, 256, (1, *example), generator=generator).float().to(device),)


class _Uses:
    """What a forward pass shows of one layer."""

    def __init__(self, reader: WeightReader, name: str, batch: int) -> None:
        self._reader, self._name, self._batch = reader, name, batch
        self._positions = self._rows = 0
        self._bits, self._zeros, self._values = 1, 0, 0

    def note(self, layer: Any, arguments: tuple[Any, ...], output: Any) -> None:
        """A forward hook."""
        if isinstance(layer, nn.MultiheadAttention):
            self._note_attention(arguments, output[0])
            return
        given = getattr(arguments[0], "value", arguments[0])
        if hasattr(layer, "activated"):
            given = layer.activated(given)
        transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        # A transposed convolution uses every weight at each place of its input, not of its output.
        seen = given if transposed else getattr(output, "value", output)
        if isinstance(layer, nn.Linear):
            channels, places = seen.shape[-1], ()
        else:
            spatial = getattr(layer, "weight").dim() - 2  # noqa: B009
            channels, places = seen.shape[-spatial - 1], tuple(seen.shape[-spatial:])
        positions = seen.numel() // channels
        if positions % self._batch:
            raise InputError(
                f"{self._name}: called with {positions} places for {self._batch} inputs; the "
                "example's first axis must be the batch"
            )
        self._positions += positions // self._batch
        self._rows += math.prod(places[:-1])
        self._bits = max(self._bits, _bits(given))
        self._zeros += int((given == 0).sum())
        self._values += given.numel()

    def _note_attention(self, arguments: tuple[Any, ...], mixed: Tensor) -> None:
        """Every token is projected once; what `out_proj` gets are means of values, real numbers."""
        if len(arguments) < 3 or arguments[0].shape != arguments[1].shape:
            raise InputError(
                f"{self._name}: attention of {len(arguments)} inputs in order, with keys as many "
                "as queries, is what is counted; leave it out with exclude"
            )
        own = isinstance(self._reader.layer, nn.MultiheadAttention)
        given = arguments[0] if own else mixed
        places = mixed.numel() // mixed.shape[-1]
        self._positions += places // self._batch
        self._rows += 1
        self._bits = max(self._bits, _bits(given) if own else REAL_BITS)
        self._zeros += int((given == 0).sum()) if own else 0
        self._values += given.numel()

    def counted(self, reader: WeightReader) -> LayerCensus:
        """The layer's row."""
        if not self._positions:
            raise InputError(
                f"{self._name}: the model never calls this layer, so errors in its weights would "
                "do nothing; leave it out with exclude"
            )
        digits = reader.quantiser.digits(reader.levels())
        return LayerCensus(
            name=self._name,
            weights=digits.numel(),
            uses=digits.numel() * self._positions,
            minus=int((digits < 0).sum()),
            zero=int((digits == 0).sum()),
            plus=int((digits > 0).sum()),
            outputs=reader.outputs * len(digits),
            output_rows=self._rows,
            groups=reader.groups,
            input_bits=self._bits,
            input_zeros=self._zeros / self._values,
            kind=reader.quantiser.kind,
        )


def _bits(values: Tensor) -> int:
    """Bits of values that lie on a grid of a few levels; `REAL_BITS` for others.

    Two values are one bit, -1, 0 and +1 times a scale two; more are counted from the smallest step
    between them.
    """
    found = torch.unique(values.float())
    if len(found) <= 2:
        return 1
    if len(found) > 2**REAL_BITS:
        return REAL_BITS
    step = float((found[1:] - found[:-1]).min())
    steps = (found - found[0]) / step
    if float((steps - steps.round()).abs().max()) > 1e-3:
        return REAL_BITS
    return min(REAL_BITS, int(steps[-1].round()).bit_length())
