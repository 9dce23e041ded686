"""Error rates over supply, corner and temperature as maps."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from rramsim.figures.style import new_figure, note

__all__ = ["ber_map_figure"]

_FLOOR = 1e-9
_TITLES = {1: "type 1: sign flip", 2: "type 2: ±1 read as 0", 3: "type 3: 0 read as ±1"}


def ber_map_figure(table: pd.DataFrame) -> Figure:
    """A map for each error type and temperature: supply across, corners down, the rate as colour.

    `table` holds the columns of `ber_map.csv`; of several windows the shortest is drawn. Each field
    carries the rate's exponent; "<" stands for below 1e-9, "?" where the methods gave no answer.
    """
    table = table[table.window_s == table.window_s.min()]
    kinds, temperatures = sorted(table.type.unique()), sorted(table.temperature_c.unique())
    corners = list(dict.fromkeys(table.corner))
    supplies = sorted(table.vdd_v.unique())
    figure, axes = new_figure(
        rows=len(kinds), columns=len(temperatures),
        width=1.6 + 3.1 * len(temperatures), height=0.9 + (0.6 + 0.27 * len(corners)) * len(kinds),
    )  # fmt: skip
    norm = LogNorm(vmin=_FLOOR, vmax=1.0)
    for number, ax in enumerate(axes):
        kind = kinds[number // len(temperatures)]
        temperature = temperatures[number % len(temperatures)]
        mine = table[(table.type == kind) & (table.temperature_c == temperature)]
        rates = np.full((len(corners), len(supplies)), np.nan)
        for row in mine.itertuples():
            y, x = corners.index(row.corner), supplies.index(row.vdd_v)
            rates[y, x], text = _field(row)
            dark = np.isfinite(rates[y, x]) and norm(rates[y, x]) < 0.55
            ax.text(x, y, text, ha="center", va="center", fontsize=6,
                    color="white" if dark else "black")  # fmt: skip
        image = ax.imshow(rates, norm=norm, cmap="viridis", aspect="auto")
        ax.grid(False)
        ax.set_xticks(range(len(supplies)), [f"{v:g}" for v in supplies], fontsize=7, rotation=90)
        ax.set_yticks(range(len(corners)), corners, fontsize=8)
        ax.set_title(f"{_TITLES[kind]}, {temperature:g} °C", fontsize=8.5)
    for ax in axes[-len(temperatures) :]:
        ax.set_xlabel("supply VDD (V)", fontsize=8)
    figure.colorbar(image, ax=axes, label="error rate", shrink=0.8)
    first = table.iloc[0]
    unknown = int((~table.settled).sum())
    note(
        figure,
        [
            f"Simulated, {first.engine}, window {1e9 * first.window_s:g} ns. Numbers: power of "
            "ten; <: below 1e-9; ?: no answer, the methods disagree.",
            f"{len(table) - unknown} of {len(table)} rates are known to the error asked for or lie "
            "below 1e-9; intervals of all are in ber_map.csv.",
        ],
    )
    return figure


def _field(row: "tuple[object, ...]") -> tuple[float, str]:
    """The rate to colour and the text to write."""
    status, rate, high = (getattr(row, name) for name in ("status", "rate", "high"))
    if status == "refused":
        return np.nan, "?"
    if status == "bounded" or high < _FLOOR or rate < _FLOOR:
        return _FLOOR, "<"
    # Adding 0 takes the sign of a rounded -0.0.
    return float(rate), f"{round(float(np.log10(rate)), 1) + 0.0:.1f}".replace("-", "−")
