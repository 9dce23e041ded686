"""A fast stand-in for the engine: the read of a synapse from its resistances and mismatch.

For a given resistance on the other bit line and given transistors, a synapse reads +1 exactly if
its own resistance lies below a critical one: a lower resistance only ever discharges sooner. So the
whole decision is one function, the critical ln R_bl as a function of y = ln R_blb and the mismatch
z, and by the circuit's mirror symmetry the same function with the mirrored mismatch decides -1:

    B(y, z) = c(y) + P + q(y) P^2 + r(y) P^3,   P = sum_j g_j(y) z_j,

with c, g_j, q, r splines of y fitted to critical resistances that the engine found by bisection.
P is what the transistors shift the boundary by, to first order; the square and the cube are what
the latch makes of a large offset. `residual_ln` is what the fit leaves on points it has not seen,
in ln R. Sampling, fit and check: `rramsim.chips.surface_fit`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.circuits.symmetry import mirrored_transistors
from rramsim.compiled import compiled
from rramsim.engines import SenseEngine, SenseOutcome, SenseSamples, reads_of
from rramsim.exceptions import InputError

__all__ = ["EngineReads", "NoSurface", "ReadSurface", "decide"]

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


@compiled(parallel=True)
def decide(
    bl_ln: Any, blb_ln: Any, rows: int, plus: Any, minus: Any, own: Any, other: Any,
    access: Any, table: Any, axis: Any, read: Any,
) -> None:  # fmt: skip
    """Read a layer of synapses (outputs, inputs), an amplifier for each `rows` inputs.

    `bl_ln`, `blb_ln`: float32. `plus`, `minus`: (outputs, row blocks, shapes), each amplifier's
    pulls on the +1 and, mirrored, the -1 boundary. `access`: (2, outputs, inputs) float32, what the
    synapse's two access transistors drew; a transistor pulls by `own` (shapes,) on its own branch's
    boundary and by `other` on that of the other branch. Fills `read` (outputs, inputs) int8.
    """
    outputs, inputs = bl_ln.shape
    shapes = plus.shape[2]
    for o in prange(outputs):
        pull = np.empty(shapes)
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
