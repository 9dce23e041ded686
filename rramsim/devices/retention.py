"""What time and temperature do to a programmed resistance.

Two things happen. **Relaxation**: within seconds to hours after a single pulse ln R diffuses,
about as the logarithm of time; cells programmed with verify hold for months (Esmanhotto et al.
2022: one-shot programming loses accuracy within hours, program-and-verify holds over 2 months).
That is what is sourced; the law and its size here are an assumption, with the parameters named in
`Retention` to be set from data. **Drift**: the filament of SKY130's open ReRAM model dissolves even
without voltage, since its recombination barrier (1.500 eV) is just below its generation barrier
(1.501 eV); `filament_drift_m` integrates that, with no parameter of ours.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.devices.marginals import Empirical, LogNormal, Marginal
from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

__all__ = ["REFERENCE_C", "Retention", "filament_drift_m"]

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
