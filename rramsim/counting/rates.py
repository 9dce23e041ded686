"""A rate with its interval, and the difference of two."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rramsim.exceptions import InputError

__all__ = ["Rate", "RateDifference"]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`events` out of `trials`, with the exact (Clopper-Pearson) 95 % interval.

    >>> rate = Rate(events=0, trials=1000)
    >>> rate.value, round(rate.high, 5)
    (0.0, 0.00368)
    """

    events: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.trials:
            raise InputError(f"{self.events} events out of {self.trials} trials is no rate")

    @property
    def value(self) -> float:
        """events / trials; NaN without a trial."""
        return self.events / self.trials if self.trials else float("nan")

    @cached_property
    def _interval(self) -> tuple[float, float]:
        if not self.trials:
            return 0.0, 1.0
        # Imported here: it takes a second, which worker processes would pay for nothing.
        from scipy.stats import binomtest

        interval = binomtest(self.events, self.trials).proportion_ci(0.95, method="exact")
        return float(interval.low), float(interval.high)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval (0 without a trial)."""
        return self._interval[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval (1 without a trial)."""
        return self._interval[1]

    @property
    def relative_error(self) -> float:
        """Half the interval's width over the rate; infinite without an event."""
        return (self.high - self.low) / 2 / self.value if self.events else float("inf")

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON: rate (None without a trial), low, high, events, trials."""
        return {
            "rate": self.value if self.trials else None,
            "low": self.low,
            "high": self.high,
            "events": self.events,
            "trials": self.trials,
        }


@dataclass(frozen=True, kw_only=True)
class RateDifference:
    """How much a rate falls from `of` to `without`, with a 95 % interval.

    The interval joins the two exact ones (MOVER: Zou and Donner 2008, Statistics in Medicine
    27:1693). It takes the two as independent; common random numbers make them alike, so that it
    is rather too wide than too narrow.

    >>> fall = RateDifference(of=Rate(events=30, trials=100), without=Rate(events=10, trials=100))
    >>> round(fall.value, 2), round(fall.low, 2), round(fall.high, 2)
    (0.2, 0.08, 0.31)
    """

    of: Rate
    without: Rate

    @property
    def value(self) -> float:
        """The difference; NaN if either rate has no trial."""
        return self.of.value - self.without.value

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        a, b = self.of, self.without
        return self.value - math.hypot(a.value - a.low, b.high - b.value)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        a, b = self.of, self.without
        return self.value + math.hypot(a.high - a.value, b.value - b.low)

    @property
    def share(self) -> float:
        """The difference as a share of the whole rate; NaN where that is 0."""
        return self.value / self.of.value if self.of.value else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """For JSON; null where there is no number."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "share": self.share}
        return {name: None if math.isnan(x) else x for name, x in numbers.items()}
