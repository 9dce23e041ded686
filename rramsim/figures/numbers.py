"""Numbers as people read them: engineering units, percentages, rates with their intervals."""

import math
from typing import Protocol


class CountedRate(Protocol):
    """A rate as counted: `events` of `trials`, with the ends of its 95 % interval."""

    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def events(self) -> int: ...  # noqa: D102
    @property
    def trials(self) -> int: ...  # noqa: D102


_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"),
             (1e-12, "p"), (1e-15, "f"))  # fmt: skip


def engineering(value: float, unit: str, digits: int = 3) -> str:
    """A value with an SI prefix; a dash for what does not exist.

    >>> engineering(6.3e5, "Ω"), engineering(38.3e-15, "J"), engineering(float("nan"), "s")
    ('630 kΩ', '38.3 fJ', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return f"0 {unit}"
    size = float(f"{abs(value):.{digits}g}")
    scale, prefix = next((p for p in _PREFIXES if size >= p[0]), _PREFIXES[-1])
    return f"{value / scale:.{digits}g} {prefix}{unit}"


def engineering_interval(value: float, low: float, high: float, unit: str) -> str:
    """A value above 0 with the interval around it, all with the value's prefix and decimals.

    >>> engineering_interval(52.0e-9, 51.8e-9, 52.214e-9, "J")
    '52.00 nJ (51.80–52.21 nJ)'
    """
    if not (math.isfinite(value + low + high) and value > 0):
        return engineering(value, unit)
    scale, prefix, decimals = _scaled(value)
    middle, start, end = (f"{v / scale:.{decimals}f}" for v in (value, low, high))
    return f"{middle} {prefix}{unit} ({start}–{end} {prefix}{unit})"


def engineering_error(value: float, error: float, unit: str) -> str:
    """A value above 0 and half the width of the interval around it, with the value's prefix.

    >>> engineering_error(380.24e-15, 2.1e-15, "J")
    '380.2 ± 2.1 fJ'
    """
    if not (math.isfinite(value + error) and value > 0):
        return engineering(value, unit)
    scale, prefix, decimals = _scaled(value)
    return f"{value / scale:.{decimals}f} ± {error / scale:.{decimals}f} {prefix}{unit}"


def _scaled(value: float) -> tuple[float, str, int]:
    """The scale and prefix of a value above 0, and the decimals that make four digits of it."""
    scale, prefix = next((p for p in _PREFIXES if value >= p[0]), _PREFIXES[-1])
    return scale, prefix, max(0, 4 - len(str(int(value / scale))))


def percent(share: float, digits: int = 1) -> str:
    """A share in percent.

    >>> percent(0.5239), percent(0.5239, 2)
    ('52.4 %', '52.39 %')
    """
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else "–"


def percent_interval(value: float, low: float, high: float, digits: int = 1) -> str:
    """A share in percent with the interval around it.

    >>> percent_interval(0.5, 0.48, 0.52)
    '50.0 % (48.0–52.0 %)'
    """
    return f"{percent(value, digits)} ({100 * low:.{digits}f}–{percent(high, digits)})"


def points_interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference of shares in percentage points, with the interval around it.

    >>> points_interval(0.0125, -0.001, 0.026)
    '1.25 (−0.10 to 2.60)'
    """
    texts = (f"{100 * share + 0.0:.{digits}f}".replace("-", "−") for share in (value, low, high))
    return "{} ({} to {})".format(*texts)


def rate_text(rate: CountedRate) -> str:
    """A rate with its 95 % interval, or its upper end where no event was seen.

    >>> from rramsim.counting import Rate
    >>> rate_text(Rate(events=5, trials=100)), rate_text(Rate(events=0, trials=98))
    ('5 % (1.6–11 %)', 'none seen (< 3.7 %)')
    """
    if not rate.trials:
        return "no read"
    if not rate.events:
        return f"none seen (< {100 * rate.high:.2g} %)"
    value = rate.events / rate.trials
    # Two digits would make 1e+02 of what lies above 99.5 %.
    low, high = (f"{100 * v:.{3 if v > 0.995 else 2}g}" for v in (rate.low, rate.high))
    return f"{100 * value:.3g} % ({low}–{high} %)"
