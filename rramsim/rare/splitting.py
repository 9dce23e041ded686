"""A rare rate from where multilevel splitting finds the failures, with no design point.

Descents and a Gaussian at each design point serve where a failure has a nearest point that
matters. Where it is a broad, bent region that hangs on several devices at once (in corner sf a
precharge that does not finish: the thresholds and widths of two p-channel transistors), hardly a
failure lies near any one point, and a margin that is low at a tie of a slow latch leads a descent
astray. Here nothing is descended:

1. Subset sampling (`subset_sampling`) moves a population into the failure, level by level.
2. A few Gaussians are fitted to what arrives (`fit_mixture`).
3. Rounds of independent draws from them, weighted, correct the fit: chains are correlated.
4. Fresh draws from the last fit and, independent of its spreads, from wide round lobes at its
   centres estimate the rate, each alone (the cross-check) and together (the answer); subset
   sampling's own estimate, from other draws and another margin, must not find more. (Less it may
   find: most of its runs miss the smaller parts of a failure.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.rare.importance import (
    DISAGREE,
    ROUND,
    Draws,
    WeightedRate,
    draw_until,
    draw_weighted,
    objection,
    weighted_rate,
)
from rramsim.rare.limit_states import CountedState, LimitState
from rramsim.rare.mixture_fit import ENOUGH, MixtureFit, fit_mixture
from rramsim.rare.proposals import Lobe, Mixture
from rramsim.rare.rare import RareRate
from rramsim.rare.subset import SHARE, SubsetResult, subset_sampling

__all__ = ["splitting_rate"]

Floats = NDArray[np.float64]

_RUNS, _POPULATION = 24, 250
"""Many small runs: each ends in one part of the failure, whichever its chains happen on, and small
ones happen on a distant part as often as large ones do. They tell their error themselves: the
formula's is too small where few chains find a second part."""
_FIT_ROUNDS, _MOST_FIT_ROUNDS, _FIT_DRAWS = 2, 6, 1500
_LEVEL_ERROR = 5.0
"""How many times higher than estimated a level's probability may be, where no failure was met."""
_FITTED_SHARE = 0.65


@dataclass(frozen=True, kw_only=True, eq=False)
class _Subset:
    """What the runs of subset sampling found: failing points with weights, a rate, its CoV."""

    failing: Floats
    weights: Floats
    value: float
    deviation: float


def splitting_rate(
    state: LimitState,
    *,
    ranking: LimitState | None = None,
    relative_error: float = 0.1,
    max_calls: int = 100_000,
    deepest: float = 1e-10,
    seed: int = 1,
    report: Callable[[int], None] = lambda calls: None,
) -> RareRate:
    """Estimate a rate by importance sampling where subset sampling finds failures.

    `ranking` is the same failure with the margin by which the population is moved; `state` itself
    by default. Calls of both count. Bounded if every run came down to a level of probability
    `deepest` without a failure; refused if one ended above, or if two of the three estimates
    contradict each other. Raises `InputError` for a `ranking` of another dimension.

    >>> from rramsim.rare import linear_state
    >>> answer = splitting_rate(linear_state(1e-6))
    >>> answer.status, answer.low < 1e-6 < answer.high
    ('estimated', True)
    """
    ranking = ranking or state
    if ranking.dimension != state.dimension:
        raise InputError(
            f"ranking of dimension {ranking.dimension}: the failure has {state.dimension}"
        )
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x59117]))
    # Ten levels of a tenth each are there, whatever the rounding and ties.
    deepest *= 1.05
    moved = CountedState(ranking, report)
    runs = [
        subset_sampling(moved, rng, population=_POPULATION, deepest=math.log(deepest))
        for _ in range(_RUNS)
    ]
    subset = _together(runs)
    if subset is None:
        return _unreached(state, moved.calls, runs, deepest)
    counted = CountedState(state, lambda calls: report(moved.calls + calls))
    fit = fit_mixture(
        subset.failing,
        subset.weights,
        # A chain's points hang together: it is worth one.
        effective=SHARE * len(subset.failing),
        rng=rng,
    )
    fit = _corrected(counted, fit, rng)
    wide = tuple(_round(lobe) for lobe in fit.lobes)
    # The fit says where the failures are; what it may be wrong about is shared out evenly.
    trusted = 0.8 * fit.masses + 0.2 / len(fit.masses)
    mixture = Mixture(
        components=(*fit.lobes, *wide),
        shares=tuple(np.concatenate([_FITTED_SHARE * trusted, (1 - _FITTED_SHARE) * trusted])),
    )
    draws, _ = draw_until(
        counted, mixture, rng, relative_error=relative_error, max_calls=max_calls - moved.calls
    )
    # Few draws exaggerate: before refusing, look again with more of them.
    while _objection(mixture, draws) and moved.calls + counted.calls + 2 * ROUND <= max_calls:
        rest = max_calls - moved.calls - counted.calls
        more = min(rest, max(2 * ROUND, len(draws.points) // 2))
        draws = draws + draw_weighted(counted, mixture, more, rng)
    return _answer(state, mixture, draws, subset, relative_error, moved.calls + counted.calls)


def _together(runs: list[SubsetResult]) -> "_Subset | None":
    """The runs' mean, its standard error as the runs show it, and the failures of all."""
    values = np.exp([run.log_probability for run in runs])
    mean = float(values.mean())
    if not mean > 0:
        return None
    seen = float(values.std(ddof=1)) / mean
    stated = [run.log_deviation for run in runs if len(run.failing)]
    reached = [(run.failing, value) for run, value in zip(runs, values, strict=True) if value > 0]
    return _Subset(
        failing=np.concatenate([failing for failing, _ in reached]),
        weights=np.concatenate(
            [np.full(len(failing), value / len(failing)) for failing, value in reached]
        )
        / mean,
        value=mean,
        deviation=max(seen, float(np.mean(stated))) / math.sqrt(len(runs)),
    )


def _corrected(state: CountedState, fit: MixtureFit, rng: np.random.Generator) -> MixtureFit:
    """The fit to weighted independent draws, round after round; all draws so far count."""
    components: tuple[Lobe, ...] = ()
    draws: Draws | None = None
    rounds = 0
    for _ in range(_MOST_FIT_ROUNDS):
        newest = (*fit.lobes, *(_round(lobe) for lobe in fit.lobes))
        components += newest
        shares = np.zeros(len(components))
        shares[-len(newest) :] = np.tile(0.5 * (fit.masses + 1 / len(fit.masses)) / 2, 2)
        mixture = Mixture(components=components, shares=tuple(shares))
        drawn = draw_weighted(state, mixture, _FIT_DRAWS, rng)
        draws = drawn if draws is None else draws + drawn
        failing = draws.points[draws.fails]
        if not len(failing):
            break
        log_weights = mixture.log_weights(failing, draws.counts)
        weights = np.exp(log_weights - log_weights.max())
        # A few heavy draws would make a lobe of their own: clipped, as in truncated sampling.
        weights = np.minimum(weights, weights.sum() / math.sqrt(len(weights)))
        effective = float(weights.sum() ** 2 / (weights**2).sum())
        if effective < ENOUGH * state.dimension:
            continue
        fit = fit_mixture(failing, weights, effective=effective, rng=rng)
        rounds += 1
        if rounds == _FIT_ROUNDS:
            break
    return fit


def _round(lobe: Lobe) -> Lobe:
    # Inflated in all directions at a cost that does not grow with their number.
    return Lobe.at(lobe.mean, deviation=1 + 0.75 / math.sqrt(len(lobe.mean)))


def _answer(
    state: LimitState,
    mixture: Mixture,
    draws: Draws,
    subset: _Subset,
    relative_error: float,
    calls: int,
) -> RareRate:
    rate, parts = weighted_rate(mixture, draws), _parts(mixture, draws)
    note = _objection(mixture, draws) or _subset_objection(rate, subset)
    checks = {
        name: (estimate.value, estimate.low, estimate.high)
        for name, estimate in zip(("fitted lobes", "wide lobes"), parts, strict=True)
    }
    width = math.exp(1.96 * subset.deviation)
    checks["subset sampling"] = (
        subset.value, subset.value / width, min(1.0, subset.value * width)
    )  # fmt: skip
    refused = bool(note)
    if not refused and rate.coefficient_of_variation > relative_error:
        note = (
            f"reached a coefficient of variation of {100 * rate.coefficient_of_variation:.0f} % in "
            f"{calls} calls, not {100 * relative_error:g} %"
        )
    return RareRate(
        label=state.label,
        status="refused" if refused else "estimated",
        method="splitting",
        value=None if refused else rate.value,
        low=min(low for _, low, _ in checks.values()) if refused else rate.low,
        high=max(high for *_, high in checks.values()) if refused else rate.high,
        coefficient_of_variation=rate.coefficient_of_variation,
        calls=calls,
        note=note,
        checks=checks,
    )


def _parts(mixture: Mixture, draws: Draws) -> tuple[WeightedRate, WeightedRate]:
    """The estimates of the fitted lobes alone and of the wide ones alone."""
    fitted = np.arange(len(mixture.components)) < len(mixture.components) // 2
    return (
        weighted_rate(mixture, draws, only=fitted),
        weighted_rate(mixture, draws, only=~fitted),
    )


def _objection(mixture: Mixture, draws: Draws) -> str:
    return objection(weighted_rate(mixture, draws), *_parts(mixture, draws), draws)


def _subset_objection(rate: WeightedRate, subset: _Subset) -> str:
    apart = math.log(subset.value / rate.value)
    if apart <= DISAGREE * math.hypot(subset.deviation, rate.coefficient_of_variation):
        return ""
    return (
        f"subset sampling finds {subset.value:.3g} where importance sampling from its points "
        f"finds {rate.value:.3g}"
    )


def _unreached(state: LimitState, calls: int, runs: list[SubsetResult], deepest: float) -> RareRate:
    """No run met a failure: a bound if all came down far enough, else no answer."""
    level = math.exp(max(run.reached for run in runs))
    deep = level <= deepest
    return RareRate(
        label=state.label,
        status="bounded" if deep else "refused",
        method="splitting",
        value=None,
        low=0.0,
        high=_LEVEL_ERROR * level if deep else 1.0,
        coefficient_of_variation=math.inf,
        calls=calls,
        note=(
            f"no failure down to a level of probability {level:.1g} in {len(runs)} runs of subset "
            "sampling" + ("" if deep else ", where they ended")
        ),
    )
