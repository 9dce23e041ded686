"""One rate of a map over conditions, by whichever method gets it: plain samples or importance.

Most rates of a map are either large, which plain Monte-Carlo counts in a second, or tiny, which
importance sampling finds in a few thousand senses. Some are neither (a slab of metastable reads);
for those lines are drawn through it. Failures with no point that stands for them are found by
multilevel splitting; what still cannot be said is told as that.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from rramsim.exceptions import InputError
from rramsim.rare.limit_states import LimitState
from rramsim.rare.line_sampling import line_rate, tie_direction
from rramsim.rare.rare import RareRate, RareSettings, rare_rate
from rramsim.rare.sense_failure import SenseFailure
from rramsim.rare.splitting import splitting_rate
from rramsim.rare.strobe_ranking import ranking_of

__all__ = ["FLOOR", "is_settled", "is_slow", "map_rate"]

FLOOR = 1e-9
"""Rates whose interval lies below this need not be known any better."""

Attempt = Callable[[Callable[[int], None]], tuple[RareRate, int]]
"""Something to try: takes a report of the senses made, returns an answer and the senses."""

_SEARCH_CALLS, _LONG_SEARCH_CALLS = 4_000, 16_000
_PLAIN_CALLS, _LONG_PLAIN_CALLS = 20_000, 300_000
_LONGEST_PLAIN_CALLS = 1_000_000
_LINE_CALLS = 20_000
_PILOT_CALLS, _SLOW = 300, 0.05
_DEEP = 1e-8
"""Importance sampling's answers below this, and countable ones, are confirmed by splitting."""
_SPLITTING_CALLS = 150_000
_DISAGREE, _DOUBTFUL = 3.3, 2.0
_MOST_EXTENDED_CALLS = 300_000
_COUNTABLE, _BARELY_COUNTABLE = 3e-4, 1e-4
"""Rates above these can be counted by the long and by the longest plain run to ten per cent."""


def is_settled(answer: RareRate, relative_error: float) -> bool:
    """Whether a rate is known to `relative_error` (standard error over value), or below `FLOOR`.

    A search for design points that met none is no evidence: ties that are never decided end it.
    """
    if answer.status == "refused":
        return False
    return answer.high < FLOOR or (
        answer.status == "estimated" and answer.coefficient_of_variation <= relative_error
    )


def map_rate(
    failure: LimitState,
    *,
    relative_error: float = 0.1,
    seed: int = 1,
    report: Callable[[int], None] = lambda senses: None,
) -> tuple[RareRate, int]:
    """The rate of one error under one set of conditions, and the senses that it took.

    Tries in turn: plain samples or importance sampling, whichever fits a few thousand senses; for
    a lost or flipped ±1, lines through the slab of metastable reads; importance sampling with four
    times as many senses; plain samples by the hundred thousand where the rate can be counted;
    multilevel splitting; as many of what came closest as its error suggests; plain samples by the
    million. Returns the first answer that is settled (`is_settled`), else the best: an estimate
    with the smallest error, or a refusal. What lines say of flips, and importance sampling of
    those of a slow latch or of any rate below 1e-8 or above 1e-4, has to be confirmed by splitting.
    Where two answers contradict each other, splitting decides if it agrees with one of them, else
    plain samples do, by a count or by excluding one of the two; where they cannot, it is a refusal.
    Raises `InputError` for a relative error outside (0, 1].

    >>> from rramsim.rare import linear_state
    >>> answer, senses = map_rate(linear_state(1e-7))
    >>> answer.method, answer.low < 1e-7 < answer.high, senses < 4000
    ('importance', True, True)
    """
    if not 0 < relative_error <= 1:
        raise InputError(f"relative_error = {relative_error:g}: must be above 0 and at most 1")
    base = RareSettings(
        relative_error=relative_error,
        max_calls=_SEARCH_CALLS,
        monte_carlo_calls=_PLAIN_CALLS,
        seed=seed,
    )
    answers: list[RareRate] = []
    senses = 0
    for attempt in _attempts(failure, base, answers):
        done = senses
        answer, more = attempt(partial(_after, report, done))
        senses += more
        contradicted = next((a for a in answers if _contradict(a, answer)), None)
        if contradicted is not None:
            answer, more = _decided(
                failure, base, answer, contradicted, partial(_after, report, senses)
            )
            return answer, senses + more
        if is_settled(answer, relative_error):
            doubtful, more = _may_miss_a_part(failure, answer, seed)
            senses += more
            if doubtful:
                answer, more = _confirmed(failure, base, answer, partial(_after, report, senses))
            return answer, senses + (more if doubtful else 0)
        answers.append(answer)
    return min(answers, key=lambda a: (a.status == "refused", a.coefficient_of_variation)), senses


def _after(report: Callable[[int], None], before: int, calls: int) -> None:
    report(before + calls)


def _attempts(
    failure: LimitState, base: RareSettings, answers: list[RareRate]
) -> Iterator[Attempt]:
    def rare(settings: RareSettings) -> Attempt:
        def attempt(report: Callable[[int], None]) -> tuple[RareRate, int]:
            answer = rare_rate(failure, settings=settings, report=report)
            return answer, answer.calls + answer.check_calls

        return attempt

    yield rare(base)
    # Where a search met nothing, lines have no direction that they could trust.
    searched = answers[0].status != "bounded"
    if searched and isinstance(failure, SenseFailure) and failure.error_type != 3:
        yield partial(_lines, failure, base)
    if answers[0].method == "importance":
        yield rare(replace(base, method="importance", max_calls=_LONG_SEARCH_CALLS))
    if max(answer.value or answer.low for answer in answers) > _COUNTABLE:
        yield rare(replace(base, method="monte-carlo", monte_carlo_calls=_LONG_PLAIN_CALLS))
    yield partial(_splitting, failure, base)
    best = min(answers, key=lambda a: (a.status != "estimated", a.coefficient_of_variation))
    # The error falls with the root of the number of calls; half as many again, for luck.
    wanted = 1.5 * best.calls * (best.coefficient_of_variation / base.relative_error) ** 2
    if best.status == "estimated" and wanted <= _MOST_EXTENDED_CALLS:
        if best.method == "line" and isinstance(failure, SenseFailure):
            yield partial(_lines, failure, base, max_calls=int(wanted))
        elif best.method == "splitting":
            yield partial(_splitting, failure, base, max_calls=int(wanted))
        elif best.method == "importance":
            yield rare(replace(base, method="importance", max_calls=int(wanted)))
    if best.status == "estimated" and (best.value or 0.0) > _BARELY_COUNTABLE:
        yield rare(replace(base, method="monte-carlo", monte_carlo_calls=_LONGEST_PLAIN_CALLS))


def _lines(
    failure: SenseFailure,
    base: RareSettings,
    report: Callable[[int], None],
    *,
    max_calls: int = _LINE_CALLS,
) -> tuple[RareRate, int]:
    direction, senses = tie_direction(failure, seed=base.seed)
    answer = line_rate(
        failure,
        direction,
        relative_error=base.relative_error,
        max_calls=max_calls,
        seed=base.seed,
        report=lambda calls: report(senses + calls),
    )
    return answer, senses + answer.calls


def _splitting(
    failure: LimitState,
    base: RareSettings,
    report: Callable[[int], None],
    *,
    max_calls: int = _SPLITTING_CALLS,
) -> tuple[RareRate, int]:
    answer = splitting_rate(
        failure,
        ranking=ranking_of(failure),
        relative_error=base.relative_error,
        max_calls=max_calls,
        deepest=FLOOR / 10,
        seed=base.seed,
        report=report,
    )
    return answer, answer.calls


def _may_miss_a_part(failure: LimitState, answer: RareRate, seed: int) -> tuple[bool, int]:
    """Whether an answer needs a second one that knows of no direction, and the senses it took.

    Flips come by ties and by a precharge that does not end. Lines towards a tie see the first
    alone, and so do descents where the latch is slow. And the rarer a failure, the further from
    its design point may most of it lie; while what is frequent comes from everywhere, and splitting
    finds it in few levels.
    """
    if not isinstance(failure, SenseFailure) or answer.method not in ("importance", "line"):
        return False, 0
    if answer.method == "importance" and not _DEEP <= (answer.value or 1.0) <= _BARELY_COUNTABLE:
        return True, 0
    if failure.error_type != 1 or answer.method == "line":
        return failure.error_type == 1, 0
    return is_slow(failure, seed=seed), _PILOT_CALLS


def is_slow(failure: SenseFailure, *, seed: int = 1) -> bool:
    """Whether of 300 plain reads of a written ±1 over 5 % fall into the window's second half.

    Reads of 0 count as such. Where the latch is so slow, descents for flips end at ties that are
    never decided, and importance sampling may miss most of a rate without an objection.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x510]))
    points = rng.standard_normal((_PILOT_CALLS, failure.dimension))
    outcome = failure.reader.sense(failure.circuit, failure.conditions, failure.samples(points))
    in_time = outcome.resolve_time_s < failure.conditions.window_s / 2
    return bool((~in_time).mean() > _SLOW)


def _confirmed(
    failure: LimitState, base: RareSettings, first: RareRate, report: Callable[[int], None]
) -> tuple[RareRate, int]:
    """The answer if splitting agrees within two errors, else the larger; a refusal without one.

    Both are unbiased, and what a method misses makes its rate too small.
    """
    senses = 0
    for attempt in range(2):
        again = replace(base, seed=base.seed + attempt)
        answer, more = _splitting(failure, again, partial(_after, report, senses))
        senses += more
        if answer.value is not None and is_settled(answer, base.relative_error):
            break
    else:
        refusal = _refusal(first, answer)
        if refusal.high < FLOOR:  # whichever is right
            refusal = replace(refusal, status="bounded", method="splitting", low=0.0)
        return refusal, senses
    larger, smaller = sorted((first, answer), key=lambda a: -(a.value or 0.0))
    if not _contradict(first, answer, errors=_DOUBTFUL):
        return replace(first, note=f"splitting gives {answer.value:.3g}"), senses
    missed = ", which misses a part of the failure" if _contradict(first, answer) else ""
    note = f"{smaller.method} gives {smaller.value:.3g}{missed}"
    return replace(larger, note=note), senses


def _contradict(one: RareRate, other: RareRate, *, errors: float = _DISAGREE) -> bool:
    """Whether two estimates lie more standard errors apart, by default one chance in a thousand."""
    if one.value is None or other.value is None:
        return False
    error = math.hypot(one.coefficient_of_variation, other.coefficient_of_variation)
    return abs(math.log(one.value / other.value)) > errors * error


def _decided(
    failure: LimitState,
    base: RareSettings,
    one: RareRate,
    other: RareRate,
    report: Callable[[int], None],
) -> tuple[RareRate, int]:
    """Which of two estimates that contradict each other a third bears out, and its senses."""
    senses = 0
    if "splitting" not in (one.method, other.method):
        third, senses = _splitting(failure, base, report)
        borne_out = [a for a in (one, other) if not _contradict(a, third)]
        settled = third.value is not None and is_settled(third, base.relative_error)
        if settled and len(borne_out) == 1:
            (kept,) = borne_out
            wrong = other if kept is one else one
            note = (
                f"{wrong.method} gives {wrong.value:.3g}, which splitting and {kept.method} "
                f"({kept.value:.3g}) contradict"
            )
            return replace(third, note=note), senses
    if max(one.value or 0.0, other.value or 0.0) < _BARELY_COUNTABLE:
        return _refusal(one, other), senses
    plain = rare_rate(
        failure,
        settings=replace(base, method="monte-carlo", monte_carlo_calls=_LONG_PLAIN_CALLS),
        report=partial(_after, report, senses),
    )
    senses += plain.calls
    possible = [a for a in (one, other) if plain.low <= (a.value or 0.0) <= plain.high]
    if not is_settled(plain, base.relative_error) and len(possible) == 1:
        (kept,) = possible
        wrong = other if kept is one else one
        note = (
            f"{wrong.method} gives {wrong.value:.3g}, which {plain.calls} plain samples exclude"
            f" ({plain.low:.2g} to {plain.high:.2g})"
        )
        return replace(kept, note=note), senses
    if plain.status == "estimated":  # what was counted stands, with its own interval
        return plain, senses
    return _refusal(one, other), senses


def _refusal(one: RareRate, other: RareRate) -> RareRate:
    given = "no answer" if other.value is None else f"{other.value:.3g}"
    return replace(
        one,
        status="refused",
        value=None,
        low=min(one.low, other.low),
        high=max(one.high, other.high),
        note=f"{one.method} gives {one.value:.3g}, {other.method} {given}",
    )
