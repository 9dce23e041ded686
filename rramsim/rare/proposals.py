"""Where samples are drawn: Gaussians, mixed, with their exact densities.

Every mixture holds parts that owe nothing to a search: the normal itself, and parts in which one
device or one transistor varies `WIDE` times as much. Whatever a search missed, a weight cannot
exceed the inverse of the normal's share.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from rramsim.rare.failures import Failure, Floats

__all__ = ["WIDE", "Lobe", "Mixture", "log_normal_density", "round_lobe", "unfitted", "widened"]

WIDE = 2.6
"""How many times wider than the normal a widened coordinate is: 6 sigma become 2.3."""

_LOG_2PI = math.log(2 * math.pi)


def log_normal_density(points: Floats) -> Floats:
    """The standard normal's log-density at points (n, dimension), shape (n,)."""
    return np.asarray(-0.5 * ((points**2).sum(axis=1) + points.shape[1] * _LOG_2PI))


@dataclass(frozen=True, kw_only=True, eq=False)
class Lobe:
    """A Gaussian that is standard in all directions but a few.

    `mean`: shape (dimension,). `axes`: orthonormal rows, shape (k, dimension), along which the
    standard deviations are `deviations`, shape (k,), in place of 1.
    """

    mean: Floats
    axes: Floats
    deviations: Floats

    def draw(self, samples: int, rng: np.random.Generator) -> Floats:
        """Points of shape (samples, dimension)."""
        normal = rng.standard_normal((samples, len(self.mean)))
        along = normal @ self.axes.T
        return np.asarray(self.mean + normal + (along * (self.deviations - 1)) @ self.axes)

    def log_density(self, points: Floats) -> Floats:
        """Log-density at points (n, dimension), shape (n,)."""
        away = points - self.mean
        along = (away @ self.axes.T) ** 2
        squared = (away**2).sum(axis=1) + along @ (1 / self.deviations**2 - 1)
        return np.asarray(
            -0.5 * (squared + points.shape[1] * _LOG_2PI) - np.log(self.deviations).sum()
        )


def round_lobe(mean: Floats) -> Lobe:
    """The standard normal around `mean`."""
    return Lobe(mean=mean, axes=np.zeros((0, len(mean))), deviations=np.zeros(0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Lobes with the shares of the samples that each draws."""

    lobes: tuple[Lobe, ...]
    shares: Floats

    def allocate(self, samples: int) -> NDArray[np.int64]:
        """How many of `samples` each lobe draws: rounded, in all `samples`."""
        exact = self.shares / self.shares.sum() * samples
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: samples - int(counts.sum())]] += 1
        return counts

    def draw(self, samples: int, rng: np.random.Generator) -> tuple[Floats, "Mixture"]:
        """Points (samples, dimension), and the mixture with the shares as they were drawn."""
        counts = self.allocate(samples)
        points = [lobe.draw(int(n), rng) for lobe, n in zip(self.lobes, counts, strict=True)]
        drawn = Mixture(lobes=self.lobes, shares=counts / samples)
        return np.concatenate(points), drawn

    def log_density(self, points: Floats) -> Floats:
        """Log-density at points (n, dimension), shape (n,)."""
        used = np.flatnonzero(self.shares > 0)
        each = np.array([self.lobes[k].log_density(points) for k in used])
        return np.asarray(logsumexp(each, axis=0, b=self.shares[used, None]))

    def log_weights(self, points: Floats) -> Floats:
        """Logarithm of the standard normal's density over the mixture's, shape (n,)."""
        return log_normal_density(points) - self.log_density(points)

    def with_lobes(self, lobes: tuple[Lobe, ...], masses: Floats, share: float) -> "Mixture":
        """The mixture with fitted lobes that draw `share` of the samples."""
        if not lobes:
            return self
        # The fit says where the failures are; what it may be wrong about is shared out evenly.
        trusted = 0.8 * masses / masses.sum() + 0.2 / len(lobes)
        return Mixture(
            lobes=(*self.lobes, *lobes),
            shares=np.concatenate([(1 - share) * self.shares, share * trusted]),
        )


def unfitted(failure: Failure) -> Mixture:
    """The parts of a proposal for lines that no search has a hand in.

    Points are those of the failure's space without coordinate 0, along which lines are integrated.
    """
    dimension = failure.dimension - 1
    lobes = [round_lobe(np.zeros(dimension)), _wide(dimension, (0,))]
    lobes += [_wide(dimension, tuple(k - 1 for k in group)) for group in failure.groups]
    parts = max(len(failure.groups), 1)
    shares = np.array([0.4, 0.3] + [0.3 / parts] * len(failure.groups))
    return Mixture(lobes=tuple(lobes), shares=shares / shares.sum())


def widened(failure: Failure, samples: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Points (samples, dimension) that no search has a hand in, and their log-weights.

    Each device's score is from half a normal and half a widened one; of every second point one
    transistor's parameters are widened too. No weight is above 8.
    """
    deviations = np.ones((samples, failure.dimension))
    deviations[:, :2] = np.where(rng.random((samples, 2)) < 0.5, WIDE, 1.0)
    chosen = np.where(
        rng.random(samples) < 0.5, rng.integers(0, max(len(failure.groups), 1), samples), -1
    )
    for number, group in enumerate(failure.groups):
        deviations[np.ix_(chosen == number, group)] = WIDE
    points = rng.standard_normal(deviations.shape) * deviations
    gains = 0.5 * points**2 * (1 - WIDE**-2) - math.log(WIDE)
    log_ratio = np.logaddexp(0, gains[:, :2]).sum(axis=1) - 2 * math.log(2)
    if failure.groups:
        parts = np.array([gains[:, list(group)].sum(axis=1) for group in failure.groups])
        mean = logsumexp(parts, axis=0) - math.log(len(parts))
        log_ratio += np.logaddexp(0, mean) - math.log(2)
    return points, -log_ratio


def _wide(dimension: int, coordinates: tuple[int, ...]) -> Lobe:
    return Lobe(
        mean=np.zeros(dimension),
        axes=np.eye(dimension)[list(coordinates)],
        deviations=np.full(len(coordinates), WIDE),
    )
