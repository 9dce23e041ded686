"""One rate of a map over conditions, by whichever method gets it: plain samples or importance.

Most rates of a map are either large, which plain Monte-Carlo counts in a second, or tiny, which
importance sampling finds in a few thousand senses. Some are neither (a slab of metastable reads);
for those the search is given more, and what it still cannot say is told as that.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from rramsim.biterrors.limit_states import LimitState
from rramsim.biterrors.rare import RareRate, RareSettings, rare_rate
from rramsim.exceptions import InputError

__all__ = ["FLOOR", "is_settled", "map_rate"]

FLOOR = 1e-9
"""Rates whose interval lies below this need not be known any better."""

_SEARCH_CALLS, _LONG_SEARCH_CALLS = 4_000, 16_000
_PLAIN_CALLS, _LONG_PLAIN_CALLS = 20_000, 300_000
_COUNTABLE = 3e-4
"""Rates above this can be counted by the long plain run to ten per cent."""


def is_settled(answer: RareRate, relative_error: float) -> bool:
    """Whether a rate is known to `relative_error` (standard error over value), or below `FLOOR`.

    A search that met no failure within ten standard deviations counts as below it.
    """
    if answer.status == "estimated":
        return answer.high < FLOOR or answer.coefficient_of_variation <= relative_error
    return answer.status == "bounded" and "within 10 sigma" in answer.note


def map_rate(
    failure: LimitState,
    *,
    relative_error: float = 0.1,
    seed: int = 1,
    report: Callable[[int], None] = lambda senses: None,
) -> tuple[RareRate, int]:
    """The rate of one error under one set of conditions, and the senses that it took.

    Tries in turn: plain samples or importance sampling, whichever fits a few thousand senses;
    importance sampling with four times as many; plain samples by the hundred thousand where the
    rate can be counted. Returns the first answer that is settled (`is_settled`), else the best:
    an estimate with the smallest error, or a refusal. Raises `InputError` for a relative error
    outside (0, 1].

    >>> from rramsim.biterrors import linear_state
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
    for settings in _attempts(base, answers):
        done = senses
        answer = rare_rate(failure, settings=settings, report=lambda calls: report(done + calls))  # noqa: B023
        senses += answer.calls + answer.check_calls
        answers.append(answer)
        if is_settled(answer, relative_error):
            return answer, senses
    return min(answers, key=lambda a: (a.status == "refused", a.coefficient_of_variation)), senses


def _attempts(base: RareSettings, answers: list[RareRate]) -> Iterator[RareSettings]:
    yield base
    if answers[-1].method == "importance":
        yield replace(base, method="importance", max_calls=_LONG_SEARCH_CALLS)
    if max(answer.value or answer.low for answer in answers) > _COUNTABLE:
        yield replace(base, method="monte-carlo", monte_carlo_calls=_LONG_PLAIN_CALLS)
