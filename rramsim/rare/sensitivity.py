"""Which device and which transistor the failures come from.

The design point u* of a region is its most probable failure; u*_i says by how many standard
deviations each device or parameter is off there, and its importance factor is u*_i^2 / |u*|^2, the
share of the (squared) distance that it bears (FORM; Hasofer and Lind, J. Eng. Mech. Div. 100 (1974)
111). Widening the transistor with the largest factor moves the failure furthest away. The mean of
the failing draws says the same without a linearisation, with a standard error.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.rare.rare import RareRate

__all__ = ["PartSensitivity", "sensitivities"]


@dataclass(frozen=True, kw_only=True)
class PartSensitivity:
    """One device's or transistor's part in a failure.

    `importance`: sum over its parameters of `u*_i^2 / |u*|^2`; all parts' add to 1. `parameters`:
    for each (name, `u*_i` in sigma, mean of u_i among the failures, its standard error).
    """

    part: str
    importance: float
    parameters: tuple[tuple[str, float, float, float], ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "part": self.part,
            "importance": self.importance,
            "parameters": [
                {
                    "parameter": name,
                    "design_point_sigma": design,
                    "failures_mean_sigma": mean if math.isfinite(mean) else None,
                    "failures_mean_error": error if math.isfinite(error) else None,
                }
                for name, design, mean, error in self.parameters
            ],
        }


def sensitivities(
    answer: RareRate, names: tuple[tuple[str, str], ...], *, region: int = 0
) -> tuple[PartSensitivity, ...]:
    """The parts of a failure by falling importance.

    `names`: (part, parameter) of each standard normal (`SenseFailure.names`). `region` counts
    the answer's regions, the nearest first; the failing draws nearest to its design point make
    the means. Raises `InputError` if the answer has no such region: plain Monte-Carlo has none.
    """
    if region >= len(answer.regions):
        raise InputError(
            f"region {region}: {answer.label} has {len(answer.regions)} design points"
            + ("; ask for method importance" if answer.method == "monte-carlo" else "")
        )
    point = answer.regions[region].point
    if len(names) != len(point):
        raise InputError(f"{len(names)} names for {len(point)} standard normals")
    mean, error = _failures_mean(answer, region)
    shares = point**2 / (point**2).sum()
    parts: dict[str, list[int]] = {}
    for index, (part, _) in enumerate(names):
        parts.setdefault(part, []).append(index)
    found = [
        PartSensitivity(
            part=part,
            importance=float(shares[indices].sum()),
            parameters=tuple(
                (names[i][1], float(point[i]), float(mean[i]), float(error[i])) for i in indices
            ),
        )
        for part, indices in parts.items()
    ]
    return tuple(sorted(found, key=lambda part: -part.importance))


def _failures_mean(
    answer: RareRate, region: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dimension = len(answer.regions[region].point)
    nothing = np.full(dimension, math.nan)
    if answer.failing is None or answer.failing_weights is None or not len(answer.failing):
        return nothing, nothing
    points = np.array([r.point for r in answer.regions])
    away = ((answer.failing[:, None, :] - points[None]) ** 2).sum(axis=2)
    mine = away.argmin(axis=1) == region
    weights = answer.failing_weights[mine]
    if weights.size < 2 or not weights.sum() > 0:
        return nothing, nothing
    weights = weights / weights.sum()
    mean = weights @ answer.failing[mine]
    error = np.sqrt(weights**2 @ (answer.failing[mine] - mean) ** 2)
    return mean, error
