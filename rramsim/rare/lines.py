"""The failing part of lines through standard-normal space, integrated exactly.

A line is all scores of the first device, or of any direction, with everything else held: its
failing intervals are found by bisection of every change of the outcome, and their probability is a
difference of two normal distributions. So that tail needs no samples, and a slab of metastable
reads, a hundredth of a standard deviation thin, is found wherever a line crosses from one sign to
the other (line sampling: Koutsourelakis, Pradlwarter and Schueller 2004, Prob. Eng. Mech. 19:463).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from rramsim.rare.failures import CountedFailure, Floats

__all__ = ["COARSE", "FINE", "Direction", "FailingLines", "failing_lines"]

_AXIS_KNOTS = np.array([-8.0, -5.0, -3.0, -1.0, 1.5, 8.0])
_KNOTS = np.array([-8.0, -4.0, -1.0, 0.0, *np.arange(1.0, 6.6, 0.5), 8.0])
"""Where a line is looked at first; between equal outcomes nothing is looked for. Along a device's
score the outcome changes in order; along other directions a failure may begin and end."""
COARSE, FINE = 0.25, 0.04
"""Bisection ends where an edge leaves this share of the line's probability open."""
_THINNEST = 1e-7
_MOST_STEPS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A direction in which lines are drawn: a unit vector, shape (dimension,).

    Turned coordinates have it as the first (Householder's reflection, its own inverse).
    """

    along: Floats

    @property
    def is_axis(self) -> bool:
        """Whether it is the first coordinate's own."""
        return bool(self.along[0] > 1 - 1e-9)

    def turned(self, points: Floats) -> Floats:
        """Points (n, dimension) in the other coordinates."""
        normal = self.along - np.eye(len(self.along))[0]
        length = float(normal @ normal)
        if self.is_axis:
            return points
        return np.asarray(points - (2 / length) * np.outer(points @ normal, normal))


@dataclass(frozen=True, kw_only=True, eq=False)
class FailingLines:
    """The lines' failing intervals: of line `line[k]` from `low[k]` to `high[k]`.

    `probability`: shape (lines,), that of each line.
    """

    probability: Floats
    line: NDArray[np.int64]
    low: Floats
    high: Floats

    def scores(self, share: float) -> Floats:
        """Of each interval the score below which `share` of its probability lies."""
        above = norm.sf(self.low) * (1 - share) + norm.sf(self.high) * share
        below = norm.cdf(self.low) * (1 - share) + norm.cdf(self.high) * share
        with np.errstate(invalid="ignore"):
            return np.where(self.low > 0, norm.isf(above), norm.ppf(below))

    @property
    def masses(self) -> Floats:
        """The probability of each interval."""
        return _mass(self.low, self.high)

    def point(self, number: int, rng: np.random.Generator) -> float:
        """A score at which line `number` fails, drawn by its probability there."""
        mine = np.flatnonzero(self.line == number)
        masses = self.masses[mine]
        chosen = mine[rng.choice(len(mine), p=masses / masses.sum())]
        return float(self.scores(float(rng.random()))[chosen])


@dataclass
class _Pieces:
    """Intervals of lines and the outcomes at their ends."""

    line: NDArray[np.int64]
    low: Floats
    high: Floats
    at_low: NDArray[np.int8]
    at_high: NDArray[np.int8]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "_Pieces":
        return _Pieces(
            self.line[chosen],
            self.low[chosen],
            self.high[chosen],
            self.at_low[chosen],
            self.at_high[chosen],
        )

    def __add__(self, other: "_Pieces") -> "_Pieces":
        return _Pieces(
            np.concatenate([self.line, other.line]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.high, other.high]),
            np.concatenate([self.at_low, other.at_low]),
            np.concatenate([self.at_high, other.at_high]),
        )

    @property
    def mass(self) -> Floats:
        return _mass(self.low, self.high)

    @property
    def differ(self) -> NDArray[np.bool_]:
        return self.at_low != self.at_high


def failing_lines(
    state: CountedFailure,
    rest: Floats,
    variant: int,
    *,
    direction: Direction | None = None,
    precision: float = FINE,
) -> FailingLines:
    """The failing part of the lines through `rest`, shape (lines, dimension - 1).

    `rest` holds all coordinates but the first, turned to `direction`. A piece whose ends differ is
    halved until what it leaves open is `precision` of its line's probability.
    """
    count, failure = len(rest), state.failure
    direction = direction or Direction(along=np.eye(failure.dimension)[0])

    def outcome(lines: NDArray[np.int64], scores: Floats) -> NDArray[np.int8]:
        points = direction.turned(np.column_stack([scores, rest[lines]]))
        seen = state.seen(points, variant)
        # What is not known is no failure; its share is watched by whoever counts.
        return np.where(seen.known, seen.codes, np.int8(variant)).astype(np.int8)

    def fails(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        return failure.fails(codes, variant)

    knots = _AXIS_KNOTS if direction.is_axis else _KNOTS
    ends = np.array([-np.inf, *knots, np.inf])
    at = outcome(np.repeat(np.arange(count), len(knots)), np.tile(knots, count))
    at = np.pad(at.reshape(count, -1), ((0, 0), (1, 1)), mode="edge")
    pieces = _Pieces(
        np.repeat(np.arange(count), len(ends) - 1),
        np.tile(ends[:-1], count),
        np.tile(ends[1:], count),
        at[:, :-1].ravel(),
        at[:, 1:].ravel(),
    )
    # A third outcome may hide between two that are not neighbours, as 0 between -1 and +1.
    hides = bool(fails(np.zeros(1, np.int8))[0])
    for _ in range(_MOST_STEPS):
        begin, end = fails(pieces.at_low), fails(pieces.at_high)
        known = np.bincount(
            pieces.line, weights=pieces.mass * (0.5 * begin + 0.5 * end), minlength=count
        )
        hidden = hides & (np.abs(pieces.at_low - pieces.at_high) == 2)
        wide = pieces.high - pieces.low
        open_ = np.where(
            hidden, wide > 1e-5, (begin != end) & (pieces.mass > precision * known[pieces.line])
        ) & (wide > _THINNEST) & pieces.differ  # fmt: skip
        if not open_.any():
            break
        halved = pieces[open_]
        middle = 0.5 * (halved.low + halved.high)
        code = outcome(halved.line, middle)
        left = _Pieces(halved.line, halved.low, middle, halved.at_low, code)
        right = _Pieces(halved.line, middle, halved.high, code, halved.at_high)
        pieces = pieces[~open_] + left + right
    begin, end = fails(pieces.at_low), fails(pieces.at_high)
    probability = np.bincount(
        pieces.line, weights=pieces.mass * (0.5 * begin + 0.5 * end), minlength=count
    )
    # Of a piece whose ends differ, the half at the failing end is taken to fail.
    sure = begin | end
    middle = 0.5 * (pieces.low + pieces.high)
    low = np.where(begin, pieces.low, middle)
    high = np.where(end, pieces.high, middle)
    return FailingLines(
        probability=np.asarray(probability, float),
        line=pieces.line[sure],
        low=low[sure],
        high=high[sure],
    )


def _mass(low: Floats, high: Floats) -> Floats:
    """Phi(high) - Phi(low), exact in both tails."""
    return np.where(low > 0, norm.sf(low) - norm.sf(high), norm.cdf(high) - norm.cdf(low))
