"""A transistor as tables of B-splines: what the batch engine knows about a card at one temperature.

Cubic ones carry currents (continuous second derivatives), quadratic ones charges (continuous
capacitances). For n data points there are n + 2 coefficients; coefficient i belongs to data
point i - 1. The numpy evaluation here is the reference of the compiled one.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rramsim.files import atomic_path
from rramsim.processes import Direction, moved

Floats = NDArray[np.float64]

TABLE_VERSION = 18
"""Raise it when the extraction changes, so that older caches are not read."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A uniform grid of voltages in volt."""

    start_v: float
    step_v: float
    points: int

    @property
    def values_v(self) -> Floats:
        """The grid's points; shape (points,)."""
        return np.asarray(self.start_v + self.step_v * np.arange(self.points), dtype=float)


@dataclass(frozen=True, kw_only=True)
class TransistorKind:
    """What determines a table: card, instance, temperature, and the voltages to cover.

    `varying` lists what deviates move of the card, its mismatch and global variation; `tied` tells
    that the source is tied to the bulk, which leaves two voltages of three.
    """

    kind: str
    card: str
    parameters: tuple[tuple[str, float], ...]
    temperature_c: float
    reach_v: float
    tied: bool
    varying: tuple[Direction, ...]
    gmin_s: float = 1e-12

    @property
    def sign(self) -> int:
        """+1 for an n-channel transistor, -1 for a p-channel one."""
        return 1 if self.kind == "nmos" else -1

    @property
    def sha256(self) -> str:
        """Content hash, the name of the table in the cache."""
        text = f"{TABLE_VERSION} {self!r}"
        return hashlib.sha256(text.encode()).hexdigest()


def moved_alone(varying: tuple[Direction, ...], deviates: Sequence[float]) -> dict[str, float]:
    """What deviates other than 0 make of a fresh card; the rest of it stays as it is."""
    chosen = [k for k, deviate in enumerate(deviates) if deviate]
    return moved([varying[k] for k in chosen], [deviates[k] for k in chosen])


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceTable:
    """Splines of one transistor's current and charges, and how mismatch moves them.

    Voltages are those of an n-channel transistor (a p-channel one's are mirrored), relative to
    the source: vgs, vds and vsb. `current` (vsb, vgs, vds) holds cubic coefficients of the channel
    current in ampere; `charge` (vsb, vgs, vds, 4) quadratic ones of the charges on gate, drain
    and source in coulomb (the fourth is zero); `junction` the currents of drain and source into
    the bulk, see `junction_table`. Where the source is tied to the bulk the axis vsb
    is missing. `grids_v` has the rows (start, step) of vgs, vds, vsb of the current, then of the
    charge.

    Mismatch acts as exp(b) I(vgs + s(z) + d(z) vds + c(z) vds^2 + u(z) vsb), z = vgs - body vsb
    (held inside its grid), without d and c at vds < 0; all are polynomials in the deviates with the
    exponents `powers` (terms, parameters). `shift` (terms, 4, points) holds cubic coefficients over
    z of s, d, c and u (0 where the source is tied), `log_gain` (terms,) those of b.
    `charge_moves` (terms, 11) holds the polynomials of s, of o (volt), and of
    nine capacitances (farad): charges become exp(s) * Q(vgs + o), and linear capacitors, charge of
    (gate, drain, source) per volt of vgs, of vds, of vsb in turn, take back what this does to
    overlaps and junctions. `z_grid_v` is (start, step); `body` (1,).

    `report`: the errors in the table against ngspice at points off the grid, see `REPORT`.
    """

    current: Floats
    charge: Floats
    junction: Floats
    grids_v: Floats
    powers: NDArray[np.int64]
    shift: Floats
    log_gain: Floats
    charge_moves: Floats
    z_grid_v: Floats
    body: Floats
    report: Floats


REPORT = (
    "relative error of currents above 1 nA, 95th percentile",
    "relative error of currents above 1 nA, largest",
    "equivalent gate voltage of the current's error in volt, 95th percentile",
    "error of the gate shift by mismatch in volt, deviates within 3 sigma, 95th percentile",
)
"""What the numbers in `DeviceTable.report` mean."""


def save_table(table: DeviceTable, path: Path) -> None:
    """Write a table whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        arrays = {field.name: getattr(table, field.name) for field in fields(table)}
        np.savez(file, allow_pickle=False, **arrays)


def load_table(path: Path) -> DeviceTable | None:
    """Read a table; None if there is none, or none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            table = DeviceTable(**{field.name: stored[field.name] for field in fields(DeviceTable)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return table if np.isfinite(table.current).all() and np.isfinite(table.charge).all() else None


def coefficients(values: Floats, axes: tuple[int, ...], degree: int) -> Floats:
    """Interpolating coefficients along `axes`; each of them grows by two.

    >>> c = coefficients(np.arange(6.0) ** 2, (0,), 3)
    >>> float(evaluate(c, (2.5,), 3)).__round__(9)
    6.25
    """
    for axis in axes:
        moved = np.moveaxis(values, axis, 0)
        n = moved.shape[0]
        solved = np.linalg.solve(_matrix(n, degree), _padded(moved).reshape(n + 2, -1))
        values = np.moveaxis(solved.reshape(n + 2, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(values)


def _padded(values: Floats) -> Floats:
    """Zero right-hand sides of the two end conditions around the data."""
    zero = np.zeros((1, *values.shape[1:]))
    return np.concatenate((zero, values, zero))


def _matrix(n: int, degree: int) -> Floats:
    stencil = {3: np.array([1, 4, 1]) / 6, 2: np.array([1, 6, 1]) / 8}[degree]
    # End conditions: the highest derivative does not jump at the last inner knot (not-a-knot).
    end = {3: np.array([1.0, -4, 6, -4, 1]), 2: np.array([1.0, -3, 3, -1])}[degree]
    matrix = np.zeros((n + 2, n + 2))
    for row in range(n):
        matrix[row + 1, row : row + 3] = stencil
    matrix[0, : end.size] = end
    matrix[-1, -end.size :] = end
    return matrix


def basis(t: float, degree: int) -> tuple[Floats, Floats]:
    """Weights and their derivatives at a place inside a cell.

    Cubic: 0 <= t <= 1 from the second of four points. Quadratic: -1/2 <= t <= 1/2 around the
    second of three.
    """
    if degree == 3:
        u = 1 - t
        return (
            np.array([u**3, 3 * t**3 - 6 * t**2 + 4, 3 * u**3 - 6 * u**2 + 4, t**3]) / 6,
            np.array([-(u**2), 3 * t**2 - 4 * t, 4 * u - 3 * u**2, t**2]) / 2,
        )
    return (
        np.array([(0.5 - t) ** 2 / 2, 0.75 - t**2, (0.5 + t) ** 2 / 2]),
        np.array([t - 0.5, -2 * t, t + 0.5]),
    )


def evaluate(
    coefficient: Floats, where: tuple[float, ...], degree: int, derivative: int | None = None
) -> Floats:
    """Value at grid coordinates (data point i lies at i), or the derivative along one axis."""
    result = coefficient
    for axis, x in enumerate(where):
        n = coefficient.shape[axis] - 2
        if degree == 3:
            cell = min(max(int(np.floor(x)), 0), n - 2)
        else:
            cell = min(max(int(np.floor(x + 0.5)), 0), n - 1)
        weight, slope = basis(x - cell, degree)
        used = slope if axis == derivative else weight
        result = np.tensordot(used, result[cell : cell + len(used)], axes=(0, 0))
    return result
