"""Accuracy against the supply, and energy against accuracy."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["accuracy_figure", "energy_accuracy_figure"]

_MARKERS = "osd^vPX"


def _first_conditions(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows at the first temperature, corner and window, and a text that says so."""
    first = table.iloc[0]
    keys = ("temperature_c", "corner", "window_s")
    same = np.logical_and.reduce([table[key] == first[key] for key in keys])
    text = f"{first.temperature_c:g} °C, {first.corner}, window {first.window_s * 1e9:g} ns"
    return table[same], text


def _label(name: str, rows: pd.DataFrame) -> str:
    injected = rows.trained_with_errors.iloc[0]
    return name if injected == "none" else f"{name}, trained with errors of {injected} V"


def _caption(table: pd.DataFrame, conditions: str) -> list[str]:
    return [
        f"{table.data.iloc[0]}; simulated read errors, {conditions}; "
        f"mean of {table.draws.iloc[0]} draws, 95 % intervals"
    ]


def accuracy_figure(table: pd.DataFrame) -> Figure:
    """Test accuracy with read errors against VDD, one line a network; dashes: without errors.

    `table` has the columns of `rramsim.costs.TRADEOFF_COLUMNS`.
    """
    table, conditions = _first_conditions(table)
    figure, (ax,) = new_figure(width=6.4, height=4.0)
    groups = table.groupby(["network", "trained_with_errors"], sort=False)
    for index, ((name, _), rows) in enumerate(groups):
        colour = COLOURS[index % len(COLOURS)]
        rows = rows.sort_values("vdd_v")
        value = 100 * rows.accuracy
        ax.errorbar(
            rows.vdd_v, value,
            yerr=[value - 100 * rows.accuracy_low, 100 * rows.accuracy_high - value],
            fmt=f"-{_MARKERS[index % len(_MARKERS)]}", ms=4, color=colour, capsize=2,
            label=_label(str(name), rows),
        )  # fmt: skip
        ax.axhline(100 * rows.accuracy_without_errors.iloc[0], color=colour, ls="--", lw=0.9)
    ax.set(xlabel="supply VDD (V)", ylabel="test accuracy (%)")
    legend(ax, title="dashed: without read errors")
    note(figure, _caption(table, conditions))
    return figure


def energy_accuracy_figure(table: pd.DataFrame) -> Figure:
    """Energy of an image's senses against accuracy; left: weights read once, right: per use."""
    table, conditions = _first_conditions(table)
    figure, axes = new_figure(columns=2, width=9.0, height=4.0)
    flows = (
        ("once", 1e9, "energy of weight reads (nJ per image)", "each weight read once per image"),
        ("per_use", 1e6, "energy of weight reads (µJ per image)", "each weight read for every use"),
    )
    groups = list(table.groupby(["network", "trained_with_errors"], sort=False))
    for ax, (flow, scale, xlabel, title) in zip(axes, flows, strict=True):
        for index, ((name, _), rows) in enumerate(groups):
            rows = rows.sort_values("vdd_v")
            energy = scale * rows[f"energy_{flow}_j"]
            value = 100 * rows.accuracy
            ax.errorbar(
                energy, value,
                xerr=[
                    energy - scale * rows[f"energy_{flow}_low_j"],
                    scale * rows[f"energy_{flow}_high_j"] - energy,
                ],
                yerr=[value - 100 * rows.accuracy_low, 100 * rows.accuracy_high - value],
                fmt=f"-{_MARKERS[index % len(_MARKERS)]}", ms=4, lw=1.0,
                color=COLOURS[index % len(COLOURS)], capsize=2, label=_label(str(name), rows),
            )  # fmt: skip
            for x, y, vdd_v in zip(energy, value, rows.vdd_v, strict=True):
                # Neighbouring lines are labelled on different sides.
                at = (4, -9) if index % 2 else (-4, 6)
                ax.annotate(
                    f"{vdd_v:g} V", (x, y), xytext=at, textcoords="offset points", fontsize=6.5,
                    ha="left" if index % 2 else "right",
                )  # fmt: skip
        ax.set(xlabel=xlabel, ylabel="test accuracy (%)", title=title)
    legend(axes[0])
    note(figure, _caption(table, conditions))
    return figure
