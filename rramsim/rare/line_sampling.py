"""The rate of a read error by lines through the space of devices and mismatch.

Near a tie a sense is metastable, and a written ±1 is read as 0 in a slab of resistance ratios only
a hundredth wide. Points drawn at random rarely fall into it. A line that crosses it finds both its
faces by bisection, and what lies between them has a probability that is known in closed form:

    p = E over lines of  sum over failing intervals of  Phi(end) - Phi(begin),

lines parallel to one direction through normal points of the rest of the space (line sampling:
Koutsourelakis, Pradlwarter and Schueller 2004, Prob. Eng. Mech. 19:463). It is unbiased for any
direction; one normal to the slab makes the lines agree.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from rramsim.engines import BatchEngine
from rramsim.exceptions import InputError
from rramsim.rare.limit_states import CountedState
from rramsim.rare.rare import RareRate
from rramsim.rare.scouting import scout
from rramsim.rare.sense_failure import SenseFailure

__all__ = ["SHARP_V", "line_rate", "sharpened", "tie_direction"]

Floats = NDArray[np.float64]

_REACH, _STEP = 8.0, 0.5
"""How far along a line reads are looked at, and how densely: 0 failures thinner than a step are
found only between different reads, as a slab between +1 and -1 is."""
SHARP_V = 1e-4
"""Tolerance at which the batch engine's latch grows a tie as fast as ngspice's: the slab of type 2
is 17 % too thin at 2 mV, 3 % at 0.2 mV and 1 % at 0.05 mV (1.2 V, 27 degrees, two lines)."""
_BISECTIONS = 14
_FIRST_LINES = 30
_MOST_UNKNOWN = 0.05


def line_rate(
    failure: SenseFailure,
    direction: Floats,
    *,
    relative_error: float = 0.1,
    max_calls: int = 20_000,
    seed: int = 1,
    report: Callable[[int], None] = lambda calls: None,
) -> RareRate:
    """Estimate a rate from lines along `direction` (dimension,), with Student's interval.

    Lines are added until the standard error is `relative_error` of the rate or `max_calls` senses
    are spent. The interval is on the logarithm. Raises `InputError` for a direction of length zero
    or of another size than the space.
    """
    length = float(np.linalg.norm(direction))
    if direction.shape != (failure.dimension,) or not length > 0:
        raise InputError(
            f"direction of shape {direction.shape}, length {length:g}: must have "
            f"{failure.dimension} numbers, not all zero"
        )
    along = direction / length
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x11E]))
    values, unknown, senses, total, calls = np.zeros(0), 0, 0, 0, 0

    def read(points: Floats) -> Floats:
        nonlocal calls, unknown, senses
        found, converged = failure.reads(points)
        calls += len(points)
        senses += len(points)
        unknown += int((~converged).sum())
        report(calls)
        return np.where(converged, found, 0).astype(float)

    while True:
        wanted = _FIRST_LINES
        if total:
            spread = float(values.std(ddof=1)) / max(float(values.mean()), 1e-300)
            wanted = math.ceil((1.05 * spread / relative_error) ** 2) - total
        per_line = calls / total if total else 2 * _REACH / _STEP + 2 * _BISECTIONS
        affordable = int((max_calls - calls) / per_line)
        if total and (wanted <= 0 or affordable < 1 or not values.any()):
            break
        count = max(1, min(wanted, affordable, 4 * _FIRST_LINES))
        aside = rng.standard_normal((count, failure.dimension))
        aside -= np.outer(aside @ along, along)
        values = np.concatenate([values, _failing_share(read, failure, aside, along)])
        total = len(values)
    return _answer(failure, values, calls, unknown / max(senses, 1))


def sharpened(failure: SenseFailure) -> SenseFailure:
    """The same error, with a batch engine fine enough for ties (`SHARP_V`); ngspice as it is."""
    engine = failure.engine
    if not isinstance(engine, BatchEngine) or engine.tolerance_v <= SHARP_V:
        return failure
    return replace(failure, engine=replace(engine, tolerance_v=SHARP_V))


def tie_direction(failure: SenseFailure, *, seed: int = 1) -> tuple[Floats, int]:
    """The way to the nearest tie, (dimension,), and the senses that it took to find.

    It is the design point of a sign flip; without one, a falling resistance of the HRS device.
    """
    flip = replace(failure, error_type=1)
    counted = CountedState(flip)
    found = scout(counted, np.random.default_rng(np.random.SeedSequence([seed, 0x71E])))
    if found.regions:
        return np.asarray(found.regions[0].point), counted.calls
    fallback = np.zeros(failure.dimension)
    fallback[1 if failure.written == 1 else 0] = -1.0
    return fallback, counted.calls


def _failing_share(
    read: Callable[[Floats], Floats], failure: SenseFailure, aside: Floats, along: Floats
) -> Floats:
    """The probability of failing on each line, shape (lines,)."""
    grid = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    lines = len(aside)
    reads = read(
        (aside[:, None, :] + grid[None, :, None] * along).reshape(-1, aside.shape[1])
    ).reshape(lines, len(grid))
    # Each change of the read between neighbours, once as the end of the left one's interval and,
    # if a whole sign lies between, once as the beginning of the right one's.
    line, left = np.nonzero(reads[:, 1:] != reads[:, :-1])
    before, after = reads[line, left], reads[line, left + 1]
    begin, end = grid[left], grid[left + 1]
    ends = _bisect(read, aside[line], along, begin, end, lambda r: r == before)
    begins = ends.copy()
    jump = np.abs(after - before) > 1.5
    if jump.any():
        begins[jump] = _bisect(
            read, aside[line[jump]], along, ends[jump], end[jump], lambda r: r != after[jump]
        )
    share = np.zeros(lines)
    for number in range(lines):
        mine = np.flatnonzero(line == number)
        edges = [-math.inf, *np.column_stack([ends[mine], begins[mine]]).ravel(), math.inf]
        values: list[float] = [float(reads[number, 0])]
        for k in mine:
            # Between the two faces of a jump from one sign to the other the read is 0.
            values += [0.0 if jump[k] else float("nan"), float(after[k])]
        for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
            if high > low and failure.is_error(value):
                share[number] += _between(low, high)
    return share


def _between(low: float, high: float) -> float:
    """Phi(high) - Phi(low), exact in both tails."""
    if low > 0:
        return float(norm.sf(low) - norm.sf(high))
    return float(norm.cdf(high) - norm.cdf(low))


def _bisect(
    read: Callable[[Floats], Floats],
    aside: Floats,
    along: Floats,
    low: Floats,
    high: Floats,
    stays: Callable[[Floats], NDArray[np.bool_]],
) -> Floats:
    """Where the read stops being what it is at `low`."""
    low, high = low.copy(), high.copy()
    for _ in range(_BISECTIONS):
        if not len(low):
            break
        middle = 0.5 * (low + high)
        same = stays(read(aside + middle[:, None] * along))
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return 0.5 * (low + high)


def _answer(failure: SenseFailure, values: Floats, calls: int, unknown: float) -> RareRate:
    mean, count = float(values.mean()), len(values)
    error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    cov = error / mean if mean > 0 else math.inf
    width = math.exp(min(float(student_t.ppf(0.975, max(count - 1, 1))) * cov, 50.0))
    largest = float(values.max() / values.sum()) if mean > 0 else 0.0
    note = ""
    if unknown > _MOST_UNKNOWN:
        note = f"{100 * unknown:.0f} % of the runs did not converge"
    elif not mean > 0:
        note = f"none of {count} lines met a failure within {_REACH:g} sigma"
    elif largest > 0.25:
        note = f"{100 * largest:.0f} % of the estimate {mean:.3g} hang on one line"
    low, high = (mean / width, min(1.0, mean * width)) if mean > 0 else (0.0, 1.0)
    return RareRate(
        label=failure.label,
        status="refused" if note else "estimated",
        method="line",
        value=None if note else mean,
        low=low,
        high=high,
        coefficient_of_variation=cov,
        calls=calls,
        note=note,
    )
