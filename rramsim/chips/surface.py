"""A fast stand-in for the engine: the read of a synapse from its resistances and mismatch.

For a given resistance on the other bit line and given transistors, a synapse reads +1 exactly if
its own resistance lies below a critical one: a lower resistance only ever discharges sooner. So the
whole decision is one function, the critical ln R_bl as a function of y = ln R_blb and the mismatch
z, and by the circuit's mirror symmetry the same function with the mirrored mismatch decides -1:

    B(y, z) = c(y) + P + q(y) P^2 + r(y) P^3,   P = sum_j g_j(y) z_j,

with c, g_j, q, r splines of y fitted to critical resistances that the engine found by bisection. P
is what the transistors shift the boundary by, to first order; the square and the cube are what the
latch makes of a large offset. `residual_ln` is what the fit leaves on points it has not seen, in ln
R.

It is fitted by bisection for critical resistances, then linear least squares.

Where no surface serves (amplifiers that resolve nothing in the window, as near the lowest supply,
or two sides that are not alike), the engine itself decides: `read_decision`.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import config
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.circuits.symmetry import mirrored_transistors
from rramsim.compiled import compiled
from rramsim.devices import ResistanceModel
from rramsim.engines import SenseEngine, SenseOutcome, SenseSamples, reads_of
from rramsim.exceptions import InputError

Floats = NDArray[np.float64]


class NoSurface(InputError):
    """No surface holds what this circuit decides under these conditions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineReads:
    """The engine itself in place of a surface: a sense for every synapse; `why` no surface serves.

    Exact, whatever the circuit and the supply; some 10,000 synapses a second and core with the
    batch engine.
    """

    engine: SenseEngine
    circuit: SenseCircuit
    conditions: SenseConditions
    why: str

    def sense(self, samples: SenseSamples) -> SenseOutcome:
        """The reads of samples."""
        return reads_of(self.engine).sense(self.circuit, self.conditions, samples)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadSurface:
    """The critical resistance, tabulated over y = low_ln + i * step_ln.

    `nominal`, `square`, `cube`: (points,); `shapes`: (points, shapes), the splines of g; `gains`:
    (sites, shapes), so that g_j(y) = shapes(y) . gains[j]. `mirror`: (sites,), the site that a site
    becomes when the bit lines change places. `residual_ln`: standard deviation on fresh points;
    `senses`: engine runs spent; `otherwise`: share of fresh reads that it takes otherwise than the
    engine (NaN: not checked). Below `low_ln` the boundary follows y, as a tie does.
    """

    low_ln: float
    step_ln: float
    nominal: Floats
    square: Floats
    cube: Floats
    shapes: Floats
    gains: Floats
    mirror: NDArray[np.int64]
    residual_ln: float
    senses: int
    otherwise: float = math.nan

    @property
    def table(self) -> Floats:
        """(points, 3 + shapes): nominal, square, cube, shapes."""
        return np.column_stack((self.nominal, self.square, self.cube, self.shapes))

    def critical_ln(self, other_ln: Floats, mismatch: Floats) -> Floats:
        """The critical ln R_bl at ln R_blb (samples,) and mismatch (samples, sites)."""
        pulls = np.ascontiguousarray(mismatch @ self.gains)
        found = np.empty(len(other_ln))
        _boundaries(np.ascontiguousarray(other_ln), pulls, self.table, self._axis, found)
        return found

    def read(self, r_bl_ohm: Floats, r_blb_ohm: Floats, mismatch: Floats) -> NDArray[np.int8]:
        """The reads, -1, 0 or +1, of samples given as an engine takes them."""
        bl, blb = np.log(r_bl_ohm), np.log(r_blb_ohm)
        plus = self.critical_ln(blb, mismatch) - bl
        minus = self.critical_ln(bl, mismatch[:, self.mirror]) - blb
        sign = np.where(plus >= minus, 1, -1)
        return np.where(np.maximum(plus, minus) > 0, sign, 0).astype(np.int8)

    @property
    def _axis(self) -> tuple[float, float]:
        return self.low_ln, 1.0 / self.step_ln


@compiled(inline="always")
def _boundary(y: float, table: Any, axis: Any, pull: Any) -> float:
    """B at y for P = table's shapes . pull."""
    low, inverse = axis
    position = min(max((y - low) * inverse, 0.0), len(table) - 1.000001)
    i = int(position)
    t = position - i
    p = 0.0
    for k in range(len(pull)):
        p += (table[i, 3 + k] * (1.0 - t) + table[i + 1, 3 + k] * t) * pull[k]
    nominal = table[i, 0] * (1.0 - t) + table[i + 1, 0] * t
    square = table[i, 1] * (1.0 - t) + table[i + 1, 1] * t
    cube = table[i, 2] * (1.0 - t) + table[i + 1, 2] * t
    return nominal + p * (1.0 + p * (square + p * cube)) + min(y - low, 0.0)


@compiled()
def _boundaries(y: Any, pulls: Any, table: Any, axis: Any, found: Any) -> None:
    for s in range(len(y)):
        found[s] = _boundary(y[s], table, axis, pulls[s])


def decide(bl_ln: Any, *given: Any) -> None:
    """Read a layer as `_decide` does, its outputs shared among threads.

    Not numba's own: starting those sets the number of PyTorch's threads, too.
    """
    threads = 1 if bl_ln.size < _ALONE else config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    ends = np.linspace(0, len(bl_ln), threads + 1).astype(np.int64)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first, last: _decide(first, last, bl_ln, *given), ends, ends[1:]))


@compiled()
def _decide(
    first_output: int, last_output: int, bl_ln: Any, blb_ln: Any, rows: int, plus: Any, minus: Any,
    own: Any, other: Any, access: Any, table: Any, axis: Any, read: Any,
) -> None:  # fmt: skip
    """Read a layer of synapses (outputs, inputs), an amplifier for each `rows` inputs.

    `bl_ln`, `blb_ln`: float32. `plus`, `minus`: (outputs, row blocks, shapes), each amplifier's
    pulls on the +1 and, mirrored, the -1 boundary. `access`: (2, outputs, inputs) float32, what the
    synapse's two access transistors drew; a transistor pulls by `own` (shapes,) on its own branch's
    boundary and by `other` on that of the other branch. Fills `read` (outputs, inputs) int8.
    """
    inputs = bl_ln.shape[1]
    shapes = plus.shape[2]
    pull = np.empty(shapes)
    for o in range(first_output, last_output):
        for k in range(inputs):
            block = k // rows
            x, y = float(bl_ln[o, k]), float(blb_ln[o, k])
            first, second = float(access[0, o, k]), float(access[1, o, k])
            for j in range(shapes):
                pull[j] = plus[o, block, j] + own[j] * first + other[j] * second
            to_plus = _boundary(y, table, axis, pull) - x
            for j in range(shapes):
                pull[j] = minus[o, block, j] + own[j] * second + other[j] * first
            to_minus = _boundary(x, table, axis, pull) - y
            if to_plus <= 0.0 and to_minus <= 0.0:
                read[o, k] = 0
            else:
                read[o, k] = 1 if to_plus >= to_minus else -1


def mirror_of(circuit: SenseCircuit, conditions: SenseConditions) -> tuple[NDArray[np.int64], bool]:
    """The site that each site becomes when BL and BLB change places, and if that is exact.

    It is not where the two sides differ in sizes or parasitic capacitors. Raises `NoSurface` for a
    circuit whose sides are wired differently.
    """
    image = mirrored_transistors(circuit, conditions)
    exact = image is not None
    image = image or mirrored_transistors(circuit, conditions, exact=False)
    if image is None:
        raise NoSurface(
            f"{circuit.name}: the circuit's two sides are wired differently; a surface needs an "
            "amplifier that is its own mirror image"
        )
    sites = circuit.mismatch_sites(conditions.corner)
    place = {(site.transistor, site.parameter): index for index, site in enumerate(sites)}
    found = [place[image[site.transistor], site.parameter] for site in sites]
    return np.array(found, dtype=np.int64), exact


def spread_ln(surface: ReadSurface, y: float) -> float:
    """SD of the critical ln R that mismatch causes at ln R_blb = y, to first order."""
    point = min(max((y - surface.low_ln) / surface.step_ln, 0.0), len(surface.nominal) - 1.0)
    gains = surface.gains @ surface.shapes[round(point)]
    return math.sqrt(float(gains @ gains))


_LOWEST_LN, _HIGHEST_LN = math.log(50.0), math.log(20e6)
_TOP_LN = math.log(5e6)
_TIE_LN = 2.8
"""How far below the boundary of an infinite R_blb the table reaches; below, ties decide."""
_NOMINAL_POINTS = 25
_APART_LN = 0.03
"""How far the boundaries of +1 and -1 may lie apart without mismatch, which alone spreads 0.1."""
_HALVINGS = 9
_BRACKET_LN = 1.0
_HELD_OUT = 0.15
_MOST_HIDDEN = 0.1
"""Share of synapses without a boundary (two low resistances hide each other) that does not matter;
where amplifiers resolve nothing in the window there are more."""
_CHECKED = 6000
_MOST_OTHERWISE = 0.005
"""Share of reads that a surface may take otherwise than the engine: less than a tenth of the rate
at which networks tolerate a ±1 read as 0 (6.3 %, docs/tolerance.md)."""
_GRID = 512
_ALONE = 100_000
"""Fewer synapses are read sooner than threads are started."""


def read_decision(
    engine: SenseEngine,
    circuit: SenseCircuit,
    conditions: SenseConditions,
    resistances: ResistanceModel,
    *,
    points: int = 1600,
    seed: int = 0,
) -> ReadSurface | EngineReads:
    """The fitted surface, if it reads fresh synapses as the engine does, else the engine itself.

    6,000 synapses with devices of `resistances`, as many of -1, 0 and +1, are sensed and read by
    the surface; it may take at most 0.5 % of them otherwise. Raises `InputError` as `fit_surface`,
    but not where no surface exists.
    """
    try:
        surface = fit_surface(engine, circuit, conditions, points=points, seed=seed)
    except NoSurface as error:
        return EngineReads(engine=engine, circuit=circuit, conditions=conditions, why=str(error))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCE47]))
    pairs = [resistances.draw(w, _CHECKED // 3, rng) for w in (-1, 0, 1)]
    bl, blb = (np.concatenate(line) for line in zip(*pairs, strict=True))
    mismatch = rng.standard_normal((len(bl), len(surface.gains)))
    direct = EngineReads(engine=engine, circuit=circuit, conditions=conditions, why="")
    outcome = direct.sense(SenseSamples(r_bl_ohm=bl, r_blb_ohm=blb, mismatch=mismatch))
    known = outcome.converged
    otherwise = float((surface.read(bl, blb, mismatch) != outcome.read)[known].mean())
    checked = replace(surface, senses=surface.senses + len(bl), otherwise=otherwise)
    if otherwise <= _MOST_OTHERWISE:
        return checked
    why = (
        f"{conditions.label}: a surface of {points} points takes {100 * otherwise:.1f} % of "
        f"{int(known.sum())} fresh reads otherwise than the engine, at most "
        f"{100 * _MOST_OTHERWISE:g} % is trusted"
    )
    return replace(direct, why=why)


def fit_surface(
    engine: SenseEngine,
    circuit: SenseCircuit,
    conditions: SenseConditions,
    *,
    points: int = 1600,
    seed: int = 0,
) -> ReadSurface:
    """Fit the read of `circuit` under `conditions`, mismatch included.

    Spends about 12 senses a point. Raises `InputError` if `points` is too few to fit, `NoSurface`
    if the circuit's two sides are not alike or more than a tenth of its synapses resolve nothing
    within the window.
    """
    sites = circuit.mismatch_sites(conditions.corner)
    if points < 350:
        raise InputError(f"points = {points}: a surface needs 350 or more")
    mirror, exact = mirror_of(circuit, conditions)
    counter = _Counter(engine, circuit, conditions, len(sites))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x5EA5]))
    top = counter.critical(np.array([_TOP_LN]), np.zeros((1, len(sites))), None)[0]
    if math.isnan(top):
        raise NoSurface(
            f"{conditions.label}: nothing is read as +1 or -1 whatever its resistance; raise the "
            "supply or the window"
        )
    low = max(top - _TIE_LN, math.log(300.0))
    y0 = np.linspace(low, _TOP_LN, _NOMINAL_POINTS)
    x0 = counter.critical(y0, np.zeros((len(y0), len(sites))), None)
    if np.isnan(x0).any():
        # Two low resistances that the access transistors hide: no read, and no boundary.
        first = int(np.flatnonzero(np.isnan(x0))[-1]) + 2
        y0, x0 = y0[first:], x0[first:]
        low = float(y0[0])
    if not exact:
        other = _Counter(engine, circuit, conditions, len(sites), swapped=True)
        apart = np.abs(other.critical(y0, np.zeros((len(y0), len(sites))), None) - x0)
        if not np.nanmax(apart) < _APART_LN:
            raise NoSurface(
                f"{circuit.name}, {conditions.label}: +1 and -1 turn over at resistances that "
                f"differ by up to {100 * np.nanmax(apart):.1f} % (its two sides are not alike); a "
                f"surface holds one boundary, so it needs less than {100 * _APART_LN:g} %"
            )
    # Points spread evenly, more of them where the boundary bends.
    bend = top + 0.4
    share = rng.random(points)
    y = np.where(
        share < 0.5, rng.uniform(low, _TOP_LN, points), rng.uniform(bend - 1.5, bend + 1.5, points)
    )
    y = np.clip(y, low, _TOP_LN)
    z = rng.standard_normal((points, len(sites)))
    x = counter.critical(y, z, np.interp(y, y0, x0))
    knots = (low, bend - 1.6, bend - 1.0, bend - 0.5, bend, bend + 0.5, bend + 1.2, bend + 2.0)
    nominal_axis = _Spline((*knots, _TOP_LN))
    gain_axis = _Spline((low, bend - 1.2, bend - 0.4, bend + 0.3, bend + 1.2, _TOP_LN))
    bow_axis = _Spline((low, bend - 0.8, bend, bend + 0.8, _TOP_LN), degree=1)
    exists = np.isfinite(x)
    if exists.mean() < 1 - _MOST_HIDDEN or exists.sum() < 280:
        raise NoSurface(
            f"{conditions.label}: {100 * (1 - exists.mean()):.0f} % of synapses with mismatch "
            f"resolve nothing in the window, a surface needs less than {100 * _MOST_HIDDEN:g} %"
        )
    y, z, x = y[exists], z[exists], x[exists]
    held = np.arange(len(x)) < round(_HELD_OUT * len(x))
    weights, gains = _fit(y, z, x, ~held, nominal_axis, gain_axis, bow_axis)
    grid = np.linspace(low, _TOP_LN, _GRID)
    bows = len(bow_axis)
    square, cube = weights[-2 * bows : -bows], weights[-bows:]
    surface = ReadSurface(
        low_ln=low,
        step_ln=float(grid[1] - grid[0]),
        nominal=nominal_axis(grid) @ weights[: len(nominal_axis)],
        square=bow_axis(grid) @ square,
        cube=bow_axis(grid) @ cube,
        shapes=gain_axis(grid),
        gains=gains,
        mirror=mirror,
        residual_ln=0.0,
        senses=counter.senses,
    )
    # What counts is where resistances lie: from half a unit below the bend upwards.
    judged = held & (y > bend - 1.0)
    residual = float(np.std(surface.critical_ln(y[judged], z[judged]) - x[judged]))
    return replace(surface, residual_ln=residual)


def _fit(
    y: Floats, z: Floats, x: Floats, used: NDArray[np.bool_],
    nominal: "_Spline", gain: "_Spline", bow: "_Spline",
) -> tuple[Floats, Floats]:  # fmt: skip
    """Coefficients (nominal, gains, square, cube) and the gains as (sites, shapes).

    P itself is fitted, so its square and cube are fitted with the gains of the round before.
    """
    shapes = gain(y)
    linear = (z[:, :, None] * shapes[:, None, :]).reshape(len(y), -1)
    base, bows = nominal(y), bow(y)
    pull = np.zeros(len(y))
    for _ in range(4):
        columns = [base, linear, bows * (pull**2)[:, None], bows * (pull**3)[:, None]]
        matrix = np.concatenate(columns, axis=1)
        # A slight ridge keeps the many gains that are nearly zero from fitting noise.
        ridge = 1e-3 * np.sqrt(used.sum()) * np.eye(matrix.shape[1])
        left = np.vstack((matrix[used], ridge[base.shape[1] :]))
        right = np.concatenate((x[used], np.zeros(len(ridge) - base.shape[1])))
        weights = np.linalg.lstsq(left, right, rcond=None)[0]
        gains = weights[base.shape[1] : base.shape[1] + linear.shape[1]]
        pull = linear @ gains
    return weights, gains.reshape(z.shape[1], -1)


class _Spline:
    """B-spline basis over some knots; `len` functions, constant beyond the ends."""

    def __init__(self, knots: tuple[float, ...], *, degree: int = 3) -> None:
        inner = np.unique(np.clip(knots, knots[0], knots[-1]))
        self._knots = np.concatenate(
            (np.repeat(inner[0], degree), inner, np.repeat(inner[-1], degree))
        )
        self._degree = degree

    def __len__(self) -> int:
        return len(self._knots) - self._degree - 1

    def __call__(self, y: Floats) -> Floats:
        inside = np.clip(y, self._knots[0], self._knots[-1] - 1e-9)
        basis: Any = BSpline.design_matrix(inside, self._knots, self._degree)
        return np.asarray(basis.toarray())


class _Counter:
    """Bisection with an engine, counting what it costs."""

    def __init__(
        self, engine: SenseEngine, circuit: SenseCircuit, conditions: SenseConditions, sites: int,
        *, swapped: bool = False,
    ) -> None:  # fmt: skip
        self._engine, self._circuit, self._conditions = engine, circuit, conditions
        self._sites, self._swapped = sites, swapped
        self.senses = 0

    def critical(self, y: Floats, z: Floats, start: Floats | None) -> Floats:
        """The ln R_bl below which each sample reads +1; NaN if it never does."""
        if start is None:
            low, high = np.full(len(y), _LOWEST_LN), np.full(len(y), _HIGHEST_LN)
            halvings = 13
        else:
            low, high = self._bracket(y, z, start)
            halvings = _HALVINGS
        for _ in range(halvings):
            middle = (low + high) / 2
            plus = self._plus(middle, y, z)
            low, high = np.where(plus, middle, low), np.where(plus, high, middle)
        found = (low + high) / 2
        return np.where(found < _LOWEST_LN + 0.1, np.nan, found)

    def _bracket(self, y: Floats, z: Floats, start: Floats) -> tuple[Floats, Floats]:
        low, high = start - _BRACKET_LN, start + _BRACKET_LN
        for end, wanted in ((low, True), (high, False)):
            wrong = np.flatnonzero(self._plus(end, y, z) != wanted)
            end[wrong] = _LOWEST_LN if wanted else _HIGHEST_LN
        return low, high

    def _plus(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.bool_]:
        self.senses += len(x)
        bl, blb = (y, x) if self._swapped else (x, y)
        outcome = reads_of(self._engine).sense(
            self._circuit,
            self._conditions,
            SenseSamples(r_bl_ohm=np.exp(bl), r_blb_ohm=np.exp(blb), mismatch=z),
        )
        return np.asarray(outcome.read == (-1 if self._swapped else 1))
