"""How long senses and inferences take.

Back to back, the recharge after a sense is the precharge of the next, so a sense takes its window
and one precharge; the first of all waits for one precharge more. The logic works while the bit
lines charge: its slowest gate, a full adder, takes 28 ns at 1.0 V beside 300 ns of precharge, so it
adds nothing down to there (101 ns at 0.9 V still fit).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rramsim.circuits import Column
from rramsim.costs.inference import DataFlow

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["inference_latency_s", "sense_cycles", "sense_time_s"]


def sense_time_s(column: Column, window_s: float) -> float:
    """Time from one sense to the next, in second.

    >>> round(sense_time_s(Column(), 50e-9) * 1e9)
    350
    """
    return column.precharge_s + window_s


def sense_cycles(
    census: "Sequence[LayerCensus]", *, flow: DataFlow, rows: int = 32, columns: int = 32
) -> int:
    """Sense cycles of one image. One array senses at a time, all its columns at once.

    In `parallel` all arrays of a layer sense together: the rows of one array, at each position.
    """
    total = 0
    for layer in census:
        if flow == "parallel":
            total += min(layer.inputs, rows) * layer.positions
            continue
        repeats = {"once": 1, "per_row": layer.output_rows, "per_use": layer.positions}[flow]
        total += layer.inputs * -(-layer.outputs // columns) * repeats
    return total


def inference_latency_s(
    census: "Sequence[LayerCensus]", *, flow: DataFlow, column: Column, window_s: float,
    columns: int = 32,
) -> float:  # fmt: skip
    """Time of one image's senses, layer after layer, in second."""
    cycles = sense_cycles(census, flow=flow, rows=column.rows, columns=columns)
    return column.precharge_s + cycles * sense_time_s(column, window_s)
