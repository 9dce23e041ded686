"""A point of the trade-off: one network under one set of conditions, its accuracy and its costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.costs.breakdown import cost_row, with_places
from rramsim.costs.gates import GATES_FILE, GateTable, read_gates
from rramsim.costs.inference import DATA_FLOWS, SenseEnergy, inference_energy, sense_energy_at
from rramsim.costs.losses import accuracy_loss, mean_accuracy
from rramsim.counting import ErrorStatistics, FoundRate, conditions_of, statistics_at
from rramsim.processes import Process
from rramsim.records import TradeoffRow

if TYPE_CHECKING:
    from torch import nn

    from rramsim.learning import ImageData
    from rramsim.networks import LayerCensus, ModuleSpec, NetworkSpec, WeightErrors

_SHARED = (
    "network", "width", "weights", "trained_with_errors", "data", "vdd_v", "temperature_c",
    "corner", "window_s", "limited_by_samples", "accuracy", "accuracy_low", "accuracy_high",
    "accuracy_without_errors",
)  # fmt: skip
"""Columns of the trade-off that a row of the costs repeats."""
_CENSUS_IMAGES = 64
"""Test images that show what the activations are: their bits, and how many are 0."""


class Described(Protocol):
    """What names a network in a table: a `NetworkSpec`, or anybody else's model."""

    @property
    def name(self) -> str:
        """What figures call it."""

    @property
    def architecture(self) -> str:
        """Its form."""

    @property
    def width(self) -> int:
        """Channels of its first layer."""

    @property
    def weights(self) -> str:
        """Their levels."""

    @property
    def activations(self) -> str:
        """Their levels."""


def census_on(network: "nn.Module", data: "ImageData") -> "tuple[LayerCensus, ...]":
    """The layers of a network as the first test images go through it."""
    import torch

    from rramsim.networks import layer_census

    return layer_census(network, torch.from_numpy(data.test_images[:_CENSUS_IMAGES]))


@dataclass(frozen=True, kw_only=True, eq=False)
class TestedNetwork:
    """A network as the trade-off sees it; `trained_with`: the supply whose errors it was trained
    with, or "none"."""

    spec: "NetworkSpec | ModuleSpec"
    network: "nn.Module"
    trained_with: str = "none"


def tradeoff_tables(
    networks: Sequence[TestedNetwork],
    dataset: xr.Dataset,
    data: "ImageData",
    *,
    circuit: SenseCircuit,
    right: "Callable[[TestedNetwork, WeightErrors | None, int], NDArray[np.bool_]]",
    draws: int | Callable[[TestedNetwork, SenseConditions], int],
    seed: int,
    found: Callable[[SenseConditions], Mapping[str, FoundRate]] = lambda conditions: {},
    adapted_with: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trade-off of networks under every set of conditions, and its costs part by part.

    `right` says which test images a network classifies right with one draw of read errors. Each
    draw draws the error rates from what the counts leave open, then the errors: so the spread
    between draws holds what is not known of the rates. `found` gives the rates of error types that
    counting saw too little of; without it an error never seen is drawn from its prior. `draws`
    may differ from point to point. `adapted_with`: inferences that `right` spends on adapting to
    each draw. `report` gets the tests done and in all.
    """
    from rramsim.networks import errors_of_statistics

    conditions = conditions_of(dataset)
    gates = gates_of_process(circuit.process)
    many = draws if callable(draws) else lambda one, condition: draws
    total = sum(1 + sum(many(one, at) for at in conditions) for one in networks)
    done = 0
    rates = {condition: found(condition) for condition in conditions}
    rows: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    for one in networks:
        census = census_on(one.network, data)
        clean = right(one, None, 0)
        report(done := done + 1, total)
        for condition in conditions:
            statistics = statistics_at(dataset, condition)
            noisy = []
            for draw in range(many(one, condition)):
                rng = np.random.default_rng([seed, draw])
                errors = errors_of_statistics(
                    statistics, one.spec.weights, rng=rng, found=rates[condition]
                )
                noisy.append(right(one, errors, draw))
                report(done := done + 1, total)
            sense = sense_energy_at(dataset, condition)
            row = tradeoff_row(
                spec=one.spec,
                trained_with=one.trained_with,
                data=data.label,
                conditions=condition,
                statistics=statistics,
                engine=dataset.attrs["engine"],
                found=rates[condition],
                sense=sense,
                census=census,
                clean=clean,
                noisy=np.array(noisy),
                adapted_with=adapted_with,
            )
            rows.append(row)
            costs += cost_rows(row, census, sense, circuit=circuit, gates=gates)
    return pd.DataFrame(rows, columns=list(TradeoffRow.model_fields)), with_places(
        pd.DataFrame(costs)
    )


def tradeoff_row(
    *,
    spec: Described,
    trained_with: str,
    data: str,
    conditions: SenseConditions,
    statistics: ErrorStatistics,
    engine: str,
    found: Mapping[str, FoundRate] | None = None,
    sense: SenseEnergy,
    census: "Sequence[LayerCensus]",
    clean: NDArray[np.bool_],
    noisy: NDArray[np.bool_],
    adapted_with: int = 0,
) -> dict[str, Any]:
    """A row of `TradeoffRow`.

    `clean`, shape (images,): which images are right without read errors; `noisy`, shape (draws,
    images): with each draw of them. `data` names the images, `engine` what counted the
    `statistics`, `trained_with` the supply whose errors were injected in training ("none"),
    `adapted_with` the inferences spent on each chip before. Raises `InputError` for shapes that do
    not fit.
    """
    draws, images = noisy.shape
    mean = mean_accuracy([int(right.sum()) for right in noisy], images=images)
    loss = accuracy_loss(clean, noisy)
    row = {
        "network": spec.name,
        "architecture": spec.architecture,
        "width": spec.width,
        "weights": spec.weights,
        "activations": spec.activations,
        "trained_with_errors": trained_with,
        "data": data,
        "vdd_v": conditions.vdd_v,
        "temperature_c": conditions.temperature_c,
        "corner": conditions.corner,
        "window_s": conditions.window_s,
        **_rates(statistics, found or {}, weights=spec.weights, engine=engine),
        "accuracy": mean.value,
        "accuracy_low": mean.low,
        "accuracy_high": mean.high,
        "accuracy_without_errors": float(clean.mean()),
        "draws": draws,
        "images": images,
        "loss": loss.value,
        "loss_low": loss.low,
        "loss_high": loss.high,
        "loss_deviation": loss.deviation,
        "loss_image_error": loss.image_error,
    }
    for flow in ("once", "per_use"):
        energy = inference_energy(census, sense, flow=flow)
        row[f"energy_{flow}_j"] = energy.value_j
        row[f"energy_{flow}_low_j"] = energy.low_j
        row[f"energy_{flow}_high_j"] = energy.high_j
    row["adaptation_images"] = adapted_with
    row["adaptation_j"] = adapted_with * row["energy_per_use_j"]
    return row


def _rates(
    statistics: ErrorStatistics, found: Mapping[str, FoundRate], *, weights: str, engine: str
) -> dict[str, Any]:
    """The rates of the error types, how each was found, and whether one is a prior's."""
    counted = {name: getattr(statistics, name) for name in ("type1", "type2", "type3", "binary")}
    values = {name: rate.value for name, rate in counted.items()}
    values |= {name: one.value for name, one in found.items()}
    if found:  # of two sources: where all are read as 0, their sum may pass 1
        values["binary"] = min(1.0, max(values["binary"], values["type1"] + values["type2"]))
    kinds = ("type1", "type2", "type3")
    by = {name: found[name].by if name in found else f"counted, {engine}" for name in kinds}
    texts = [f"{name}: {by[name]}" for name in kinds]
    # Binary weights hold no 0 that could be read as +1 or -1.
    drawn = kinds[:2] if weights == "binary" else kinds
    unseen = [n for n in drawn if n not in found and not counted[n].events]
    return values | {"rates_by": "; ".join(texts), "limited_by_samples": bool(unseen)}


def cost_rows(
    row: dict[str, Any],
    census: "Sequence[LayerCensus]",
    sense: SenseEnergy,
    *,
    circuit: SenseCircuit,
    gates: GateTable | None,
) -> list[dict[str, Any]]:
    """What a row of the trade-off costs, a row for each data flow."""
    shared = {name: row[name] for name in _SHARED}
    return [
        {**shared, "flow": flow}
        | cost_row(
            census, sense, flow=flow, circuit=circuit,
            vdd_v=row["vdd_v"], window_s=row["window_s"], gates=gates,
        )
        for flow in DATA_FLOWS
    ]  # fmt: skip


def gates_of_process(process: Process) -> GateTable | None:
    """The gates' constants, if they were simulated in this process."""
    table = read_gates(GATES_FILE)
    return table if table.provenance.get("process_sha256") == process.sha256 else None
