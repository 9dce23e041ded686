"""Rare rates by one method against another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, new_figure, note
from rramsim.rare import RareRate

__all__ = ["agreement_figure"]


def agreement_figure(rows: Sequence[tuple[str, RareRate, RareRate]], *, source: str) -> Figure:
    """Importance sampling against plain Monte-Carlo: both with intervals, and their ratio.

    `rows`: (case, importance sampling, plain Monte-Carlo).
    """
    figure, (top, bottom) = new_figure(rows=2, width=6.4, height=5.0, sharex=True)
    place = np.arange(len(rows))
    for offset, which, colour, marker, label in (
        (-0.1, 1, COLOURS[0], "o", "importance sampling"),
        (0.1, 2, COLOURS[1], "s", "plain Monte-Carlo"),
    ):
        answers: list[Any] = [row[which] for row in rows]
        value = np.array([a.value if a.value is not None else np.nan for a in answers])
        low, high = np.array([(a.low, a.high) for a in answers]).T
        top.errorbar(
            place + offset, value, yerr=[value - low, high - value], fmt=marker, ms=4,
            color=colour, capsize=3, label=label,
        )  # fmt: skip
        for x, a in zip(place + offset, answers, strict=True):
            if a.value is not None:
                top.annotate(
                    f"{a.calls:,}", (x, a.high), textcoords="offset points", xytext=(0, 3),
                    fontsize=6.5, ha="center", color=colour,
                )  # fmt: skip
    top.set(yscale="log", ylabel="error rate")
    top.margins(y=0.15)
    top.legend()
    ratio = np.array([_ratio(one, other) for _, one, other in rows])
    bottom.errorbar(
        place, ratio[:, 0], yerr=[ratio[:, 0] - ratio[:, 1], ratio[:, 2] - ratio[:, 0]],
        fmt="D", ms=4, color=COLOURS[6], capsize=3,
    )  # fmt: skip
    bottom.axhline(1, color="#777777", lw=0.9)
    bottom.set(ylabel="importance / plain")
    bottom.set_xticks(place, [row[0] for row in rows], fontsize=7.5)
    bottom.set_xlim(-0.6, len(rows) - 0.4)
    note(figure, [source, "bars: 95 % intervals; small numbers: senses simulated"])
    return figure


def _ratio(one: RareRate, other: RareRate) -> tuple[float, float, float]:
    if not one.value or not other.value:
        return (np.nan,) * 3
    ratio = one.value / other.value
    width = np.exp(1.96 * np.hypot(one.coefficient_of_variation, other.coefficient_of_variation))
    return ratio, ratio / width, ratio * width
