"""Distributions of a resistance: log-normal, skewed, and as measured.

Each maps a standard-normal score u to a resistance, monotonically: `quantile(u)`. Drawing is
`quantile` of normal deviates; a rare-event method searches in u; cells, cycles and their
correlations live in u too (`rramsim.devices.history`), whatever the distribution.

Time and temperature do two things to a programmed resistance. **Relaxation**: within seconds to
hours after a single pulse ln R diffuses, about as the logarithm of time; cells programmed with
verify hold for months (Esmanhotto et al. 2022: one-shot programming loses accuracy within hours,
program-and-verify holds over 2 months). That is what is sourced; the law and its size here are an
assumption, with the parameters named in `Retention` to be set from data. **Drift**: the filament of
SKY130's open ReRAM model dissolves even without voltage, since its recombination barrier (1.500 eV)
is just below its generation barrier (1.501 eV); `filament_drift_m` integrates that, with no
parameter of ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

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


BOLTZMANN_EV = 8.617333262e-5
"""Boltzmann's constant, eV/K (exact in SI)."""
REFERENCE_C = 27.0
"""The temperature (degrees Celsius) at which decades of time are counted."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """ln R after t seconds: ln R + drift_ln d + relaxation_ln sqrt(d) n, over d decades of time.

    d = log10(1 + t' / onset_s); n is standard normal, drawn once for each device (its later
    readings follow the same way); t' is the time at 27 degrees Celsius that ages as much:
    t exp(E (1/kT_27 - 1/kT)), E = `activation_ev`. **Assumed** values: `relaxation_ln` 0.1 per root
    decade, the order of the LRS's spread; no mean drift; onset after 1 s; activation by SKY130's
    1.5 eV barrier. Valid from -40 to 150 degrees Celsius and up to ten years: beyond, refused.

    >>> rng = np.random.default_rng(1)
    >>> aged = Retention(relaxation_ln=0.1).aged(np.full(20_000, 1e4), age_s=3600, rng=rng)
    >>> round(float(np.log(aged).std()), 2)
    0.19
    """

    relaxation_ln: float = limited(0.1, low=0)
    """SD of ln R that relaxation adds per root decade of time."""
    drift_ln: float = 0.0
    onset_s: float = limited(1.0, low=0, above=True)
    activation_ev: float = limited(1.5, low=0, above=True)

    def __post_init__(self) -> None:
        check_limits(self)
        if not math.isfinite(self.drift_ln):
            raise InputError(f"drift_ln = {self.drift_ln:g}: must be a number")

    def decades(self, *, age_s: float, temperature_c: float = REFERENCE_C) -> float:
        """The decades d of equivalent time that an age at a temperature spans."""
        _check(age_s, temperature_c)
        inverse = 1 / (REFERENCE_C + 273.15) - 1 / (temperature_c + 273.15)
        faster = self.activation_ev / BOLTZMANN_EV * inverse
        return math.log1p(age_s / self.onset_s * math.exp(faster)) / math.log(10)

    def aged(
        self,
        resistance_ohm: NDArray[np.float64],
        *,
        age_s: float,
        temperature_c: float = REFERENCE_C,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Resistances (ohm) after `age_s` at `temperature_c`, of any shape."""
        d = self.decades(age_s=age_s, temperature_c=temperature_c)
        n = rng.standard_normal(np.shape(resistance_ohm))
        change = self.drift_ln * d + self.relaxation_ln * math.sqrt(d) * n
        return np.asarray(resistance_ohm * np.exp(change))

    def aged_marginal(
        self, marginal: Marginal, *, age_s: float, temperature_c: float = REFERENCE_C
    ) -> Marginal:
        """The distribution of aged resistances, for devices aged independently.

        A log-normal stays one (variances add); others are folded with the relaxation's normal
        distribution, and kept as knots between -6 and 6 standard-normal scores.

        >>> fresh = LogNormal(median_ohm=1e4, sigma_ln=0.3)
        >>> round(Retention(relaxation_ln=0.4).aged_marginal(fresh, age_s=9.0).sigma_ln, 3)
        0.5
        """
        d = self.decades(age_s=age_s, temperature_c=temperature_c)
        shift, sigma = self.drift_ln * d, self.relaxation_ln * math.sqrt(d)
        if isinstance(marginal, LogNormal):
            return LogNormal(
                median_ohm=marginal.median_ohm * math.exp(shift),
                sigma_ln=math.hypot(marginal.sigma_ln, sigma),
            )
        if sigma == 0:
            return marginal.scaled(marginal.median_ohm * math.exp(shift))
        from scipy.special import log_ndtr, logsumexp, ndtri  # heavy: loaded where it is needed

        n, weight = np.polynomial.hermite_e.hermegauss(127)
        log_weight = np.log(weight / weight.sum())[:, None]
        first, last = np.log(marginal.quantile([-7.0, 7.0])) + np.array([-7.0, 7.0]) * sigma
        ln_ohm = np.linspace(float(first), float(last), 4001)
        u = marginal.score(np.exp(ln_ohm - sigma * n[:, None]))
        # Each tail from its own side, so that neither drowns in the other's 1.
        below = logsumexp(log_ndtr(u) + log_weight, axis=0)
        above = logsumexp(log_ndtr(-u) + log_weight, axis=0)
        score = np.where(below < above, ndtri(np.exp(below)), -ndtri(np.exp(above)))
        knots = np.linspace(-6.0, 6.0, 129)
        rising = np.concatenate([[True], np.diff(np.maximum.accumulate(score)) > 0])
        at = np.interp(knots, score[rising], ln_ohm[rising]) + shift
        return Empirical(
            scores=tuple(float(k) for k in knots), ln_ohm=tuple(round(float(v), 9) for v in at)
        )


def _check(age_s: float, temperature_c: float) -> None:
    if not (math.isfinite(age_s) and 0 <= age_s <= 3.2e8):
        raise InputError(f"age_s = {age_s:g}: must be between 0 and 3.2e8 s (ten years)")
    if not -40 <= temperature_c <= 150:
        raise InputError(f"temperature_c = {temperature_c:g}: must be between -40 and 150")


def filament_drift_m(
    filament_m: NDArray[np.float64] | float, *, age_s: float, temperature_c: float = REFERENCE_C
) -> NDArray[np.float64]:
    """Filament length (m) after an age without voltage, by SKY130's ReRAM equations.

    At zero volt the rate is the same at every length: velocity (exp(-Eg/kT) - exp(-Er/kT)).

    >>> bool(filament_drift_m(4.5e-9, age_s=3e8) > 4.4999e-9)  # ten years at 27 degrees
    True
    """
    from rramsim.devices.filament import SKY130_RERAM as model

    _check(age_s, temperature_c)
    kt_ev = BOLTZMANN_EV * (temperature_c + 273.15)
    rate = model.velocity_m_per_s * (
        math.exp(-model.generation_ev / kt_ev) - math.exp(-model.recombination_ev / kt_ev)
    )
    return np.maximum(np.asarray(filament_m) + rate * age_s, model.shortest_m)
