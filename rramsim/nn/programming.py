"""A converted model on one virtual chip."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from rramsim.chips import Chip, ChipModel, ChipRead, EngineReads, ReadSurface, read_decision
from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.devices import DeviceStatistics, ResistanceModel
from rramsim.engines import BatchEngine
from rramsim.networks import binary_layers, written_weights
from rramsim.nn.sources import read_errors
from rramsim.processes import load_process

__all__ = ["ProgrammedChip", "program"]


class ProgrammedChip:
    """A model's weights on one chip: devices and amplifiers drawn once, reads at any supply.

    `chip` is the chip itself: its mapping on arrays, programming pulses, resistances.
    """

    def __init__(self, model: nn.Module, chip: Chip, *, points: int) -> None:
        self._model, self.chip, self._points = model, chip, points
        self._surfaces: dict[SenseConditions, ReadSurface | EngineReads] = {}

    def __repr__(self) -> str:
        """The layers on it, with their weights, and the pulses that wrote them."""
        layers = {name: value.size for name, value in written_weights(self._model).items()}
        pulses = f"pulses={self.chip.writes}, failed={self.chip.failed}"
        return f"ProgrammedChip(weights={layers}, {pulses})"

    def read(self, *, vdd_v: float, number: int = 0, age_s: float = 0.0) -> ChipRead:
        """Every weight as the chip reads it at a supply; `number` names the read."""
        conditions = SenseConditions(vdd_v=vdd_v)
        if conditions not in self._surfaces:
            model = self.chip.model
            self._surfaces[conditions] = read_decision(
                BatchEngine(), model.circuit, conditions, model.statistics.resistances,
                points=self._points,
            )  # fmt: skip
        return self.chip.read(self._surfaces[conditions], number=number, age_s=age_s)

    @contextmanager
    def reading(self, *, vdd_v: float, number: int = 0, age_s: float = 0.0) -> Iterator[ChipRead]:
        """The model computes with what the chip reads inside the block."""
        read = self.read(vdd_v=vdd_v, number=number, age_s=age_s)
        with read_errors(self._model, read):
            yield read


def program(
    model: nn.Module, chips: ChipModel | None = None, *, seed: int = 0, points: int = 600
) -> ProgrammedChip:
    """Program a converted model's weights as they are now on one chip.

    `chips` says what chips have in common; None: the shipped amplifier, the default devices
    (`ResistanceModel`), arrays of 32 x 32, no verify. `points`: resistances that each supply's
    read surface is fitted to, about 12 senses each; near the lowest supply, where none serves,
    every synapse is sensed (`rramsim.chips.read_decision`).
    """
    if chips is None:
        chips = ChipModel(
            circuit=sense_circuit(process=load_process("sky130-5v")),
            statistics=DeviceStatistics(resistances=ResistanceModel()),
        )
    chip = Chip(chips, written_weights(model), seed=seed, binary=binary_layers(model))
    return ProgrammedChip(model, chip, points=points)
