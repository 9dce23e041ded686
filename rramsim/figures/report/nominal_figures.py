"""Waveforms of the three weights and the read map, from the nominal senses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import xarray as xr

from rramsim.figures.report.figure import ReportFigure, Variant, csv_text
from rramsim.figures.report.numbers import engineering
from rramsim.figures.report.scales import Scale, linear, logarithmic
from rramsim.figures.report.svg import Element, add, path_data, root, text, to_string

__all__ = ["read_map_figure", "waveform_figure", "waveform_label"]

_PAIRS = {1: "+1: LRS/HRS", 0: "0: HRS/HRS", -1: "−1: HRS/LRS"}
_TRACES = (("q", "Q", 0, "series"), ("qb", "QB", 1, "series"), ("bl", "BL", 0, "dotted"),
           ("blb", "BLB", 1, "dotted"), ("sen", "SEN", 6, "thin"))  # fmt: skip
_KINDS = ("minus0", "minus1", "minus2", "zero", "plus0", "plus1", "plus2", "lost")
_MARGIN = {"left": 62.0, "top": 52.0, "side": 368.0, "bottom": 420.0}


def waveform_label(vdd_v: float) -> str:
    """The label of a supply's waveforms."""
    return f"{vdd_v:g} V"


def waveform_figure(nominal: xr.Dataset) -> ReportFigure:
    """Outputs, bit lines and SEN in time, a panel for each weight, a variant for each supply."""
    variants = tuple(
        Variant(label=waveform_label(vdd_v), svg=_waveforms(nominal.sel(vdd=vdd_v)))
        for vdd_v in nominal.vdd.values.tolist()
    )
    rows = (
        [vdd_v, written, float(t), *nominal.voltage_v.values[at, index, :, step].tolist()]
        for at, vdd_v in enumerate(nominal.vdd.values.tolist())
        for index, written in enumerate(nominal.written.values.tolist())
        for step, t in enumerate(nominal.time.values)
    )
    header = ["vdd_v", "written", "time_s", *(f"{n}_v" for n in nominal.node.values)]
    return ReportFigure(
        key="waveforms",
        title="Waveforms of the three weights",
        caption=(
            f"Simulated, median devices without mismatch (the two HRS of a 0 are 3 % apart), "
            f"{_environment(nominal)}, {nominal.attrs['waveform_engine']}. Time counts from the "
            "edge of SEN; the read is taken at the strobe: an output below the threshold is low."
        ),
        variants=variants,
        csv=csv_text(header, rows),
        choice="Supply",
        first=_shown_first(nominal),
    )


def _shown_first(nominal: xr.Dataset) -> int:
    """The supply nearest to 1.2 V, at which the published circuit runs."""
    return int(abs(nominal.vdd.values - 1.2).argmin())


def _environment(nominal: xr.Dataset) -> str:
    a = nominal.attrs
    return f"{a['temperature_c']:g} °C, {a['corner']}, window {a['window_s'] * 1e9:g} ns"


def _waveforms(at: xr.Dataset) -> str:
    vdd_v, window_ns = float(at.vdd), at.attrs["window_s"] * 1e9
    svg = root(480, 500, label=f"Waveforms at {vdd_v:g} V, {_environment(at)}", kind="plot")
    x_at = 62.0
    for _, name, series, kind in _TRACES:
        group = add(svg, "g", class_=f"s{series}")
        add(group, "path", d=f"M{x_at:g} 12h22", class_=kind)
        text(svg, x_at + 27, 16, name)
        x_at += 78
    time_ns = at.time.values * 1e9
    for panel, written in enumerate((1, 0, -1)):
        one = at.sel(written=written)
        top = 50.0 + 150 * panel
        ohms = " / ".join(
            engineering(float(v), "Ω") for v in (one.r_bl_ohm.item(), one.r_blb_ohm.item())
        )
        read = int(one.nominal_read)
        said = f"reads {'+' if read > 0 else '−' if read < 0 else ''}{abs(read)}"
        text(svg, 62, top - 8, f"{_PAIRS[written]} ({ohms}) {said}", class_="label")
        x = linear([time_ns[0], time_ns[-1]], 62, 466, margin=0)
        y = linear([-0.05 * vdd_v, 1.1 * vdd_v], top + 96, top, margin=0)
        y = replace(y, ticks=tuple((v, f"{v:.3g}") for v in (0.0, vdd_v / 2, vdd_v)))
        _frame(svg, x, y, top, top + 96)
        add(svg, "path", d=f"M62 {y.at(vdd_v / 2):.1f}H466", class_="rule")
        strobe = x.at(window_ns)
        add(svg, "path", d=f"M{strobe:.1f} {top:g}v96", class_="rule")
        text(svg, strobe + 4, top + 38, "strobe", class_="small")
        for node, _, series, kind in reversed(_TRACES):
            volts = one.voltage_v.sel(node=node).values
            group = add(svg, "g", class_=f"s{series}")
            points = [(x.at(t), y.at(v)) for t, v in zip(time_ns, volts, strict=True) if v == v]
            if points:
                add(group, "path", d=path_data(points), class_=kind)
    text(svg, 264, 494, "time after SEN (ns)", anchor="middle")
    text(svg, 4, 16, "V", class_="label")
    return to_string(svg)


def _frame(svg: Element, x: Scale, y: Scale, top: float, bottom: float) -> None:
    grid = add(svg, "g", class_="grid")
    for value, name in x.ticks:
        add(grid, "path", d=f"M{x.at(value):.1f} {top:g}V{bottom:g}", class_="line")
        text(grid, x.at(value), bottom + 15, name, anchor="middle", class_="small")
    for value, name in y.ticks:
        add(grid, "path", d=f"M62 {y.at(value):.1f}H466", class_="line")
        text(grid, 56, y.at(value) + 4, name, anchor="end", class_="small")
    add(grid, "path", d=f"M62 {top:g}V{bottom:g}H466", class_="axis")


def read_map_figure(nominal: xr.Dataset) -> ReportFigure:
    """What is read over the plane of both resistances, a variant for each supply."""
    supplies = nominal.vdd.values.tolist()
    ohm = nominal.r_bl.values
    rows = (
        [
            vdd_v, float(r_bl), float(r_blb),
            int(nominal.map_read.values[at, i, k]) if nominal.map_converged.values[at, i, k]
            else None,
            float(nominal.map_resolve_time_s.values[at, i, k]),
            float(nominal.map_energy_j.values[at, i, k]),
        ]
        for at, vdd_v in enumerate(supplies)
        for i, r_bl in enumerate(ohm)
        for k, r_blb in enumerate(ohm)
    )  # fmt: skip
    return ReportFigure(
        key="read-map",
        title="What is read, over both resistances",
        caption=(
            f"Simulated without mismatch on {ohm.size} × {ohm.size} pairs of resistances, "
            f"{_environment(nominal)}, {nominal.attrs['map_engine']}. The stronger the colour, the "
            "sooner resolved: within a quarter, a half, the whole window. Rings hold devices "
            "of each weight out to two standard deviations (86 % of the pairs), "
            "dots their medians: where a ring leaves its region, reads are wrong even before "
            "mismatch. Point at the map, or focus it and use the arrow keys."
        ),
        variants=tuple(
            Variant(label=f"{vdd_v:g} V", svg=_map(nominal.sel(vdd=vdd_v), at))
            for at, vdd_v in enumerate(supplies)
        ),
        csv=csv_text(
            ["vdd_v", "r_bl_ohm", "r_blb_ohm", "read", "resolve_time_s", "energy_j"], rows
        ),
        choice="Supply",
        first=_shown_first(nominal),
    )


def _map(at: xr.Dataset, variant: int) -> str:
    m = _MARGIN
    label = f"Read map at {float(at.vdd):g} V"
    svg = root(480, 470, label=label, kind="map")
    legend = [("plus1", "reads +1"), ("zero", "reads 0"), ("minus1", "reads −1")]
    if not at.map_converged.values.all():
        legend.append(("lost", "no result"))
    for k, (kind, name) in enumerate(legend):
        add(svg, "rect", x=62 + 104 * k, y=6, width=16, height=13, class_=kind)
        text(svg, 83 + 104 * k, 17, name)
    ohm = at.r_bl.values
    step = ohm[1] / ohm[0]
    ends = [float(ohm[0] / step**0.5), float(ohm[-1] * step**0.5)]
    x = logarithmic(ends, m["left"], m["left"] + m["side"])
    y = logarithmic(ends, m["bottom"], m["bottom"] - m["side"])
    read, converged = at.map_read.values, at.map_converged.values
    with np.errstate(invalid="ignore"):
        time = at.map_resolve_time_s.values / at.attrs["window_s"]
        shade = np.where(time <= 0.25, 2, np.where(time <= 0.5, 1, 0))
    kinds = np.where(read == 0, 3, np.where(read < 0, shade, 4 + shade))
    kinds[converged == 0] = 7
    size = m["side"] / ohm.size
    cells = add(svg, "g", class_="cells")
    for row in range(ohm.size):
        # Along a row of one R_BLb, neighbours of one kind are drawn as one.
        line = kinds[:, row]
        edges = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), ohm.size]
        for begin, end in pairwise(edges):
            add(
                cells, "rect", x=m["left"] + begin * size, y=m["bottom"] - (row + 1) * size,
                width=(end - begin) * size + 0.3, height=size + 0.3,
                class_=_KINDS[int(line[begin])],
            )  # fmt: skip
    for scale, down in ((x, True), (y, False)):
        for value, name in scale.ticks:
            place = scale.at(value)
            if down:
                text(svg, place, m["bottom"] + 16, name, anchor="middle")
            else:
                text(svg, m["left"] - 6, place + 4, name, anchor="end")
    text(svg, m["left"] + m["side"] / 2, 458, "resistance on BL (Ω)", anchor="middle")
    text(svg, 4, 42, "resistance on BLB (Ω)", class_="label")
    for written in (-1, 0, 1):
        one = at.sel(written=written)
        ring = [
            (x.at(a), y.at(b))
            for a, b in zip(one.state_bl_ohm.values, one.state_blb_ohm.values, strict=True)
        ]
        add(svg, "path", d=path_data(ring), class_="halo")
        add(svg, "path", d=path_data(ring), class_="state")
        cx, cy = x.at(one.r_bl_ohm.item()), y.at(one.r_blb_ohm.item())
        add(svg, "circle", cx=cx, cy=cy, r=3.5, class_="median")
        name = f"{'+' if written > 0 else '−' if written < 0 else ''}{abs(written)}"
        text(svg, cx + 7, cy - 6, name, class_="label over")
    add(svg, "rect", class_="cursor", width=size, height=size, x=-99, y=-99)
    add(
        svg, "rect", x=m["left"], y=m["bottom"] - m["side"], width=m["side"], height=m["side"],
        class_="plane", tabindex=0, role="application", data_map=variant, data_cells=ohm.size,
        aria_label=f"{label}: arrow keys move over both resistances",
    )  # fmt: skip
    return to_string(svg)
