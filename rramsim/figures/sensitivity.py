"""What a read error comes from: importance factors by part, and the design point."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, new_figure, note
from rramsim.rare import PartSensitivity

__all__ = ["sensitivity_figure"]


def sensitivity_figure(
    parts: Sequence[PartSensitivity], *, title: str, source: str, most: int = 9
) -> Figure:
    """Bars of the importance factors (left) and the parameters' way to the failure (right)."""
    shown = list(parts)[:most]
    height = 1.6 + 0.27 * max(len(shown), 6)
    figure, (left, right) = new_figure(columns=2, width=7.6, height=height)
    place = np.arange(len(shown))[::-1]
    left.barh(place, [100 * part.importance for part in shown], color=COLOURS[0], height=0.7)
    for y, part in zip(place, shown, strict=True):
        left.text(100 * part.importance + 1, y, f"{100 * part.importance:.1f} %", va="center")
    left.set_yticks(place, [_short(part.part) for part in shown])
    left.set(xlabel="importance factor (%)", xlim=(0, 118), title="share of the way to failure")
    left.grid(visible=False, axis="y")

    rows = [
        (f"{_short(part.part)}: {name}", design, mean, error)
        for part in shown
        for name, design, mean, error in part.parameters
    ]
    rows = sorted(rows, key=lambda row: -abs(row[1]))[:most]
    place = np.arange(len(rows))[::-1]
    designs, means, errors = (np.array([row[i] for row in rows]) for i in (1, 2, 3))
    right.barh(place, designs, color=COLOURS[5], height=0.7, label="design point")
    right.errorbar(
        means, place, xerr=1.96 * errors, fmt="o", ms=3.5, color=COLOURS[6], capsize=2,
        label="mean of failures, 95 %",
    )  # fmt: skip
    right.axvline(0, color="black", lw=0.8)
    right.set_yticks(place, [row[0] for row in rows])
    right.set(xlabel="off its mean by (σ)", title="where the failure lies")
    right.grid(visible=False, axis="y")
    right.legend(loc="lower left", fontsize=7)
    figure.suptitle(title, fontsize=9.5)
    note(figure, [source])
    return figure


def _short(part: str) -> str:
    """A transistor's name without its subcircuit's."""
    _, _, last = part.rpartition("_")
    return last.upper() if "_" in part else part
