"""Error rates with each source of variation switched off."""

from typing import Any

from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, new_figure, note

__all__ = ["shares_figure"]

_TITLES = {
    "type1": "type 1: sign flip",
    "type2": "type 2: ±1 read as 0",
    "type3": "type 3: 0 read as ±1",
}


def shares_figure(value: dict[str, Any], *, most: int = 5) -> Figure:
    """Rates of each error type with everything on and with one source off, from `shares.json`.

    Points with exact 95 % intervals, an arrow for an upper bound where none was seen; a colour for
    each set of conditions, of which the first `most` are drawn.
    """
    conditions = value["conditions"][:most]
    names = list(dict.fromkeys(n for row in conditions for n in row["without"]))
    labels = ["everything on", *(f"without {name}" for name in names)]
    figure, axes = new_figure(columns=3, width=9.6, height=1.5 + 0.38 * len(labels))
    for ax, (kind, title) in zip(axes, _TITLES.items(), strict=True):
        for number, row in enumerate(conditions):
            rows = [row["all"], *(row["without"].get(name) for name in names)]
            shift = 0.14 * (number - (len(conditions) - 1) / 2)
            for at, entry in enumerate(rows):
                if entry is None:
                    continue
                rate, colour = entry[kind], COLOURS[number]
                if rate["events"]:
                    x = rate["rate"]
                    bars = [[x - rate["low"]], [rate["high"] - x]]
                    ax.errorbar(x, at + shift, xerr=bars, fmt="o", ms=4, capsize=2, color=colour)
                else:
                    ax.plot(rate["high"], at + shift, marker=8, ls="", ms=6, color=colour)
            ax.plot([], [], "o", ms=4, color=COLOURS[number], label=row["label"])
        ax.set(xscale="log", title=title, xlabel="error rate", ylim=(len(labels) - 0.5, -0.5))
        ax.set_yticks(range(len(labels)), labels if ax is axes[0] else [""] * len(labels))
    axes[-1].legend(loc="best")
    engine = value["engine"].split(" (")[0]
    note(
        figure,
        [f"Simulated, {engine}, {value['circuit']}.",
         "bars: exact 95 % intervals; arrows: none seen, upper end of the interval"],
    )  # fmt: skip
    return figure
