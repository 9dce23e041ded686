"""Distributions of a resistance: log-normal, skewed, and as measured.

Each maps a standard-normal score u to a resistance, monotonically: `quantile(u)`. Drawing is
`quantile` of normal deviates; a rare-event method searches in u; cells, cycles and their
correlations live in u too (`rramsim.devices.history`), whatever the distribution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

__all__ = ["Empirical", "LogNormal", "Marginal", "Skewed"]

_LARGEST_LN = 300.0
"""Of ln R over the median: 1e130 ohm is as open as any."""
_KNOTS = 129
"""Knots of an empirical distribution: steps of 0.06 in u over the scores of 10,000 values."""


class Marginal(Protocol):
    """What the distribution of one state's resistance offers."""

    @property
    def median_ohm(self) -> float:
        """The median, ohm."""
        ...

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """The resistance (ohm) at standard-normal scores `u`; same shape, increasing."""
        ...

    def score(self, resistance_ohm: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `quantile`; -inf or inf outside the distribution's support."""
        ...

    def draw(self, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw resistances in ohm, shape (samples,)."""
        ...

    def scaled(self, median_ohm: float) -> "Marginal":
        """The same shape of ln R around another median."""
        ...

    @property
    def measured_scores(self) -> tuple[float, float] | None:
        """The scores between which there are data; None for a law that holds everywhere."""
        ...


@dataclass(frozen=True, kw_only=True)
class LogNormal:
    """Log-normal resistance: ln R is normal with mean ln(median_ohm), deviation sigma_ln.

    >>> LogNormal(median_ohm=10e3, sigma_ln=0.0).draw(2, np.random.default_rng(1))
    array([10000., 10000.])
    """

    median_ohm: float = limited(low=0, above=True)
    sigma_ln: float = limited(low=0, high=5)

    def __post_init__(self) -> None:
        check_limits(self)

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """The resistance (ohm) at standard-normal scores `u`."""
        return self.median_ohm * np.exp(self.sigma_ln * np.asarray(u, dtype=np.float64))

    def score(self, resistance_ohm: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `quantile`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.asarray(resistance_ohm) / self.median_ohm) / self.sigma_ln)

    def draw(self, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw resistances in ohm, shape (samples,)."""
        return self.quantile(rng.standard_normal(samples))

    def scaled(self, median_ohm: float) -> "LogNormal":
        """The same SD of ln R around another median."""
        return replace(self, median_ohm=median_ohm)

    @property
    def measured_scores(self) -> None:
        """None: a law holds everywhere."""
        return None


@dataclass(frozen=True, kw_only=True)
class Skewed:
    """Skewed ln R: ln(R / median_ohm) = sigma_ln (exp(skew_g u) - 1) / skew_g, u standard normal.

    Tukey's g distribution of ln R (Hoaglin, "Summarizing shape numerically: the g-and-h
    distributions", 1985), that is, a shifted log-normal of ln R. It holds the log-normal at
    skew_g = 0, reaches any skewness (skew-normal ends at 0.995, the exponentially modified normal
    at 2, and the LRS of HfO2 cells has 4.8), and its quantile function is closed. `sigma_ln` is
    the slope at the median; the standard deviation of ln R is larger (`moments`). With
    skew_g > 0 resistances have the lower bound median_ohm exp(-sigma_ln / skew_g).

    >>> tail = Skewed(median_ohm=5e3, sigma_ln=0.15, skew_g=0.8)
    >>> tail.quantile([-3.0, 0.0, 3.0]).round(0)
    array([ 4216.,  5000., 32746.])
    """

    median_ohm: float = limited(low=0, above=True)
    sigma_ln: float = limited(low=0, high=5)
    skew_g: float = limited(low=-2, high=2, why="0 is log-normal")

    def __post_init__(self) -> None:
        check_limits(self)

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """The resistance (ohm) at standard-normal scores `u`."""
        u = np.asarray(u, dtype=np.float64)
        g = self.skew_g
        # At 10 standard deviations the exponential of an exponential leaves the numbers.
        steps = np.expm1(np.minimum(g * u, _LARGEST_LN)) / g if g else u
        return np.asarray(
            self.median_ohm * np.exp(np.clip(self.sigma_ln * steps, -_LARGEST_LN, _LARGEST_LN))
        )

    def score(self, resistance_ohm: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `quantile`; -inf (or inf) beyond the bound."""
        with np.errstate(divide="ignore"):
            steps = np.log(np.asarray(resistance_ohm) / self.median_ohm) / self.sigma_ln
            g = self.skew_g
            return np.asarray(np.log1p(np.maximum(g * steps, -1.0)) / g if g else steps)

    def draw(self, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw resistances in ohm, shape (samples,)."""
        return self.quantile(rng.standard_normal(samples))

    def scaled(self, median_ohm: float) -> "Skewed":
        """The same shape of ln R around another median."""
        return replace(self, median_ohm=median_ohm)

    @property
    def measured_scores(self) -> None:
        """None: a law holds everywhere."""
        return None

    def moments(self) -> tuple[float, float]:
        """Standard deviation and skewness of ln R (of the shifted log-normal, in closed form).

        >>> [round(v, 3) for v in Skewed(median_ohm=5e3, sigma_ln=0.15, skew_g=0.8).moments()]
        [0.244, 3.689]
        """
        if self.skew_g == 0:
            return self.sigma_ln, 0.0
        w = math.exp(self.skew_g**2)
        deviation = self.sigma_ln / abs(self.skew_g) * math.sqrt(w * (w - 1))
        return deviation, math.copysign((w + 2) * math.sqrt(w - 1), self.skew_g)

    @staticmethod
    def from_moments(*, median_ohm: float, deviation_ln: float, skewness_ln: float) -> "Skewed":
        """The member of the family with a given deviation and skewness of ln R.

        >>> round(
        ...     Skewed.from_moments(median_ohm=5e3, deviation_ln=0.216, skewness_ln=4.8).skew_g, 3
        ... )
        0.904
        """
        from scipy.optimize import brentq

        if skewness_ln == 0:
            return Skewed(median_ohm=median_ohm, sigma_ln=deviation_ln, skew_g=0.0)
        g = brentq(
            lambda g: (math.exp(g * g) + 2) * math.sqrt(math.expm1(g * g)) - abs(skewness_ln),
            1e-9,
            2.0,
        )
        w = math.exp(g * g)
        sigma_ln = deviation_ln * g / math.sqrt(w * (w - 1))
        return Skewed(
            median_ohm=median_ohm, sigma_ln=sigma_ln, skew_g=math.copysign(g, skewness_ln)
        )


@dataclass(frozen=True, kw_only=True)
class Empirical:
    """Resistances as measured: ln R at a few increasing normal scores, linear in between.

    Beyond the outermost knots ln R goes on with the slope that the last tenth of the knots shows
    (a log-normal tail: an assumption, since nothing was measured there).
    """

    scores: tuple[float, ...]
    ln_ohm: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.ln_ohm) or len(self.scores) < 3:
            raise InputError(
                f"empirical distribution: {len(self.scores)} scores and {len(self.ln_ohm)} values; "
                "must be as many, at least 3"
            )
        for name in ("scores", "ln_ohm"):
            if not all(np.diff(getattr(self, name)) > 0):
                raise InputError(f"empirical distribution: {name} must increase")

    @staticmethod
    def of(resistance_ohm: ArrayLike) -> "Empirical":
        """Store the distribution of measured resistances in at most 129 knots.

        >>> e = Empirical.of(1e4 * np.exp(np.random.default_rng(1).normal(0, 0.5, 20_000)))
        >>> len(e.scores), round(float(e.quantile(1.0)) / 1e4, 1)
        (129, 1.6)
        """
        values = np.sort(np.log(np.asarray(resistance_ohm, dtype=np.float64)))
        from scipy.special import ndtri  # heavy: loaded where it is needed

        # Hazen's plotting positions, as on probability paper.
        own = ndtri((np.arange(len(values)) + 0.5) / len(values))
        knots = np.linspace(own[0], own[-1], min(_KNOTS, len(values)))
        at = np.interp(knots, own, values)
        # Ties (an instrument's resolution) are spread by less than any instrument resolves.
        at += np.arange(len(at)) * 1e-9
        return Empirical(
            scores=tuple(round(float(k), 6) for k in knots),
            ln_ohm=tuple(round(float(v), 9) for v in at),
        )

    @property
    def median_ohm(self) -> float:
        """The median, ohm."""
        return float(self.quantile(0.0))

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """The resistance (ohm) at standard-normal scores `u`."""
        return np.exp(_extended(np.asarray(u, dtype=np.float64), self.scores, self.ln_ohm))

    def score(self, resistance_ohm: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `quantile`."""
        return _extended(np.log(np.asarray(resistance_ohm)), self.ln_ohm, self.scores)

    def draw(self, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw resistances in ohm, shape (samples,)."""
        return self.quantile(rng.standard_normal(samples))

    def scaled(self, median_ohm: float) -> "Empirical":
        """The same shape of ln R around another median."""
        LogNormal(median_ohm=median_ohm, sigma_ln=0.0)  # refuses what is no median
        shift = math.log(median_ohm) - math.log(self.median_ohm)
        return replace(self, ln_ohm=tuple(v + shift for v in self.ln_ohm))

    @property
    def measured_scores(self) -> tuple[float, float]:
        """The outermost knots; beyond them there are no data."""
        return self.scores[0], self.scores[-1]


def _extended(x: NDArray[np.float64], xs: Sequence[float], ys: Sequence[float]) -> NDArray:
    """Linear interpolation, going on beyond both ends with the slope of the last tenth."""
    tenth = max(1, len(xs) // 10)
    low = (ys[tenth] - ys[0]) / (xs[tenth] - xs[0])
    high = (ys[-1] - ys[-1 - tenth]) / (xs[-1] - xs[-1 - tenth])
    inside = np.interp(x, xs, ys)
    return np.asarray(
        inside + low * np.minimum(x - xs[0], 0.0) + high * np.maximum(x - xs[-1], 0.0)
    )
