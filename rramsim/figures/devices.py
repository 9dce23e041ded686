"""Figures of devices: resistance distributions, pulses, program-and-verify."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rramsim.figures.chart import Axis, Band, Bars, Chart, Line, Panel, Point, Series

if TYPE_CHECKING:
    from rramsim.devices import DeviceFit, Measurements
    from rramsim.devices.filament import CellWaveforms, FilamentModel
    from rramsim.engines.cells import Programming

_PERCENT = (0.01, 0.1, 1, 10, 50, 90, 99, 99.9, 99.99)
_MOST_POINTS = 120
_LINES: dict[str, tuple[Line, str]] = {
    "lognormal": ("dashed", "log-normal"), "skewed": ("solid", "skewed"),
}  # fmt: skip


def probability_figure(measurements: "Measurements", fit: "DeviceFit") -> Chart:
    """Measured and fitted distributions on probability paper: a log-normal is a straight line."""
    from scipy import stats

    series = []
    for colour, (state, label) in enumerate((("lrs", "LRS"), ("hrs", "HRS"))):
        ohm = np.sort(getattr(measurements, state).resistance_ohm)
        scores = stats.norm.ppf((np.arange(len(ohm)) + 0.5) / len(ohm))
        # Even in score, so that both tails keep their points.
        wanted = np.linspace(scores[0], scores[-1], _MOST_POINTS)
        at = np.unique(np.searchsorted(scores, wanted).clip(0, len(ohm) - 1))
        points = [Point(x=float(ohm[k]), y=float(scores[k])) for k in at]
        series.append(
            Series(points=points, label=f"{label} measured", colour=colour, mark=0, hollow=True)
        )
        u = np.linspace(scores[0] - 0.3, scores[-1] + 0.3, 200)
        for family, (line, name) in _LINES.items():
            chosen = " (chosen)" if fit.chosen[state] == family else ""
            marginal = fit.states[state][family].marginal
            series.append(
                Series.trace(
                    marginal.quantile(u), u, label=f"{label} {name}{chosen}",
                    colour=colour + 2, line=line,
                )
            )  # fmt: skip
    ticks = tuple((float(stats.norm.ppf(p / 100)), f"{p:g}") for p in _PERCENT)
    y = Axis(label="share of devices and cycles below", unit="%", ticks=ticks)
    return Chart(
        key="resistances",
        title="Resistance distributions",
        panels=(Panel(x=Axis(label="resistance", unit="Ω", log=True), y=y, series=series),),
        footer=f"{measurements.source}: {measurements.devices} devices, "
        f"{len(measurements.lrs.cycle):,} LRS and {len(measurements.hrs.cycle):,} HRS values; "
        "lines: fitted.",
    )


def pulse_figure(
    waves: "CellWaveforms", model: "FilamentModel", *, title: str, source: str
) -> Chart:
    """Voltages, current, resistance at 0.1 V and temperature of one cell during a pulse.

    Of several devices the first is drawn.
    """
    scale, unit = (1e9, "ns") if waves.time_s[-1] < 3e-6 else (1e6, "µs")
    time = waves.time_s * scale
    volts = [
        Series.trace(time, getattr(waves, key)[0], label=label, colour=colour)
        for colour, (key, label) in enumerate(
            (("bl_v", "BL"), ("sl_v", "SL"), ("inner_v", "inner"))
        )
    ]
    quantities: Sequence[tuple[Axis, Sequence[Series]]] = (
        (Axis(label="voltage", unit="V"), volts),
        (Axis(label="bit-line current", unit="µA"),
         [Series.trace(time, waves.current_a[0] * 1e6, colour=3)]),
        (Axis(label="resistance at 0.1 V", unit="Ω", log=True),
         [Series.trace(time, model.resistance_ohm(waves.filament_m[0]), colour=3)]),
        (Axis(label="filament temperature", unit="K"),
         [Series.trace(time, waves.temperature_k[0], colour=3)]),
    )  # fmt: skip
    x = Axis(label="time", unit=unit)
    return Chart(
        key="pulse", title=title, panels=[Panel(x=x, y=y, series=s) for y, s in quantities],
        footer=f"{title}. {source.rstrip('. ')}.", columns=2,
    )  # fmt: skip


def programming_figure(
    programming: "Programming", *, band_ohm: tuple[float, float], title: str, source: str
) -> Chart:
    """Resistance after each pulse of up to 100 devices, and how many pulses all needed."""
    traces = [
        Series.trace(range(count + 1), trace[: count + 1], line="thin")
        for trace, count in zip(
            programming.resistance_ohm[:100], programming.pulses[:100], strict=True
        )
    ]
    most = int(programming.pulses.max(initial=0))
    seen = [p.y for series in traces for p in series.points]
    low, high = max(band_ohm[0], min(seen)), min(band_ohm[1], max(seen))
    band = Band(x=(0, max(most, 1)), low=(low, low), high=(high, high), colour=2)
    counts = np.bincount(programming.pulses, minlength=most + 1).tolist()
    pulses = Axis(label="pulses", unit="", whole=True)
    return Chart(
        key="programming",
        title=title,
        panels=(
            Panel(
                title=title, x=pulses, series=traces, bands=(band,),
                y=Axis(label="resistance at 0.1 V", unit="Ω", log=True),
            ),
            Panel(
                title=f"{100 * programming.reached.mean():.1f} % inside the band (green)",
                x=Axis(label="pulses needed", unit="", whole=True),
                y=Axis(label="devices", unit="", zero=True, whole=True),
                bars=(Bars(at=range(most + 1), length=counts, width=0.9),),
            ),
        ),
        footer=f"{source.rstrip('. ')}.",
    )  # fmt: skip
