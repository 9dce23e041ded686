"""Axes: from values to places on the drawing, and where their ticks stand."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scale", "linear", "logarithmic"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high` drawn from `start` to `end`; ticks are (value, label)."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Where a value stands; what lies outside is drawn at the edge."""
        low, high = (math.log(v) if self.log else v for v in (self.low, self.high))
        inside = min(max(value, self.low), self.high)
        share = ((math.log(inside) if self.log else inside) - low) / (high - low)
        return self.start + share * (self.end - self.start)


def linear(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    zero: bool = False,
    whole: bool = False,
    margin: float = 0.06,
) -> Scale:
    """A linear axis around the finite values with about five round ticks.

    `zero`: from 0 at least. `whole`: ticks at whole numbers only.

    >>> scale = linear([0.9, 1.3], 0, 100, margin=0)
    >>> [label for _, label in scale.ticks], round(scale.at(1.1))
    (['0.9', '1', '1.1', '1.2', '1.3'], 50)
    """
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if zero:
        low = min(low, 0.0)
    span = (high - low) or abs(high) or 1.0
    if high == low:
        low, high = low - span / 2, high + span / 2
    else:
        low, high = (low if zero and low == 0 else low - margin * span), high + margin * span
    ideal = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(ideal))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / ideal)))
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    ticks = tuple(
        (k * step, f"{k * step:.6g}") for k in range(first, math.floor(high / step + 1e-9) + 1)
    )
    return Scale(low=low, high=high, start=start, end=end, log=False, ticks=ticks)


def logarithmic(
    values: Iterable[float], start: float, end: float, *, unit: bool = True, margin: float = 1.0
) -> Scale:
    """A logarithmic axis around the values above 0, with a tick at each decade.

    `unit` labels decades with SI prefixes (1 k, 1 M); otherwise as powers. `margin` is a factor.

    >>> [label for _, label in logarithmic([2e3, 3e6], 0, 100).ticks]
    ['10k', '100k', '1M']
    """
    known = [v for v in values if math.isfinite(v) and v > 0] or [1.0, 10.0]
    low, high = min(known) / margin, max(known) * margin
    if high / low < 10:
        middle = math.sqrt(low * high)
        low, high = min(low, middle / math.sqrt(10)), max(high, middle * math.sqrt(10))
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = 1 if last - first < 8 else 2
    ticks = tuple((10.0**k, _decade(k, unit)) for k in range(first, last + 1, every))
    return Scale(low=low, high=high, start=start, end=end, log=True, ticks=ticks)


def _decade(k: int, unit: bool) -> str:
    if unit:
        prefix = {0: "", 1: "k", 2: "M", 3: "G"}.get(k // 3)
        if prefix is not None:
            return f"{10 ** (k % 3)}{prefix}"
    if -3 <= k <= 3:
        return f"{10.0**k:g}"
    return "10" + "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(c)] for c in str(k))
