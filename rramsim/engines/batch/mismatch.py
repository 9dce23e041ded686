"""How a card's varying parameters move a transistor's current, by finite differences in ngspice.

The foundry varies model parameters (oxide thickness, subthreshold offset and slope). Each set of
values is turned into what the tables understand: an equivalent shift of the gate voltage, which
depends on the inversion level, and a gain,

    I(vgs, vds, vsb; p) = exp(b(p)) * I(vgs + shift(z, vsb; p) + tilt(p) vds, vds, vsb; 0)

with z = vgs - body vsb, and no tilt at vds < 0. A change of the current factor moves linear and
saturated operation alike as a factor and unlike as a shift; a change of the oxide changes how much
the drain lowers the barrier (some mV per volt). b and tilt are what makes the shifts found at
several vds agree best. Where the source is tied to the bulk there is no vsb, and the tilt depends
on z as well: b is what makes the shifts at several vds lie on a straight line best. All are fitted
as polynomials in the deviates.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.placing import card_text, instance_text
from rramsim.engines.batch.splines import coefficients
from rramsim.engines.batch.tables import Grid, TransistorKind, moved_alone
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError

__all__ = ["MismatchFit", "fit_mismatch", "monomials", "z_grid"]

Floats = NDArray[np.float64]

_FLOOR_A = 1e-12
"""Below this current a shift is not looked for: 1 pA moves 60 fF by 1 uV in the window."""

_USABLE_A = 1e-10
"""b and tilt are found above this current."""


@dataclass(frozen=True, kw_only=True)
class MismatchFit:
    """Polynomials of the shift and of the gain; see `DeviceTable`."""

    powers: NDArray[np.int64]
    shift: Floats
    log_gain: Floats
    tilt: Floats
    body: float
    residual_v: Floats


def z_grid(kind: TransistorKind) -> Grid:
    """The grid of the inversion coordinate z."""
    step = max(0.075, kind.reach_v / 32)
    points = int(np.ceil((kind.reach_v + 0.2) / step)) + 1
    return Grid(start_v=-0.3, step_v=step, points=points)


def monomials(parameters: int) -> NDArray[np.int64]:
    """Exponents of the polynomial: all of degree one and two, and cubes; no constant.

    >>> monomials(1).tolist()
    [[1], [2], [3]]
    """
    unit = np.eye(parameters, dtype=np.int64)
    rows = [*unit, *(2 * unit), *(unit[a] + unit[b] for a, b in combinations(range(parameters), 2))]
    return np.array([*rows, *(3 * unit)], dtype=np.int64).reshape(-1, parameters)


def _design(parameters: int) -> Floats:
    """Deviates to try: along each axis, in each plane's diagonals, and some at random."""
    unit = np.eye(parameters)
    rows = [s * u for u in unit for s in (-5.0, -3.0, -1.5, 1.5, 3.0, 5.0)]
    for a, b in combinations(range(parameters), 2):
        rows += [3 * (s * unit[a] + r * unit[b]) for s in (-1, 1) for r in (-1, 1)]
    rng = np.random.default_rng(20240229)
    rows += list(2.0 * rng.standard_normal((4 * parameters, parameters)))
    return np.array(rows)


def fit_mismatch(kind: TransistorKind) -> MismatchFit:
    """Fit the polynomials; raises `InputError` if ngspice refuses the card."""
    grid, parameters = z_grid(kind), len(kind.varying)
    if parameters == 0:
        return MismatchFit(
            powers=np.zeros((0, 0), dtype=np.int64),
            shift=np.zeros((0, 2, grid.points + 2)),
            log_gain=np.zeros(0),
            tilt=np.zeros(0),
            body=0.0,
            residual_v=np.zeros(1),
        )
    powers, design = monomials(parameters), _design(parameters)
    supply_v = kind.reach_v - 0.5
    shares = (0.0, 0.15, 0.4, 0.8) if kind.tied else (0.0, 0.35, 0.8)
    drains_v = (0.05, *(share * supply_v for share in shares[1:]))
    body_v = 0.35 * supply_v
    bodies_v = (0.0,) if kind.tied else (0.0, body_v)
    x_v = np.arange(-0.5, kind.reach_v + 0.3, 0.02)
    try:
        currents = _currents(kind, design, drains_v, bodies_v, x_v)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    # Less what the junctions leak, which flows with the channel off: (1 + designs, vsb, vds, x).
    logs = np.log(np.maximum(currents - currents[..., :1], _FLOOR_A * 1e-3))
    nominal, varied = logs[0], logs[1:]
    whole = np.array([_gain_and_tilt(nominal, curve, x_v, drains_v, kind.tied) for curve in varied])
    body = 0.0
    if not kind.tied:
        level = np.log(1e-7)
        body = (
            np.interp(level, nominal[1, 1], x_v) - np.interp(level, nominal[0, 1], x_v)
        ) / body_v
    shifts = np.empty((len(design), 2, grid.points))
    for index, curve in enumerate(varied):
        found = np.empty((len(bodies_v), len(drains_v), grid.points))
        for layer, vsb in enumerate(bodies_v):
            at = grid.values_v + body * vsb
            for k, vds in enumerate(drains_v):
                plain = curve[layer, k] - whole[index, 0]
                shift = _shift(nominal[layer, k], plain, x_v, at)
                found[layer, k] = shift - whole[index, 1] * vds
        if kind.tied:
            shifts[index, 1], shifts[index, 0] = np.polyfit(drains_v, found[0], 1)
        else:
            at_bulk, above = found.mean(axis=1)
            shifts[index] = at_bulk, (above - at_bulk) / body_v
    basis = np.prod(design[:, None, :] ** powers[None], axis=-1)
    # Samples beyond three sigma are rare: they bend the fit less.
    weight = np.exp(-np.sum(design**2, axis=1) / 36)[:, None]
    fitted = np.linalg.lstsq(
        weight * basis,
        weight * np.column_stack([shifts.reshape(len(design), -1), whole]),
        rcond=None,
    )[0]
    residual = (basis @ fitted[:, :-2]).reshape(shifts.shape)[:, 0] - shifts[:, 0]
    inside = np.sum(design**2, axis=1) <= 18.1
    return MismatchFit(
        powers=powers,
        shift=coefficients(fitted[:, :-2].reshape(len(powers), 2, grid.points), (2,), 3),
        log_gain=np.ascontiguousarray(fitted[:, -2]),
        tilt=np.ascontiguousarray(fitted[:, -1]),
        body=float(body),
        residual_v=np.abs(residual[inside]),
    )


def _currents(
    kind: TransistorKind,
    design: Floats,
    drains_v: tuple[float, ...],
    bodies_v: tuple[float, ...],
    x_v: Floats,
) -> Floats:
    """Drain currents (1 + designs, vsb, vds, x); the first is the nominal transistor."""
    session = ngspice_session()
    sign = kind.sign
    lines = ["mismatch"]
    for a, vsb in enumerate(bodies_v):
        lines.append(f"vs{a} s{a} 0 {sign * vsb!r}")
        lines.append(f"eg{a} g{a} s{a} x 0 {sign}")
    names = []
    for index in range(len(design) + 1):
        lines.append(card_text(kind, f"device{index}"))
        for a, vsb in enumerate(bodies_v):
            for b, vds in enumerate(drains_v):
                tag = f"{index}_{a}_{b}"
                lines.append(instance_text(kind, tag, f"d{tag} g{a} s{a} 0", f"device{index}"))
                lines.append(f"vd{tag} d{tag} 0 {sign * (vsb + vds)!r}")
                names.append(f"vd{tag}")
    sweep = f"{float(x_v[0])!r} {float(x_v[-1]) + 0.005!r} 0.02"
    lines += [
        "vx x 0 0",
        ".options reltol=1e-6 abstol=1e-16 vntol=1e-9 "
        f"gmin={kind.gmin_s!r} temp={kind.temperature_c!r}",
        f".save {' '.join(f'i({name})' for name in names)}",
        f".dc vx {sweep}",
        ".end",
    ]
    session.load("\n".join(lines))
    for index, deviates in enumerate(design, start=1):
        for name, value in moved_alone(kind.varying, deviates.tolist()).items():
            session.command(f"altermod device{index} {name} = {value:.9g}")
    faults = session.run()
    found = [-sign * session.vector(f"{name}#branch") for name in names]
    session.discard_results()
    if faults or any(f.size != x_v.size or not np.isfinite(f).all() for f in found):
        raise CircuitError(faults[0] if faults else "a sweep of the transistor ended early")
    return np.stack(found).reshape(len(design) + 1, len(bodies_v), len(drains_v), x_v.size)


def _gain_and_tilt(
    nominal: Floats, curve: Floats, x_v: Floats, drains_v: tuple[float, ...], tied: bool
) -> Floats:
    """The b and the tilt for which the shifts at all vds agree best, over all vsb and vgs.

    A shift s, a gain and a tilt change ln(I) by slope * (s + tilt * vds) + b; what differs between
    the drain voltages does not hold s. Where the source is tied, s has a slope over vds at each
    vgs: what lies on a line does not hold it, and the tilt is 0.
    """
    vds = np.array(drains_v)
    known = np.stack([np.ones_like(vds), vds][: 2 if tied else 1], axis=1)
    off = np.eye(len(vds)) - known @ np.linalg.pinv(known)
    rows, sides = [], []
    for layer in range(nominal.shape[0]):
        usable = (nominal[layer, 0] > np.log(_USABLE_A)) & (x_v < x_v[-1] - 0.3)
        slope = np.gradient(nominal[layer], x_v, axis=-1)[:, usable]
        found = (curve - nominal)[layer][:, usable] / slope
        levers = [1 / slope] if tied else [1 / slope, np.broadcast_to(vds[:, None], slope.shape)]
        rows.append(np.stack([(off @ lever).ravel() for lever in levers]))
        sides.append((off @ found).ravel())
    answer = np.linalg.lstsq(np.concatenate(rows, axis=1).T, np.concatenate(sides), rcond=None)[0]
    return np.append(answer, [0.0] * (2 - len(answer)))


def _shift(nominal: Floats, curve: Floats, x_v: Floats, at: Floats) -> Floats:
    """The gate shift that gives the nominal curve the other's value; held beyond its range."""
    from scipy.interpolate import CubicSpline  # heavy: loaded where it is needed

    rising = nominal > np.log(_FLOOR_A)
    rising &= np.concatenate((np.diff(nominal) > 1e-6, [False]))
    start = int(np.argmax(rising)) if rising.any() else 0
    wanted = CubicSpline(x_v, curve)(at)
    found = CubicSpline(nominal[start:], x_v[start:])(wanted) - at
    valid = (wanted > nominal[start]) & (wanted < nominal[-1]) & (at < x_v[-1])
    if not valid.any():
        return np.zeros_like(at)
    return np.interp(at, at[valid], found[valid])
