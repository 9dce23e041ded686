"""Bit-error rates: against the supply, and as a table."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rramsim.circuits import SenseConditions
from rramsim.counting import READ_LABELS, ErrorStatistics, Rate
from rramsim.devices import WRITTEN
from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["error_rates_figure", "error_table_figure"]

Rows = Sequence[tuple[SenseConditions, ErrorStatistics]]
_TYPES = (
    ("type1", "type 1: sign flip", "o"),
    ("type2", "type 2: ±1 read as 0", "s"),
    ("type3", "type 3: 0 read as ±1", "^"),
)


def error_rates_figure(rows: Rows, *, source: str) -> Figure:
    """The three error rates against VDD with 95 % intervals; arrows are upper bounds."""
    figure, (ax,) = new_figure(width=5.6, height=3.8)
    vdd = np.array([conditions.vdd_v for conditions, _ in rows])
    for (name, label, marker), colour in zip(_TYPES, COLOURS, strict=False):
        rates: list[Rate] = [getattr(statistics, name) for _, statistics in rows]
        value = np.array([rate.value for rate in rates])
        low, high = np.array([(rate.low, rate.high) for rate in rates]).T
        seen = value > 0
        ax.errorbar(
            vdd[seen], value[seen], yerr=[(value - low)[seen], (high - value)[seen]],
            fmt=f"-{marker}", ms=4, color=colour, capsize=2, label=label,
        )  # fmt: skip
        ax.plot(vdd[~seen], high[~seen], marker=11, ls="", color=colour, ms=6)
    ax.set(yscale="log", xlabel="supply VDD (V)", ylabel="error rate", ylim=(None, 1.3))
    legend(ax)
    note(
        figure, [source, "bars: exact 95 % intervals; arrows: none seen, upper end of the interval"]
    )
    return figure


def error_table_figure(rows: Rows, *, source: str, most: int = 12) -> Figure:
    """Counts written x read for each set of conditions, errors shaded by their rate.

    With more than `most` sets, that many are shown, evenly chosen.
    """
    if len(rows) > most:
        chosen = np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))
        rows = [rows[index] for index in chosen]
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure, axes = new_figure(
        rows=lines, columns=columns, width=2.5 * columns + 0.6, height=1.95 * lines + 0.7
    )
    for ax in axes[len(rows) :]:
        ax.set_axis_off()
    for ax, (conditions, statistics) in zip(axes, rows, strict=False):
        counts = statistics.counts
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        wrong = share.copy()
        np.fill_diagonal(wrong, 0)
        ax.imshow(wrong, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(counts.shape):
            number = int(counts[row, column])
            text = f"{number}\n{100 * share[row, column]:.1f} %" if number else "0"
            bold = "bold" if row == column else "normal"
            colour = "white" if wrong[row, column] > 0.6 else "black"
            ax.text(
                column, row, text, ha="center", va="center", fontsize=7, weight=bold, color=colour
            )
        ax.set_xticks(range(4), ["−1", "0", "+1", "unconv."], fontsize=7)
        ax.set_yticks(range(3), [f"{w:+d}" if w else "0" for w in WRITTEN], fontsize=7)
        ax.set_title(conditions.label, fontsize=8)
        ax.grid(visible=False)
    assert len(READ_LABELS) == 4
    axes[0].set_ylabel("written", fontsize=8)
    note(figure, [f"columns: read; rows: written. {source}"])
    return figure
