"""Where each weight of a network lies on arrays of rows x columns 2T2R synapses.

A layer of K inputs and O outputs is a K x O matrix, cut into tiles of one array each: an input is a
row (a word line), an output a column with its own sense amplifier, as in the published 32 x 32
array. So the weights of one output that share a tile share an amplifier. The last tile of a
direction is filled in part; what is left over is not programmed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

__all__ = ["ArrayShape", "LayerMapping", "Tile", "WeightMapping"]


@dataclass(frozen=True, kw_only=True)
class ArrayShape:
    """Rows and columns of synapses of one array, 1 to 4096 each.

    >>> ArrayShape(rows=32, columns=32).synapses
    1024
    """

    rows: int = limited(32, low=1, high=4096)
    """Synapses of a column."""
    columns: int = limited(32, low=1, high=4096)
    """Columns of an array, each with an amplifier: how many arrays a network takes."""

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def synapses(self) -> int:
        """Pairs of devices in an array."""
        return self.rows * self.columns


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One array: which rows (inputs) and columns (outputs) of which layer it holds."""

    layer: str
    inputs: slice
    outputs: slice


@dataclass(frozen=True, kw_only=True)
class LayerMapping:
    """One layer: its name and the shape of its weights, outputs first."""

    name: str
    shape: tuple[int, ...]
    array: ArrayShape

    @property
    def outputs(self) -> int:
        """Columns of the layer's matrix."""
        return self.shape[0]

    @property
    def inputs(self) -> int:
        """Rows of the layer's matrix."""
        return int(np.prod(self.shape[1:]))

    @property
    def row_blocks(self) -> int:
        """Tiles that an output's weights spread over."""
        return -(-self.inputs // self.array.rows)

    @property
    def amplifiers(self) -> int:
        """Sense amplifiers that read the layer."""
        return self.row_blocks * self.outputs

    def tiles(self) -> Iterator[Tile]:
        """The layer's arrays, along the inputs first."""
        rows, columns = self.array.rows, self.array.columns
        for o in range(0, self.outputs, columns):
            for k in range(0, self.inputs, rows):
                yield Tile(
                    layer=self.name,
                    inputs=slice(k, min(k + rows, self.inputs)),
                    outputs=slice(o, min(o + columns, self.outputs)),
                )


@dataclass(frozen=True, kw_only=True)
class WeightMapping:
    """Every layer of a network on arrays of one shape.

    >>> weights = {"fc": np.zeros((10, 70), dtype=np.int8)}
    >>> mapping = WeightMapping.of(weights, array=ArrayShape(rows=32, columns=32))
    >>> mapping.arrays, mapping.amplifiers, mapping.synapses
    (3, 30, 700)
    """

    layers: tuple[LayerMapping, ...]
    array: ArrayShape

    @staticmethod
    def of(weights: Mapping[str, NDArray[np.int8]], *, array: ArrayShape) -> "WeightMapping":
        """Map layers of weights (outputs, ...); raises `InputError` if there is none."""
        if not weights or any(w.ndim < 2 or not w.size for w in weights.values()):
            raise InputError("no weights to map: each layer needs outputs and inputs")
        return WeightMapping(
            layers=tuple(
                LayerMapping(name=name, shape=w.shape, array=array) for name, w in weights.items()
            ),
            array=array,
        )

    @property
    def arrays(self) -> int:
        """Arrays that hold the network."""
        return sum(
            layer.row_blocks * -(-layer.outputs // self.array.columns) for layer in self.layers
        )

    @property
    def amplifiers(self) -> int:
        """Sense amplifiers in use."""
        return sum(layer.amplifiers for layer in self.layers)

    @property
    def synapses(self) -> int:
        """Weights, two devices each."""
        return sum(layer.outputs * layer.inputs for layer in self.layers)

    def tiles(self) -> Iterator[Tile]:
        """Every array, layer by layer."""
        for layer in self.layers:
            yield from layer.tiles()
