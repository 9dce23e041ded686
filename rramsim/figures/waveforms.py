"""Waveforms of a sense."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from rramsim.circuits import SenseConditions
from rramsim.engines import Waveforms
from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["waveform_figure"]

_TRACES = (
    ("q", "Q", COLOURS[0], "-"),
    ("qb", "QB", COLOURS[1], "-"),
    ("bl", "BL", COLOURS[0], ":"),
    ("blb", "BLB", COLOURS[1], ":"),
    ("sen", "SEN", "#888888", "--"),
)


def waveform_figure(
    senses: Mapping[str, Waveforms], conditions: SenseConditions, *, engine: str
) -> Figure:
    """Outputs, bit lines and SEN against time, one panel for each entry (title -> waveforms)."""
    figure, axes = new_figure(
        columns=len(senses), width=min(3.1 * len(senses) + 0.8, 12), height=3.3
    )
    window_ns = conditions.window_s * 1e9
    for ax, (title, waves) in zip(axes, senses.items(), strict=True):
        time_ns = waves.time_s * 1e9
        for key, label, colour, style in _TRACES:
            ax.plot(time_ns, waves.voltages_v[key], style, color=colour, label=label, lw=1.4)
        ax.axvline(window_ns, color="black", lw=0.8)
        ax.text(window_ns, conditions.vdd_v * 1.07, " strobe", fontsize=7.5, ha="left")
        ax.axhline(conditions.vdd_v / 2, color="#bbbbbb", lw=0.8, zorder=0)
        ax.set(
            title=title,
            xlabel="time after SEN (ns)",
            xlim=(-0.25 * window_ns, 2.0 * window_ns),
            ylim=(-0.05 * conditions.vdd_v, 1.15 * conditions.vdd_v),
        )
    axes[0].set_ylabel("voltage (V)")
    legend(axes[-1], loc="center right")
    note(
        figure,
        [f"simulated, {conditions.label}, no mismatch, {engine}; grey line: read threshold VDD/2"],
    )
    return figure
