"""Count a network's weights, their values and their uses: what costs and mappings start from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rramsim.networks.injection import quantised_layers, without_weight_errors
from rramsim.networks.layers import QuantLayer

__all__ = ["LayerCensus", "layer_census"]


@dataclass(frozen=True, kw_only=True)
class LayerCensus:
    """One layer: its weights, its multiply-accumulates per image and its quantised values.

    `uses` counts a product with a padded pixel too, since a sense array reads its weight there as
    well. `minus`, `zero` and `plus` count the weights written as -1, 0 and +1; with weights "full"
    they count by sign. `outputs` are the layer's channels or neurons, `output_rows` the rows of
    its output image (1 for a linear layer).
    """

    name: str
    weights: int
    uses: int
    minus: int
    zero: int
    plus: int
    outputs: int = 1
    output_rows: int = 1

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


def layer_census(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[LayerCensus, ...]:
    """Count every quantised layer of `network` for images of `input_shape` (C, H, W).

    Runs one blank image through the network without read errors; the network is left as it was.
    """
    layers = quantised_layers(network)
    positions: dict[QuantLayer, tuple[int, int]] = {}

    def note(layer: nn.Module, inputs: object, output: Tensor) -> None:
        del inputs
        assert isinstance(layer, QuantLayer)
        place = output[0, 0]
        positions[layer] = place.numel(), len(place) if place.ndim else 1

    handles = [layer.register_forward_hook(note) for layer in layers.values()]
    training = network.training
    try:
        network.eval()
        device = next(network.parameters()).device
        with torch.no_grad(), without_weight_errors(network):
            network(torch.zeros(1, *input_shape, device=device))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    rows = []
    for name, layer in layers.items():
        written = layer.quantised_weight()
        rows.append(
            LayerCensus(
                name=name,
                weights=written.numel(),
                uses=written.numel() * positions[layer][0],
                minus=int((written < 0).sum()),
                zero=int((written == 0).sum()),
                plus=int((written > 0).sum()),
                outputs=written.shape[0],
                output_rows=positions[layer][1],
            )
        )
    return tuple(rows)
