"""Where importance sampling draws: Gaussian lobes and a ring, mixed, with their exact densities."""

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

__all__ = ["Component", "Lobe", "Mixture", "Ring", "log_normal_density"]

Floats = NDArray[np.float64]

_LOG_2PI = math.log(2 * math.pi)


def log_normal_density(points: Floats) -> Floats:
    """The standard normal's log-density at points (n, dimension), shape (n,)."""
    return -0.5 * ((points**2).sum(axis=1) + points.shape[1] * _LOG_2PI)


class Component(Protocol):
    """One part of a proposal."""

    def draw(self, samples: int, rng: np.random.Generator) -> Floats:
        """Points of shape (samples, dimension)."""
        ...

    def log_density(self, points: Floats) -> Floats:
        """Log-density at points (n, dimension), shape (n,)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Lobe:
    """A Gaussian that is standard in all directions but a few.

    `mean`: shape (dimension,). `axes`: orthonormal rows, shape (k, dimension), along which the
    deviations are `deviations`, shape (k,), in place of 1.
    """

    mean: Floats
    axes: Floats
    deviations: Floats

    @staticmethod
    def at(mean: Floats, *, deviation: float = 1.0) -> "Lobe":
        """A round lobe around `mean`."""
        dimension = len(mean)
        return Lobe(mean=mean, axes=np.eye(dimension), deviations=np.full(dimension, deviation))

    def draw(self, samples: int, rng: np.random.Generator) -> Floats:
        """See `Component.draw`."""
        normal = rng.standard_normal((samples, len(self.mean)))
        along = normal @ self.axes.T
        return self.mean + normal + (along * (self.deviations - 1)) @ self.axes

    def log_density(self, points: Floats) -> Floats:
        """See `Component.log_density`."""
        away = points - self.mean
        along = (away @ self.axes.T) ** 2
        squared = (away**2).sum(axis=1) + along @ (1 / self.deviations**2 - 1)
        return -0.5 * (squared + points.shape[1] * _LOG_2PI) - np.log(self.deviations).sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class Ring:
    """All directions of a subspace alike, at radii from `inner` to `outer`; normal across it.

    `axes`: orthonormal rows, shape (k, dimension). The radius is uniform, the direction too.
    It covers whatever lies in the subspace that the margin was seen to depend on, lobes that
    nobody looked for included.
    """

    axes: Floats
    inner: float
    outer: float

    def draw(self, samples: int, rng: np.random.Generator) -> Floats:
        """See `Component.draw`."""
        k, dimension = self.axes.shape
        direction = rng.standard_normal((samples, k))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        radius = rng.uniform(self.inner, self.outer, (samples, 1))
        normal = rng.standard_normal((samples, dimension))
        return normal + (radius * direction - normal @ self.axes.T) @ self.axes

    def log_density(self, points: Floats) -> Floats:
        """See `Component.log_density`."""
        k, dimension = self.axes.shape
        inside = points @ self.axes.T
        radius = np.linalg.norm(inside, axis=1)
        rest = (points**2).sum(axis=1) - radius**2
        log_sphere = math.log(2) + k / 2 * math.log(math.pi) - float(gammaln(k / 2))
        with np.errstate(divide="ignore"):
            log_ring = -(k - 1) * np.log(radius) - log_sphere - math.log(self.outer - self.inner)
        within = (radius >= self.inner) & (radius <= self.outer)
        return np.where(within, log_ring - 0.5 * (rest + (dimension - k) * _LOG_2PI), -np.inf)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Components with the shares of the samples that each draws."""

    components: tuple[Component, ...]
    shares: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.shares:
            equal = 1 / len(self.components)
            object.__setattr__(self, "shares", (equal,) * len(self.components))

    def allocate(self, samples: int) -> NDArray[np.int64]:
        """How many of `samples` each component draws: at least one where its share is above 0."""
        exact = np.array(self.shares) * samples
        counts = np.where(exact > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
        order = np.argsort(-(exact - np.floor(exact)), kind="stable")
        for index in np.resize(order, max(0, samples - int(counts.sum()))):
            counts[index] += 1
        return counts

    def draw(
        self, samples: int, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        """Points, the component that drew each, and how many each drew (fixed, not random)."""
        counts = self.allocate(samples)
        points = np.concatenate(
            [c.draw(int(n), rng) for c, n in zip(self.components, counts, strict=True)]
        )
        return points, np.repeat(np.arange(len(counts)), counts), counts

    def log_densities(self, points: Floats) -> Floats:
        """Each component's log-density, shape (components, n)."""
        return np.array([c.log_density(points) for c in self.components])

    def log_weights(self, points: Floats, counts: NDArray[np.int64] | None = None) -> Floats:
        """Logarithm of the standard normal's density over the mixture's, shape (n,)."""
        shares = np.array(self.shares) if counts is None else counts / counts.sum()
        used = shares > 0
        log_mixture = logsumexp(self.log_densities(points)[used], axis=0, b=shares[used, None])
        return log_normal_density(points) - log_mixture
