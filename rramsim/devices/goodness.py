"""Goodness of fit of a distribution with its cell and cycle parts."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rramsim.devices.history import Persistence
from rramsim.devices.latent_likelihood import Layout, residuals

__all__ = ["Goodness", "anderson_darling", "goodness_of_fit"]


@dataclass(frozen=True, kw_only=True)
class Goodness:
    """How well a model fits.

    `cdf_distance` is the largest distance between the measured and the fitted distribution
    function (Kolmogorov's; how wrong the model is). `p_value` is Anderson and Darling's for the
    normality of what each device's earlier cycles do not predict (whether the data can tell that
    it is wrong): values of one device are not independent, these residuals are.
    """

    cdf_distance: float
    p_value: float


def goodness_of_fit(layout: Layout, u: NDArray[np.float64], persistence: Persistence) -> Goodness:
    """Judge the standard-normal scores `u` (rows,) that a fitted model gives to the rows."""
    ordered = np.sort(stats.norm.cdf(u))
    steps = np.arange(len(u) + 1) / len(u)
    distance = max(
        float(np.max(np.abs(ordered - steps[1:]))), float(np.max(np.abs(ordered - steps[:-1])))
    )
    finite = np.clip(u, -12, 12)
    share = persistence.cell_share
    rest = residuals(
        layout,
        finite,
        s_cell=math.sqrt(share),
        s_cycle=math.sqrt(max(1 - share, 1e-12)),
        lag1=persistence.lag1,
    )
    return Goodness(cdf_distance=distance, p_value=anderson_darling(rest))


def anderson_darling(values: NDArray[np.float64]) -> float:
    """P-value of normality with fitted mean and deviation (D'Agostino and Stephens,
    "Goodness-of-Fit Techniques", 1986, table 4.9).

    >>> rng = np.random.default_rng(1)
    >>> anderson_darling(rng.normal(3, 2, 5000)) > 0.05, anderson_darling(rng.gamma(9, 1, 5000))
    (True, 0.0)
    """
    n = len(values)
    z = np.sort((values - values.mean()) / values.std(ddof=1))
    odd = 2 * np.arange(1, n + 1) - 1
    a2 = -n - float(np.sum(odd * (stats.norm.logcdf(z) + stats.norm.logsf(z[::-1])))) / n
    a = a2 * (1 + 0.75 / n + 2.25 / n**2)
    if a >= 0.6:
        exponent = 1.2937 - 5.709 * a + 0.0186 * a * a
        return float(math.exp(exponent)) if a < 13 else 0.0
    if a >= 0.34:
        return float(math.exp(0.9177 - 4.279 * a - 1.38 * a * a))
    if a >= 0.2:
        return float(1 - math.exp(-8.318 + 42.796 * a - 59.938 * a * a))
    return float(1 - math.exp(-13.436 + 101.14 * a - 223.73 * a * a))
