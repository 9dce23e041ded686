"""The boundary between 0 and +1/-1: the resistance above which a pair of devices is read as 0."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.counting.statistics import Rate
from rramsim.engines import SenseEngine, SenseSamples, reads_of
from rramsim.exceptions import InputError

SMALLEST_OHM = 1e3
LARGEST_OHM = 100e6


@dataclass(frozen=True, kw_only=True)
class ZeroBoundary:
    """Where each draw of the transistors' mismatch puts the boundary.

    `resistance_ohm`, shape (draws,), sorted: a pair of two such resistances (or, where they were
    given a spread, of devices with this median) is slow enough to be read as 0 from there on. 0
    where even `SMALLEST_OHM` reads 0, infinite where `LARGEST_OHM` does not. Draws that did not
    converge are left out and counted in `unconverged`.
    """

    conditions: SenseConditions
    resistance_ohm: NDArray[np.float64]
    unconverged: int = 0

    def share_reading_zero(self, resistance_ohm: float) -> Rate:
        """Share of the draws that read a pair of this resistance as 0.

        >>> boundary = ZeroBoundary(
        ...     conditions=SenseConditions(vdd_v=1.2), resistance_ohm=np.array([90e3, 110e3])
        ... )
        >>> boundary.share_reading_zero(100e3).value
        0.5
        """
        below = int((self.resistance_ohm <= resistance_ohm).sum())
        return Rate(events=below, trials=len(self.resistance_ohm))

    def quantile(self, share: float) -> tuple[float, float, float]:
        """The resistance that reads 0 in `share` of the draws, with its 95 % interval.

        The interval is that of order statistics, with no assumption on the shape (Conover,
        Practical Nonparametric Statistics, 3rd ed., 3.2).
        """
        if not 0 < share < 1:
            raise InputError(f"share = {share:g}: must lie between 0 and 1")
        from scipy.stats import binom

        values = self.resistance_ohm
        count = len(values)
        if not count:
            return float("nan"), 0.0, float("inf")
        at = min(int(np.ceil(share * count)), count) - 1
        low, high = (int(binom.ppf(p, count, share)) for p in (0.025, 0.975))
        return (
            float(values[at]),
            float(values[low - 1]) if low >= 1 else 0.0,
            float(values[high]) if high < count else float("inf"),
        )


def zero_boundary(
    circuit: SenseCircuit,
    conditions: SenseConditions,
    engine: SenseEngine,
    *,
    draws: int = 1000,
    seed: int = 1,
    resolution: float = 0.01,
    spread_ln: float = 0.0,
    report: Callable[[int], None] = lambda senses: None,
) -> ZeroBoundary:
    """Find the boundary of `draws` sense amplifiers by bisection on ln R, all of them at once.

    Both devices have the same resistance, so mismatch alone decides which side falls first; the
    boundary is known to `resolution` (relative). With `spread_ln` the two are drawn log-normally,
    with this SD of ln R, around what is then their median: the share of draws whose boundary
    lies above a median is the type 3 error rate of devices with that median, so the quantile 1 - p
    is the median that gives the rate p. Every set of conditions sees the same draws. That a higher
    resistance reads 0 once a lower one does is assumed inside the bracket.

    Raises `InputError` for fewer than two draws, a resolution outside (0, 1) or a spread below 0.
    """
    if draws < 2 or not 0 < resolution < 1 or not 0 <= spread_ln < np.inf:
        raise InputError(
            f"draws = {draws}, resolution = {resolution:g}, spread_ln = {spread_ln:g}: at least 2 "
            "draws, resolution in (0, 1), spread of 0 or above"
        )
    sites = len(circuit.mismatch_sites(conditions.corner))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xB0]))
    mismatch = rng.standard_normal((draws, sites))
    offset = spread_ln * rng.standard_normal((2, draws))
    alive = np.ones(draws, dtype=bool)

    def reads_zero(ln_r: NDArray[np.float64], which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        one, other = np.exp((ln_r + offset)[:, which])
        outcome = reads_of(engine).sense(
            circuit,
            conditions,
            SenseSamples(r_bl_ohm=one, r_blb_ohm=other, mismatch=mismatch[which]),
        )
        report(int(which.sum()))
        zero = np.zeros(draws, dtype=bool)
        zero[which] = (outcome.read == 0) & outcome.converged
        alive[which] &= outcome.converged
        return zero

    low = np.full(draws, np.log(SMALLEST_OHM))
    high = np.full(draws, np.log(LARGEST_OHM))
    everyone = np.ones(draws, dtype=bool)
    never = ~reads_zero(high, everyone)
    always = reads_zero(low, alive & ~never)
    inside = alive & ~never & ~always
    while inside.any() and float((high - low)[inside].max()) > resolution:
        middle = 0.5 * (low + high)
        zero = reads_zero(middle, inside)
        high = np.where(inside & zero, middle, high)
        low = np.where(inside & ~zero, middle, low)
        inside &= alive
    found = np.exp(0.5 * (low + high))
    found[never] = np.inf
    found[always] = 0.0
    return ZeroBoundary(
        conditions=conditions,
        resistance_ohm=np.sort(found[alive]),
        unconverged=int((~alive).sum()),
    )
