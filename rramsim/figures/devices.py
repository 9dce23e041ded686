"""Figures of devices: resistance distributions, pulses, program-and-verify."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from rramsim.devices import DeviceFit, Measurements
from rramsim.devices.filament import FilamentModel
from rramsim.devices.filament_dynamics import CellWaveforms
from rramsim.devices.verify import Programming
from rramsim.figures.style import COLOURS, new_figure, note

__all__ = ["probability_figure", "programming_figure", "pulse_figure"]

_PERCENT = (0.01, 0.1, 1, 10, 50, 90, 99, 99.9, 99.99)
_MOST_POINTS = 400
_LINES = {"lognormal": ("--", "log-normal"), "skewed": ("-", "skewed"), "empirical": (":", "knots")}


def probability_figure(measurements: Measurements, fit: DeviceFit) -> Figure:
    """Measured and fitted distributions on probability paper: a log-normal is a straight line."""
    figure, (ax,) = new_figure(width=6.4, height=4.4)
    for state, label, colour in (("lrs", "LRS", COLOURS[0]), ("hrs", "HRS", COLOURS[1])):
        ohm = np.sort(getattr(measurements, state).resistance_ohm)
        scores = stats.norm.ppf((np.arange(len(ohm)) + 0.5) / len(ohm))
        # Even in score, so that both tails keep their points.
        wanted = np.linspace(scores[0], scores[-1], _MOST_POINTS)
        at = np.unique(np.searchsorted(scores, wanted).clip(0, len(ohm) - 1))
        ax.plot(ohm[at], scores[at], "o", ms=3, color=colour, alpha=0.45, label=f"{label} measured")
        u = np.linspace(scores[0] - 0.3, scores[-1] + 0.3, 200)
        for family in ("lognormal", "skewed"):
            style, name = _LINES[family]
            chosen = " (chosen)" if fit.chosen[state] == family else ""
            marginal = fit.states[state][family].marginal
            ax.plot(
                marginal.quantile(u),
                u,
                style,
                color=colour,
                lw=1.3,
                label=f"{label} {name}{chosen}",
            )
    _percent_axis(ax)
    ax.set(xscale="log", xlabel="resistance (Ω)", ylabel="share of devices and cycles below (%)")
    ax.legend(loc="lower right", ncols=1)
    note(
        figure,
        [
            f"{measurements.source}: {measurements.devices} devices, "
            f"{len(measurements.lrs.cycle):,} LRS and {len(measurements.hrs.cycle):,} HRS values; "
            "lines: fitted"
        ],
    )
    return figure


def _percent_axis(ax: Axes) -> None:
    """Standard-normal scores on y, labelled in percent."""
    low, high = ax.get_ylim()
    shown = [p for p in _PERCENT if low <= stats.norm.ppf(p / 100) <= high]
    ax.set_yticks([float(stats.norm.ppf(p / 100)) for p in shown], [f"{p:g}" for p in shown])


def pulse_figure(waves: CellWaveforms, model: FilamentModel, *, title: str, source: str) -> Figure:
    """Voltages, current, resistance at 0.1 V and temperature of one cell during a pulse.

    Of several devices the first is drawn.
    """
    figure, axes = new_figure(rows=2, columns=2, width=7.6, height=4.8, sharex=True)
    scale, unit = (1e9, "ns") if waves.time_s[-1] < 3e-6 else (1e6, "µs")
    time = waves.time_s * scale
    for key, label, colour in (
        ("bl_v", "BL", COLOURS[0]),
        ("sl_v", "SL", COLOURS[1]),
        ("inner_v", "inner", COLOURS[2]),
    ):
        axes[0].plot(time, getattr(waves, key)[0], color=colour, label=label, lw=1.4)
    axes[0].set(ylabel="voltage (V)", title=title)
    bottom, top = axes[0].get_ylim()
    axes[0].set_ylim(bottom, top + 0.25 * (top - bottom))
    axes[0].legend(loc="upper center", ncols=3)
    axes[1].plot(time, waves.current_a[0] * 1e6, color=COLOURS[0], lw=1.4)
    axes[1].set_ylabel("bit-line current (µA)")
    axes[2].semilogy(time, model.resistance_ohm(waves.filament_m[0]), color=COLOURS[0], lw=1.4)
    axes[2].set(ylabel="resistance at 0.1 V (Ω)", xlabel=f"time ({unit})")
    axes[3].plot(time, waves.temperature_k[0], color=COLOURS[1], lw=1.4)
    axes[3].set(ylabel="filament temperature (K)", xlabel=f"time ({unit})")
    note(figure, [source])
    return figure


def programming_figure(
    programming: Programming, *, band_ohm: tuple[float, float], title: str, source: str
) -> Figure:
    """Resistance after each pulse of up to 100 devices, and how many pulses all needed."""
    figure, axes = new_figure(columns=2, width=7.6, height=3.6)
    for trace, count in zip(
        programming.resistance_ohm[:100], programming.pulses[:100], strict=True
    ):
        axes[0].semilogy(range(count + 1), trace[: count + 1], color=COLOURS[0], alpha=0.25, lw=0.8)
    low, high = band_ohm
    shown = axes[0].get_ylim()
    axes[0].axhspan(max(low, shown[0]), min(high, shown[1]), color=COLOURS[2], alpha=0.2, lw=0)
    axes[0].set_ylim(shown)
    axes[0].set(xlabel="pulse", ylabel="resistance at 0.1 V (Ω)", title=title)
    most = int(programming.pulses.max(initial=0))
    axes[1].hist(programming.pulses, bins=[n - 0.5 for n in range(most + 2)], color=COLOURS[0])
    axes[1].set(xlabel="pulses needed", ylabel="devices")
    axes[1].set_title(f"{100 * programming.reached.mean():.1f} % inside the band (green)")
    note(figure, [source])
    return figure
