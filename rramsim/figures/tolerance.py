"""Accuracy against the rate of each error type."""

import pandas as pd
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["tolerance_figure"]

_KINDS = {1: "type 1: sign flips", 2: "type 2: ±1 read as 0", 3: "type 3: 0 read as ±1"}


def tolerance_figure(table: pd.DataFrame, *, max_loss: float) -> Figure:
    """A panel a network: a colour for each error type, dashed where it was trained with errors.

    `table` holds the columns of `tolerance.csv`. Points are means over seeds, bars their lowest and
    highest; the thin line is `max_loss` points below the network trained and read without errors.
    """
    networks = list(dict.fromkeys(table.network))
    figure, axes = new_figure(columns=len(networks), width=1.2 + 4.2 * len(networks), height=3.8)
    for ax, network in zip(axes, networks, strict=True):
        mine = table[table.network == network]
        plain = mine[mine.trained_with == "none"]
        clean = 100 * plain.groupby("seed").accuracy_without_errors.first().mean()
        ax.axhline(clean - max_loss, color="#777777", lw=0.8)
        for trained_with in dict.fromkeys(mine.trained_with):
            for kind, rows in mine[mine.trained_with == trained_with].groupby("type"):
                by_rate = 100 * rows.groupby("rate").accuracy.agg(["mean", "min", "max"])
                aware = trained_with != "none"
                label = f"trained with {trained_with}" if aware else _KINDS[int(kind)]
                ax.errorbar(
                    by_rate.index, by_rate["mean"],
                    yerr=[by_rate["mean"] - by_rate["min"], by_rate["max"] - by_rate["mean"]],
                    fmt="--s" if aware else "-o", mfc="white" if aware else None,
                    ms=3.5, lw=1.1, capsize=2, color=COLOURS[int(kind) - 1], label=label,
                )  # fmt: skip
        ax.set(
            xscale="log", title=network, ylim=(0, None),
            xlabel="probability that such a value is read wrong", ylabel="test accuracy (%)",
        )  # fmt: skip
        legend(ax, loc="lower left", fontsize=7)
    first = table.iloc[0]
    note(
        figure,
        [
            f"{first.data}, {first.epochs} epochs; independent errors, frozen, "
            f"{first.draws} draws; {table.seed.nunique()} seeds: mean, lowest and highest",
            f"grey: {max_loss:g} points below the network trained and read without errors",
        ],
    )
    return figure
