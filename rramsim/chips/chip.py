"""A chip: every device's resistance and every amplifier's mismatch drawn once, then read.

What stays (frozen): the resistances that programming left, the mismatch of each column's
amplifier and of each synapse's two access transistors, the direction in which each device ages.
What is drawn anew at each read: read noise, and the sign of an unresolved binary read. Each can be
turned off or made independent, which keeps the mean rate and removes one thing that chips have and
independent errors have not (see `ChipModel`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.chips.contents import LayerMapping, WeightMapping
from rramsim.chips.programming import ChipModel, program_layer
from rramsim.chips.surface import EngineReads, ReadSurface, decide
from rramsim.counting import ErrorStatistics
from rramsim.engines import SenseSamples
from rramsim.exceptions import InputError

Weights = Mapping[str, NDArray[np.int8]]

_SENSES_AT_ONCE = 20_000
_UNCONVERGED = 2
"""Stands in a layer's reads for a sense whose waveform was not found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipRead:
    """The weights as one pass over the chip read them, and the counts of written against read.

    For binary layers `weights` holds a sign where the sense did not resolve; `statistics` counts
    that read as 0, as the amplifier gave it.
    """

    weights: dict[str, NDArray[np.int8]]
    statistics: ErrorStatistics


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    mapping: LayerMapping
    written: NDArray[np.int8]
    bl_ln: NDArray[np.float32]
    blb_ln: NDArray[np.float32]
    amplifiers: NDArray[np.float64]
    access: NDArray[np.float32]


class Chip:
    """Weights programmed on a chip; `seed` and `index` name it among all chips of a model.

    `binary` names the layers whose read-out must give a sign. `writes` counts the programming
    pulses of all devices, `failed` the devices that verify gave up.
    """

    def __init__(
        self,
        model: ChipModel,
        weights: Weights,
        *,
        seed: int,
        index: int = 0,
        binary: frozenset[str] = frozenset(),
    ) -> None:
        if seed < 0 or index < 0:
            raise InputError(f"seed = {seed}, index = {index}: must be 0 or above")
        self.model = model
        self.mapping = WeightMapping.of(weights, array=model.array)
        self._key = (seed, index)
        self._binary = binary
        self.writes = self.failed = 0
        # Corners share their sites: the transistors are the same, only their centre moves.
        corner = next(iter(model.circuit.process.corners))
        self.sites = model.circuit.mismatch_sites(corner)
        self._columns = [i for i, s in enumerate(self.sites) if s.part != "synapse"]
        self._layers = [
            self._program(layer, np.ascontiguousarray(weights[layer.name], dtype=np.int8))
            for layer in self.mapping.layers
        ]

    def _rng(self, layer: str, *purpose: int) -> np.random.Generator:
        name = int.from_bytes(hashlib.sha256(layer.encode()).digest()[:8], "little")
        return np.random.Generator(
            np.random.SFC64(np.random.SeedSequence([*self._key, name, *purpose]))
        )

    def _program(self, mapping: LayerMapping, written: NDArray[np.int8]) -> _Layer:
        if not np.isin(written, (-1, 0, 1)).all():
            raise InputError(f"{mapping.name}: weights to program must be -1, 0 or +1")
        matrix = written.reshape(mapping.outputs, mapping.inputs)
        bl, blb = self._draw_devices(mapping, matrix, 0)
        rng = self._rng(mapping.name, 1)
        blocks = mapping.inputs if self.model.amplifiers == "own" else mapping.row_blocks
        shape = (mapping.outputs, blocks, len(self._columns))
        access = (2, *matrix.shape)
        if self.model.amplifiers == "none":
            amplifiers, first = np.zeros(shape), np.zeros(access, dtype=np.float32)
        else:
            amplifiers = rng.standard_normal(shape)
            first = rng.standard_normal(access, dtype=np.float32)
        return _Layer(
            mapping=mapping, written=matrix, bl_ln=bl, blb_ln=blb, amplifiers=amplifiers,
            access=first,
        )  # fmt: skip

    def _draw_devices(
        self, mapping: LayerMapping, matrix: NDArray[np.int8], read: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        devices = []
        for line, sign in enumerate((1, -1)):
            programmed = program_layer(
                matrix == sign,
                self.model.statistics,
                verify=self.model.verify,
                rng=self._rng(mapping.name, 2, line, read),
            )
            devices.append(programmed.ln_ohm)
            if read == 0:
                self.writes += programmed.writes
                self.failed += programmed.failed
        return devices[0], devices[1]

    def read(
        self, surface: ReadSurface | EngineReads, *, number: int = 0, age_s: float = 0.0
    ) -> ChipRead:
        """Read every weight once through the sense decision of `surface`, or of the engine itself.

        `number` names the read: the same number gives the same noise. `age_s` since programming.
        A sense whose waveform the engine did not find is counted so, and its weight read as 0.
        """
        if isinstance(surface, ReadSurface) and surface.gains.shape[0] != len(self.sites):
            raise InputError(
                f"the surface has {surface.gains.shape[0]} varying parameters, the chip's circuit "
                f"{len(self.sites)}"
            )
        counts = np.zeros((3, 4), dtype=np.int64)
        weights = {}
        for layer in self._layers:
            read = self._read_layer(layer, surface, number, age_s)
            pair = 4 * (layer.written.astype(np.int64) + 1) + read + 1
            counts += np.bincount(pair.ravel(), minlength=12).reshape(3, 4)
            read[read == _UNCONVERGED] = 0
            name = layer.mapping.name
            if name in self._binary:
                open_ = np.flatnonzero(read.ravel() == 0)
                signs = self._rng(name, 3, number).integers(0, 2, len(open_), dtype=np.int8)
                read.ravel()[open_] = 2 * signs - 1
            weights[name] = read.reshape(layer.mapping.shape)
        return ChipRead(weights=weights, statistics=ErrorStatistics(counts=counts))

    def resistances_ln(
        self, name: str, *, number: int = 0, age_s: float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """ln R (outputs, inputs) of a layer's devices on BL and BLB, as a read finds them."""
        layer = next(found for found in self._layers if found.mapping.name == name)
        return self._resistances(layer, number, age_s)

    def mismatch(self, name: str) -> NDArray[np.float32]:
        """Every varying parameter of each synapse and its amplifier, (outputs, inputs, sites).

        The surface knows one parameter of each access transistor, the one that matters most; the
        others are filled with deviates here, so that an engine can check that they do not matter.
        """
        layer = next(found for found in self._layers if found.mapping.name == name)
        return np.concatenate([part for _, part in self._mismatch(layer)])

    def _mismatch(self, layer: _Layer) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """`mismatch`, some outputs at a time: that of all would fill the memory."""
        outputs, inputs = layer.written.shape
        rows = 1 if self.model.amplifiers == "own" else self.model.array.rows
        block = np.arange(inputs) // rows
        rng = self._rng(layer.mapping.name, 4)
        step = max(1, _SENSES_AT_ONCE // inputs)
        for start in range(0, outputs, step):
            some = slice(start, min(start + step, outputs))
            shape = (some.stop - start, inputs, len(self.sites))
            full = rng.standard_normal(shape, dtype=np.float32)
            full[..., self._columns] = layer.amplifiers[some][:, block]
            if self.model.amplifiers == "none":
                full[:] = 0.0
            for number, site in enumerate(self._access_sites()):
                full[..., site] = layer.access[number, some]
            yield some, full

    def _access_sites(self) -> list[int]:
        """For each access transistor the site that the surface uses: its oxide, drawn first."""
        first: dict[str, int] = {}
        for index, site in enumerate(self.sites):
            first.setdefault(site.transistor, index)
        return [first[name] for name in self.model.circuit.access if name in first]

    def _resistances(
        self, layer: _Layer, number: int, age_s: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        model, name = self.model, layer.mapping.name
        bl, blb = layer.bl_ln, layer.blb_ln
        if model.devices == "redrawn" and number:
            bl, blb = self._draw_devices(layer.mapping, layer.written, number)
        if age_s:
            if model.retention is None:
                raise InputError(f"age_s = {age_s:g}: the chip model has no retention")
            rng = self._rng(name, 5)
            bl, blb = (
                np.log(model.retention.aged(np.exp(ln.astype(float)), age_s=age_s, rng=rng)).astype(
                    np.float32
                )
                for ln in (bl, blb)
            )
        if model.read_noise_ln:
            rng = self._rng(name, 6, number)
            noise = np.float32(model.read_noise_ln)
            bl, blb = (
                ln + noise * rng.standard_normal(ln.shape, dtype=np.float32) for ln in (bl, blb)
            )
        return bl, blb

    def _read_layer(
        self, layer: _Layer, surface: ReadSurface | EngineReads, number: int, age_s: float
    ) -> NDArray[np.int8]:
        bl, blb = self._resistances(layer, number, age_s)
        read = np.empty(layer.written.shape, dtype=np.int8)
        if isinstance(surface, EngineReads):
            for some, mismatch in self._mismatch(layer):
                outcome = surface.sense(
                    SenseSamples(
                        r_bl_ohm=np.exp(bl[some].ravel().astype(float)),
                        r_blb_ohm=np.exp(blb[some].ravel().astype(float)),
                        mismatch=mismatch.reshape(-1, len(self.sites)).astype(float),
                    )
                )
                found = np.where(outcome.converged, outcome.read, _UNCONVERGED)
                read[some] = found.reshape(read[some].shape)
            return read
        gains = surface.gains[self._columns]
        mirrored = surface.gains[surface.mirror[self._columns]]
        own = other = np.zeros(surface.gains.shape[1])
        access = self._access_sites()
        if access:
            own, other = surface.gains[access[0]], surface.gains[access[1]]
        decide(
            bl, blb, 1 if self.model.amplifiers == "own" else self.model.array.rows,
            layer.amplifiers @ gains, layer.amplifiers @ mirrored, own, other, layer.access,
            surface.table, (surface.low_ln, 1.0 / surface.step_ln), read,
        )  # fmt: skip
        return read
