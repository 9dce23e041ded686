"""The boundary between 0 and +1/-1 against supply and temperature."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["boundary_figure"]

_AXES = {"vdd_v": ("supply (V)", 1.2, "V"), "temperature_c": ("temperature (°C)", 27.0, "°C")}


def boundary_figure(table: pd.DataFrame) -> Figure:
    """Draw `boundary.csv`: one panel for each axis that varies, one line for each corner.

    Lines are medians over the mismatch draws with 95 % intervals; the band holds 5 to 95 % of the
    draws (of the first corner). The other axis is at its value nearest to 1.2 V or 27 °C. Points
    where half the draws read no resistance as 0, or all, lie outside and are left out.
    """
    shown = [name for name in _AXES if table[name].nunique() > 1] or ["vdd_v"]
    figure, axes = new_figure(columns=len(shown), width=4.6 * len(shown), height=3.8)
    for ax, name in zip(axes, shown, strict=True):
        other = next(key for key in _AXES if key != name)
        wanted = _AXES[other][1]
        at = min(table[other].unique(), key=lambda value: abs(value - wanted))
        _panel(ax, table[table[other] == at], name)
        label = _AXES[other][2]
        ax.set_title(f"at {at:g} {label}")
    axes[0].set_ylabel("resistance of both devices (kΩ)")
    legend(axes[-1], title="corner")
    row = table.iloc[0]
    note(
        figure,
        [
            f"Simulated, {row['engine']}, {row['circuit']}: above the line two equal devices read 0"
            f" in a window of {1e9 * row['window_s']:g} ns.",
            f"Median of {int(table['draws'].max())} mismatch draws, bars: 95 % interval of the "
            "median; band: 5 to 95 % of the draws (first corner).",
        ],
    )
    return figure


def _panel(ax: Axes, table: pd.DataFrame, name: str) -> None:
    windows = table["window_s"].min()
    for number, (corner, rows) in enumerate(
        table[table["window_s"] == windows].groupby("corner", sort=False)
    ):
        rows = rows.sort_values(name)
        middle = rows["r50_ohm"].to_numpy() / 1e3
        middle[~(np.isfinite(middle) & (middle > 0))] = np.nan
        low = np.clip(rows["r50_low_ohm"].to_numpy() / 1e3, 0.1, None)
        high = np.clip(rows["r50_high_ohm"].to_numpy() / 1e3, None, 1e5)
        colour = COLOURS[number % len(COLOURS)]
        x = rows[name].to_numpy()
        errors = np.abs(np.stack([middle - low, high - middle]))
        ax.errorbar(
            x, middle, yerr=errors, fmt="o-", ms=3.5, lw=1.2, capsize=2, color=colour, label=corner
        )
        if number == 0:
            inner = np.clip(rows["r05_ohm"].to_numpy() / 1e3, 0.1, 1e5)
            outer = np.clip(rows["r95_ohm"].to_numpy() / 1e3, 0.1, 1e5)
            ax.fill_between(x, inner, outer, color=colour, alpha=0.15, lw=0)
    ax.set(yscale="log", xlabel=_AXES[name][0], ylim=(5, 300))
