"""Resolve time and energy of a sense against the supply."""

import xarray as xr
from matplotlib.figure import Figure

from rramsim.figures.style import COLOURS, legend, new_figure, note

__all__ = ["sense_figure"]

_WRITTEN = ((1, "LRS/HRS (+1)", COLOURS[0], "o"), (0, "HRS/HRS (0)", COLOURS[1], "s"))


def sense_figure(dataset: xr.Dataset) -> Figure:
    """Resolve time and energy against VDD, at the first temperature, corner and window.

    Solid: one sense of the median devices without mismatch, in a window long enough to resolve.
    Markers: mean over the Monte-Carlo samples; for the resolve time, of the senses that resolved
    within the window, with their standard deviation; for the energy, with its 95 % interval.
    """
    at = dataset.isel(temperature=0, corner=0, window=0)
    figure, (times, energies) = new_figure(columns=2, width=8.2, height=3.6)
    vdd = at.vdd.values
    for written, label, colour, marker in _WRITTEN:
        one = at.sel(written=written)
        times.plot(
            vdd, one.nominal_resolve_time_s * 1e9, "-", color=colour, label=f"{label}, median"
        )
        times.errorbar(
            vdd, one.resolve_time_s * 1e9, yerr=one.resolve_time_sd_s * 1e9,
            fmt=marker, ms=4, color=colour, mfc="white", capsize=2,
            label=f"{label}, resolved in the window",
        )  # fmt: skip
        energies.errorbar(
            vdd, one.energy_j * 1e15, yerr=1.96 * one.energy_se_j * 1e15,
            fmt=f"-{marker}", ms=4, color=colour, capsize=2, label=label,
        )  # fmt: skip
    window_ns = float(at.window) * 1e9
    times.axhline(window_ns, color="black", lw=0.8)
    times.text(vdd[-1], window_ns * 1.06, f"window {window_ns:g} ns", ha="right", fontsize=7.5)
    times.set(yscale="log", xlabel="supply VDD (V)", ylabel="resolve time (ns)")
    # Room above the slow curve for the legend.
    times.set_ylim(top=8 * times.get_ylim()[1])
    legend(times, loc="upper right")
    energies.set(xlabel="supply VDD (V)", ylabel="energy per sense cycle (fJ)", ylim=(0, None))
    legend(energies)
    note(
        figure,
        [
            f"simulated, {float(at.temperature):g} °C, {at.corner.item()}, {at.attrs['engine']}; "
            "energy: sense and full recharge, with clock and word line"
        ],
    )
    return figure
