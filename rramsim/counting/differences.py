"""The difference of two rates with its interval."""

import math
from dataclasses import dataclass
from typing import Any

from rramsim.counting.rates import Rate

__all__ = ["RateDifference"]


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
