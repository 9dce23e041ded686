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
from scipy.stats import norm

from rramsim.exceptions import InputError

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


def _checked(probability: float) -> float:
    if not 0 < probability < 0.5:
        raise InputError(f"probability = {probability:g}: must lie between 0 and 0.5")
    return probability
