"""The accuracy of chips beside that of independent errors."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, new_figure, note

__all__ = ["KIND_LABELS", "chips_figure"]

KIND_LABELS = {
    "chip": "chips: frozen devices, one amplifier a column",
    "own": "chips with an amplifier of its own for every synapse",
    "iid": "independent errors at the chips' mean rates",
}


def chips_figure(table: pd.DataFrame, *, conditions: str) -> Figure:
    """Share of chips at or below an accuracy, one panel a network; dashes: without errors.

    `table`: a row a chip, with network, kind, accuracy, accuracy_without_errors, data, images.
    """
    names = list(dict.fromkeys(table.network))
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure, axes = new_figure(rows=rows, columns=columns, width=4.6 * columns, height=3.4 * rows)
    for ax, name in zip(axes, names, strict=False):
        mine = table[table.network == name]
        for index, kind in enumerate(KIND_LABELS):
            values = 100 * np.sort(mine.accuracy[mine.kind == kind].to_numpy())
            if not len(values):
                continue
            share = np.arange(1, len(values) + 1) / len(values)
            ax.step(
                values, share, where="post", color=COLOURS[index], lw=1.4,
                label=f"{KIND_LABELS[kind]}\n{values.mean():.2f} ± {values.std(ddof=1):.2f} %",
            )  # fmt: skip
        clean = 100 * mine.accuracy_without_errors.iloc[0]
        ax.axvline(clean, color="#555555", ls="--", lw=0.9, label=f"no errors: {clean:.2f} %")
        ax.set(
            title=name, xlabel="test accuracy (%)", ylabel="share of chips at or below", ylim=(0, 1)
        )
        ax.legend(fontsize=6.5, loc="upper left")
    for ax in axes[len(names) :]:
        ax.remove()
    first = table.iloc[0]
    count = int((table.kind == "chip").sum() / len(names))
    note(
        figure,
        [
            f"{first.data}, {first.images} test images; {count} chips of each kind, simulated;",
            f"{conditions}; mean ± deviation between chips",
        ],
    )
    return figure
