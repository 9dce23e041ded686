"""The front of energy and accuracy, and energy efficiency beside what was published."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, new_figure, note

if TYPE_CHECKING:
    from rramsim.costs import Anchor

__all__ = ["front_figure"]

_MARKERS = "osd^vPX"

_WORKING_LOSS = 0.05
"""A network that loses more than this to read errors has no efficiency worth drawing."""


def _plain(value: float, position: float) -> str:
    return f"{value:g}"


def _plain_if_round(value: float, position: float) -> str:
    """Label 2 and 5 between the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _working(rows: pd.DataFrame) -> pd.DataFrame:
    """Each supply's cheapest window at which the network still works."""
    works = rows[rows.accuracy > rows.accuracy_without_errors - _WORKING_LOSS]
    return works.sort_values("total_j").drop_duplicates("vdd_v").sort_values("vdd_v")


def front_figure(
    costs: pd.DataFrame, *, flow: str = "per_use", anchors: "Sequence[Anchor]" = ()
) -> Figure:
    """Left: total energy of an image against accuracy, every design at the first temperature and
    corner, with 95 % intervals; the front as a line; other memories for the same networks.
    Right: TOPS/W against the supply, where at most 5 points of accuracy are lost, with published
    anchors.

    `costs` holds the columns of `costs.csv`.
    """
    first = costs.iloc[0]
    rows = costs[
        (costs.flow == flow)
        & (costs.temperature_c == first.temperature_c)
        & (costs.corner == first.corner)
        & costs.total_j.notna()
    ]
    figure, (front, efficiency) = new_figure(columns=2, width=10.5, height=4.4)
    groups = rows.groupby(["network", "trained_with_errors"], sort=False)
    for index, ((name, injected), mine) in enumerate(groups):
        colour, marker = COLOURS[index % len(COLOURS)], _MARKERS[index % len(_MARKERS)]
        label = str(name) if injected == "none" else f"{name}, errors of {injected} V"
        value, energy = 100 * mine.accuracy, 1e6 * mine.total_j
        front.errorbar(
            energy, value,
            xerr=[energy - 1e6 * mine.total_low_j, 1e6 * mine.total_high_j - energy],
            yerr=[value - 100 * mine.accuracy_low, 100 * mine.accuracy_high - value],
            fmt=marker, ms=3.5, lw=0.8, color=colour, capsize=1.5, label=label, alpha=0.8,
        )  # fmt: skip
        # The other memories read without errors, at the supply nearest to 1.2 V.
        near = mine.iloc[int((mine.vdd_v - 1.2).abs().argmin())]
        for column, shape in (("secded_total_j", "+"), ("sram_total_j", "x")):
            front.plot(
                1e6 * near[column], 100 * near.accuracy_without_errors, shape, color=colour, ms=7
            )
        by_supply = _working(mine)
        efficiency.plot(
            by_supply.vdd_v, by_supply.tops_per_w, f"-{marker}", ms=4, color=colour, label=label
        )
    best = rows[rows.place == "front"].sort_values("total_j")
    front.step(
        1e6 * best.total_j, 100 * best.accuracy, where="post",
        color="black", lw=1.0, zorder=0, label="front, with its supplies (V)",
    )  # fmt: skip
    for _, row in best[best.accuracy > best.accuracy_without_errors - _WORKING_LOSS].iterrows():
        front.annotate(
            f"{row.vdd_v:g}", (1e6 * row.total_j, 100 * row.accuracy),
            xytext=(0, 10), textcoords="offset points", ha="center", fontsize=6,
        )  # fmt: skip
    front.plot([], [], "+", color="black", label="1T1R with SECDED, 1.2 V (modelled)")
    front.plot([], [], "x", color="black", label="SRAM, 1.2 V (estimate)")
    front.set(xscale="log", xlabel="energy (µJ per image)", ylabel="test accuracy (%)")
    for anchor in anchors:
        if anchor.unit == "TOPS/W" and anchor.value < 20:
            efficiency.axhline(anchor.value, color="black", lw=0.9, ls="--")
            who, where = anchor.name.split(",")[0], anchor.conditions
            efficiency.set_title(
                f"dashed: {who}, {anchor.value:g} TOPS/W,\n{where} [{anchor.mark}]", fontsize=8
            )
    efficiency.set(xlabel="supply VDD (V)", ylabel="TOPS/W")
    efficiency.set_ylim(bottom=0)
    for axis in (front.xaxis, efficiency.yaxis):
        axis.set_major_formatter(_plain)
        axis.set_minor_formatter(_plain_if_round)
    figure.legend(
        *front.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7
    )
    legend_note = {
        "once": "each weight read once", "per_row": "each weight read once an output row",
        "per_use": "each weight read for every use", "parallel": "whole arrays in parallel",
    }[flow]  # fmt: skip
    note(
        figure,
        [
            f"{first.data}; {first.temperature_c:g} °C, {first.corner}; {legend_note}; reads "
            "simulated, logic from simulated gates, drivers and buffers estimated",
            "bars: 95 % intervals; right: the cheapest window that loses at most 5 points; "
            "[B]: believed, not re-read",
        ],
    )
    return figure
