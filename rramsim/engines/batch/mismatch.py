"""How a card's varying parameters move a transistor's current and charges, by finite differences in
ngspice.

The foundry varies model parameters (oxide thickness, subthreshold offset and slope). Each set of
values is turned into what the tables understand: an equivalent shift of the gate voltage, which
depends on the inversion level, and a gain,

    I(vgs, vds, vsb; p) = exp(b) I(vgs + s(z) + d(z) vds + c(z) vds^2 + u(z) vsb, vds, vsb; 0)

with z = vgs - body vsb, and neither d nor c at vds < 0. A change of the current factor moves linear
and saturated operation alike as a factor and unlike as a shift; a change of the oxide or of the
gate's length changes how much the drain lowers the barrier (some mV per volt, less the higher the
drain is), and one of the saturation velocity counts most in moderate inversion: so slope and bow
over vds depend on z. Where the source is tied to the bulk there is no vsb. For each set of values
all of them are fitted at once to the shifts found at several vds and vsb; then each is a polynomial
in the deviates.

A thicker oxide holds less charge at the same voltage, and another threshold moves the charge along
the gate's voltage, but neither changes overlaps or junctions. So charges become

    exp(s(p)) * Q(vgs + o(p), vds, vsb; 0) + C(p) (vgs, vds, vsb),

where the linear capacitors C take back what the factor does to overlaps and junctions. All are of
second order in each deviate. They are fitted to the charges themselves, over all voltages of a
read: fitted to capacitances they missed the charges eight times as far, and where a latch takes
sides while it is still being precharged, 10 aC on an output are a quarter of a resolve time.
"""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.charges import card_text, instance_text, varied_charges
from rramsim.engines.batch.tables import Grid, TransistorKind, coefficients
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError

Floats = NDArray[np.float64]

_CUBIC = 4
"""Up to so many parameters the polynomials are full cubics."""

_COUNTS_V = 5e-5
"""A term that moves the gate by less, at the root of its mean square, is left out: with half of the
terms currents of drawn dies are as exact."""

_ROUNDS = 2
"""The gain bends a current's logarithm less straight than a shift: solved again around it."""

_FLOOR_A = 1e-12
"""Below this current a shift is not looked for: 1 pA moves 60 fF by 1 uV in the window."""


@dataclass(frozen=True, kw_only=True)
class MismatchFit:
    """Polynomials of the shift and of the gain; see `DeviceTable`."""

    powers: NDArray[np.int64]
    shift: Floats
    log_gain: Floats
    body: float
    residual_v: Floats


def z_grid(kind: TransistorKind) -> Grid:
    """The grid of the inversion coordinate z."""
    step = max(0.075, kind.reach_v / 32)
    points = int(np.ceil((kind.reach_v + 0.2) / step)) + 1
    return Grid(start_v=-0.3, step_v=step, points=points)


def monomials(parameters: int) -> NDArray[np.int64]:
    """Exponents of the polynomial: all of degree one to three, no constant.

    Of many parameters without products of three.

    >>> monomials(1).tolist()
    [[1], [2], [3]]
    """
    unit = np.eye(parameters, dtype=np.int64)
    pairs = combinations(range(parameters), 2)
    rows = [*unit, *(2 * unit), *(unit[a] + unit[b] for a, b in pairs), *(3 * unit)]
    rows += [2 * unit[a] + unit[b] for a, b in permutations(range(parameters), 2)]
    if parameters <= _CUBIC:
        rows += [unit[list(three)].sum(axis=0) for three in combinations(range(parameters), 3)]
    return np.array(rows, dtype=np.int64).reshape(-1, parameters)


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
            shift=np.zeros((0, 4, grid.points + 2)),
            log_gain=np.zeros(0),
            body=0.0,
            residual_v=np.zeros(1),
        )
    powers, design = monomials(parameters), _design(parameters)
    supply_v = kind.reach_v - 0.5
    drains_v = np.array([0.05, *(share * supply_v for share in (0.15, 0.35, 0.6, 0.9))])
    bodies_v = np.array([0.0] if kind.tied else [0.0, 0.35 * supply_v])
    x_v = np.arange(-0.5, kind.reach_v + 0.3, 0.02)
    try:
        currents = _currents(kind, design, drains_v, bodies_v, x_v)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    # Less what the junctions leak, which flows with the channel off: (1 + designs, vsb, vds, x).
    logs = np.log(np.maximum(currents - currents[..., :1], _FLOOR_A * 1e-3))
    body = 0.0
    if not kind.tied:
        at_bulk, above = (np.interp(np.log(1e-7), logs[0, k, 1], x_v) for k in (0, 1))
        body = (above - at_bulk) / bodies_v[1]
    fits = _fits(logs, x_v, drains_v, bodies_v, body, grid)
    # Samples beyond three sigma are rare: they bend the fit less.
    weight = np.exp(-np.sum(design**2, axis=1) / 36)[:, None]

    def polynomials(powers: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Their coefficients, and the shifts that they miss."""
        basis = np.prod(design[:, None, :] ** powers[None], axis=-1)
        fitted = np.linalg.lstsq(weight * basis, weight * fits, rcond=None)[0]
        return fitted, (basis @ fitted - fits)[:, : grid.points]

    powers = powers[_that_count(powers, polynomials(powers)[0], grid.points, supply_v)]
    fitted, residual = polynomials(powers)
    shift = np.zeros((len(powers), 4, grid.points))
    shift[:, : 2 + len(bodies_v)] = fitted[:, :-1].reshape(len(powers), -1, grid.points)
    inside = np.sum(design**2, axis=1) <= 18.1
    return MismatchFit(
        powers=powers,
        shift=coefficients(shift, (2,), 3),
        log_gain=np.ascontiguousarray(fitted[:, -1]),
        body=float(body),
        residual_v=np.abs(residual[inside]),
    )


def _that_count(
    powers: NDArray[np.int64], fitted: Floats, points: int, supply_v: float
) -> NDArray[np.bool_]:
    """Which terms move a gate enough to be kept; first powers and squares of one always are."""
    s, d, c = (fitted[:, k * points : (k + 1) * points] for k in range(3))
    moved_v = [abs(s).max(axis=1), abs(s + supply_v * (d + supply_v * c)).max(axis=1)]
    # A factor counts as a shift where a tenth of a volt makes that factor of the current.
    effect_v = np.max([*moved_v, 0.1 * abs(fitted[:, -1])], axis=0)
    effect_v *= np.sqrt(np.prod(np.array([1.0, 1.0, 3.0, 15.0])[powers], axis=1))
    alone = (np.count_nonzero(powers, axis=1) == 1) & (powers.sum(axis=1) < 3)
    return np.asarray(alone | (effect_v > _COUNTS_V))


def _currents(
    kind: TransistorKind,
    design: Floats,
    drains_v: Floats,
    bodies_v: Floats,
    x_v: Floats,
) -> Floats:
    """Drain currents (1 + designs, vsb, vds, x); the first is the nominal transistor."""
    session = ngspice_session()
    sign = kind.sign
    lines = ["mismatch"]
    for a, vsb in enumerate(bodies_v.tolist()):
        lines.append(f"vs{a} s{a} 0 {sign * vsb!r}")
        lines.append(f"eg{a} g{a} s{a} x 0 {sign}")
    names = []
    for index, deviates in enumerate([(), *design.tolist()]):
        lines.append(card_text(kind, f"device{index}", deviates))
        for a, vsb in enumerate(bodies_v.tolist()):
            for b, vds in enumerate(drains_v.tolist()):
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
    faults = session.run()
    found = [-sign * session.vector(f"{name}#branch") for name in names]
    session.discard_results()
    if faults or any(f.size != x_v.size or not np.isfinite(f).all() for f in found):
        raise CircuitError(faults[0] if faults else "a sweep of the transistor ended early")
    return np.stack(found).reshape(len(design) + 1, len(bodies_v), len(drains_v), x_v.size)


def _fits(
    logs: Floats, x_v: Floats, drains_v: Floats, bodies_v: Floats, body: float, grid: Grid
) -> Floats:
    """s, d, c and u over z, and b, that make the first of the curves each of the others.

    A point counts by the root of its logarithm's slope: between its error as a voltage of the
    gate, which decides in strong inversion, and as a share of the current, below threshold.
    """
    from scipy.interpolate import CubicSpline  # heavy: loaded where it is needed
    from scipy.linalg import solve_banded

    points, count = grid.points, 2 + len(bodies_v)
    places = []
    for layer, vsb in enumerate(bodies_v):
        at = grid.values_v + body * vsb
        for k, vds in enumerate(drains_v):
            line = logs[0, layer, k]
            rising = (line > np.log(_FLOOR_A)) & np.append(np.diff(line) > 1e-6, False)
            start = int(np.argmax(rising)) if rising.any() else 0
            place = CubicSpline(line[start:], x_v[start:])
            wanted = CubicSpline(x_v, logs[1:, layer, k], axis=1)(at)
            by = np.array([1.0, vds, vds**2, vsb][:count])
            places.append((by, at, place, place.derivative(), wanted, line[[start, -1]]))
    # Unknown z * count + a is the a-th at the point z. Normal equations: what is seen there couples
    # those of one z; and where no current tells, all go on as at the next z. Row count + i - j of
    # the band, column j, holds the element (i, j); the gain b stands outside of it.
    designs = len(logs) - 1
    goes_on = np.zeros((2 * count + 1, points * count))
    goes_on[count] = np.repeat([1.0, *[2.0] * (points - 2), 1.0], count)
    goes_on[0, count:] = goes_on[-1, :-count] = -1.0
    found, gain = np.zeros((designs, points * count)), np.zeros((designs, 1))
    for _ in range(_ROUNDS):
        band = np.tile(1e-6 * goes_on, (designs, 1, 1))
        sides = np.zeros((designs, points, count, 2))  # without b, and what b adds
        alone = np.zeros((designs, 2))
        for by, at, place, derivative, wanted, ends in places:
            seen = (wanted > ends[0]) & (wanted < ends[1]) & (at < x_v[-1])
            alike = np.clip(wanted - gain, *ends)
            inverse = derivative(alike)  # volt by which a share of the current moves the gate
            weight = np.where(seen, 1 / np.where(seen, inverse, 1.0), 0.0)
            both = np.stack([place(alike) + gain * inverse - at, inverse], axis=2)
            both *= weight[..., None]
            for a, b in np.ndindex(count, count):
                band[:, count + a - b, b::count] += weight * by[a] * by[b]
            sides += both[:, :, None] * by[:, None]
            alone += np.einsum("dp,dpk->dk", inverse, both)
        solved = np.array([solve_banded((count, count), *one) for one in
                           zip(band, sides.reshape(designs, -1, 2), strict=True)])  # fmt: skip
        border = sides[..., 1].reshape(designs, 1, -1)
        rest = alone - (border @ solved)[:, 0]
        gain = rest[:, :1] / rest[:, 1:]
        found = solved[..., 0] - gain * solved[..., 1]
    found = found.reshape(designs, points, count).transpose(0, 2, 1).reshape(designs, -1)
    return np.concatenate([found, gain], axis=1)


CHARGE_MOVES = 11
"""Columns of `DeviceTable.charge_moves`: s, o, and the capacitors."""

_SIGMAS = 3.0
_STEP_V = 0.02
_FARAD = 1e-15
_DRAINS = (0.0, 0.05, 0.15, 0.35, 0.7, 1.0)
_LAYERS = (0.0, 0.2, 0.5)
"""Drain and source voltages at which charges are compared, as shares of the supply."""


def fit_charge_mismatch(kind: TransistorKind, powers: NDArray[np.int64]) -> Floats:
    """Coefficients for the exponents `powers` (terms, parameters), see `DeviceTable.charge_moves`.

    Shape (terms, 11). Only first powers and squares of single parameters are other than 0. Raises
    `InputError` if ngspice refuses the card.
    """
    moves = np.zeros((len(powers), CHARGE_MOVES))
    parameters = len(kind.varying)
    if parameters == 0:
        return moves
    unit = np.eye(parameters)
    designs = np.array([np.zeros(parameters), *(_SIGMAS * u for u in unit), *(-_SIGMAS * unit)])
    supply_v = kind.reach_v - 0.5
    gates = Grid(start_v=0.0, step_v=_STEP_V, points=int(np.ceil(supply_v / _STEP_V)) + 1)
    drains_v = supply_v * np.array(_DRAINS)
    layers_v = supply_v * np.array(_LAYERS[: 1 if kind.tied else None])
    try:
        charge = varied_charges(ngspice_session(), kind, gates, drains_v, layers_v, designs)
    except CircuitError as error:
        raise InputError(f"ngspice refuses the {kind.kind} card: {error}") from error
    nominal, moved = charge[0], charge[1:] - charge[0]
    levers = _levers(nominal, gates, drains_v, layers_v)
    found = np.linalg.lstsq(
        levers.reshape(len(levers), -1).T / _FARAD,
        moved.reshape(len(moved), -1).T / _FARAD,
        rcond=None,
    )[0].T[:, :CHARGE_MOVES]
    # The levers are those of small moves: what scales by 1 + s is the exponential of its logarithm.
    found[:, 1] /= 1.0 + found[:, 0]
    found[:, 0] = np.log1p(found[:, 0])
    found[:, 2:] *= _FARAD
    up, down = found[:parameters], found[parameters:]
    for k, row in enumerate(unit):
        moves[(powers == row).all(axis=1)] = (up - down)[k] / (2 * _SIGMAS)
        moves[(powers == 2 * row).all(axis=1)] = (up + down)[k] / (2 * _SIGMAS**2)
    return moves


def _levers(nominal: Floats, gates: Grid, drains_v: Floats, layers_v: Floats) -> Floats:
    """What a unit of each coefficient adds to the charges (vsb, vgs, vds, terminals).

    The last three are constants, one a terminal: no current depends on them.
    """
    shape = nominal.shape[:3]
    vsb, vgs, vds = np.meshgrid(layers_v, gates.values_v, drains_v, indexing="ij")
    levers = np.zeros((CHARGE_MOVES + 3, *nominal.shape))
    levers[0] = nominal
    levers[1] = np.gradient(nominal, gates.step_v, axis=1)
    for number, voltage in enumerate((vgs, vds, vsb, np.ones(shape))):
        for terminal in range(3):
            levers[2 + 3 * number + terminal, ..., terminal] = _FARAD * voltage
    return levers
