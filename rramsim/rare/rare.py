"""The probability of a rare failure: scout, fit, estimate, cross-check, or refuse.

1. A pilot of plain samples: where the failure is not rare, plain Monte-Carlo goes on (`auto`).
2. `scout` looks for every region of failure with the margin.
3. Lobes at the regions' design points are fitted to failing draws (cross-entropy).
4. Fresh draws from the fitted lobes and, independent of the fit, from wide round lobes and a ring
   through the whole subspace on which the margin depends. Both kinds estimate the rate alone
   (the cross-check) and together (the answer). A failure that the lobes do not cover shows as a
   weight far above the others; the search then starts from there again.
5. If the two estimates disagree, or one draw decides the answer, there is no answer.

Every draw that enters an estimate asks `LimitState.fails`, what a campaign would count. With
`cross_check="subset"` subset sampling, which knows nothing of regions, has its say too; it costs
thousands of calls, so it is for fast engines.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rramsim.counting.rates import Rate
from rramsim.exceptions import InputError
from rramsim.rare.importance import (
    DISAGREE,
    MOST_UNKNOWN,
    ROUND,
    Draws,
    WeightedRate,
    draw_until,
    draw_weighted,
    first_lobe,
    fit_lobes,
    objection,
    weighted_rate,
)
from rramsim.rare.limit_states import CountedState, LimitState
from rramsim.rare.proposals import Component, Lobe, Mixture, Ring
from rramsim.rare.scouting import Region, Scouting, refine, scout
from rramsim.rare.subset import SubsetResult, subset_sampling

__all__ = ["RareRate", "RareSettings", "rare_rate"]

Floats = NDArray[np.float64]

_PILOT = 100
_FIT_DRAWS = 120
_FIT_ROUNDS = 2
_MOST_FIT_ROUNDS = 4
_FIT_FAILURES = 40
"""Failing draws of a round for each region that make one round more worthless."""
_SUBSET_POPULATION = 2000
_UNCOVERED, _UNCOVERED_SHARE = 50.0, 0.05
"""A failing point counts as uncovered if its weight is so many times the rate; the share of such
points among subset sampling's at which there is no answer."""


@dataclass(frozen=True, kw_only=True)
class RareSettings:
    """How to look for a rare rate.

    `relative_error`: the coefficient of variation (standard error over value) to reach.
    `max_calls`: engine calls at most, the search included; a cross-check by subset sampling
    comes on top. `monte_carlo_calls`: plain Monte-Carlo may take as many; None for `max_calls`.

    >>> RareSettings(relative_error=0.1).max_calls
    2000
    """

    method: Literal["auto", "monte-carlo", "importance"] = "auto"
    relative_error: float = 0.1
    max_calls: int = 2000
    monte_carlo_calls: int | None = None
    cross_check: Literal["proposals", "subset"] = "proposals"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.method not in ("auto", "monte-carlo", "importance"):
            raise InputError(f"method = {self.method!r}: must be auto, monte-carlo or importance")
        if self.cross_check not in ("proposals", "subset"):
            raise InputError(f"cross_check = {self.cross_check!r}: must be proposals or subset")
        if not (math.isfinite(self.relative_error) and 0 < self.relative_error <= 1):
            raise InputError(
                f"relative_error = {self.relative_error:g}: must be above 0 and at most 1"
            )
        if self.max_calls < 200:
            raise InputError(f"max_calls = {self.max_calls}: must be at least 200")
        if self.monte_carlo_calls is not None and self.monte_carlo_calls < 1:
            raise InputError(f"monte_carlo_calls = {self.monte_carlo_calls}: must be at least 1")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be 0 or a positive whole number")


@dataclass(frozen=True, kw_only=True, eq=False)
class RareRate:
    """The answer to a search for a rare rate.

    `status` "estimated": `value` with its 95 % interval. "bounded": no failure was seen; `value`
    is None and `high` the exact 95 % upper bound of the plain samples. "refused": `value` is None
    since the estimates contradict each other, as `note` says; `low` and `high` span them.
    `regions` are the design points (empty for plain Monte-Carlo); `checks` every estimate by name.
    """

    label: str
    status: Literal["estimated", "bounded", "refused"]
    method: Literal["monte-carlo", "importance", "line", "splitting"]
    value: float | None
    low: float
    high: float
    coefficient_of_variation: float
    calls: int
    check_calls: int = 0
    note: str = ""
    regions: tuple[Region, ...] = ()
    checks: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    failing: Floats | None = None
    failing_weights: Floats | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON: the answer, its interval, how it was found."""
        cov = self.coefficient_of_variation
        return {
            "what": self.label,
            "status": self.status,
            "method": self.method,
            "rate": self.value,
            "low": self.low,
            "high": self.high,
            "coefficient_of_variation": cov if math.isfinite(cov) else None,
            "calls": self.calls,
            "check_calls": self.check_calls,
            "regions_sigma": [region.radius for region in self.regions],
            "checks": {
                name: {"rate": value, "low": low, "high": high}
                for name, (value, low, high) in self.checks.items()
            },
            "note": self.note,
        }


def rare_rate(
    state: LimitState,
    *,
    settings: RareSettings | None = None,
    report: Callable[[int], None] = lambda calls: None,
) -> RareRate:
    """Estimate the probability of a failure; `report` is told the calls made so far.

    >>> from rramsim.rare import linear_state
    >>> answer = rare_rate(linear_state(1e-9))
    >>> answer.status, answer.calls < 1000, answer.low < 1e-9 < answer.high
    ('estimated', True, True)
    """
    settings = settings or RareSettings()
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed))
    counted = CountedState(state, report)
    if settings.method == "monte-carlo":
        return _plain(counted, rng, settings, Rate(events=0, trials=0), 0)
    pilot, unknown = Rate(events=0, trials=0), 0
    if settings.method == "auto":
        pilot, unknown = _sampled(counted, rng, _PILOT)
        most = settings.monte_carlo_calls or settings.max_calls
        if pilot.events and pilot.trials / pilot.events / settings.relative_error**2 <= most:
            return _plain(counted, rng, settings, pilot, unknown)
    found = scout(counted, rng)
    if not found.regions:
        return _nothing_found(counted, rng, settings, found, pilot, unknown)
    return _importance(counted, rng, settings, found)


def _sampled(state: LimitState, rng: np.random.Generator, samples: int) -> tuple[Rate, int]:
    """Plain samples: their rate over what is known, and how many are not."""
    fails, known = state.fails(rng.standard_normal((samples, state.dimension)))
    return Rate(events=int((fails & known).sum()), trials=int(known.sum())), int((~known).sum())


def _plain(
    state: CountedState, rng: np.random.Generator, settings: RareSettings, rate: Rate, unknown: int
) -> RareRate:
    most = settings.monte_carlo_calls or settings.max_calls
    wanted = 1 / settings.relative_error**2
    while state.calls < most and rate.events < wanted:
        # Towards the number that should be enough, in steps that an engine can vectorise.
        guess = rate.trials * (wanted / rate.events - 1) if rate.events else state.calls
        step = int(min(max(guess, 4 * ROUND), 50_000, most - state.calls))
        more, lost = _sampled(state, rng, step)
        unknown += lost
        rate = Rate(events=rate.events + more.events, trials=rate.trials + more.trials)
    return _plain_answer(state, rate, unknown, note="")


def _plain_answer(state: CountedState, rate: Rate, unknown: int, *, note: str) -> RareRate:
    if unknown > MOST_UNKNOWN * (rate.trials + unknown):
        return RareRate(
            label=state.label,
            status="refused",
            method="monte-carlo",
            value=None,
            low=0.0,
            high=1.0,
            coefficient_of_variation=math.inf,
            calls=state.calls,
            note=f"{unknown} of {rate.trials + unknown} runs did not converge",
        )
    if unknown:
        note = f"{note} {unknown} runs did not converge and are left out".strip()
    share = rate.value if rate.events else math.nan
    return RareRate(
        label=state.label,
        status="estimated" if rate.events else "bounded",
        method="monte-carlo",
        value=rate.value if rate.events else None,
        low=rate.low,
        high=rate.high,
        coefficient_of_variation=(
            math.sqrt((1 - share) / rate.events) if rate.events else math.inf
        ),
        calls=state.calls,
        note=note
        or ("" if rate.events else f"no failure in {rate.trials} samples: an upper bound"),
    )


def _nothing_found(
    state: CountedState,
    rng: np.random.Generator,
    settings: RareSettings,
    found: Scouting,
    pilot: Rate,
    unknown: int,
) -> RareRate:
    """No region: the middle fails, or nothing does; plain samples say what can be said."""
    rest = max(1, settings.max_calls - state.calls)
    if found.nearest_margin <= 0:
        return _plain(state, rng, settings, pilot, unknown)
    more, lost = _sampled(state, rng, rest)
    rate = Rate(events=pilot.events + more.events, trials=pilot.trials + more.trials)
    note = (
        f"the search met no failure within 10 sigma (nearest margin {found.nearest_margin:.3g}); "
        f"{rate.events} of {rate.trials} plain samples failed"
        + ("" if rate.events else ": the bound is theirs")
    )
    return _plain_answer(state, rate, unknown + lost, note=note)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Proposal:
    mixture: Mixture
    fitted: NDArray[np.bool_]


def _proposal(
    regions: tuple[Region, ...], lobes: tuple[Lobe, ...], masses: Floats, ring: Ring
) -> _Proposal:
    """The final mixture: two fifths fitted, a fifth unfitted, the rest for the cross-check."""
    components: tuple[Component, ...] = (
        *lobes, *_first_lobes(regions), *_wide_lobes(regions), ring
    )  # fmt: skip
    # The fit says where the failures are; what it may be wrong about is shared out evenly.
    trusted = 0.7 * masses + 0.3 / len(regions)
    shares = np.concatenate([0.4 * trusted, 0.2 * trusted, 0.3 * trusted, [0.1]])
    fitted = np.arange(len(components)) < 2 * len(regions)
    return _Proposal(
        mixture=Mixture(components=components, shares=tuple(shares / shares.sum())), fitted=fitted
    )


def _first_lobes(regions: tuple[Region, ...]) -> tuple[Lobe, ...]:
    return tuple(first_lobe(region.point, region.normal) for region in regions)


def _wide_lobes(regions: tuple[Region, ...]) -> tuple[Lobe, ...]:
    # Inflated in all directions at a cost that does not grow with their number.
    deviation = 1 + 0.75 / math.sqrt(len(regions[0].direction))
    return tuple(Lobe.at(region.point, deviation=deviation) for region in regions)


def _ring(found: Scouting, regions: tuple[Region, ...]) -> Ring:
    """A ring in the (at most three) directions that hold most of the gradients seen."""
    lengths = np.linalg.norm(found.gradients, axis=1)
    gradients = found.gradients[lengths > 0] / lengths[lengths > 0, None]
    rows = np.concatenate([gradients, *(region.direction[None] for region in regions)])
    _, singular, axes = np.linalg.svd(rows, full_matrices=False)
    energy = np.cumsum(singular**2) / (singular**2).sum()
    kept = min(3, int(np.searchsorted(energy, 0.95)) + 1)
    return Ring(axes=axes[:kept], inner=0.75 * regions[0].radius, outer=regions[-1].radius + 1.5)


def _importance(
    state: CountedState, rng: np.random.Generator, settings: RareSettings, found: Scouting
) -> RareRate:
    regions, repeats = found.regions, 0
    while True:
        ring = _ring(found, regions)
        lobes, masses = _fit(state, regions, rng, settings.max_calls // 2)
        proposal = _proposal(regions, lobes, masses, ring)
        draws, rate = draw_until(
            state,
            proposal.mixture,
            rng,
            relative_error=settings.relative_error,
            max_calls=settings.max_calls,
        )
        if not (rate.surprising and repeats < 2 and state.calls < 0.7 * settings.max_calls):
            break
        failing = draws.points[draws.fails]
        heaviest = failing[int(np.argmax(proposal.mixture.log_weights(failing, draws.counts)))]
        more = refine(state, heaviest, regions)
        if len(more) == len(regions):
            break
        regions, repeats = more, repeats + 1
    while True:
        estimates = (
            weighted_rate(proposal.mixture, draws, only=proposal.fitted),
            weighted_rate(proposal.mixture, draws, only=~proposal.fitted),
        )
        note = objection(rate, *estimates, draws)
        rest = settings.max_calls - state.calls
        if not note or rest < 2 * ROUND:
            break
        # Few draws exaggerate: before refusing, look again with more of them.
        more_draws = min(rest, max(2 * ROUND, rate.draws // 2))
        draws = draws + draw_weighted(state, proposal.mixture, more_draws, rng)
        rate = weighted_rate(proposal.mixture, draws)
    checks = {
        name: (estimate.value, estimate.low, estimate.high)
        for name, estimate in zip(("fitted lobes", "wide lobes and ring"), estimates, strict=True)
    }
    failing = draws.points[draws.fails]
    check_calls = 0
    if settings.cross_check == "subset":
        other = CountedState(state.state)
        subset = subset_sampling(other, rng, population=_SUBSET_POPULATION)
        check_calls = other.calls
        value, spread = math.exp(subset.log_probability), subset.log_deviation
        width = math.exp(min(1.96 * spread, 50.0))
        checks["subset sampling"] = (value, value / width, min(1.0, value * width))
        note = note or _other_objection(rate, proposal.mixture, draws, subset)
    spans = [(rate.value, rate.low, rate.high), *checks.values()]
    if not note and rate.coefficient_of_variation > settings.relative_error:
        remark = (
            f"reached a coefficient of variation of {100 * rate.coefficient_of_variation:.0f} % "
            f"in {state.calls} calls, not {100 * settings.relative_error:g} %"
        )
    else:
        remark = ""
    return RareRate(
        label=state.label,
        status="refused" if note else "estimated",
        method="importance",
        value=None if note else rate.value,
        low=min(low for _, low, _ in spans) if note else rate.low,
        high=max(high for _, _, high in spans) if note else rate.high,
        coefficient_of_variation=rate.coefficient_of_variation,
        calls=state.calls,
        check_calls=check_calls,
        note=note or remark,
        regions=regions,
        checks=checks,
        failing=failing,
        failing_weights=np.exp(proposal.mixture.log_weights(failing, draws.counts)),
    )


def _fit(
    state: CountedState, regions: tuple[Region, ...], rng: np.random.Generator, most_calls: int
) -> tuple[tuple[Lobe, ...], Floats]:
    """Lobes fitted in rounds, each to all the draws made so far, and their shares of failures."""
    masses = np.full(len(regions), 1 / len(regions))
    lobes = _first_lobes(regions)
    components: tuple[Component, ...] = (*_wide_lobes(regions), *lobes)
    draws: Draws | None = None
    for number in range(_MOST_FIT_ROUNDS):
        if number:
            components = (*components, *lobes)
        # The newest lobes and, a third of the draws, the wide ones; the ones between rest.
        newest = np.arange(len(components)) >= len(components) - len(lobes)
        oldest = np.arange(len(components)) < len(regions)
        shares = (2 * newest + oldest) / (3 * len(regions))
        mixture = Mixture(components=components, shares=tuple(shares))
        drawn = draw_weighted(state, mixture, _FIT_DRAWS, rng)
        draws = drawn if draws is None else draws + drawn
        lobes, masses = fit_lobes(lobes, mixture, draws)
        if number + 1 >= _FIT_ROUNDS and draws.fails.sum() >= _FIT_FAILURES * len(regions):
            break
        if state.calls > most_calls:
            break
    return lobes, masses


def _other_objection(
    rate: WeightedRate, mixture: Mixture, draws: Draws, subset: SubsetResult
) -> str:
    """What subset sampling has against the answer: its value, or where it found failures.

    Where the proposal covers the failures, a failing point's weight is near the rate; in a region
    that the proposal does not know it is larger by orders of magnitude.
    """
    apart = abs(subset.log_probability - math.log(rate.value))
    if apart > DISAGREE * math.hypot(subset.log_deviation, rate.coefficient_of_variation):
        return (
            f"subset sampling finds {math.exp(subset.log_probability):.3g} where importance "
            f"sampling finds {rate.value:.3g}"
        )
    if not len(subset.failing):
        return ""
    weights = mixture.log_weights(subset.failing, draws.counts)
    uncovered = float((weights > math.log(_UNCOVERED * rate.value)).mean())
    if uncovered > _UNCOVERED_SHARE:
        return (
            f"{100 * uncovered:.0f} % of the failures that subset sampling finds lie where "
            "importance sampling does not look: a region of failure is missing"
        )
    return ""
