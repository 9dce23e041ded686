"""What the explorer draws: one sense in time, and the three error rates, on axes that stand still.

Axes keep their ends while sliders move, so that the drawing moves and not its frame.
"""

from collections.abc import Mapping

import numpy as np

from rramsim.circuits import SenseConditions
from rramsim.engines import Waveforms
from rramsim.figures.report.numbers import rate_text
from rramsim.figures.report.plot import Plot, Point
from rramsim.figures.report.rate_figures import TYPES
from rramsim.figures.report.records import RateRecord
from rramsim.figures.report.scales import Scale, linear, logarithmic
from rramsim.figures.report.svg import add, path_data, text

__all__ = ["rate_panel", "sense_panel"]

_TRACES = (("q", "Q", 0, "series"), ("qb", "QB", 1, "series"), ("bl", "BL", 0, "dotted"),
           ("blb", "BLB", 1, "dotted"), ("sen", "SEN", 6, "thin"))  # fmt: skip
_POINTS = 240
_LEAST_RATE = 1e-4


def sense_panel(
    waveforms: Waveforms | None, conditions: SenseConditions, *, highest_vdd_v: float, label: str
) -> str:
    """Outputs, bit lines and SEN of one sense as SVG, up to twice the window.

    `highest_vdd_v` ends the axis of voltages; without waveforms the axes stay empty.
    """
    plot = Plot(label=label, x_label="time after SEN (ns)", y_label="V", height=300)
    window_ns = conditions.window_s * 1e9
    plot.axes(
        linear([-0.2 * window_ns, 1.8 * window_ns], *plot.x_range, margin=0),
        linear([0, 1.06 * highest_vdd_v], *plot.y_range, margin=0),
    )
    legend = plot.group("legend")
    for index, (_, name, series, kind) in enumerate(_TRACES):
        x = 62.0 + 78 * index
        add(add(legend, "g", class_=f"s{series}"), "path", d=f"M{x:g} 12h22", class_=kind)
        text(legend, x + 27, 16, name)
    plot.rule(x=window_ns, name="strobe")
    plot.rule(y=conditions.vdd_v / 2, name="threshold")
    if waveforms is not None:
        waves, time_ns = plot.group("waves"), 1e9 * waveforms.time_s
        for node, _, series, kind in reversed(_TRACES):
            shown = np.linspace(plot.x.low, plot.x.high, _POINTS)
            volts = np.interp(shown, time_ns, waveforms.voltages_v[node])
            points = [(plot.x.at(t), plot.y.at(v)) for t, v in zip(shown, volts, strict=True)]
            add(add(waves, "g", class_=f"s{series}"), "path", d=path_data(points), class_=kind)
    return plot.svg()


def rate_panel(rates: Mapping[str, RateRecord]) -> str:
    """The rates of types 1, 2 and 3 with their 95 % intervals as SVG, from 1e-4 to 1."""
    plot = Plot(label="Error rates", x_label="error rate", y_label="", height=160, left=70)
    start, end = plot.y_range
    ticks = tuple((2.0 - k, name.partition(":")[0]) for k, name in enumerate(TYPES.values()))
    plot.axes(
        logarithmic([_LEAST_RATE, 1.0], *plot.x_range, unit=False),
        Scale(low=-0.6, high=2.6, start=start, end=end, log=False, ticks=ticks),
    )
    for series, (kind, name) in enumerate(TYPES.items()):
        rate = rates[kind]
        if rate.rate is None:
            continue
        point = Point(
            x=rate.rate if rate.events else rate.high,
            y=2.0 - series,
            x_interval=(rate.low, rate.high),
            bound="" if rate.events else "left",
            tip=f"{name}\n{rate_text(rate)}",
        )
        plot.points([point], series=series)
    return plot.svg()
