"""Accuracy against the width of the network, by kind of weights."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["width_figure"]


def width_figure(table: pd.DataFrame) -> Figure:
    """Test accuracy without errors against width: means over seeds, bars of a standard deviation.

    `table` has a row a training, with the columns `network` ("vgg16-ternary-ternary"), `seed`,
    `epochs`, `test_accuracy` (0 to 1) and `data`. Widths that were trained for the fewest epochs
    are joined by a line; hollow points were trained for longer, as their label says.
    """
    names = table.network.str.extract(r"^[a-z]+(?P<width>\d+)-(?P<kind>.+)$")
    table = table.assign(width=names.width.astype(int), kind=names.kind)
    figure, (ax,) = new_figure(width=6.4, height=4.0)
    shortest = table.epochs.min()
    for index, (kind, mine) in enumerate(table.groupby("kind", sort=False)):
        colour, marker = COLOURS[index % len(COLOURS)], "osd^v"[index % 5]
        grouped = mine.assign(percent=100 * mine.test_accuracy).groupby(["epochs", "width"])
        found = grouped.percent.agg(["mean", "std", "count"]).reset_index()
        short = found[found.epochs == shortest].sort_values("width")
        ax.errorbar(
            short.width, short["mean"], yerr=short["std"].fillna(0.0), fmt=f"-{marker}", ms=5,
            capsize=2, color=colour, label=str(kind).replace("-", " weights, ") + " activations",
        )  # fmt: skip
        longer = found[found.epochs > shortest]
        for row in longer.itertuples():
            ax.plot(row.width, row.mean, marker, ms=6, mfc="none", color=colour)
            ax.annotate(
                f"{row.epochs} epochs", (row.width, row.mean), xytext=(6, -3 if index else 4),
                textcoords="offset points", fontsize=7, color=colour,
            )  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="width N (channels of the first convolution)", ylabel="test accuracy (%)")
    ax.margins(x=0.12)
    legend(ax)
    seeds = table[table.epochs == shortest].seed.nunique()
    note(
        figure,
        [
            f"{table.data.iloc[0]}; lines: {shortest} epochs, mean and standard deviation of "
            f"{seeds} seeds; hollow: longer, one seed"
        ],
    )
    return figure
