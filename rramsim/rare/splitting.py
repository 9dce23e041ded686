"""Where failures are: many small runs of subset sampling, and many lines looked at once.

Au and Beck, Probab. Eng. Mech. 16 (2001) 263: a population moves into the failure over falling
levels of its margin, each holding a tenth of the one before. New points of a level come from
Markov chains that start in the level's own points and move by the conditional sampling of
Papaioannou et al., Probab. Eng. Mech. 41 (2015) 89, which keeps the standard normal exactly. It
needs no design point and no gradient, but a part of the failure that the margin does not announce,
such as a precharge that one weak transistor alone prevents, dies out on the way (ss, 1.0 V, 85
degrees: seven eighths of the rate). Lines along which a transistor in turn, or several, vary much
wider meet it; the points on the heaviest of them are moved to where they are most probable. What is
found says where to draw; no rate is taken from it.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.lines import COARSE, failing_lines
from rramsim.rare.proposals import Mixture

_SHARE, _ACCEPTANCE = 0.1, 0.44
_RUNS, _POPULATION = 12, 160
_LEAST_LEVEL = 1e-13
_HALVINGS, _TRIED, _SOME = 5, 100, 0.02
_BLIND, _SEVERAL, _FOLLOWED, _KEPT = 5000, 2.0, 12, 2
_SHRINKS, _TRIES = 12, 20
_LEVELS, _HIGHEST = 5, 2.0


def find_failures(
    state: CountedFailure, base: Mixture, rng: np.random.Generator
) -> list[tuple[int, Floats]]:
    """Failing points (n, dimension) that belong together, and their variant."""
    variants = state.failure.variants
    found = [(int(v), _run(state, v, rng)) for v in np.repeat(variants, _RUNS // len(variants))]
    return [(v, points) for v, points in found if len(points)] + seen_blindly(state, base, rng)


def seen_blindly(
    state: CountedFailure, base: Mixture, rng: np.random.Generator
) -> list[tuple[int, Floats]]:
    """The same, of points on the heaviest of many lines from `base`."""
    return [
        (variant, point[None])
        for variant in state.failure.variants
        for point in nearest(state, variant, _heavy(state, variant, base, rng), rng)
    ]


def _crossed(state: CountedFailure, variant: int, points: Floats) -> NDArray[np.bool_]:
    """Which points fail or, where failures may hide in a thin slab, lie in it or beyond it."""
    failure, seen = state.failure, state.seen(points, variant)
    fails = failure.fails(seen.codes, variant)
    if variant and failure.fails(np.zeros(1, np.int8), variant)[0]:
        fails |= seen.codes == -variant
    return np.asarray(fails & seen.known)


def nearest(
    state: CountedFailure, variant: int, points: Floats, rng: np.random.Generator
) -> Floats:
    """Failing points (n, dimension) moved towards the origin as far as they still fail.

    What the failure does not hang on shrinks away; what is left is about its most probable point.
    """
    for _ in range(_SHRINKS if len(points) else 0):
        shape = len(points), _TRIES, points.shape[1]
        amount = rng.random((*shape[:2], 1)) * rng.random(shape) * (rng.random(shape) < 0.5)
        tried = points[:, None] * (1 - amount)
        fails = _crossed(state, variant, tried.reshape(-1, shape[2])).reshape(shape[:2])
        lengths = np.where(fails, (tried**2).sum(axis=2), np.inf)
        best = lengths.argmin(axis=1)
        shorter = np.isfinite(lengths.min(axis=1))
        points = np.where(shorter[:, None], tried[np.arange(len(points)), best], points)
    return points


def _heavy(state: CountedFailure, variant: int, base: Mixture, rng: np.random.Generator) -> Floats:
    """Points on the heaviest of many lines, most of which are looked at only once.

    A line is looked at where a few in a hundred lines through normal mismatch fail, and one that
    fails there at higher scores too: the highest is a bound of what it holds.
    """
    failure = state.failure

    def at(score: float, rest: Floats) -> NDArray[np.bool_]:
        return _crossed(state, variant, np.column_stack([np.full(len(rest), score), rest]))

    tried = rng.standard_normal((_TRIED, failure.dimension - 1))
    score, further = 0.0, -6.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (score + further)
        if at(middle, tried).mean() > _SOME:
            further = middle
        else:
            score = middle
    # All of these have something wide: through normal mismatch the runs above find their way.
    wide = Mixture(means=base.means[1:], deviations=base.deviations[1:], shares=base.shares[1:])
    one, drawn = wide.draw(_BLIND // len(failure.variants), rng)
    chance = min(_SEVERAL / len(wide.shares), 0.5)
    which = rng.random((len(one) // 2, len(wide.shares))) < chance
    several = np.where(which[..., None], wide.deviations, 1.0).prod(axis=1)
    rest = np.concatenate([one, several * rng.standard_normal(several.shape)])
    rest = rest[at(score, rest)]
    reach = np.full(len(rest), score)
    for level in np.linspace(score, _HIGHEST, _LEVELS)[1:]:
        alive = np.flatnonzero(reach == reach.max(initial=score))
        reach[alive[at(level, rest[alive])]] = level
    gains = 0.5 * (rest**2) @ (1 - wide.deviations**-2).T - np.log(wide.deviations).sum(axis=1)
    # Two thirds have one thing wide, a third as many as chance has it: density over the normal's.
    parts = -drawn.log_weights(rest), np.log1p(chance * np.expm1(gains)).sum(axis=1)
    log_weight = -np.logaddexp(parts[0] + np.log(2 / 3), parts[1] + np.log(1 / 3))
    best = _largest(log_weight, reach, _FOLLOWED)
    lines = failing_lines(state, rest[best], variant, precision=COARSE)
    values = np.exp(log_weight[best]) * lines.probability
    chosen = _largest(values, reach[best], _KEPT)
    chosen = chosen[values[chosen] > 0.01 * values.sum()]
    scores = np.array([lines.point(int(k), rng) for k in chosen])
    return np.column_stack([scores, rest[best][chosen]])


def _largest(values: Floats, reach: Floats, count: int) -> NDArray[np.int64]:
    """Of each reach the largest: lines of one cause would crowd out those of another."""
    order = np.argsort(-values)
    each = [order[reach[order] == one][:count] for one in np.unique(reach)]
    return np.concatenate([order[:0], *each])


def _run(state: CountedFailure, variant: int, rng: np.random.Generator) -> Floats:
    """Points that fail, shape (n, dimension)."""

    def margin(points: Floats) -> Floats:
        found = state.seen(points, variant).margin
        return np.where(np.isnan(found), np.inf, found)

    points = rng.standard_normal((_POPULATION, state.failure.dimension))
    margins, level, scale = margin(points), 1.0, 0.6
    while True:
        order = np.argsort(margins, kind="stable")[: round(_SHARE * _POPULATION)]
        threshold = float(margins[order[-1]])
        share = float((margins <= max(threshold, 0.0)).mean())
        level *= share
        # Deep enough, or the margin lies flat and no level would ever be lower.
        ends = level < _LEAST_LEVEL or share > 0.9 or not math.isfinite(threshold)
        if threshold <= 0 or ends:
            return points[margins <= 0]
        points, margins, scale = _populated(
            margin, points[order], margins[order], threshold, scale, rng
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
