"""The failing part of lines through standard-normal space, integrated exactly.

A line is all scores of the first device with everything else held: its failing intervals are found
by bisection of every change of the outcome, and their probability is a difference of two normal
distributions. So that tail needs no samples, and a slab of metastable reads, a hundredth of a
standard deviation thin, is found wherever a line crosses from one sign to the other (line sampling:
Koutsourelakis, Pradlwarter and Schueller 2004, Prob. Eng. Mech. 19:463).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from rramsim.rare.failures import CountedFailure, Floats

_KNOTS = np.array([-8.0, -5.0, -3.0, -1.0, 1.5, 8.0])
"""Where a line is looked at first. Between equal outcomes nothing is looked for: along a device's
score the outcome changes in order."""
COARSE, FINE = 0.25, 0.04
"""Bisection ends where an edge leaves this share of the line's probability open."""
_THINNEST, _THINNEST_HIDDEN = 1e-7, 1e-5
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
        chosen = rng.choice(mine, p=masses / masses.sum())
        low, high, share = self.low[chosen], self.high[chosen], float(rng.random())
        if low > 0:
            return float(-ndtri(ndtr(-low) * (1 - share) + ndtr(-high) * share))
        return float(ndtri(ndtr(low) * (1 - share) + ndtr(high) * share))


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

    ends = np.array([-np.inf, *_KNOTS, np.inf])
    at = outcome(np.repeat(np.arange(count), len(_KNOTS)), np.tile(_KNOTS, count))
    at = np.pad(at.reshape(count, len(_KNOTS)), ((0, 0), (1, 1)), mode="edge")
    # Pieces of lines: number of the line, both ends, and the outcomes there.
    line = np.repeat(np.arange(count), len(ends) - 1)
    low, high = np.tile(ends[:-1], count), np.tile(ends[1:], count)
    at_low, at_high = at[:, :-1].ravel(), at[:, 1:].ravel()
    # A third outcome may hide between two that are not neighbours, as 0 between -1 and +1.
    hides = bool(failure.fails(np.zeros(1, np.int8), variant)[0])
    for step in range(_MOST_STEPS + 1):
        begin, end = failure.fails(at_low, variant), failure.fails(at_high, variant)
        mass = _mass(low, high)
        # Of a piece whose ends differ, the half at the failing end is taken to fail.
        chance = np.bincount(line, weights=mass * 0.5 * (begin + 0.0 + end), minlength=count)
        hidden = hides & (at_low * at_high == -1) & (high - low > _THINNEST_HIDDEN)
        coarse = (begin != end) & (mass > precision * chance[line]) & (high - low > _THINNEST)
        open_ = hidden | coarse
        if step == _MOST_STEPS or not open_.any():
            break
        middle = 0.5 * (low[open_] + high[open_])
        code = outcome(line[open_], middle)
        kept = ~open_
        line = np.concatenate([line[kept], line[open_], line[open_]])
        at_low = np.concatenate([at_low[kept], at_low[open_], code])
        at_high = np.concatenate([at_high[kept], code, at_high[open_]])
        low, high = (
            np.concatenate([low[kept], low[open_], middle]),
            np.concatenate([high[kept], middle, high[open_]]),
        )
    fails = begin | end
    middle = 0.5 * (low + high)
    return FailingLines(
        probability=np.asarray(chance, float),
        line=line[fails],
        low=np.where(begin, low, middle)[fails],
        high=np.where(end, high, middle)[fails],
    )


def _mass(low: Floats, high: Floats) -> Floats:
    """Phi(high) - Phi(low), exact in both tails."""
    return np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
