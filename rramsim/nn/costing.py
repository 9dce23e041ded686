"""What one inference of a converted model costs."""

from pathlib import Path

import pandas as pd
import xarray as xr
from torch import Tensor, nn

from rramsim.circuits import Column
from rramsim.costs import DATA_FLOWS, GATES_FILE, cost_row, read_gates, sense_energy_at
from rramsim.networks import layer_census
from rramsim.nn.sources import dataset_of, selected

__all__ = ["costs"]


def costs(
    model: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    source: str | Path | xr.Dataset,
    *,
    vdd_v: float | None = None,
    column: Column = Column(),  # noqa: B008 - frozen
) -> pd.DataFrame:
    """Energy, latency and area of one inference (one element of the example's batch).

    One row for each supply of the sweep (or the one of `vdd_v`) and each data flow; columns as
    `rramsim.costs.COST_COLUMNS`, in joule, second and square metre. `example` is a batch of inputs:
    sequences and images alike; bits and zeros of the activations are taken from it. Reads are
    simulated, logic is counted from gates simulated in SKY130, buffers are estimates.
    """
    dataset, census, gates = (
        dataset_of(source),
        layer_census(model, example),
        read_gates(GATES_FILE),
    )
    return pd.DataFrame(
        {"vdd_v": at.vdd_v, "flow": flow}
        | cost_row(
            census, sense_energy_at(dataset, at), flow=flow, column=column, vdd_v=at.vdd_v,
            window_s=at.window_s, gates=gates,
        )
        for at in selected(dataset, vdd_v=vdd_v)
        for flow in DATA_FLOWS
    )  # fmt: skip
