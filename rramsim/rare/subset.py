"""Subset sampling: a rare event as a chain of events that are not rare.

Au and Beck, Probab. Eng. Mech. 16 (2001) 263: P(g <= 0) is a product of conditional probabilities,
each near `SHARE`, over falling thresholds of the margin g. New points of a level come from Markov
chains that start in the level's own points and move by the conditional sampling of Papaioannou
et al., Probab. Eng. Mech. 41 (2015) 89, which keeps the standard normal exactly and whose step
adapts to an acceptance of 0.44. It needs no design point, no gradient and no proposal: it finds
failure regions on its own, and its estimate owes nothing to importance sampling's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.rare.limit_states import LimitState

__all__ = ["SHARE", "SubsetResult", "subset_sampling"]

Floats = NDArray[np.float64]

SHARE = 0.1
"""The share of a level's points that lies in the next level."""

_ACCEPTANCE = 0.44


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetResult:
    """What a run found.

    `failing`: points in the failure, shape (n, dimension), n = 0 if none were reached.
    `log_probability`: natural logarithm of the estimate; -inf if none. `log_deviation`: its
    standard deviation, with the chains' correlation as a factor of `1 + _CORRELATION`.
    `reached`: the logarithm of the probability of the last level, the depth searched.
    """

    failing: Floats
    log_probability: float
    log_deviation: float
    reached: float
    levels: int


# What the correlation inside a chain adds to a level's variance: (1 + gamma) of Au and Beck;
# measured on the analytic states (docs/rare-events.md).
_CORRELATION = 3.0


def subset_sampling(
    state: LimitState,
    rng: np.random.Generator,
    *,
    population: int = 1000,
    deepest: float = math.log(1e-14),
) -> SubsetResult:
    """Descend to the failure of `state`, or down to a level of log-probability `deepest`."""

    def value(points: Floats) -> Floats:
        found = state.margin(points)
        # A point of which nothing can be said is no failure.
        return np.where(np.isnan(found), math.inf, found)

    points = rng.standard_normal((population, state.dimension))
    margins = value(points)
    log_level, variance, correlation, levels, scale = 0.0, 0.0, 0.0, 0, 0.6
    while True:
        seeds = max(2, round(SHARE * population))
        order = np.argsort(margins, kind="stable")
        threshold = float(margins[order[seeds - 1]])
        share = float((margins <= max(threshold, 0.0)).mean())
        if threshold <= 0 or not math.isfinite(threshold):
            break
        chance = log_level + math.log(share)
        if chance < deepest or share > 0.9:
            # Deep enough; or the margin lies flat, and no level would ever be lower.
            log_level = chance
            break
        variance += (1 - share) / (share * population) * (1 + correlation)
        log_level, correlation, levels = chance, _CORRELATION, levels + 1
        chosen = order[:seeds]
        points, margins, scale = _populate(
            value, points[chosen], margins[chosen], threshold, population, scale, rng
        )
    near = points[margins <= 0]
    if threshold <= 0 and len(near) < population:
        # The margin reaches further than the failure may: the last step is the exact question.
        share = len(near) / population
        variance += (1 - share) / (share * population) * (1 + correlation)
        log_level += math.log(share)
        near, _, _ = _populate(value, near, np.zeros(len(near)), 0.0, population, scale, rng)
        correlation = _CORRELATION
    fails, known = state.fails(near) if threshold <= 0 else (np.zeros(0, bool),) * 2
    fails = fails & known
    if not fails.any():
        return SubsetResult(
            failing=points[:0],
            log_probability=-math.inf,
            log_deviation=math.inf,
            reached=log_level,
            levels=levels,
        )
    share = float(fails.mean())
    variance += (1 - share) / (share * len(near)) * (1 + correlation)
    return SubsetResult(
        failing=near[fails],
        log_probability=log_level + math.log(share),
        log_deviation=math.sqrt(variance),
        reached=log_level,
        levels=levels,
    )


def _populate(
    value: Callable[[Floats], Floats],
    seeds: Floats,
    margins: Floats,
    threshold: float,
    population: int,
    scale: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, float]:
    """Grow `seeds` to `population` points below the threshold; returns the adapted scale too."""
    # A move that adapts to how widely the seeds lie in each coordinate mixes better.
    spread = np.clip(seeds.std(axis=0, ddof=1), 0.1, 1.0) if len(seeds) > 1 else 1.0
    kept, kept_margins = [seeds], [margins]
    current, current_margins = seeds.copy(), margins.copy()
    missing, step = population - len(seeds), 0
    while missing > 0:
        step += 1
        moving = current[:missing]
        deviation = np.minimum(1.0, scale * spread)
        proposal = np.sqrt(1 - deviation**2) * moving + deviation * rng.standard_normal(
            moving.shape
        )
        proposed = value(proposal)
        accepted = proposed <= threshold
        current[: len(moving)][accepted] = proposal[accepted]
        current_margins[: len(moving)][accepted] = proposed[accepted]
        kept.append(current[: len(moving)].copy())
        kept_margins.append(current_margins[: len(moving)].copy())
        missing -= len(moving)
        scale *= math.exp((float(accepted.mean()) - _ACCEPTANCE) / math.sqrt(step))
        scale = min(max(scale, 0.05), 1.0)
    return np.concatenate(kept), np.concatenate(kept_margins), scale
