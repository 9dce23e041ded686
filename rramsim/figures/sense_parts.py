"""Where a sense's energy goes, and how it follows C V^2."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, legend, new_figure, note

if TYPE_CHECKING:
    from rramsim.costs.sense_parts import SenseParts

__all__ = ["sense_parts_figure"]

_PARTS = (
    ("bit_lines_j", "bit lines"),
    ("outputs_j", "outputs"),
    ("latch_j", "latch"),
    ("clock_j", "clock (SEN)"),
    ("word_line_j", "word line"),
)


def sense_parts_figure(senses: Sequence[tuple[int, "SenseParts"]]) -> Figure:
    """Stacked parts against VDD, one panel for each written value of the pairs (written, parts).

    Line: the supply's energy, integrated from the sources alone. Crosses: C V dV of bit lines and
    outputs by their swings. Dashes: C V^2 with the capacitance that the highest supply shows.
    """
    written = sorted({w for w, _ in senses}, reverse=True)
    figure, axes = new_figure(columns=len(written), width=4.4 * len(written), height=3.8)
    for ax, value in zip(axes, written, strict=True):
        rows = sorted((p for w, p in senses if w == value), key=lambda p: p.vdd_v)
        vdd = np.array([row.vdd_v for row in rows])
        supply = np.array([row.supply_j for row in rows]) * 1e15
        width = 0.6 * min(np.diff(vdd), default=0.1)
        bottom = np.zeros(len(rows))
        for (name, label), colour in zip(_PARTS, COLOURS, strict=False):
            height = np.array([getattr(row, name) for row in rows]) * 1e15
            ax.bar(vdd, height, width, bottom=bottom, color=colour, alpha=0.75, label=label)
            bottom += height
        ax.plot(vdd, supply, "-o", color="black", ms=4, lw=1, label="supply")
        swing = [row.swing_j * 1e15 for row in rows]
        ax.plot(vdd, swing, "x", color="black", ms=6, label="C V ΔV, by swings")
        ax.plot(vdd, supply[-1] * (vdd / vdd[-1]) ** 2, "--", color="#888888", label="∝ V²")
        pair = "LRS/HRS" if value else "HRS/HRS"
        ax.set(xlabel="supply VDD (V)", title=f"written {value:+d} ({pair})" if value else
               f"written 0 ({pair})", xticks=vdd)  # fmt: skip
    axes[0].set_ylabel("energy per sense cycle (fJ)")
    legend(axes[0], loc="upper left")
    note(figure, ["simulated, ngspice, no mismatch, 27 °C, tt; parts from ammeters at every pin"])
    return figure
