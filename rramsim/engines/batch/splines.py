"""Cardinal B-splines on uniform grids: coefficients that interpolate, and their evaluation.

Cubic ones carry currents (continuous second derivatives), quadratic ones charges (continuous
capacitances). For n data points there are n + 2 coefficients; coefficient i belongs to data
point i - 1. The numpy evaluation here is the reference of the compiled one.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["basis", "coefficients", "evaluate"]

Floats = NDArray[np.float64]


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
