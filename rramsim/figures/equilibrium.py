"""Equilibrium propagation: bias against beta, noise, learning curves."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["gradient_bias_figure", "learning_curves_figure", "noise_robustness_figure"]

_MARKERS = "osd^vPX"


def gradient_bias_figure(table: pd.DataFrame, *, caption: str) -> Figure:
    """Relative error of the gradient against beta, both logarithmic, one line an estimator.

    `table` has columns `estimator`, `beta` and `relative_error`.
    """
    figure, (ax,) = new_figure(width=7.4, height=4.2)
    for index, (name, rows) in enumerate(table.groupby("estimator", sort=False)):
        rows = rows.sort_values("beta")
        style = f"-{_MARKERS[index % len(_MARKERS)]}"
        ax.loglog(
            rows.beta, rows.relative_error, style, ms=4, color=COLOURS[index % len(COLOURS)],
            label=str(name),
        )  # fmt: skip
    ax.set(xlabel="nudge |β|", ylabel="relative error of the gradient")
    betas = sorted(set(table.beta))
    ax.set_xticks(betas, labels=[f"{beta:g}" for beta in betas])
    ax.set_xticks([], minor=True)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    note(figure, [caption])
    return figure


def noise_robustness_figure(table: pd.DataFrame, *, caption: str) -> Figure:
    """Test error against the noise of the neurons' inputs, one line an estimator.

    `table` has columns `estimator`, `noise`, `seed` and `test_error` (0 to 1); dots are seeds, the
    line their mean.
    """
    figure, (ax,) = new_figure(width=6.0, height=4.0)
    for index, (name, rows) in enumerate(table.groupby("estimator", sort=False)):
        colour = COLOURS[index % len(COLOURS)]
        mean = 100 * rows.groupby("noise").test_error.mean()
        ax.plot(mean.index, mean, f"-{_MARKERS[index % len(_MARKERS)]}", ms=5, color=colour,
                label=str(name))  # fmt: skip
        ax.plot(rows.noise, 100 * rows.test_error, ".", ms=4, color=colour, alpha=0.5)
    ax.set_yscale("log")
    ax.set(xlabel="deviation of the noise in every neuron's input", ylabel="test error (%)")
    _percent_axis(ax, 100 * float(table.test_error.min()))
    legend(ax)
    note(figure, [caption])
    return figure


def learning_curves_figure(table: pd.DataFrame, *, caption: str) -> Figure:
    """Test error after every epoch, one colour a network, one line a seed.

    `table` has the columns of `training.csv`.
    """
    figure, (ax,) = new_figure(width=6.4, height=4.0)
    for index, (name, rows) in enumerate(table.groupby("network", sort=False)):
        colour = COLOURS[index % len(COLOURS)]
        for number, (_, one) in enumerate(rows.groupby(["seed", "trained_with_errors"])):
            ax.plot(one.epoch, 100 * (1 - one.test_accuracy), "-", lw=1.2, color=colour,
                    label=str(name) if number == 0 else None)  # fmt: skip
    ax.set_yscale("log")
    _percent_axis(ax, 100 * (1 - float(table.test_accuracy.max())))
    ax.set(xlabel="epoch", ylabel="test error (%)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax)
    note(figure, [caption])
    return figure


def _percent_axis(ax: Axes, lowest: float) -> None:
    """Ticks in percent from the tick below the lowest value."""
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    shown = [tick for tick in ticks if tick >= 0.4 * lowest]
    ax.set_yticks(shown, labels=[f"{tick:g}" for tick in shown])
    ax.set_ylim(shown[0], 110)
