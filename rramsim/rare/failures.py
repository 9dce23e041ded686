"""What an estimator needs to know of a failure, in a space of independent standard normals.

Coordinate 0 is the score of the device along which lines are drawn, 1 that of the other device;
the rest are the circuit's mismatch sites. A failure may pool several written values: each is a
*variant* with its own answer to the same point, and all are equally likely.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2, multivariate_normal, norm

from rramsim.exceptions import InputError

__all__ = [
    "AnalyticFailure",
    "Bools",
    "CountedFailure",
    "Failure",
    "Floats",
    "Seen",
    "curved_failure",
    "linear_failure",
    "two_lobed_failure",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What was seen at points, each of shape (n,).

    `codes`: the class of each outcome, such as what was read. `margin`: continuous, at or below 0
    where it fails; only a search uses it, so one that is a little off costs senses, never truth.
    `known`: False where nothing can be said (no convergence).
    """

    codes: NDArray[np.int8]
    margin: Floats
    known: Bools


class Failure(Protocol):
    """A failure in standard-normal space."""

    @property
    def label(self) -> str:
        """What fails, in words."""
        ...

    @property
    def identity(self) -> str:
        """Everything that the rate depends on; what is alike has one sequence of draws."""
        ...

    @property
    def engine_name(self) -> str:
        """What decides whether a point fails."""
        ...

    @property
    def dimension(self) -> int:
        """The number of standard normals, at least 2."""
        ...

    @property
    def variants(self) -> tuple[int, ...]:
        """The written values that are pooled."""
        ...

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Which coordinates from 2 on belong to one part (a transistor)."""
        ...

    def seen(self, points: Floats, variant: int) -> Seen:
        """The outcome at points (n, dimension)."""
        ...

    def fails(self, codes: NDArray[np.int8], variant: int) -> Bools:
        """Which classes of outcome are the failure."""
        ...

    def beyond_data(self, points: Floats, variant: int) -> Bools:
        """Which points lie where a device's distribution holds no data and has no law."""
        ...


@dataclass
class CountedFailure:
    """A failure that counts the senses it takes and those of which nothing can be said."""

    failure: Failure
    report: Callable[[int], None] = lambda senses: None
    senses: int = field(default=0, init=False)
    unknown: int = field(default=0, init=False)

    def seen(self, points: Floats, variant: int) -> Seen:
        """See `Failure.seen`."""
        found = self.failure.seen(points, variant)
        self.senses += len(points)
        self.unknown += int((~found.known).sum())
        self.report(self.senses)
        return found

    def failing(self, points: Floats, variant: int) -> Bools:
        """Which points fail, shape (n,); those of which nothing is known do not."""
        found = self.seen(points, variant)
        return self.failure.fails(found.codes, variant) & found.known


@dataclass(frozen=True, kw_only=True)
class AnalyticFailure:
    """A failure in closed form whose probability is known: where `function` is at or below 0."""

    label: str
    dimension: int
    probability: float
    function: Callable[[Floats], Floats]
    engine_name: str = "closed form"
    variants: tuple[int, ...] = (0,)

    @property
    def identity(self) -> str:
        """Its label and probability."""
        return f"{self.label} {self.probability!r}"

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Every coordinate is a part of its own."""
        return tuple((k,) for k in range(2, self.dimension))

    def seen(self, points: Floats, variant: int) -> Seen:
        """The function's sign at each point; all is known."""
        margin = self.function(points)
        return Seen(
            codes=(margin <= 0).astype(np.int8), margin=margin, known=np.ones(len(points), bool)
        )

    def fails(self, codes: NDArray[np.int8], variant: int) -> Bools:
        """Class 1 fails."""
        return codes == 1

    def beyond_data(self, points: Floats, variant: int) -> Bools:
        """Nowhere: these are laws."""
        return np.zeros(len(points), bool)


def linear_failure(probability: float, *, dimension: int = 6) -> AnalyticFailure:
    """beta - a.u with unit a: P = Phi(-beta), exactly.

    >>> linear_failure(1e-6).probability
    1e-06
    """
    beta = float(-norm.ppf(_checked(probability)))
    direction = np.arange(1.0, dimension + 1) * np.resize([1.0, -1.0], dimension)
    direction /= np.linalg.norm(direction)
    return AnalyticFailure(
        label=f"linear, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: beta - points @ direction,
    )


def curved_failure(
    probability: float, *, dimension: int = 6, curvature: float = 0.13
) -> AnalyticFailure:
    """beta + curvature/2 (u_2^2 + ... + u_n^2) - u_1.

    P = E[Phi(-beta - curvature/2 X)] with X chi-squared of dimension - 1 degrees of freedom, by
    quadrature over its quantiles; `beta` is solved for the wanted probability.
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
    return AnalyticFailure(
        label=f"curved, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: (
            beta + curvature / 2 * (points[:, 1:] ** 2).sum(axis=1) - points[:, 0]
        ),
    )


def two_lobed_failure(
    probability: float, *, dimension: int = 12, cosine: float = -0.3, further: float = 0.1
) -> AnalyticFailure:
    """min(beta - a.u, beta + further - b.u), unit a and b at the given cosine.

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
    return AnalyticFailure(
        label=f"two-lobed, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: np.minimum(beta - points @ first, beta + further - points @ second),
    )


def _checked(probability: float) -> float:
    if not 0 < probability < 0.5:
        raise InputError(f"probability = {probability:g}: must lie between 0 and 0.5")
    return probability
