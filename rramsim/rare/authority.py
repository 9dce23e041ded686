"""Every error rate of rramsim, by one function: counted where it can be, else found by lines."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.counting import Rate
from rramsim.exceptions import InputError
from rramsim.rare.estimator import FailingPoints, estimate_rate
from rramsim.rare.failures import CountedFailure, Failure, Floats

FLOOR = 1e-9
"""Rates below this need not be known any better than that."""

_PILOT, _MOST_COUNTED = 4000, 100_000
_SECOND_LOOK = 40_000
"""Plain samples more where the pilot fails more often than the lines say."""
_MAX_SENSES = 150_000
_MOST_UNKNOWN = 0.05
_WIDE_DEVIATION = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class FailureRate:
    """A rate with its 95 % interval, and how it was found.

    `status`: "counted" (plain Monte-Carlo), "estimated" (lines), "bounded" (no failure met: `value`
    is None and `high` an upper bound), or "refused" (`value` is None, `note` says why).
    `missed_high`: 95 % upper bound of what the estimate may have missed on top, from failures
    found independently of its search; 0 where the rate was counted. `points` (n, dimension),
    `variants` and `weights` are failing points with their shares of the rate.
    """

    label: str
    engine: str
    status: str
    value: float | None
    low: float
    high: float
    deviation: float
    missed_high: float
    senses: int
    note: str = ""
    events: int | None = None
    points: Floats | None = None
    variants: NDArray[np.int64] | None = None
    weights: Floats | None = None

    @property
    def method(self) -> str:
        """How it was found, in a word."""
        return "counting" if self.status == "counted" else "lines"

    @property
    def is_settled(self) -> bool:
        """Whether it is known to a standard error of 20 % at most, or to lie below `FLOOR`."""
        if self.status == "refused":
            return False
        if self.high < FLOOR:
            return True
        return self.deviation <= _WIDE_DEVIATION

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers that are not finite are null."""
        names = (
            "label", "engine", "status", "method", "low", "high", "deviation", "missed_high",
            "senses", "events", "note",
        )  # fmt: skip
        found = {"rate": self.value} | {name: getattr(self, name) for name in names}
        return {
            name: None if isinstance(v, float) and not math.isfinite(v) else v
            for name, v in found.items()
        }

    def __str__(self) -> str:
        if self.value is None:
            if self.status == "bounded":
                return f"below {self.high:.2g} (95 %): {self.note}"
            return f"no answer, somewhere from {self.low:.2g} to {self.high:.2g}: {self.note}"
        how = f"{self.method}, {self.senses} senses, {self.engine}"
        if self.status == "counted":
            how = f"{self.events} failures counted in {self.senses} senses, {self.engine}"
        return f"{self.value:.3g} (95 %: {self.low:.3g} to {self.high:.3g}; {how})"


def rate(
    failure: Failure,
    *,
    relative_error: float = 0.1,
    seed: int = 1,
    max_senses: int = _MAX_SENSES,
    report: Callable[[int], None] = lambda senses: None,
) -> FailureRate:
    """The rate of a failure, to a standard error of `relative_error` of it where possible.

    A pilot of plain samples goes on to a count where 100,000 of them are enough; else lines are
    drawn (`estimate_rate`), up to about `max_senses` senses. Where these say less than 100,000
    plain samples would, such are counted after all. `report` gets the senses so far.
    Raises `InputError` for a relative error outside (0, 1], and for what the engine refuses.

    >>> from rramsim.rare import linear_failure
    >>> answer = rate(linear_failure(1e-6))
    >>> answer.status, answer.low < 1e-6 < answer.high
    ('estimated', True)
    """
    if not 0 < relative_error <= 1:
        raise InputError(f"relative_error = {relative_error:g}: must be above 0 and at most 1")
    if max_senses < _PILOT:
        raise InputError(f"max_senses = {max_senses}: must be at least {_PILOT}")
    # Keyed by the failure: the same question has the same answer wherever it is asked, and the
    # cells of a map have draws of their own.
    key = int(hashlib.sha256(failure.identity.encode()).hexdigest()[:32], 16)
    rng = np.random.default_rng(np.random.SeedSequence([seed, key]))
    state = CountedFailure(failure, report)
    plain = _count(state, _PILOT, rng)
    most, wanted = min(_MOST_COUNTED, max_senses), relative_error**-2
    if plain.events * most >= wanted * max(plain.trials, 1):
        while plain.events < wanted and state.senses < _MOST_COUNTED:
            # All in one, sized by the pilot: to stop at the first good count would bias it.
            more = int(1.1 * plain.trials * wanted / plain.events) - plain.trials
            if plain.trials >= 2 * _PILOT:
                more = _PILOT
            plain = _count(state, min(max(more, _PILOT), _MOST_COUNTED), rng, plain)
        return _counted(state, plain)
    found = estimate_rate(state, rng, relative_error=relative_error, max_senses=max_senses)
    if found is None or state.unknown > _MOST_UNKNOWN * state.senses:  # then refused, below
        note = f"no failure met in {state.senses} senses; the bound is of {plain.trials} plain ones"
        return _answer(state, "bounded", 0.0, plain.high, note, events=plain.events)
    vague = found.refuted or found.deviation > _WIDE_DEVIATION
    if vague and found.value * most > 2 * _WIDE_DEVIATION**-2:
        # Fresh ones alone: few failures of the pilot are why lines were drawn at all.
        plain = _count(state, most, rng)
        if plain.events > _WIDE_DEVIATION**-2:
            return _counted(state, plain)
    doubts = list(found.doubts)
    if plain.low > found.high:
        # One failure of a few thousand may be chance: it stays counted, among many more.
        plain = _count(state, _SECOND_LOOK, rng, plain)
    if plain.low > found.high or plain.high < found.low:
        doubts.append(f"{plain.events} of {plain.trials} plain samples failed")
    if found.refuted or plain.low > found.high or plain.high < found.low:
        low, high = min(found.low, plain.low), max(found.high, plain.high)
        return _answer(state, "refused", low, high, "; ".join(doubts))
    if found.deviation > _WIDE_DEVIATION:
        doubts.append(f"known to a standard error of {100 * found.deviation:.0f} % only")
    if found.missed_high > found.value:
        doubts.append(f"little else supports it: {found.missed_high:.2g} may be missed")
    beyond = _beyond_data(failure, found.known)
    if beyond > 0.05:
        doubts.append(
            f"{100 * beyond:.0f} % of the failures lie beyond the data of a device distribution "
            "that has no law for its tails: there the rate is an assumption"
        )
    return _answer(
        state,
        "estimated",
        found.low,
        found.high,
        "; ".join(doubts),
        value=found.value,
        deviation=found.deviation,
        missed_high=found.missed_high,
        **vars(found.known),
    )


def _count(
    state: CountedFailure, samples: int, rng: np.random.Generator, before: Rate | None = None
) -> Rate:
    """Failures among plain samples, shared out among the variants, and among those before."""
    shape = samples // len(state.failure.variants), state.failure.dimension
    events, trials = (before.events, before.trials) if before else (0, 0)
    trials -= state.senses - state.unknown
    for variant in state.failure.variants:
        events += int(state.failing(rng.standard_normal(shape), variant).sum())
    return Rate(events=events, trials=trials + state.senses - state.unknown)


def _counted(state: CountedFailure, plain: Rate) -> FailureRate:
    return _answer(
        state,
        "counted",
        plain.low,
        plain.high,
        "it failed every time" if plain.events == plain.trials else "",
        value=plain.value,
        deviation=math.sqrt((1 - plain.value) / plain.events),
        missed_high=0.0,
        events=plain.events,
    )


def _answer(
    state: CountedFailure, status: str, low: float, high: float, note: str, **known: Any
) -> FailureRate:
    """An answer; without what is `known`, one that knows no more than its bounds.

    None where too many senses did not converge: each of them may have failed.
    """
    if state.unknown > _MOST_UNKNOWN * state.senses:
        status, low, high, known = "refused", 0.0, 1.0, {}
        note = f"{100 * state.unknown / state.senses:.0f} % of the runs did not converge"
    bounds = {"value": None, "deviation": math.inf, "missed_high": high}
    return FailureRate(
        label=state.failure.label,
        engine=state.failure.engine_name,
        status=status,
        low=low,
        high=high,
        senses=state.senses,
        note=note,
        **(bounds | known),
    )


def _beyond_data(failure: Failure, known: FailingPoints) -> float:
    """The share of the failures that lies beyond the data of a device's distribution."""
    share = 0.0
    for variant in failure.variants:
        mine = known.variants == variant
        beyond = failure.beyond_data(known.points[mine], variant)
        share += float(known.weights[mine][beyond].sum())
    return share
