"""The most probable failures: where the failure comes nearest to the nominal sense.

In standard-normal space the most probable point of a region of failure is its nearest to the
origin, and its distance says how many standard deviations the failure is away (the design point of
FORM: Hasofer and Lind 1974). The failing points of an estimate are where the descent starts: on a
line through each, the nearest failing score of the HRS device; its slope over the other
coordinates leads on (Rackwitz and Fiessler 1978).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rramsim.engines import SenseSamples
from rramsim.exceptions import InputError
from rramsim.rare.authority import FailureRate
from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.lines import COARSE, failing_lines
from rramsim.rare.sense_failure import SenseFailure

_MOST, _STEPS, _DIFFERENCE = 4, 6, 0.5
_LEAST_SHARE, _SAME_DIRECTION = 0.03, 0.7
"""Cosine above which a failing point belongs to a corner that was found already."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FailureCorner:
    """One most probable failure of a written value.

    `sigma`: its distance from the nominal sense, in standard deviations. `share`: how much of the
    rate lies in its direction. `point`: shape (dimension,), scores. `shifts`: each device's and
    transistor parameter's (part, parameter, score, value), ohm for a device, largest score first.
    """

    written: int
    sigma: float
    share: float
    point: Floats
    r_bl_ohm: float
    r_blb_ohm: float
    shifts: tuple[tuple[str, str, float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("written", "sigma", "share", "r_bl_ohm", "r_blb_ohm")
        shifts = [
            dict(zip(("part", "parameter", "sigma", "value"), shift, strict=True))
            for shift in self.shifts
        ]
        return {name: getattr(self, name) for name in names} | {"shifts": shifts}


def failure_corners(failure: SenseFailure, answer: FailureRate) -> tuple[FailureCorner, ...]:
    """The most probable failures of an answer, by falling share of its rate, at most four.

    Raises `InputError` for an answer without failing points: one that was counted or bounded.
    """
    if answer.points is None or answer.weights is None or answer.variants is None:
        raise InputError(
            f"{answer.label}: {answer.status}, so there are no lines to find the most probable "
            "failures with; they are for rates that are too small to count"
        )
    state = CountedFailure(failure)
    left = np.ones(len(answer.points), bool)
    found: list[tuple[Floats, int]] = []
    while left.any() and len(found) < _MOST and answer.weights[left].sum() > _LEAST_SHARE:
        lengths = np.where(left, np.linalg.norm(answer.points, axis=1), math.inf)
        start = int(np.argmin(lengths))
        variant = int(answer.variants[start])
        point = _descended(state, answer.points[start], variant)
        found.append((point, variant))
        left &= ~((_cosines(answer, point, variant)) > _SAME_DIRECTION)
        left[start] = False
    towards = np.array([_cosines(answer, point, variant) for point, variant in found])
    nearest = towards.argmax(axis=0)
    corners = [
        _corner(failure, point, variant, float(answer.weights[nearest == number].sum()))
        for number, (point, variant) in enumerate(found)
    ]
    return tuple(sorted(corners, key=lambda corner: -corner.share))


def _cosines(answer: FailureRate, point: Floats, variant: int) -> Floats:
    """Of the angles between failing points and a corner; -1 for those of another variant."""
    assert answer.points is not None
    # The many coordinates that do not matter are noise: they are left out of the angle.
    matter = np.abs(point) > 0.3
    inside = answer.points[:, matter]
    lengths = np.maximum(np.linalg.norm(inside, axis=1), 1e-12) * np.linalg.norm(point[matter])
    return np.where(answer.variants == variant, inside @ point[matter] / lengths, -1.0)


def _descended(state: CountedFailure, point: Floats, variant: int) -> Floats:
    rest = point[1:].copy()
    edge = _edges(state, rest[None], variant)[0]
    if not math.isfinite(edge):
        return point
    best = np.concatenate([[edge], rest])
    for _ in range(_STEPS):
        around = rest + _DIFFERENCE * np.eye(len(rest))
        edges = _edges(state, around, variant)
        slope = np.where(np.isfinite(edges), (edges - edge) / _DIFFERENCE, 0.0)
        # The nearest point of the plane that the slope describes.
        constant = edge - slope @ rest
        target = -constant * slope / (1 + slope @ slope)
        steps = rest + np.array([1.0, 0.6, 0.3, 0.1])[:, None] * (target - rest)
        found = _edges(state, steps, variant)
        lengths = np.hypot(np.linalg.norm(steps, axis=1), found)
        nearest = int(np.argmin(np.where(np.isfinite(lengths), lengths, np.inf)))
        if not lengths[nearest] < np.linalg.norm(best) - 1e-3:
            break
        rest, edge = steps[nearest], found[nearest]
        best = np.concatenate([[edge], rest])
    return best


def _edges(state: CountedFailure, rest: Floats, variant: int) -> Floats:
    """On each line the failing score nearest to 0; inf where none fails."""
    lines = failing_lines(state, rest, variant, precision=COARSE / 25)
    edges = np.full(len(rest), math.inf)
    # Just inside the failure, on the thin interval's own scale.
    inside = np.clip(lines.high - lines.low, 0, 0.04) / 2
    nearest = np.clip(0.0, lines.low + inside, lines.high - inside)
    for line, score in zip(lines.line, nearest, strict=True):
        if abs(score) < abs(edges[line]):
            edges[line] = score
    return edges


def _corner(failure: SenseFailure, point: Floats, variant: int, share: float) -> FailureCorner:
    samples: SenseSamples = failure.samples(point[None], variant)
    bl, blb = float(samples.r_bl_ohm[0]), float(samples.r_blb_ohm[0])
    values = failure.values(point[None], variant)[0]
    named = zip(failure.names(variant), point, values, strict=True)
    shifts = [(*names, float(score), float(value)) for names, score, value in named]
    return FailureCorner(
        written=variant,
        sigma=float(np.linalg.norm(point)),
        share=share,
        point=point,
        r_bl_ohm=bl,
        r_blb_ohm=blb,
        shifts=tuple(sorted(shifts, key=lambda shift: -abs(shift[2]))),
    )
