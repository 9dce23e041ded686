"""Limit states: what a rare-event method needs to know of a failure, in standard-normal space.

A limit state maps points u, independent standard normals, to failure or not. Two faces of it are
kept apart: `fails`, exactly what a campaign would count, which every estimate uses; and `margin`,
continuous and at or below 0 where it fails (and perhaps beyond), which only guides the search. A
margin that is a little off costs calls, never truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2, multivariate_normal, norm

from rramsim.exceptions import InputError

__all__ = [
    "AnalyticState",
    "CountedState",
    "LimitState",
    "MirroredState",
    "curved_state",
    "linear_state",
    "two_lobed_state",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LimitState(Protocol):
    """A failure in standard-normal space."""

    @property
    def dimension(self) -> int:
        """The number of standard normals."""
        ...

    @property
    def label(self) -> str:
        """What fails, in words."""
        ...

    def margin(self, points: Floats) -> Floats:
        """Margin of each point, shape (n,), from points of shape (n, dimension).

        Continuous, at or below 0 wherever it fails; NaN where nothing can be said.
        """
        ...

    def fails(self, points: Floats) -> tuple[Bools, Bools]:
        """Whether each point fails, and whether anything can be said of it; each shape (n,)."""
        ...


@runtime_checkable
class MirroredState(LimitState, Protocol):
    """A failure that a mirror leaves as it is: what fails here fails there, as likely."""

    def mirrored(self, points: Floats) -> Floats:
        """The points' images, shape (n, dimension)."""
        ...


@dataclass
class CountedState:
    """A limit state that counts its calls, one for each point and each of the two questions."""

    state: LimitState
    report: Callable[[int], None] = lambda calls: None
    calls: int = field(default=0, init=False)

    @property
    def dimension(self) -> int:
        """The number of standard normals."""
        return self.state.dimension

    @property
    def label(self) -> str:
        """What fails, in words."""
        return self.state.label

    def mirrored(self, points: Floats) -> Floats:
        """See `MirroredState`; the points themselves for a state that has no mirror."""
        return self.state.mirrored(points) if isinstance(self.state, MirroredState) else points

    def margin(self, points: Floats) -> Floats:
        """See `LimitState.margin`."""
        self._count(len(points))
        return self.state.margin(points)

    def fails(self, points: Floats) -> tuple[Bools, Bools]:
        """See `LimitState.fails`."""
        self._count(len(points))
        return self.state.fails(points)

    def _count(self, calls: int) -> None:
        self.calls += calls
        self.report(self.calls)


@dataclass(frozen=True, kw_only=True)
class AnalyticState:
    """A limit state in closed form whose failure probability is known."""

    label: str
    dimension: int
    probability: float
    function: Callable[[Floats], Floats]

    def margin(self, points: Floats) -> Floats:
        """The function at each point."""
        return self.function(points)

    def fails(self, points: Floats) -> tuple[Bools, Bools]:
        """Where the function is at or below 0; all is known."""
        return self.function(points) <= 0, np.ones(len(points), dtype=bool)


def linear_state(probability: float, *, dimension: int = 6) -> AnalyticState:
    """g = beta - a.u with unit a: P = Phi(-beta), exactly.

    >>> linear_state(1e-6).probability
    1e-06
    """
    beta = float(-norm.ppf(_checked(probability)))
    direction = np.arange(1.0, dimension + 1) * np.resize([1.0, -1.0], dimension)
    direction /= np.linalg.norm(direction)
    return AnalyticState(
        label=f"linear, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: beta - points @ direction,
    )


def curved_state(
    probability: float, *, dimension: int = 6, curvature: float = 0.13
) -> AnalyticState:
    """g = beta + curvature/2 (u_2^2 + ... + u_n^2) - u_1.

    P = E[Phi(-beta - curvature/2 X)] with X chi-squared of dimension - 1 degrees of freedom, by
    quadrature over its quantiles; `beta` is solved for the wanted probability. With the default,
    FORM alone is 3 to 5 times too high; a negative curvature makes it too low.
    """
    nodes, weights = np.polynomial.legendre.leggauss(300)
    degrees = dimension - 1
    # The integrand is smooth in sqrt(X), whose mass lies below sqrt(degrees) + 12.
    radius = (nodes + 1) / 2 * (np.sqrt(degrees) + 12)
    density = chi2.pdf(radius**2, degrees) * 2 * radius * weights * (np.sqrt(degrees) + 12) / 2

    def chance(beta: float) -> float:
        return float(density @ norm.cdf(-beta - curvature / 2 * radius**2))

    wanted = np.log(_checked(probability))
    beta = float(brentq(lambda beta: np.log(chance(beta)) - wanted, -5.0, 30.0, xtol=1e-12))
    return AnalyticState(
        label=f"curved, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: (
            beta + curvature / 2 * (points[:, 1:] ** 2).sum(axis=1) - points[:, 0]
        ),
    )


def two_lobed_state(
    probability: float, *, dimension: int = 12, cosine: float = -0.3, further: float = 0.1
) -> AnalyticState:
    """g = min(beta - a.u, beta + further - b.u), unit a and b at the given cosine.

    P = Phi(-beta) + Phi(-beta - further) - Phi2(-beta, -beta - further; cosine). At the default
    the second lobe holds a third of the failures: a method that misses it is a third too low.
    """
    first = np.resize([1.0, 1.0, -1.0], dimension) / np.sqrt(dimension)
    other = np.resize([1.0, -1.0], dimension)
    other -= (other @ first) * first
    other /= np.linalg.norm(other)
    second = cosine * first + np.sqrt(1 - cosine**2) * other

    def chance(beta: float) -> float:
        both = multivariate_normal(cov=[[1.0, cosine], [cosine, 1.0]], allow_singular=True).cdf(
            [-beta, -beta - further]
        )
        return float(norm.cdf(-beta) + norm.cdf(-beta - further) - both)

    wanted = np.log(_checked(probability))
    beta = float(brentq(lambda beta: np.log(chance(beta)) - wanted, 0.0, 30.0, xtol=1e-12))
    return AnalyticState(
        label=f"two-lobed, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: np.minimum(beta - points @ first, beta + further - points @ second),
    )


def _checked(probability: float) -> float:
    if not 0 < probability < 0.5:
        raise InputError(f"probability = {probability:g}: must lie between 0 and 0.5")
    return probability
