"""Where lines and points are drawn: Gaussians, mixed, with their exact densities.

Every mixture holds parts that owe nothing to a search: the normal itself, and parts in which one
device or one transistor varies more widely. Whatever a search missed, a weight cannot exceed the
inverse of the normal's share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, softmax

from rramsim.rare.failures import Failure, Floats

WIDE = 2.6
"""How many times wider than the normal a widened coordinate is: 6 sigma become 2.3."""

_TRANSISTOR = 4.0
"""The same of a transistor's parameters in lines, where the HRS device is integrated."""
_FITTED_SHARE = 0.7
_PRIOR, _EVENLY, _STEPS = 15, 0.25, 10
"""Lines that a lobe's start is worth; share that all get evenly; steps of the maximisation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Gaussians: `means` and `deviations` of shape (lobes, dimension), and each one's share."""

    means: Floats
    deviations: Floats
    shares: Floats

    def draw(self, samples: int, rng: np.random.Generator) -> tuple[Floats, "Mixture"]:
        """Points (samples, dimension), and the mixture with the shares as they were drawn."""
        exact = self.shares / self.shares.sum() * samples
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: samples - int(counts.sum())]] += 1
        lobe = np.repeat(np.arange(len(counts)), counts)
        normal = rng.standard_normal((samples, self.means.shape[1]))
        points = self.means[lobe] + self.deviations[lobe] * normal
        return points, replace(self, shares=counts / samples)

    def log_weights(self, points: Floats) -> Floats:
        """Logarithm of the standard normal's density over the mixture's, shape (n,)."""
        used = np.flatnonzero(self.shares > 0)
        each = _log_densities(self.means[used], self.deviations[used], points)
        ours = logsumexp(each, axis=0, b=self.shares[used, None])
        return np.asarray(-0.5 * (points**2).sum(axis=1) - ours)

    @classmethod
    def joined(cls, parts: "Sequence[tuple[Mixture, float]]") -> "Mixture":
        """One of several, each with its share."""
        return cls(
            means=np.concatenate([m.means for m, _ in parts]),
            deviations=np.concatenate([m.deviations for m, _ in parts]),
            shares=np.concatenate([m.shares * share for m, share in parts]),
        )


def _log_densities(means: Floats, deviations: Floats, points: Floats) -> Floats:
    """Of Gaussians over the normal's constant; shape (lobes, n)."""
    precise = deviations**-2
    squares = precise @ (points**2).T - 2 * (means * precise) @ points.T
    offsets = np.log(deviations).sum(axis=1) + 0.5 * (means**2 * precise).sum(axis=1)
    return np.asarray(-0.5 * squares - offsets[:, None])


def unfitted(failure: Failure) -> Mixture:
    """The parts of a proposal for lines that no search has a hand in.

    Points are those of the failure's space without coordinate 0, along which lines are integrated.
    """
    wide: list[tuple[int, ...]] = [(), (1,), *failure.groups]
    widths = [1.0, WIDE] + [_TRANSISTOR] * len(failure.groups)
    deviations = np.ones((len(wide), failure.dimension))
    for row, group, width in zip(deviations, wide, widths, strict=True):
        row[list(group)] = width
    shares = np.array([0.3, 0.2] + [0.5 / max(len(failure.groups), 1)] * len(failure.groups))
    return Mixture(
        means=np.zeros((len(wide), failure.dimension - 1)),
        deviations=deviations[:, 1:],
        shares=shares / shares.sum(),
    )


def adapted(base: Mixture, starts: Floats, points: Floats, values: Floats) -> Mixture:
    """`base` with lobes that start at `starts` (lobes, dimension) and follow weighted points.

    Expectation-maximisation over `points` (n, dimension) of which each stands for `values` of the
    failure, as in population Monte-Carlo (Cappe et al., Stat. Comput. 18 (2008) 447). A lobe is as
    wide as the normal or wider: one that cuts off a tail is a bias that nobody sees.
    """
    if not len(starts):
        return base
    means, deviations = starts, np.ones_like(starts)
    squared = points**2
    masses, counts = np.full(len(starts), 1 / len(starts)), np.zeros(len(starts))
    # A few heavy points would make a lobe of their own: clipped, as in truncated importance
    # sampling. Together they are worth as many as equal ones would be.
    for _ in range(3):
        values = np.minimum(values, values.sum() / math.sqrt(max(len(values), 1)))
    worth = values.sum() / max((values**2).sum(), 1e-300)
    for _ in range(_STEPS if values.any() else 0):
        near = np.log(masses)[:, None] + _log_densities(means, deviations, points)
        belongs = softmax(near, axis=0) * values * worth
        counts = belongs.sum(axis=1)
        total = (counts + _PRIOR)[:, None]
        mean = (_PRIOR * starts + belongs @ points) / total
        # What does not stand out of the noise is as in the normal.
        means = np.where(np.abs(mean) > 2 / np.sqrt(total), mean, 0.0)
        spread = (_PRIOR + belongs @ squared - 2 * means * (belongs @ points)
                  + counts[:, None] * means**2) / total  # fmt: skip
        deviations = np.where(spread > 1 + 3 * np.sqrt(2 / total), np.sqrt(np.abs(spread)), 1.0)
        # What the points may be wrong about is shared out evenly: a new lobe gets lines at once.
        masses = (1 - _EVENLY) * counts / counts.sum() + _EVENLY / len(counts)
    lobes = Mixture(means=means, deviations=np.minimum(deviations, WIDE), shares=masses)
    return Mixture.joined([(base, 1 - _FITTED_SHARE), (lobes, _FITTED_SHARE)])


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
