"""Where failures are, found by many small runs of subset sampling.

Au and Beck, Probab. Eng. Mech. 16 (2001) 263: a population moves into the failure over falling
levels of its margin, each holding a tenth of the one before. New points of a level come from
Markov chains that start in the level's own points and move by the conditional sampling of
Papaioannou et al., Probab. Eng. Mech. 41 (2015) 89, which keeps the standard normal exactly. It
needs no design point and no gradient. Each run ends in one part of the failure, whichever its
chains happen on, and small runs happen on a distant part as often as large ones do: so there are
many small ones. Their points say where to draw; no rate is taken from them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.rare.failures import CountedFailure, Floats

__all__ = ["FoundFailures", "find_failures"]

_SHARE, _ACCEPTANCE = 0.1, 0.44
_RUNS, _POPULATION = 16, 200
_LEAST_LEVEL = 1e-13


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFailures:
    """Failing points (n, dimension), the variant and the run of each, weights that sum to 1."""

    points: Floats
    variants: NDArray[np.int64]
    runs: NDArray[np.int64]
    weights: Floats


def find_failures(state: CountedFailure, rng: np.random.Generator) -> FoundFailures:
    """Move populations into the failure, the variants in turn."""
    kinds = np.resize(np.array(state.failure.variants), _RUNS)
    runs = [_run(state, int(kind), rng) for kind in kinds]
    met = [len(points) > 0 for points, _ in runs]
    counts = [len(points) for points, _ in runs]
    # A run that came far is worth more, but none outweighs the others: chains may stray.
    levels = np.array(
        [level if reached else 0.0 for (_, level), reached in zip(runs, met, strict=True)]
    )
    if any(met):
        levels = np.minimum(levels, 3 * np.median(levels[met]))
    weights = np.repeat(levels / np.maximum(counts, 1), counts)
    return FoundFailures(
        points=np.concatenate([points for points, _ in runs]),
        variants=np.repeat(kinds, counts),
        runs=np.repeat(np.arange(len(runs)), counts),
        weights=weights / max(weights.sum(), 1e-300),
    )


def _run(state: CountedFailure, variant: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Failing points, and the probability of the failure or of the last level."""

    def value(points: Floats) -> Floats:
        found = state.seen(points, variant).margin
        return np.where(np.isnan(found), np.inf, found)

    points = rng.standard_normal((_POPULATION, state.failure.dimension))
    margins, level, scale = value(points), 1.0, 0.6
    while True:
        order = np.argsort(margins, kind="stable")[: round(_SHARE * _POPULATION)]
        threshold = float(margins[order[-1]])
        share = float((margins <= max(threshold, 0.0)).mean())
        level *= share
        # Deep enough, or the margin lies flat and no level would ever be lower.
        ends = level < _LEAST_LEVEL or share > 0.9 or not math.isfinite(threshold)
        if threshold <= 0 or ends:
            return points[margins <= 0], level
        points, margins, scale = _populated(
            value, points[order], margins[order], threshold, scale, rng
        )


def _populated(
    value: Callable[[Floats], Floats],
    points: Floats,
    margins: Floats,
    threshold: float,
    scale: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, float]:
    """Grow seeds to a population below the threshold; returns the adapted scale too."""
    # A move that adapts to how widely the seeds lie in each coordinate mixes better.
    spread = np.clip(points.std(axis=0, ddof=1), 0.1, 1.0)
    kept, kept_margins = [points], [margins]
    current, current_margins = points.copy(), margins.copy()
    missing, step = _POPULATION - len(points), 0
    while missing > 0:
        step += 1
        moving = current[:missing]
        deviation = np.minimum(1.0, scale * spread)
        proposal = np.sqrt(1 - deviation**2) * moving
        proposal += deviation * rng.standard_normal(moving.shape)
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
