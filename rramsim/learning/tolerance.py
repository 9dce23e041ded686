"""How high an error rate a network tolerates, and by which factor training moves it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rramsim.exceptions import InputError

__all__ = ["Factor", "tolerance_factor", "tolerated_rate"]


def tolerated_rate(rates: Sequence[float], losses: Sequence[float], limit: float) -> float:
    """The error rate at which the loss of accuracy first reaches `limit`.

    `rates` rise, above 0; `losses` are those at them, in the unit of `limit`. Between two rates the
    loss is taken as linear in the rate's logarithm. 0 if the lowest rate loses that much already,
    infinity if the highest does not. Raises `InputError` for rates that do not rise.

    >>> round(tolerated_rate([0.001, 0.01, 0.1], [0.0, 1.0, 5.0], 3.0), 4)
    0.0316
    >>> tolerated_rate([0.001, 0.01], [0.0, 1.0], 3.0)
    inf
    """
    if len(rates) != len(losses) or len(rates) < 1 or rates[0] <= 0 or np.any(np.diff(rates) <= 0):
        raise InputError(f"rates = {list(rates)}: must rise from above 0, with a loss for each")
    if losses[0] >= limit:
        return 0.0
    for (low, before), (high, after) in zip(
        zip(rates, losses, strict=True), zip(rates[1:], losses[1:], strict=True), strict=False
    ):
        if after >= limit:
            share = (limit - before) / (after - before)
            return math.exp(math.log(low) + share * math.log(high / low))
    return math.inf


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A ratio of tolerated rates: the geometric mean over seeds and its 95 % interval.

    Not a number where a seed's rate lies outside of the rates that were tested; the interval, where
    there is one seed.
    """

    value: float
    low: float
    high: float


def tolerance_factor(trained: Sequence[float], plain: Sequence[float]) -> Factor:
    """By which factor the tolerated rates `trained` exceed `plain`, seed by seed.

    Student's interval for the mean logarithm of the ratios.

    >>> factor = tolerance_factor([0.02, 0.04], [0.01, 0.01])
    >>> round(factor.value, 3)
    2.828
    """
    if len(trained) != len(plain) or not trained:
        raise InputError(f"{len(trained)} rates against {len(plain)}: must be as many, at least 1")
    pairs = np.array([trained, plain], dtype=float)
    if not (np.isfinite(pairs).all() and (pairs > 0).all()):
        return Factor(value=math.nan, low=math.nan, high=math.nan)
    logs = np.log(pairs[0] / pairs[1])
    half = math.nan
    if len(logs) > 1:
        half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs))
    mean = float(logs.mean())
    return Factor(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))
