"""A converted model tested: at every supply with intervals, on one virtual chip, at what cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from rramsim.chips import Chip, ChipModel, ChipRead, EngineReads, ReadSurface, read_decision
from rramsim.circuits import SenseCircuit, SenseConditions, sense_circuit
from rramsim.costs import (
    DATA_FLOWS,
    accuracy_loss,
    cost_row,
    gates_of_process,
    sense_energy_at,
    tradeoff_row,
)
from rramsim.counting import statistics_at
from rramsim.devices import DeviceStatistics, ResistanceModel
from rramsim.engines import BatchEngine
from rramsim.exceptions import InputError
from rramsim.learning import classified_right
from rramsim.learning.adaptation import labelled
from rramsim.networks import (
    binary_layers,
    errors_of_statistics,
    layer_census,
    quantised_layers,
    set_weight_errors,
    written_weights,
)
from rramsim.nn.sources import dataset_of, read_errors, selected
from rramsim.processes import load_process

_CENSUS_INPUTS = 64


@contextmanager
def without_quantisers(model: nn.Module) -> Iterator[None]:
    """Inside the block the model computes with its full-precision weights."""
    readers = list(quantised_layers(model).values())
    for reader in readers:
        reader.enabled = False
    try:
        yield
    finally:
        for reader in readers:
            reader.enabled = True


def test(
    model: nn.Module,
    source: str | Path | xr.Dataset,
    inputs: Tensor,
    labels: Tensor,
    *,
    draws: int = 4,
    seed: int = 0,
    name: str | None = None,
    batch: int = 250,
) -> pd.DataFrame:
    """Test a converted classifier with the read errors of every supply of a sweep.

    `inputs` (N, ...) and `labels` (N,) are the test set. Each draw freezes rates (drawn from what
    the counts leave open) and errors, as one chip of independent errors has them. One row a supply,
    columns as `rramsim.costs.TRADEOFF_COLUMNS`: accuracy with its 95 % interval, its loss on the
    same inputs, energies of the weight reads in joule; and more: `accuracy_full_precision`
    without any quantiser and `quantiser_loss` with `quantiser_loss_low` and `_high`, what the
    quantisers alone cost. The model is left as it was. Raises `InputError` if it has no converted
    layer or the inputs and labels do not fit.
    """
    if draws < 1:
        raise InputError(f"draws = {draws}: must be 1 or above")
    inputs, labels, _ = labelled(inputs, labels)
    dataset = dataset_of(source)
    readers = quantised_layers(model)
    census = layer_census(model, inputs[:_CENSUS_INPUTS])
    kinds = {reader.quantiser.kind for reader in readers.values()}
    spec = _Named(
        name=name or type(model).__name__,
        architecture=type(model).__name__,
        width=census[0].outputs,
        weights=next(iter(kinds)) if len(kinds) == 1 else "mixed",
        activations="own",
    )
    before = {reader: reader.attached for reader in readers.values()}
    rows = []
    try:
        set_weight_errors(model, None)
        clean = classified_right(model, inputs, labels, batch=batch)
        full = clean
        if not all(torch.equal(r.latent, r.quantised_weight()) for r in readers.values()):
            with without_quantisers(model):
                full = classified_right(model, inputs, labels, batch=batch)
        alone = accuracy_loss(full, clean[None])
        quantiser = {
            "accuracy_full_precision": float(full.mean()),
            "quantiser_loss": alone.value,
            "quantiser_loss_low": alone.low,
            "quantiser_loss_high": alone.high,
        }
        for at in selected(dataset):
            statistics = statistics_at(dataset, at)
            noisy = []
            for draw in range(draws):
                rng = np.random.default_rng([seed, draw])
                models = {kind: errors_of_statistics(statistics, kind, rng=rng) for kind in kinds}
                errors = {key: models[reader.quantiser.kind] for key, reader in readers.items()}
                set_weight_errors(model, errors, seed=seed * 1_000_003 + draw, mode="frozen")
                noisy.append(classified_right(model, inputs, labels, batch=batch))
            row = tradeoff_row(
                spec=spec, trained_with="none", data=f"{len(labels)} inputs", conditions=at,
                engine=dataset.attrs.get("engine", "engine not recorded"), statistics=statistics,
                sense=sense_energy_at(dataset, at), census=census, clean=clean,
                noisy=np.array(noisy),
            )  # fmt: skip
            rows.append(row | quantiser)
    finally:
        for reader, attached in before.items():
            reader.attached = attached
    return pd.DataFrame(rows)


test.__test__ = False  # type: ignore[attr-defined] # pytest must not take it for one of its own


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What the trade-off's rows call a model that is none of ours."""

    name: str
    architecture: str
    width: int
    weights: str
    activations: str


def costs(
    model: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    source: str | Path | xr.Dataset,
    *,
    vdd_v: float | None = None,
    circuit: SenseCircuit | None = None,
) -> pd.DataFrame:
    """Energy, latency and area of one inference (one element of the example's batch).

    One row for each supply of the sweep (or the one of `vdd_v`) and each data flow; columns as
    `rramsim.costs.COST_COLUMNS`, in joule, second and square metre. `example` is a batch of inputs,
    images or sequences; bits and zeros of the activations are taken from it. `circuit` is the one
    that the sweep simulated, None for the shipped one. Reads are simulated, logic is counted from
    gates simulated in SKY130, buffers are estimates.
    """
    circuit = circuit or sense_circuit(process=load_process("sky130-5v"))
    dataset, census = dataset_of(source), layer_census(model, example)
    gates = gates_of_process(circuit.process)
    return pd.DataFrame(
        {"vdd_v": at.vdd_v, "flow": flow}
        | cost_row(
            census, sense_energy_at(dataset, at), flow=flow, circuit=circuit, vdd_v=at.vdd_v,
            window_s=at.window_s, gates=gates,
        )
        for at in selected(dataset, vdd_v=vdd_v)
        for flow in DATA_FLOWS
    )  # fmt: skip


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
