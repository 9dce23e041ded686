"""One look for every figure: colours that the colour-blind tell apart, light grid, vector text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rramsim.files import atomic_path

__all__ = ["COLOURS", "legend", "new_figure", "note", "save_figure", "save_one"]

# Okabe and Ito's palette (2008), made for colour vision deficiencies; its yellow is too light.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
}


def new_figure(
    *,
    rows: int = 1,
    columns: int = 1,
    width: float = 6.4,
    height: float = 3.8,
    sharex: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure (inches) with its axes in reading order; no global state of pyplot is touched."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=sharex, squeeze=False)
    return figure, list(axes.flat)


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame; `options` as for matplotlib's `legend`."""
    ax.legend(**{"frameon": False, "fontsize": 8.0, "title_fontsize": 8.0} | options)


def note(figure: Figure, lines: Sequence[str]) -> None:
    """Write under a figure what it was made from."""
    figure.supxlabel("\n".join(lines), fontsize=7.5, color="#555555", x=0.01, ha="left")


def save_one(figure: Figure, path: Path) -> None:
    """Save a figure in the format of the path's suffix, whole or not at all."""
    with mpl.rc_context(_STYLE), atomic_path(path) as temporary:  # type: ignore[arg-type]
        figure.savefig(temporary, dpi=160)


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, ...]:
    """Save `name`.png and `name`.svg in `folder`; returns the paths."""
    paths = tuple(folder / f"{name}{suffix}" for suffix in (".png", ".svg"))
    for path in paths:
        save_one(figure, path)
    return paths
