"""Charges of a transistor's terminals and currents of its junctions through ngspice, from ramps.

What flows beyond the direct current at the same voltages charges the terminal. That holds
intrinsic, overlap and junction charge of any model, without reading a card's parameters. ngspice
integrates by the trapezoidal rule, so the trapezoidal sum of the reported currents gives the
charges exactly, whatever the step.

A diffusion far below the bulk carries so much direct current (1e20 A at -1.5 V, in a card without
series resistance) that no charge can be told from it. So charges are counted from vds = 0 outwards,
only where no diffusion conducts, and go on straight over vds where the drain's does.

With drain and source at one voltage no channel current flows, and what each of them takes is its
junction's. A junction depends on one voltage, so a fine grid costs nothing: 12.5 mV keep the
spline of an exponential within 0.04 % at -40 degrees. In reverse some pA flow (saturation
current, ngspice's gmin), which are left with the channel's.

What all extractions share is here too: a transistor as text that ngspice reads, its gate
resistance apart, and sweeps of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.engines.batch.tables import Grid, TransistorKind, coefficients, moved_alone
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession
from rramsim.exceptions import InputError
from rramsim.spice import Element

Floats = NDArray[np.float64]

_OPTIONS = ".options reltol=1e-6 vntol=1e-9 trtol=1e6 method=trap"
_ABSTOL_A, _SERIES_ABSTOL_A = 1e-16, 1e-13
"""The smallest currents that count; behind a series resistance of some ohm the rounding of a
volt is a current of 1e-15 A already, and nothing would converge."""


def card_text(kind: TransistorKind, name: str, deviates: Sequence[float] = ()) -> str:
    """The card, moved by `deviates` of its varying parameters, as lines of bounded length.

    Written into the card, a value costs nothing; `altermod` sets all transistors up again.
    """
    fields = kind.card.replace("(", " ").replace(")", " ").replace("=", " = ").split()
    for parameter, value in moved_alone(kind.varying, deviates).items():
        if parameter in fields:
            fields[fields.index(parameter) + 2] = f"{value:.9g}"
        else:
            fields += [parameter, "=", f"{value:.9g}"]
    lines = [f".model {name} {kind.kind}"]
    lines += ["+ " + " ".join(fields[i : i + 24]) for i in range(0, len(fields), 24)]
    return "\n".join(lines)


def instance_text(kind: TransistorKind, name: str, nodes: str, model: str) -> str:
    """A line that places the transistor."""
    sizes = " ".join(f"{key}={value!r}" for key, value in kind.parameters)
    return f"m{name} {nodes} {model} {sizes}"


def options_text(kind: TransistorKind) -> str:
    """The .options line of every extraction."""
    sizes = dict(kind.parameters)
    series = any(sizes.get(name, 0.0) > 0 for name in ("nrd", "nrs"))
    abstol_a = _SERIES_ABSTOL_A if series else _ABSTOL_A
    return f"{_OPTIONS} abstol={abstol_a!r} gmin={kind.gmin_s!r} temp={kind.temperature_c!r}"


def sweep(
    session: NgspiceSession, lines: list[str], names: list[str], shape: tuple[int, ...]
) -> list[Floats]:
    """Currents into the first nodes of the sources `names` over the loaded `.dc`, one array each.

    Raises `CircuitError` if the sweep did not reach its end.
    """
    saved = f".save {' '.join(f'i({name})' for name in names)}"
    session.load("\n".join([*lines, saved, ".end"]))
    faults = session.run()
    found = [session.vector(f"{name}#branch") for name in names]
    session.discard_results()
    if faults:
        raise CircuitError(faults[0])
    if any(f.size != int(np.prod(shape)) or not np.isfinite(f).all() for f in found):
        raise CircuitError("a sweep of the transistor ended early")
    return [f.reshape(shape) for f in found]


_LONGEST_S = 1e-12
"""Resistance times capacitance of a gate that a read cannot tell from none."""
_OXIDE_F_PER_M = 3.9 * 8.8541878e-12


def quasi_static(mosfet: Element) -> Element:
    """The transistor without its gate's resistance (BSIM4's `rgatemod`).

    Raises `InputError` where the electrode's resistance would delay the gate by more than 1 ps, and
    for the models that add the channel's (rgatemod 2 and 3): ngspice solves those.
    """
    card, sizes = mosfet.card, dict(mosfet.parameters)
    assert card is not None
    mode = sizes.pop("rgatemod", card.parameter("rgatemod") or 0.0)
    if mode == 0:
        return mosfet

    def value(name: str, otherwise: float) -> float:
        found = card.parameter(name)
        return otherwise if found is None else found

    fingers, contacts = sizes.get("nf", 1.0), value("ngcon", 1.0)
    path_m = value("xgw", 0.0) + sizes["w"] / fingers / 3 / contacts
    across_m = contacts * (sizes["l"] - value("xgl", 0.0)) * fingers
    resistance_ohm = value("rshg", 0.1) * path_m / across_m
    gate_f = _OXIDE_F_PER_M / value("toxe", 3e-9) * sizes["w"] * sizes["l"]
    if mode != 1 or resistance_ohm * gate_f > _LONGEST_S:
        raise InputError(
            f"card {card.bin_name}: rgatemod = {mode:g}: the gate's resistance delays the gate; "
            "the batch engine's tables do not hold that; use ngspice"
        )
    without = card.with_values({"rgatemod": "0"})
    return replace(mosfet, card=without, parameters=tuple(sizes.items()))


Place = tuple[tuple[float, bool], ...]
"""Voltages of gate, drain and source: a constant, and whether the ramp is added."""

_RAMP_V_PER_S = 2e9
_CONDUCTS_V = -0.5
"""Below this voltage over the bulk a diffusion's charge is extrapolated."""
_LOOP = 0.01
"""BSIM4 closes the loop to 0.07 % (which is the table's own error), Meyer's model to 8 %."""


def charges(
    session: NgspiceSession,
    kind: TransistorKind,
    fine: Grid,
    coarse: Grid,
    layers_v: Floats,
) -> Floats:
    """Charges on gate, drain, source (and a zero) over (vsb, vgs, vds).

    One ramp x(t) drives three groups: vgs = x at every (vds, vsb); vds = x at the lowest vgs and
    every vsb; vsb = x at the lowest vgs and no vds. The last two join the first one's lines. A
    fourth, vds = x at the highest vgs, goes round the other way: raises `InputError` if it ends
    elsewhere, for then the charges are no function of the voltages.
    """
    low, high = fine.start_v, fine.start_v + fine.step_v * (fine.points - 1)
    drains_v = coarse.values_v
    places = [*_places(low, drains_v, layers_v), ((high, False), (0.0, True), (0.0, False))]
    lines = ramp(session, kind, places, low - 2 * fine.step_v, high + fine.step_v, fine.step_v)
    found = _joined(lines[:-1], fine, drains_v, layers_v)
    closest = int(np.argmin(abs(layers_v)))
    _check_loop(kind, found[closest, -1], coarse, lines[-1])
    charge = np.zeros((*found.shape[:3], 4))
    charge[..., :3] = kind.sign * found
    return charge


def varied_charges(
    session: NgspiceSession,
    kind: TransistorKind,
    fine: Grid,
    drains_v: Floats,
    layers_v: Floats,
    designs: Floats,
) -> Floats:
    """As `charges`, for copies of the card with the deviates `designs` (copies, parameters).

    Shape (copies, vsb, vgs, vds, 3). Raises `CircuitError` if ngspice fails.
    """
    low, high = fine.start_v, fine.start_v + fine.step_v * (fine.points - 1)
    places = _places(low, drains_v, layers_v)
    lines = ramp(
        session, kind, places * len(designs), low - 2 * fine.step_v, high + fine.step_v,
        fine.step_v, np.repeat(designs, len(places), axis=0).tolist(),
    )  # fmt: skip
    each = (lines[k : k + len(places)] for k in range(0, len(lines), len(places)))
    return kind.sign * np.stack([_joined(mine, fine, drains_v, layers_v) for mine in each])


def _places(low: float, drains_v: Floats, layers_v: Floats) -> list[Place]:
    """vgs = x at every (vds, vsb); vds = x at the lowest vgs and every vsb; vsb = x there."""
    places: list[Place] = [
        ((vsb, True), (vsb + vds, False), (vsb, False))
        for vsb in layers_v.tolist()
        for vds in drains_v.tolist()
    ]
    places += [((vsb + low, False), (vsb, True), (vsb, False)) for vsb in layers_v.tolist()]
    return [*places, ((low, True), (0.0, True), (0.0, True))]


def _joined(
    lines: Sequence[Callable[[ArrayLike], Floats]],
    fine: Grid,
    drains_v: Floats,
    layers_v: Floats,
) -> Floats:
    """The charges along `_places` as one function of the voltages, (vsb, vgs, vds, terminals)."""
    n_vds, n_vsb = len(drains_v), len(layers_v)
    source = lines[-1](layers_v) - lines[-1]([0.0])
    charge = np.zeros((n_vsb, fine.points, n_vds, 3))
    for k, vsb in enumerate(layers_v):
        drain = lines[n_vds * n_vsb + k]
        along = drain(drains_v) - drain([0.0])
        gate = np.stack([line(fine.values_v) for line in lines[k * n_vds : (k + 1) * n_vds]])
        gate = gate - gate[..., :1]
        found = np.transpose(gate, (2, 1, 0)) + along + source[:, k, None]
        straighten(found, int(np.searchsorted(drains_v + vsb, _CONDUCTS_V)))
        charge[k] = np.transpose(found, (0, 2, 1))
    return charge


def _check_loop(
    kind: TransistorKind, charge: Floats, coarse: Grid, line: Callable[[ArrayLike], Floats]
) -> None:
    """Compare the table's charges at the highest vgs, (vds, terminals), with a ramp there."""
    ahead = coarse.values_v >= -1e-9
    table = charge[ahead] - charge[ahead][:1]
    ramp = (line(coarse.values_v[ahead]) - line([0.0])).T
    whole = float(np.abs(charge[:, 0]).max())
    if whole == 0.0:
        raise InputError(f"{kind.kind} card: its gate holds no charge; use ngspice")
    apart = float(np.abs(table - ramp).max()) / whole
    if apart > _LOOP:
        raise InputError(
            f"{kind.kind} card: its charges depend on the path by {100 * apart:.1f} % of the "
            "gate's, so its model conserves none (Meyer's capacitances, levels 1 to 6, do not); "
            "use ngspice, or a card of a charge-based model such as BSIM4 (level 54)"
        )


def straighten(lines: Floats, first: int) -> None:
    """Continue lines (..., points) below the point `first` as straight ones, in place."""
    first = min(first, lines.shape[-1] - 2)
    slope = lines[..., first + 1] - lines[..., first]
    lines[..., :first] = lines[..., first, None] - slope[..., None] * np.arange(first, 0, -1)


def ramp(
    session: NgspiceSession,
    kind: TransistorKind,
    places: list[Place],
    low: float,
    high: float,
    fine_step_v: float,
    deviates: Sequence[Sequence[float]] = (),
) -> list[Callable[[ArrayLike], Floats]]:
    """For each place the charges (terminals, ...) as a function of the ramp's voltage x.

    `deviates`: for each place those of the card's varying parameters there; none if empty. Raises
    `CircuitError` if ngspice fails.
    """
    sign = kind.sign
    models = [f"device{k}" for k in range(len(places))] if deviates else ["device"]
    lines = ["charges"]
    lines += [
        card_text(kind, model, of) for model, of in zip(models, deviates or [()], strict=True)
    ]
    nodes: dict[float, str] = {}

    def driven(voltage: float) -> str:
        """A node at a constant voltage, for the moving ones to stand on."""
        if voltage not in nodes:
            nodes[voltage] = f"k{len(nodes)}"
            lines.append(f"v{nodes[voltage]} {nodes[voltage]} 0 {voltage!r}")
        return nodes[voltage]

    saved = []
    for k, place in enumerate(places):
        lines.append(instance_text(kind, f"{k}", f"d{k} g{k} s{k} 0", models[k % len(models)]))
        for letter, (constant, moves) in zip("gds", place, strict=True):
            if moves:
                node = driven(sign * constant)
                lines.append(f"e{letter}{k} {letter}{k} {node} x 0 {sign}")
                saved.append(f"e{letter}{k}")
            else:
                lines.append(f"v{letter}{k} {letter}{k} 0 {sign * constant!r}")
                saved.append(f"v{letter}{k}")
    duration = (high - low) / _RAMP_V_PER_S
    step = fine_step_v / _RAMP_V_PER_S
    start = 4 * step
    lines += [
        f"vx x 0 dc {low!r} pwl(0 {low!r} {start!r} {low!r} {start + duration!r} {high!r})",
        options_text(kind),
        f".save v(x) {' '.join(f'i({name})' for name in saved)}",
        f".dc vx {low!r} {high + 0.005!r} {fine_step_v!r}",
        f".tran {step!r} {start + duration!r} 0 {step!r}",
        ".end",
    ]
    session.load("\n".join(lines))
    names = [f"{name}#branch" for name in saved]
    session.command(f"dc vx {low!r} {high + 0.005!r} {fine_step_v!r}")
    swept = session.vector("x")
    if swept.size == 0:
        swept = session.vector("v-sweep")
    shape = (len(places), 3, -1)
    direct = np.stack([session.vector(name) for name in names]).reshape(shape)
    session.command(f"tran {step!r} {start + duration!r} 0 {step!r}")
    time, x_v = session.vector("time"), session.vector("x")
    total = np.stack([session.vector(name) for name in names]).reshape(shape)
    session.discard_results()
    if swept.size < 10 or time.size < 10 or not np.isfinite(total).all():
        raise CircuitError("ngspice gave no charges for this transistor")
    # Rising part only: x must grow for the splines over it.
    first = int(np.flatnonzero(x_v > low + 1e-9)[0]) - 1
    keep = first + np.flatnonzero(np.concatenate(([True], np.diff(x_v[first:]) > 1e-9)))
    # Places whose diffusions conduct in the same stretch share one set of splines.
    stretches = [(_idle(place, swept), _idle(place, x_v[first:])) for place in places]
    alike: dict[tuple[bytes, ...], list[int]] = {}
    for k, masks in enumerate(stretches):
        alike.setdefault(tuple(mask.tobytes() for mask in masks), []).append(k)
    lines_of: list[Callable[[ArrayLike], Floats]] = [_nothing] * len(places)
    for members in alike.values():
        dc, moving = stretches[members[0]]
        if dc.sum() >= 4 and moving[keep - first].sum() >= 4:
            charge = _charge(
                swept[dc], direct[members][..., dc], time[first:][moving], x_v[first:][moving],
                total[members][..., first:][..., moving],
                np.isin(np.flatnonzero(moving), keep - first),
            )  # fmt: skip
            for k, one in enumerate(members):
                lines_of[one] = partial(_at, charge, k)
    return lines_of


def _idle(place: Place, x: Floats) -> NDArray[np.bool_]:
    """Where no diffusion conducts, with a step to spare: a spline is least exact at its end."""
    voltage = [constant + x * moves for constant, moves in place[1:]]
    return np.asarray(np.min(voltage, axis=0) > _CONDUCTS_V - 0.1)


def _charge(
    swept_v: Floats, direct: Floats, time: Floats, x_v: Floats, total: Floats,
    kept: NDArray[np.bool_],
) -> Any:  # fmt: skip
    """Charges (places, terminals) over the ramp's voltage."""
    from scipy.interpolate import CubicSpline  # heavy: loaded where it is needed

    # ngspice counts what flows into a source's first node as positive.
    flows = CubicSpline(swept_v, direct, axis=2)(x_v) - total
    moved = np.diff(time) * (flows[..., 1:] + flows[..., :-1]) / 2
    charge = np.concatenate((np.zeros((*moved.shape[:2], 1)), np.cumsum(moved, axis=2)), axis=2)
    return CubicSpline(x_v[kept], charge[..., kept], axis=2)


def _at(charge: Any, place: int, at: ArrayLike) -> Floats:
    """The charges of one place, (terminals, points)."""
    one = charge.construct_fast(charge.c[:, :, place], charge.x, axis=1)
    return np.asarray(one(np.asarray(at)))


def _nothing(at: ArrayLike) -> Floats:
    """The charges of a place whose diffusions always conduct."""
    return np.zeros((3, np.size(at)))


JUNCTION_GRID = Grid(start_v=-1.0, step_v=0.0125, points=81)
"""Voltages of an n-channel transistor's diffusion above the bulk: from full conduction to none."""


def junction_table(session: NgspiceSession, kind: TransistorKind) -> Floats:
    """Cubic coefficients of (drain, source) over `JUNCTION_GRID`; shape (2, points + 2).

    Raises `CircuitError` if ngspice fails.
    """
    return coefficients(junction_currents(session, kind, JUNCTION_GRID), (1,), 3)


def junction_currents(session: NgspiceSession, kind: TransistorKind, grid: Grid) -> Floats:
    """Currents into (drain, source) over a grid of their common voltage above the bulk.

    What leaks in reverse is not counted here: it stays with the channel's current.
    """
    sign = kind.sign
    lines = [
        "junctions",
        card_text(kind, "device"),
        instance_text(kind, "1", "d 0 s 0", "device"),
        f"ed d 0 x 0 {sign}",
        f"es s 0 x 0 {sign}",
        "vx x 0 0",
        options_text(kind),
        f".dc vx {grid.start_v!r} {float(grid.values_v[-1]) + grid.step_v / 4!r} {grid.step_v!r}",
    ]
    found = -sign * np.stack(sweep(session, lines, ["ed", "es"], (grid.points,)))
    return np.where(grid.values_v < 0, found, 0.0)
