"""Charges of a transistor's terminals through ngspice, from a ramp of each terminal.

What flows beyond the direct current at the same voltages charges the terminal. That holds
intrinsic, overlap and junction charge of any model, without reading a card's parameters. ngspice
integrates by the trapezoidal rule, so the trapezoidal sum of the reported currents gives the
charges exactly, whatever the step.

A diffusion far below the bulk carries so much direct current that no charge can be told from it.
So charges are counted from vds = 0 outwards, never across such voltages, and a line of charge
over vds goes on straight where the junction conducts.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from rramsim.engines.batch.placing import card_text, instance_text, options_text
from rramsim.engines.batch.tables import Grid, TransistorKind
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession

__all__ = ["charges"]

Floats = NDArray[np.float64]

_RAMP_V_PER_S = 2e9

_CONDUCTS_V = -0.5
"""Below this voltage over the bulk a diffusion's charge is extrapolated."""


def charges(
    session: NgspiceSession,
    kind: TransistorKind,
    fine: Grid,
    coarse: Grid,
    layers_v: Floats,
) -> Floats:
    """Charges on gate, drain, source (and a zero) over (vsb, vgs, vds).

    One ramp x(t) drives three groups: vgs = x at every (vds, vsb); vds = x at the lowest vgs and
    every vsb; vsb = x at the lowest vgs and no vds. The last two join the first one's lines.
    """
    low, high = fine.start_v, fine.start_v + fine.step_v * (fine.points - 1)
    places: list[tuple[str, str, str]] = []  # gate, drain, source voltage, functions of x
    for vsb in layers_v.tolist():
        places += [(f"{vsb!r}+x", f"{vsb + vds!r}", f"{vsb!r}") for vds in coarse.values_v.tolist()]
    for vsb in layers_v.tolist():
        places += [(f"{vsb + low!r}", f"{vsb!r}+x", f"{vsb!r}")]
    places += [(f"{low!r}+x", "0.0+x", "0.0+x")]
    along, x_v = _ramp(
        session, kind, places, low - 2 * fine.step_v, high + fine.step_v, fine.step_v
    )
    lines = CubicSpline(x_v, along, axis=-1)
    n_vds, n_vsb = coarse.points, len(layers_v)
    gate = lines(fine.values_v)[: n_vds * n_vsb].reshape(n_vsb, n_vds, 3, fine.points)
    gate = gate - gate[..., :1]
    drain = lines(coarse.values_v)[n_vds * n_vsb : -1]
    drain = drain - lines([0.0])[n_vds * n_vsb : -1]
    for line, vsb in zip(drain, layers_v, strict=True):
        _straighten(line, coarse.values_v + vsb)
    source = lines(layers_v)[-1].T
    source = source - lines([0.0])[-1].T
    charge = np.zeros((n_vsb, fine.points, n_vds, 4))
    charge[..., :3] = (
        np.transpose(gate, (0, 3, 1, 2))
        + np.transpose(drain, (0, 2, 1))[:, None]
        + source[:, None, None]
    )
    return kind.sign * charge


def _straighten(line: Floats, drain_v: Floats) -> None:
    """Continue the charges (3, vds) from the lowest two drain voltages that can be trusted."""
    first = int(np.searchsorted(drain_v, _CONDUCTS_V))
    first = min(first, drain_v.size - 2)
    slope = (line[:, first + 1] - line[:, first]) / (drain_v[first + 1] - drain_v[first])
    line[:, :first] = line[:, first, None] + slope[:, None] * (drain_v[:first] - drain_v[first])


def _ramp(
    session: NgspiceSession,
    kind: TransistorKind,
    places: list[tuple[str, str, str]],
    low: float,
    high: float,
    fine_step_v: float,
) -> tuple[Floats, Floats]:
    """Charges (places, terminals, times) along a ramp of x, and x at these times."""
    sign = kind.sign
    lines = ["charges", card_text(kind, "device")]
    nodes: dict[str, str] = {}

    def driven(voltage: str) -> str:
        """A node at a constant voltage, for the moving ones to stand on."""
        if voltage not in nodes:
            nodes[voltage] = f"k{len(nodes)}"
            lines.append(f"v{nodes[voltage]} {nodes[voltage]} 0 {voltage}")
        return nodes[voltage]

    saved = []
    for k, place in enumerate(places):
        lines.append(instance_text(kind, f"{k}", f"d{k} g{k} s{k} 0", "device"))
        for letter, voltage in zip("gds", place, strict=True):
            constant, moves, _ = voltage.partition("+x")
            constant = repr(sign * float(constant))
            if moves:
                lines.append(f"e{letter}{k} {letter}{k} {driven(constant)} x 0 {sign}")
                saved.append(f"e{letter}{k}")
            else:
                lines.append(f"v{letter}{k} {letter}{k} 0 {constant}")
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
    direct = [session.vector(name) for name in names]
    session.command(f"tran {step!r} {start + duration!r} 0 {step!r}")
    time, x_v = session.vector("time"), session.vector("x")
    total = [session.vector(name) for name in names]
    session.discard_results()
    if swept.size < 10 or time.size < 10 or not np.isfinite(np.stack(total)).all():
        raise CircuitError("ngspice gave no charges for this transistor")
    # Rising part only: x must grow for the splines over it.
    first = int(np.flatnonzero(x_v > low + 1e-9)[0]) - 1
    time, x_v = time[first:], x_v[first:]
    keep = np.concatenate(([True], np.diff(x_v) > 1e-9))
    # ngspice counts what flows into a source's first node as positive.
    displacement = CubicSpline(swept, np.stack(direct), axis=1)(x_v) - np.stack(total)[:, first:]
    moved = np.diff(time) * (displacement[:, 1:] + displacement[:, :-1]) / 2
    charges = np.concatenate((np.zeros((len(saved), 1)), np.cumsum(moved, axis=1)), axis=1)[:, keep]
    shape = (len(places), 3, int(keep.sum()))
    return charges.reshape(shape), x_v[keep]
