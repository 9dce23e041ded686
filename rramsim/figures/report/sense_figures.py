"""Resolve time and energy of a sense against the supply, from the sweep's dataset."""

from itertools import product

import xarray as xr

from rramsim.figures.report.figure import ReportFigure, Variant, csv_text
from rramsim.figures.report.numbers import engineering, engineering_interval
from rramsim.figures.report.plot import DODGED, Plot, Point
from rramsim.figures.report.scales import linear, logarithmic

__all__ = ["energy_figure", "time_figure"]

_NAMES = {1: "+1 (LRS/HRS)", 0: "0 (HRS/HRS)", -1: "−1 (HRS/LRS)"}
_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def _environments(dataset: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    found = []
    for t, corner, window in product(*(dataset[d].values for d in _AXES)):
        at = dataset.sel(temperature=t, corner=corner, window=window)
        found.append((f"{t:g} °C, {corner}, {window * 1e9:g} ns", at))
    return found


_AXES = ("temperature", "corner", "window")


def energy_figure(dataset: xr.Dataset) -> ReportFigure:
    """Energy per sense cycle by written weight."""
    return ReportFigure(
        key="sense-energy",
        title="Energy of a sense",
        caption=(
            f"Simulated, {dataset.attrs['engine']}: mean over all converged senses with its 95 % "
            f"interval (normal); sense and full recharge, with clock and word line. {DODGED}"
        ),
        variants=tuple(
            Variant(label=label, svg=_energy(at, label)) for label, at in _environments(dataset)
        ),
        csv=csv_text(
            ["vdd_v", "temperature_c", "corner", "window_s", "written", "energy_j", "energy_se_j",
             "resolve_time_s", "resolve_time_sd_s"],
            (
                [*(at[d].item() for d in ("vdd", *_AXES)), written,
                 *(float(at[name].sel(written=written)) for name in
                   ("energy_j", "energy_se_j", "resolve_time_s", "resolve_time_sd_s"))]
                for _, group in _environments(dataset)
                for at in (group.sel(vdd=v) for v in group.vdd.values)
                for written in (-1, 0, 1)
            ),
        ),
        choice="Conditions",
    )  # fmt: skip


def _energy(at: xr.Dataset, label: str) -> str:
    plot = Plot(
        label=f"Energy of a sense against the supply, {label}", x_label="supply VDD (V)",
        y_label="energy per sense cycle (fJ)", legend=tuple(_NAMES.values()), dodge=5,
    )  # fmt: skip
    plot.axes(
        linear(at.vdd.values, *plot.x_range),
        linear((at.energy_j.values * 1e15).ravel(), *plot.y_range, zero=True),
    )
    for series, (written, name) in enumerate(_NAMES.items()):
        one = at.sel(written=written)
        points = []
        for vdd_v in one.vdd.values.tolist():
            here = one.sel(vdd=vdd_v)
            energy, error = float(here.energy_j), _Z * float(here.energy_se_j)
            if energy == energy:
                low, high = energy - error, energy + error
                points.append(
                    Point(
                        x=vdd_v, y=energy * 1e15,
                        y_interval=(low * 1e15, high * 1e15) if error == error else None,
                        tip=f"{vdd_v:g} V, written {name}\n"
                        + engineering_interval(energy, low, high, "J"),
                    )
                )  # fmt: skip
        plot.line([(p.x, p.y) for p in points], series=series)
        plot.points(points, series=series)
    return plot.svg()


def time_figure(dataset: xr.Dataset) -> ReportFigure:
    """Resolve time: the median devices in a long window, and those that resolved in the window."""
    return ReportFigure(
        key="resolve-time",
        title="Resolve time",
        caption=(
            f"Simulated, {dataset.attrs['engine']}. Lines: one sense of the median devices without "
            "mismatch in a long window. Points: mean of the senses that resolved within the "
            "window, bars their standard deviation (the slow ones are not among them). "
            + DODGED
        ),
        variants=tuple(
            Variant(label=label, svg=_times(at, label)) for label, at in _environments(dataset)
        ),
        csv=csv_text(
            ["vdd_v", "temperature_c", "corner", "written", "nominal_resolve_time_s"],
            (
                [v, t, corner, written,
                 float(dataset.nominal_resolve_time_s.sel(
                     vdd=v, temperature=t, corner=corner, written=written))]
                for v, t, corner, written in product(
                    *(dataset[d].values.tolist() for d in
                      ("vdd", "temperature", "corner", "written"))
                )
            ),
        ),
        choice="Conditions",
    )  # fmt: skip


def _times(at: xr.Dataset, label: str) -> str:
    plot = Plot(
        label=f"Resolve time against the supply, {label}", x_label="supply VDD (V)",
        y_label="resolve time (ns)", legend=tuple(_NAMES.values()), dodge=5,
    )  # fmt: skip
    window_ns = float(at.window) * 1e9
    values = [*at.nominal_resolve_time_s.values.ravel(), *at.resolve_time_s.values.ravel()]
    plot.axes(
        linear(at.vdd.values, *plot.x_range),
        logarithmic([*(v * 1e9 for v in values), window_ns], *plot.y_range, unit=False, margin=1.4),
    )
    plot.rule(y=window_ns, name=f"window {window_ns:g} ns")
    for series, (written, name) in enumerate(_NAMES.items()):
        one = at.sel(written=written)
        nominal = (one.nominal_resolve_time_s * 1e9).values.tolist()
        plot.line(list(zip(one.vdd.values.tolist(), nominal, strict=True)), series=series)
        points = []
        for vdd_v in one.vdd.values.tolist():
            here = one.sel(vdd=vdd_v)
            mean, deviation = float(here.resolve_time_s), float(here.resolve_time_sd_s)
            if mean == mean:
                spread = deviation * 1e9 if deviation == deviation else 0.0
                ns = mean * 1e9
                points.append(
                    Point(
                        x=vdd_v, y=ns, y_interval=(max(ns - spread, 1e-3), ns + spread),
                        tip=f"{vdd_v:g} V, written {name}\nresolved in the window: "
                        f"{engineering(mean, 's')} ± {engineering(deviation, 's')} (deviation)\n"
                        "median devices: "
                        f"{engineering(float(here.nominal_resolve_time_s), 's')}",
                    )
                )  # fmt: skip
        plot.points(points, series=series)
    return plot.svg()
