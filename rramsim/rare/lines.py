"""The failing part of lines along one device's score, integrated exactly in its distribution.

A line is all scores of the first device with everything else held: its failing intervals are found
by bisection of every change of the outcome, and their probability is a difference of two normal
distributions. So the device's tail needs no samples, and a slab of metastable reads, a hundredth
of a standard deviation thin, is found wherever a line crosses from one sign to the other (line
sampling: Koutsourelakis, Pradlwarter and Schueller 2004, Prob. Eng. Mech. 19:463).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from rramsim.rare.failures import CountedFailure, Floats

__all__ = ["COARSE", "FINE", "FailingLines", "failing_lines"]

_KNOTS = np.array([-8.0, -5.0, -3.0, -1.0, 1.5, 8.0])
"""Where a line is looked at first; between equal outcomes nothing is looked for."""
COARSE, FINE = 0.25, 0.04
"""Bisection ends where an edge leaves this share of the line's probability open."""
_THINNEST = 1e-7
_MOST_STEPS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class FailingLines:
    """The lines' failing intervals: of line `line[k]` from `low[k]` to `high[k]`.

    `probability`: shape (lines,), that of each line.
    """

    probability: Floats
    line: NDArray[np.int64]
    low: Floats
    high: Floats

    def point(self, number: int, rng: np.random.Generator) -> float:
        """A score at which line `number` fails, drawn by its probability there."""
        mine = np.flatnonzero(self.line == number)
        masses = _mass(self.low[mine], self.high[mine])
        k = mine[rng.choice(len(mine), p=masses / masses.sum())]
        low, high, share = self.low[k], self.high[k], rng.random()
        if low > 0:
            return float(norm.isf(norm.sf(low) * (1 - share) + norm.sf(high) * share))
        return float(norm.ppf(norm.cdf(low) * (1 - share) + norm.cdf(high) * share))


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
    state: CountedFailure, rest: Floats, variant: int, *, precision: float = FINE
) -> FailingLines:
    """The failing part of the lines through `rest`, shape (lines, dimension - 1).

    `rest` holds all coordinates but the first. A piece whose ends differ is halved until what it
    leaves open is `precision` of its line's probability.
    """
    count, failure = len(rest), state.failure

    def outcome(lines: NDArray[np.int64], scores: Floats) -> NDArray[np.int8]:
        seen = state.seen(np.column_stack([scores, rest[lines]]), variant)
        # What is not known is no failure; its share is watched by whoever counts.
        return np.where(seen.known, seen.codes, np.int8(variant)).astype(np.int8)

    def fails(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        return failure.fails(codes, variant)

    ends = np.array([-np.inf, *_KNOTS, np.inf])
    at = outcome(np.repeat(np.arange(count), len(_KNOTS)), np.tile(_KNOTS, count))
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
