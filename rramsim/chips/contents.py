"""What lies where: each weight on arrays of 2T2R synapses, and which device of a cell is SET or
RESET.

Two files say the same. NPZ is compact; CSV has one line an array row and is read by eye and by any
programmer's tool. Both carry a schema version and round-trip exactly; a file that is cut short,
altered or made by something else is refused. Nothing is pickled.

A layer of K inputs and O outputs is a K x O matrix, cut into tiles of one array each: an input is a
row (a word line), an output a column with its own sense amplifier, as in the published 32 x 32
array. So the weights of one output that share a tile share an amplifier. The last tile of a
direction is filled in part; what is left over is not programmed.
"""

import csv
import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.devices import LRS_WEIGHTS
from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.numbers import check_limits, limited


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


SCHEMA = "rramsim array contents 1"
_RESET, _SET, _UNUSED = 0, 1, 2
_LETTERS = "RS-"
_COLUMNS = ("tile", "layer", "row", "first_input", "first_output", "bl", "blb")


_DAMAGE = (
    ValueError, KeyError, TypeError, EOFError, OSError, RecursionError, csv.Error,
    # An archive whose members are cut, altered, encrypted or packed in an unknown way.
    zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, tokenize.TokenError,
)  # fmt: skip
"""What reading a damaged file may raise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayContents:
    """The devices of every array: 0 RESET (high resistance), 1 SET (low), 2 not used.

    `bl`, `blb`: (arrays, rows, columns) uint8, the devices on the two bit lines. A weight +1 is SET
    on BL, -1 is SET on BLB, 0 is RESET on both; SET on both is no weight.
    """

    mapping: WeightMapping
    bl: NDArray[np.uint8]
    blb: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shape = (self.mapping.arrays, self.mapping.array.rows, self.mapping.array.columns)
        for name in ("bl", "blb"):
            value = getattr(self, name)
            if value.shape != shape or value.dtype != np.uint8:
                raise InputError(
                    f"array contents: {name} is {value.dtype} of shape {value.shape}, must be "
                    f"uint8 of shape {shape}"
                )
        used = self._used()
        for name in ("bl", "blb"):
            value = getattr(self, name)
            if (value > _UNUSED).any() or ((value == _UNUSED) != ~used).any():
                raise InputError(
                    f"array contents: {name} must be 0 or 1 where a weight lies and 2 elsewhere"
                )
        both = (self.bl == _SET) & (self.blb == _SET)
        if both.any():
            tile, row, column = (int(i) for i in np.argwhere(both)[0])
            raise InputError(
                f"array contents: tile {tile}, row {row}, column {column}: both devices are SET, "
                "which is no weight"
            )

    @staticmethod
    def of(weights: Mapping[str, NDArray[np.int8]], *, array: ArrayShape) -> "ArrayContents":
        """Lay the weights of each layer, (outputs, ...) of -1, 0 and +1, onto arrays."""
        for name, values in weights.items():
            if not np.isin(values, (-1, 0, 1)).all():
                raise InputError(f"{name}: weights to program must be -1, 0 or +1")
        mapping = WeightMapping.of(weights, array=array)
        shape = (mapping.arrays, array.rows, array.columns)
        bl, blb = np.full(shape, _UNUSED, np.uint8), np.full(shape, _UNUSED, np.uint8)
        states = (bl, blb)
        for index, tile in enumerate(mapping.tiles()):
            values = weights[tile.layer].reshape(len(weights[tile.layer]), -1)
            block = values[tile.outputs, tile.inputs].T
            for device, written in enumerate(LRS_WEIGHTS):
                states[device][index, : block.shape[0], : block.shape[1]] = block == written
        return ArrayContents(mapping=mapping, bl=bl, blb=blb)

    def weights(self) -> dict[str, NDArray[np.int8]]:
        """The weights that the arrays hold, layer by layer, in their shapes."""
        found = {
            layer.name: np.zeros((layer.outputs, layer.inputs), np.int8)
            for layer in self.mapping.layers
        }
        for index, tile in enumerate(self.mapping.tiles()):
            rows = tile.inputs.stop - tile.inputs.start
            columns = tile.outputs.stop - tile.outputs.start
            plus = self.bl[index, :rows, :columns].astype(np.int8)
            minus = self.blb[index, :rows, :columns].astype(np.int8)
            found[tile.layer][tile.outputs, tile.inputs] = (plus - minus).T
        return {layer.name: found[layer.name].reshape(layer.shape) for layer in self.mapping.layers}

    def save_npz(self, path: Path) -> None:
        """Write a compressed NPZ: `header` (JSON), `bl`, `blb`; whole or not at all."""
        path = _with_suffix(path, ".npz")
        header = np.frombuffer(self._header().encode(), dtype=np.uint8)
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, header=header, bl=self.bl, blb=self.blb)

    def save_csv(self, path: Path) -> None:
        """Write CSV: a comment line with the header (JSON), then one line an array row.

        Columns: tile, layer, row, first_input, first_output, bl, blb; the last two hold one letter
        a column: S (SET), R (RESET) or - (not used).
        """
        path = _with_suffix(path, ".csv")
        letters = np.array(list(_LETTERS))
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            file.write(f"# {self._header()}\n")
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for index, tile in enumerate(self.mapping.tiles()):
                first = (tile.inputs.start, tile.outputs.start)
                for row, (bl, blb) in enumerate(
                    zip(letters[self.bl[index]], letters[self.blb[index]], strict=True)
                ):
                    writer.writerow((index, tile.layer, row, *first, "".join(bl), "".join(blb)))

    @staticmethod
    def load(path: Path) -> "ArrayContents":
        """Read what `save_npz` or `save_csv` wrote.

        Raises `InputError` of one line if the file is missing, damaged, of another schema, or holds
        devices that are no weights.
        """
        path = Path(path)
        if path.suffix not in (".npz", ".csv"):
            raise InputError(f"{path}: array contents are .npz or .csv files")
        try:
            contents = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            header, bl, blb = (_read_npz if path.suffix == ".npz" else _read_csv)(contents)
            mapping = _mapping(header)
            shape = (mapping.arrays, mapping.array.rows, mapping.array.columns)
            if bl.shape != shape:
                raise ValueError(f"arrays of shape {bl.shape}, its header says {shape}")
            if path.suffix == ".csv":
                _check_places(contents, mapping)
            return ArrayContents(mapping=mapping, bl=bl, blb=blb)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise InputError(f"{path}: not whole array contents of rramsim ({reason})") from error

    def _header(self) -> str:
        return json.dumps(
            {
                "schema": SCHEMA,
                "rows": self.mapping.array.rows,
                "columns": self.mapping.array.columns,
                "layers": [[layer.name, list(layer.shape)] for layer in self.mapping.layers],
            }
        )

    def _used(self) -> NDArray[np.bool_]:
        used = np.zeros(self.bl.shape, dtype=bool)
        for index, tile in enumerate(self.mapping.tiles()):
            rows = tile.inputs.stop - tile.inputs.start
            used[index, :rows, : tile.outputs.stop - tile.outputs.start] = True
        return used


def _with_suffix(path: Path, suffix: str) -> Path:
    path = Path(path)
    if path.suffix != suffix:
        raise InputError(f"{path}: must end in {suffix}")
    return path


def _mapping(header: dict[str, Any]) -> WeightMapping:
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        found = header.get("schema") if isinstance(header, dict) else header
        raise ValueError(f"its schema is {found!r}, must be {SCHEMA!r}")
    shapes = {}
    for name, sizes in header["layers"]:
        shape = tuple(int(size) for size in sizes)
        if len(shape) < 2 or not all(1 <= size <= 1 << 24 for size in shape):
            raise ValueError(f"layer {name!r} has the shape {sizes}")
        if not isinstance(name, str) or name in shapes:
            raise ValueError(f"layer {name!r} is given twice or has no name")
        if np.prod(shape, dtype=float) > 1 << 31:
            raise ValueError(f"layer {name!r} is too large")
        # Only the shape is used: no memory is taken for what a header claims.
        shapes[name] = np.broadcast_to(np.int8(0), shape)
    return WeightMapping.of(
        shapes, array=ArrayShape(rows=header["rows"], columns=header["columns"])
    )


def _read_npz(
    contents: bytes,
) -> tuple[dict[str, Any], NDArray[np.uint8], NDArray[np.uint8]]:
    with np.load(io.BytesIO(contents), allow_pickle=False) as file:
        if sorted(file.files) != ["bl", "blb", "header"]:
            raise ValueError(f"holds {', '.join(file.files)}, must hold header, bl and blb")
        header = json.loads(file["header"].tobytes().decode())
        return header, file["bl"], file["blb"]


def _rows(contents: bytes) -> tuple[str, "csv.DictReader[str]"]:
    first, _, rest = contents.decode("utf-8").partition("\n")
    if not first.startswith("# "):
        raise ValueError("its first line is no header")
    reader = csv.DictReader(io.StringIO(rest), strict=True)
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        raise ValueError(f"its columns must be {', '.join(_COLUMNS)}")
    return first[2:], reader


def _read_csv(
    contents: bytes,
) -> tuple[dict[str, Any], NDArray[np.uint8], NDArray[np.uint8]]:
    first, reader = _rows(contents)
    header = json.loads(first)
    mapping = _mapping(header)
    rows, columns = mapping.array.rows, mapping.array.columns
    lines = list(reader)
    if len(lines) != mapping.arrays * rows:
        raise ValueError(f"{len(lines)} array rows, its header needs {mapping.arrays * rows}")
    code = np.full(256, 255, dtype=np.uint8)
    code[[ord(letter) for letter in _LETTERS]] = range(3)
    planes = []
    for name in ("bl", "blb"):
        text = "".join(line[name] or "" for line in lines).encode("ascii")
        if any(len(line[name] or "") != columns for line in lines):
            raise ValueError(f"{name} must hold {columns} letters a line")
        plane = code[np.frombuffer(text, dtype=np.uint8)]
        if (plane == 255).any():
            raise ValueError(f"{name} holds letters other than {', '.join(_LETTERS)}")
        planes.append(plane.reshape(mapping.arrays, rows, columns))
    return header, planes[0], planes[1]


def _check_places(contents: bytes, mapping: WeightMapping) -> None:
    """Each line must say where it lies, as the mapping has it."""
    _, reader = _rows(contents)
    for index, tile in enumerate(mapping.tiles()):
        for row in range(mapping.array.rows):
            line = next(reader)
            place = (index, tile.layer, row, tile.inputs.start, tile.outputs.start)
            if tuple(line[name] for name in _COLUMNS[:5]) != tuple(str(part) for part in place):
                raise ValueError(f"line of tile {index}, row {row} is missing or out of place")
