"""Figures of single senses: in time, by resistance, and their time and energy by supply."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from rramsim.circuits import SenseConditions
from rramsim.counting.boundary import LARGEST_OHM, SMALLEST_OHM
from rramsim.engines import Waveforms
from rramsim.figures.chart import (
    Axis,
    Band,
    Bars,
    Cells,
    Chart,
    Line,
    Panel,
    Point,
    Rule,
    Series,
    Table,
    csv_text,
)
from rramsim.figures.numbers import engineering, engineering_interval
from rramsim.figures.rates import environment

if TYPE_CHECKING:
    from rramsim.costs.sense_parts import SenseParts

_NAMES = {1: "+1 (LRS/HRS)", 0: "0 (HRS/HRS)", -1: "−1 (HRS/LRS)"}
_SIGNED = {1: "+1", 0: "0", -1: "−1"}
_TRACES: tuple[tuple[str, str, int, Line], ...] = (
    ("q", "Q", 0, "solid"), ("qb", "QB", 1, "solid"), ("bl", "BL", 0, "dotted"),
    ("blb", "BLB", 1, "dotted"), ("sen", "SEN", 6, "dashed"),
)  # fmt: skip
"""Node, name, colour and line of each trace."""

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution
_SUPPLY = Axis(label="supply VDD", unit="V")
_AXES = ("temperature", "corner", "window")


def _waves(
    time_ns: Any, volts: Mapping[str, Any] | None, *, vdd_v: float, window_ns: float, title: str,
    choice: str = "", highest_v: float | None = None,
) -> Panel:  # fmt: skip
    """Outputs, bit lines and SEN against time, up to twice the window."""
    series = [
        Series.trace(
            *((time_ns, volts[node]) if volts is not None else ((), ())), label=name,
            colour=colour, line=line,
        )
        for node, name, colour, line in _TRACES
    ]  # fmt: skip
    return Panel(
        x=Axis(label="time after SEN", unit="ns", low=-0.25 * window_ns, high=2 * window_ns),
        y=Axis(label="voltage", unit="V", low=-0.05 * vdd_v, high=1.3 * (highest_v or vdd_v)),
        series=series,
        title=title,
        choice=choice,
        rules=(Rule(x=window_ns, label="strobe"), Rule(y=vdd_v / 2)),
    )


_WAVES = "Dotted across: the read threshold, VDD/2; the read is taken at the strobe."


def waveform_figure(
    senses: Mapping[str, Waveforms], conditions: SenseConditions, *, engine: str
) -> Chart:
    """Outputs, bit lines and SEN against time, one panel for each entry (title -> waveforms)."""
    at: dict[str, Any] = {"vdd_v": conditions.vdd_v, "window_ns": conditions.window_s * 1e9}
    return Chart(
        key="waveforms",
        title="Waveforms",
        panels=[
            _waves(waves.time_s * 1e9, waves.voltages_v, title=title, **at)
            for title, waves in senses.items()
        ],
        footer=f"Simulated, {conditions.label}, no mismatch, {engine}. {_WAVES}",
    )


def sense_chart(
    waveforms: Waveforms | None, conditions: SenseConditions, *, highest_vdd_v: float, title: str
) -> Chart:
    """One sense on an axis of voltages that stands still while the supply moves."""
    time_ns, volts = np.empty(0), None
    if waveforms is not None:
        time_ns = np.linspace(-0.25, 2.0, 240) * conditions.window_s * 1e9
        volts = {
            node: np.interp(time_ns, 1e9 * waveforms.time_s, waveforms.voltages_v[node])
            for node, *_ in _TRACES
        }
    panel = _waves(
        time_ns, volts, vdd_v=conditions.vdd_v, window_ns=conditions.window_s * 1e9, title="",
        highest_v=highest_vdd_v,
    )  # fmt: skip
    return Chart(key="sense", title=title, panels=(panel,), footer=_WAVES, height=230)


def waveform_label(vdd_v: float) -> str:
    """The choice of a supply's waveforms."""
    return f"{vdd_v:g} V"


def nominal_waveforms_figure(nominal: xr.Dataset) -> Chart:
    """Outputs, bit lines and SEN in time: a panel for each weight, a choice for each supply."""
    panels = []
    for vdd_v, written in product(nominal.vdd.values.tolist(), (1, 0, -1)):
        one = nominal.sel(vdd=vdd_v, written=written)
        ohms = " / ".join(engineering(float(r), "Ω") for r in (one.r_bl_ohm, one.r_blb_ohm))
        volts = {node: one.voltage_v.sel(node=node).values for node, *_ in _TRACES}
        panels.append(
            _waves(
                one.time.values * 1e9, volts, vdd_v=vdd_v,
                window_ns=nominal.attrs["window_s"] * 1e9, choice=waveform_label(vdd_v),
                title=f"written {_NAMES[written]}, {ohms}: reads {_SIGNED[int(one.nominal_read)]}",
            )
        )  # fmt: skip
    rows = (
        [vdd_v, written, float(t), *nominal.voltage_v.values[at, index, :, step].tolist()]
        for at, vdd_v in enumerate(nominal.vdd.values.tolist())
        for index, written in enumerate(nominal.written.values.tolist())
        for step, t in enumerate(nominal.time.values)
    )
    header = ["vdd_v", "written", "time_s", *(f"{n}_v" for n in nominal.node.values)]
    return Chart(
        key="waveforms",
        title="Waveforms of the three weights",
        panels=panels,
        footer="Simulated, median devices without mismatch (the two HRS of a 0 are 3 % apart), "
        f"{_where(nominal)}, {nominal.attrs['waveform_engine']}. {_WAVES}",
        data=csv_text(header, rows),
        choice="Supply",
        first=_shown_first(nominal),
        height=105,
    )


def _shown_first(nominal: xr.Dataset) -> int:
    """The supply nearest to 1.2 V, at which the published circuit runs."""
    return int(abs(nominal.vdd.values - 1.2).argmin())


def _where(nominal: xr.Dataset) -> str:
    a = nominal.attrs
    return f"{a['temperature_c']:g} °C, {a['corner']}, window {a['window_s'] * 1e9:g} ns"


def read_map_figure(nominal: xr.Dataset) -> Chart:
    """What is read over the plane of both resistances, a choice for each supply."""
    supplies, ohm = nominal.vdd.values.tolist(), nominal.r_bl.values
    step = ohm[1] / ohm[0]
    ends: dict[str, Any] = {"low": float(ohm[0] / step**0.5), "high": float(ohm[-1] * step**0.5)}
    panels = []
    for at, vdd_v in enumerate(supplies):
        one = nominal.sel(vdd=vdd_v)
        series = []
        for written in (-1, 0, 1):
            state = one.sel(written=written)
            series.append(Series.trace(state.state_bl_ohm.values, state.state_blb_ohm.values,
                                       colour=6))  # fmt: skip
            middle = Point(
                x=state.r_bl_ohm.item(), y=state.r_blb_ohm.item(), label=_SIGNED[written]
            )
            series.append(Series(points=(middle,), colour=6, mark=0))
        panels.append(
            Panel(
                x=Axis(label="resistance on BL", unit="Ω", log=True, **ends),
                y=Axis(label="resistance on BLB", unit="Ω", log=True, **ends),
                series=series,
                choice=waveform_label(vdd_v),
                cells=Cells(x=ohm.tolist(), y=ohm.tolist(), shades=_shades(one), lookup=at),
            )
        )
    values = ("map_read", "map_resolve_time_s", "map_energy_j")
    rows = (
        [
            vdd_v, float(r_bl), float(r_blb),
            *(float(nominal[name].values[at, i, k]) for name in values),
        ]
        if nominal.map_converged.values[at, i, k]
        else [vdd_v, float(r_bl), float(r_blb), None, None, None]
        for at, vdd_v in enumerate(supplies)
        for i, r_bl in enumerate(ohm)
        for k, r_blb in enumerate(ohm)
    )  # fmt: skip
    return Chart(
        key="read-map",
        title="What is read, over both resistances",
        panels=panels,
        footer=f"Simulated without mismatch on {ohm.size} × {ohm.size} pairs of resistances, "
        f"{_where(nominal)}, {nominal.attrs['map_engine']}. Blue reads +1, orange −1, grey 0; the "
        "stronger the colour, the sooner resolved: within a quarter, a half, the whole window. "
        "Rings hold devices of each weight out to two standard deviations (86 % of the pairs), "
        "dots their medians: where a ring leaves its region, reads are wrong even before mismatch.",
        data=csv_text(
            ["vdd_v", "r_bl_ohm", "r_blb_ohm", "read", "resolve_time_s", "energy_j"], rows
        ),
        choice="Supply",
        first=_shown_first(nominal),
    )


def _shades(one: xr.Dataset) -> list[list[float]]:
    """Read times how soon it resolved, row by row of the resistance on BLB."""
    with np.errstate(invalid="ignore"):
        time = one.map_resolve_time_s.values / one.attrs["window_s"]
        soon = np.where(time <= 0.25, 1.0, np.where(time <= 0.5, 0.6, 0.25))
    shades = np.where(one.map_converged.values == 0, np.nan, one.map_read.values * soon)
    found: list[list[float]] = shades.T.tolist()
    return found


def time_figure(dataset: xr.Dataset) -> Chart:
    """Resolve time: the median devices in a long window, and those that resolved in the window."""
    panels = []
    known = (dataset.nominal_resolve_time_s, dataset.resolve_time_s)
    # Of a bar below the axis only what lies above its end is drawn.
    least_ns = 1e9 * min([float(a.min()) for a in known if a.notnull().any()], default=1e-9)
    for where, at in _environments(dataset):
        window_ns = float(at.window) * 1e9
        vdd = at.vdd.values.tolist()
        lines, marks = [], []
        for index, (written, name) in enumerate(_NAMES.items()):
            one = at.sel(written=written)
            nominal = one.nominal_resolve_time_s.values * 1e9
            lines.append(Series.trace(vdd, nominal, colour=index))
            points = []
            for vdd_v, mean, sd, median in zip(
                vdd, one.resolve_time_s.values.tolist(), one.resolve_time_sd_s.values.tolist(),
                nominal.tolist(), strict=True,
            ):  # fmt: skip
                ns, spread = mean * 1e9, (sd if sd == sd else 0.0) * 1e9
                points.append(
                    Point(
                        x=vdd_v, y=ns, y_bar=(ns - spread, ns + spread),
                        tip=f"{vdd_v:g} V, written {name}\nresolved in the window: "
                        f"{engineering(mean, 's')}, standard deviation {engineering(sd, 's')}\n"
                        f"median devices: {engineering(median * 1e-9, 's')}",
                    )
                )  # fmt: skip
            marks.append(
                Series(
                    points=points, label=f"written {name}", colour=index, mark=index, hollow=True
                )
            )
        panels.append(
            Panel(
                x=_SUPPLY, y=Axis(label="resolve time", unit="ns", log=True, low=0.5 * least_ns),
                series=[*lines, *marks], dodge=True, choice=where,
                rules=(Rule(y=window_ns, label=f"window {window_ns:g} ns"),),
            )
        )  # fmt: skip
    return Chart(
        key="resolve-time",
        title="Resolve time",
        panels=_alone(panels),
        footer=f"Simulated, {dataset.attrs['engine'].split(' (')[0]}{_only(panels)}. Lines: one "
        "sense of the median devices without mismatch in a long window. Marks: mean of the senses "
        "that resolved within the window (the slow ones are not among them).",
        bars="standard deviation between senses",
        choice="Conditions",
    )


def energy_figure(dataset: xr.Dataset) -> Chart:
    """Energy per sense cycle by written weight."""
    panels = []
    for where, at in _environments(dataset):
        series = []
        for index, (written, name) in enumerate(_NAMES.items()):
            one = at.sel(written=written)
            points = []
            for vdd_v, energy, error in zip(
                one.vdd.values.tolist(), one.energy_j.values.tolist(),
                (_Z * one.energy_se_j.values).tolist(), strict=True,
            ):  # fmt: skip
                error = error if error == error else 0.0
                points.append(
                    Point(
                        x=vdd_v, y=energy * 1e15,
                        y_bar=((energy - error) * 1e15, (energy + error) * 1e15),
                        tip=f"{vdd_v:g} V, written {name}\n"
                        + engineering_interval(energy, energy - error, energy + error, "J"),
                    )
                )  # fmt: skip
            series.append(
                Series(
                    points=points, label=f"written {name}", colour=index, mark=index, line="solid"
                )
            )
        energy_axis = Axis(label="energy per sense cycle", unit="fJ", zero=True)
        panels.append(Panel(x=_SUPPLY, y=energy_axis, series=series, choice=where, dodge=True))
    return Chart(
        key="sense-energy",
        title="Energy of a sense",
        panels=_alone(panels),
        footer=f"Simulated, {dataset.attrs['engine'].split(' (')[0]}{_only(panels)}: mean over "
        "all converged senses; sense and full recharge, with clock and word line.",
        bars="95 % intervals of the mean (normal)",
        choice="Conditions",
    )


def _environments(dataset: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    return [
        (
            f"{t:g} °C, {corner}, {window * 1e9:g} ns",
            dataset.sel(temperature=t, corner=corner, window=window),
        )
        for t, corner, window in product(*(dataset[d].values for d in _AXES))
    ]


def _alone(panels: Sequence[Panel]) -> Sequence[Panel]:
    """A single panel needs no choice; what it is of stands in the footer."""
    from dataclasses import replace

    return panels if len(panels) > 1 else (replace(panels[0], choice=""),)


def _only(panels: Sequence[Panel]) -> str:
    return "" if len(panels) > 1 else f", {panels[0].choice}"


_PARTS = (
    ("bit_lines_j", "bit lines"),
    ("outputs_j", "outputs"),
    ("latch_j", "latch"),
    ("clock_j", "clock (SEN)"),
    ("word_line_j", "word line"),
)


def sense_parts_figure(senses: Sequence[tuple[int, "SenseParts"]]) -> Chart:
    """Stacked parts against VDD, one panel for each written value of the pairs (written, parts)."""
    panels = []
    for written in sorted({w for w, _ in senses}, reverse=True):
        rows = sorted((p for w, p in senses if w == written), key=lambda p: p.vdd_v)
        vdd = [row.vdd_v for row in rows]
        supply = [row.supply_j * 1e15 for row in rows]
        base = [0.0] * len(rows)
        bars = []
        for index, (name, label) in enumerate(_PARTS):
            length = [getattr(row, name) * 1e15 for row in rows]
            bars.append(
                Bars(
                    at=vdd, length=length, base=base, label=label, colour=index,
                    width=0.6 * min(np.diff(vdd), default=0.1),
                )
            )  # fmt: skip
            base = [a + b for a, b in zip(base, length, strict=True)]
        square = [supply[-1] * (v / vdd[-1]) ** 2 for v in vdd]
        swing = [row.swing_j * 1e15 for row in rows]
        panels.append(
            Panel(
                x=_SUPPLY, y=Axis(label="energy per sense cycle", unit="fJ", zero=True),
                title=f"written {_NAMES[written]}", bars=bars,
                series=(
                    Series.trace(vdd, square, label="∝ V²", colour=6, line="dashed"),
                    Series.trace(vdd, supply, label="supply", colour=6, mark=0),
                    Series.trace(vdd, swing, label="C V ΔV, by swings", colour=5, mark=5, line=""),
                ),
            )
        )  # fmt: skip
    return Chart(
        key="sense-parts",
        title="Where the energy of a sense goes",
        panels=panels,
        footer="Simulated, ngspice, no mismatch, 27 °C, tt. Parts from ammeters at every pin; "
        "supply: integrated from the sources alone; ∝ V²: with the capacitance that the highest "
        "supply shows.",
    )


def boundary_figure(rows: Sequence[Any]) -> Chart:
    """Above which resistance two equal devices read 0: a colour for each corner.

    Against the supply at every temperature, and against the temperature at the supply nearest to
    1.2 V, where they vary. `rows` hold the columns of `boundary.csv`.
    """
    supplies, temperatures = ({getattr(row, name) for row in rows} for name in
                              ("vdd_v", "temperature_c"))  # fmt: skip
    near = min(supplies, key=lambda v: abs(v - 1.2))
    panels: list[Panel] = []
    for window_s in sorted({row.window_s for row in rows}):
        mine = [row for row in rows if row.window_s == window_s]
        many = len({row.window_s for row in rows}) > 1
        window = f", {window_s * 1e9:g} ns" if many else ""
        if len(supplies) > 1 or len(temperatures) == 1:
            panels += [
                _boundary([r for r in mine if r.temperature_c == t], "vdd_v", f"{t:g} °C{window}")
                for t in sorted(temperatures)
            ]
        if len(temperatures) > 1:
            at_supply = [r for r in mine if r.vdd_v == near]
            panels.append(_boundary(at_supply, "temperature_c", f"{near:g} V{window}"))
    first = rows[0]
    return Chart(
        key="boundary",
        title="Boundary between 0 and ±1",
        panels=panels,
        footer=f"Simulated, {first.engine.split(' (')[0]}, {first.circuit}, window "
        f"{first.window_s * 1e9:g} ns: above the boundary two devices of one resistance read 0. "
        f"Marks: median of {max(int(r.draws) for r in rows)} draws of mismatch; an arrow where "
        "half of them read every resistance as 0. Band: 5 to 95 % of the draws, first corner.",
        bars="95 % interval of the median",
        choice="Conditions",
    )


def _boundary(rows: Sequence[Any], name: str, choice: str) -> Panel:
    series, bands = [], []
    for index, corner in enumerate(dict.fromkeys(row.corner for row in rows)):
        mine = sorted(
            (r for r in rows if r.corner == corner), key=lambda r: float(getattr(r, name))
        )
        points = [p for row in mine if (p := _boundary_point(row, name)) is not None]
        series.append(
            Series(points=points, label=str(corner), colour=index, mark=index, line="solid")
        )
        if index == 0:
            known = [r for r in mine if _known(r.r05_ohm) and _known(r.r95_ohm)]
            low, high = ([_searched(getattr(r, end)) for r in known] for end in
                         ("r05_ohm", "r95_ohm"))  # fmt: skip
            bands.append(Band(x=[getattr(r, name) for r in known], low=low, high=high))
    x = _SUPPLY if name == "vdd_v" else Axis(label="temperature", unit="°C")
    y = Axis(label="resistance of both devices", unit="Ω", log=True)
    return Panel(x=x, y=y, series=series, bands=bands, choice=choice, dodge=True)


def _known(value: float | None) -> bool:
    return value is not None and value == value


def _searched(value: float) -> float:
    """A resistance, at the end of what was searched where it lies beyond."""
    return min(max(float(value), SMALLEST_OHM), LARGEST_OHM)


def _boundary_point(row: Any, name: str) -> Point | None:
    """The median; None where half of the draws read no resistance as 0, or none converged."""
    middle = row.r50_ohm
    if not _known(middle) or middle > LARGEST_OHM:
        return None
    below = middle < SMALLEST_OHM
    return Point(
        x=float(getattr(row, name)),
        y=_searched(middle),
        y_bar=(
            _searched(row.r50_low_ohm if _known(row.r50_low_ohm) else 0.0),
            _searched(row.r50_high_ohm if _known(row.r50_high_ohm) else LARGEST_OHM),
        ),
        bound="down" if below else "",
        tip=f"{row.corner}, {row.vdd_v:g} V, {row.temperature_c:g} °C\nmedian {_ohm(middle)}\n"
        f"5 to 95 %: {_ohm(row.r05_ohm)} to {_ohm(row.r95_ohm)}\n{row.draws} draws",
    )  # fmt: skip


def boundary_table(rows: Sequence[Any]) -> Table:
    """Quantiles of the boundary over the draws of mismatch, with 95 % intervals."""
    shares = {"r05": "5 %", "r50": "median", "r95": "95 %"}

    def interval(row: Any, name: str) -> str:
        value, low, high = (getattr(row, f"{name}{end}_ohm") for end in ("", "_low", "_high"))
        return f"{_ohm(value)} ({_ohm(low)} to {_ohm(high)})"

    return Table(
        title="Boundary in 5, 50 and 95 % of the draws, with 95 % intervals",
        header=("VDD", "T, corner, window", *shares.values(), "draws"),
        rows=tuple(
            (
                f"{row.vdd_v:g} V",
                environment(row),
                *(interval(row, name) for name in shares),
                f"{row.draws}, {row.unconverged} did not converge"
                if row.unconverged
                else f"{row.draws}",
            )
            for row in rows
        ),
        numeric=(0, 2, 3, 4, 5),
        folded=len(rows) > 12,
    )


def _ohm(value: float | None) -> str:
    """A resistance, or which side of what was searched it lies on."""
    if value is None or value != value:
        return "–"
    if value < SMALLEST_OHM:
        return f"below {engineering(SMALLEST_OHM, 'Ω')}"
    if value > LARGEST_OHM:
        return f"above {engineering(LARGEST_OHM, 'Ω')}"
    return engineering(value, "Ω")
