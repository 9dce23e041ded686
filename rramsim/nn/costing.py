"""What one inference of a converted model costs."""

from pathlib import Path

import pandas as pd
import xarray as xr
from torch import Tensor, nn

from rramsim.circuits import SenseCircuit, sense_circuit
from rramsim.costs import DATA_FLOWS, cost_row, gates_of_process, sense_energy_at
from rramsim.networks import layer_census
from rramsim.nn.sources import dataset_of, selected
from rramsim.processes import load_process

__all__ = ["costs"]


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
