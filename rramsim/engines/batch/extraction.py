"""Tables of transistors through ngspice, so that every card that ngspice runs can be used.

Currents come from nested `.dc` sweeps. Charges come from a ramp of each terminal: what flows
beyond the direct current at the same voltages charges the terminal. That holds intrinsic,
overlap and junction charge of any model, without reading a card's parameters. ngspice integrates
by the trapezoidal rule, so the trapezoidal sum of the reported currents gives the charges
exactly, whatever the step.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from rramsim.engines.batch.splines import coefficients, evaluate
from rramsim.engines.batch.tables import Grid, TransistorKind
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession, ngspice_session
from rramsim.exceptions import InputError

__all__ = ["Extraction", "card_text", "current_errors", "extract", "grids", "instance_text"]

Floats = NDArray[np.float64]

_FINE_V, _LAYER_V = 0.05, 0.16
_RAMP_V_PER_S = 2e9
_OPTIONS = ".options reltol=1e-6 abstol=1e-16 vntol=1e-9 trtol=1e6 method=trap"


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Cubic coefficients of the current, quadratic ones of the charges; see `DeviceTable`."""

    current: Floats
    charge: Floats
    grids_v: Floats


def grids(kind: TransistorKind) -> tuple[Grid, Grid, Grid]:
    """Grids of vgs (and vds) for currents, of vds for charges, and of vsb.

    Up to 2 V the current's grid is 50 mV, finer than a decade below threshold; a higher supply
    gets as many points over a wider range, where the subthreshold region matters less.
    """
    step = max(_FINE_V, kind.reach_v / 48)
    half = int(np.ceil(kind.reach_v / step))
    layers = min(int(np.ceil(kind.reach_v / _LAYER_V)), 13) + 4
    layer_step = (kind.reach_v - 0.3) / (layers - 4)
    return (
        Grid(start_v=-half * step, step_v=step, points=2 * half + 1),
        Grid(start_v=-half * step, step_v=2 * step, points=half + 1),
        Grid(start_v=-3 * layer_step, step_v=layer_step, points=layers),
    )


def extract(kind: TransistorKind) -> Extraction:
    """Sweep one transistor in ngspice; raises `InputError` if ngspice refuses the card."""
    session = ngspice_session()
    fine, coarse, layer = grids(kind)
    layers_v = np.zeros(1) if kind.tied else layer.values_v
    try:
        current = _currents(session, kind, fine, layers_v)
        charge = _charges(session, kind, fine, coarse, layers_v)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    if kind.tied:
        current, charge = current[0], charge[0]
    axes = tuple(range(current.ndim))
    return Extraction(
        current=coefficients(current, axes, 3),
        charge=coefficients(charge, axes, 2),
        grids_v=np.array(
            [
                *([fine.start_v, fine.step_v],) * 2,
                [layer.start_v, layer.step_v],
                [fine.start_v, fine.step_v],
                [coarse.start_v, coarse.step_v],
                [layer.start_v, layer.step_v],
            ]
        ),
    )


def card_text(kind: TransistorKind, name: str) -> str:
    """The card as lines of bounded length."""
    fields = kind.card.replace("(", " ").replace(")", " ").replace("=", " = ").split()
    lines = [f".model {name} {kind.kind}"]
    lines += ["+ " + " ".join(fields[i : i + 24]) for i in range(0, len(fields), 24)]
    return "\n".join(lines)


def instance_text(kind: TransistorKind, name: str, nodes: str, model: str) -> str:
    """A line that places the transistor."""
    sizes = " ".join(f"{key}={value!r}" for key, value in kind.parameters)
    return f"m{name} {nodes} {model} {sizes}"


def _options(kind: TransistorKind) -> str:
    return f"{_OPTIONS} gmin={kind.gmin_s!r} temp={kind.temperature_c!r}"


def _currents(
    session: NgspiceSession, kind: TransistorKind, fine: Grid, layers_v: Floats
) -> Floats:
    """Drain current over (vsb, vgs, vds)."""
    sign = kind.sign
    lines = ["currents", card_text(kind, "device")]
    for k, vsb in enumerate(layers_v.tolist()):
        lines += [
            instance_text(kind, f"{k}", f"d{k} g{k} s{k} 0", "device"),
            f"vs{k} s{k} 0 {sign * vsb!r}",
            f"eg{k} g{k} s{k} x 0 {sign}",
            f"ed{k} d{k} s{k} y 0 {sign}",
        ]
    stop = fine.start_v + fine.step_v * (fine.points - 1) + fine.step_v / 4
    sweep = f"{fine.start_v!r} {stop!r} {fine.step_v!r}"
    lines += [
        "vx x 0 0",
        "vy y 0 0",
        _options(kind),
        f".save {' '.join(f'i(ed{k})' for k in range(len(layers_v)))}",
        f".dc vy {sweep} vx {sweep}",
        ".end",
    ]
    session.load("\n".join(lines))
    _run(session)
    shape = (fine.points, fine.points)
    found = [-sign * _vector(session, f"ed{k}#branch", shape) for k in range(len(layers_v))]
    session.discard_results()
    return np.stack(found)


def _charges(
    session: NgspiceSession,
    kind: TransistorKind,
    fine: Grid,
    coarse: Grid,
    layers_v: Floats,
) -> Floats:
    """Charges on gate, drain, source (and a zero) over (vsb, vgs, vds).

    One ramp x(t) drives three groups: vgs = x at every (vds, vsb); vds = x at the lowest vgs and
    every vsb; vsb = x at the lowest vgs and vds. The last two join the first one's lines.
    """
    low, high = fine.start_v, fine.start_v + fine.step_v * (fine.points - 1)
    places: list[tuple[str, str, str]] = []  # gate, drain, source voltage, functions of x
    for vsb in layers_v.tolist():
        places += [(f"{vsb!r}+x", f"{vsb + vds!r}", f"{vsb!r}") for vds in coarse.values_v.tolist()]
    for vsb in layers_v.tolist():
        places += [(f"{vsb + low!r}", f"{vsb!r}+x", f"{vsb!r}")]
    places += [(f"{low!r}+x", f"{coarse.start_v!r}+x", "0.0+x")]
    along, x_v = _ramp(
        session, kind, places, low - 2 * fine.step_v, high + fine.step_v, fine.step_v
    )
    grid_lines = CubicSpline(x_v, along, axis=-1)(fine.values_v)
    n_vds, n_vsb = coarse.points, len(layers_v)
    gate_lines = grid_lines[: n_vds * n_vsb].reshape(n_vsb, n_vds, 3, fine.points)
    gate_lines = gate_lines - gate_lines[..., :1]
    drain_lines = grid_lines[n_vds * n_vsb : -1, :, ::2]
    drain_lines = drain_lines - drain_lines[..., :1]
    source_line = CubicSpline(fine.values_v, grid_lines[-1], axis=-1)(layers_v).T
    charge = np.zeros((n_vsb, fine.points, n_vds, 4))
    charge[..., :3] = (
        np.transpose(gate_lines, (0, 3, 1, 2))
        + np.transpose(drain_lines, (0, 2, 1))[:, None]
        + (source_line - source_line[:1])[:, None, None]
    )
    return kind.sign * charge


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
        _options(kind),
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


def _run(session: NgspiceSession) -> None:
    faults = session.run()
    if faults:
        raise CircuitError(faults[0])


def _vector(session: NgspiceSession, name: str, shape: tuple[int, ...]) -> Floats:
    values = session.vector(name)
    if values.size != int(np.prod(shape)) or not np.isfinite(values).all():
        raise CircuitError("a sweep of the transistor ended early")
    return values.reshape(shape)


def current_errors(kind: TransistorKind, found: Extraction) -> tuple[float, float, float]:
    """Errors of the tabulated current halfway between grid points, against ngspice.

    Returns the 95th percentile and the largest relative error where more than 1 nA flows at
    vds > 0, and the 95th percentile as an equivalent gate voltage.
    """
    fine, _, layer = grids(kind)
    every = 4
    check = Grid(
        start_v=fine.start_v + 0.5 * fine.step_v,
        step_v=every * fine.step_v,
        points=(fine.points - 1) // every,
    )
    layers_v = np.zeros(1) if kind.tied else layer.values_v[3:10:3] + 0.5 * layer.step_v
    try:
        theirs = _currents(ngspice_session(), kind, check, layers_v)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    relative, gate_v = [], []
    for s, vsb in enumerate(layers_v):
        for g, vgs in enumerate(check.values_v):
            for d, vds in enumerate(check.values_v):
                if vds <= 0 or theirs[s, g, d] < 1e-9:
                    continue
                at = [(v - start) / step for v, (start, step) in
                      zip((vgs, vds, vsb), found.grids_v[:3], strict=True)]  # fmt: skip
                where = (at[0], at[1]) if kind.tied else (at[2], at[0], at[1])
                ours = float(evaluate(found.current, where, 3))
                slope = float(evaluate(found.current, where, 3, 0 if kind.tied else 1))
                relative.append(abs(ours / theirs[s, g, d] - 1))
                gate_v.append(abs((ours - theirs[s, g, d]) / slope) * fine.step_v)
    if not relative:
        raise InputError(f"the {kind.kind} card lets no current flow up to {kind.reach_v:g} V")
    return (
        float(np.quantile(relative, 0.95)),
        float(np.max(relative)),
        float(np.quantile(gate_v, 0.95)),
    )
