"""A rate with its interval."""

from dataclasses import dataclass
from functools import cached_property

from rramsim.exceptions import InputError

__all__ = ["Rate"]


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
