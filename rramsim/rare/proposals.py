"""Where lines and points are drawn: a blind part, and Gaussian lobes, with their exact densities.

The blind part owes nothing to a search: devices vary more widely, and some transistors at a time.
Whatever a search missed, a weight cannot exceed the inverse of the normal's share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, softmax

from rramsim.rare.failures import Failure, Floats

__all__ = ["Mixture", "adapted", "blind"]

_WIDE, _WIDER, _AT_ONCE = 2.6, 4.0, 3
"""How many times as wide as the normal a device's score is, and a transistor's parameters in lines,
where the other device is integrated; how many transistors are so at once."""
_FITTED_SHARE = 0.7
_PRIOR, _EVENLY, _STEPS = 15, 0.25, 10
"""Lines that a lobe's start is worth; share that all get evenly; steps of the maximisation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """Lobes: `means` and `deviations` of shape (lobes, dimension), and each one's share.

    What they leave is blind: the first `devices` coordinates are each from half a normal and half
    one `_WIDE` times as wide; in half of the points some `_AT_ONCE` of the `groups` are `wider` so
    many times. So no weight of a blind point is above 2 for each device, times 2.
    """

    devices: int
    groups: tuple[tuple[int, ...], ...]
    wider: float
    means: Floats
    deviations: Floats
    shares: Floats

    def draw(self, samples: int, rng: np.random.Generator) -> tuple[Floats, "Mixture"]:
        """Points (samples, dimension), and the mixture with the shares as they were drawn."""
        exact = np.append(self.shares, max(1 - self.shares.sum(), 0.0)) * samples
        counts = np.floor(exact).astype(np.int64)
        counts[np.argsort(counts - exact, kind="stable")[: samples - int(counts.sum())]] += 1
        lobe = np.repeat(np.arange(len(self.shares)), counts[:-1])
        deviations = np.concatenate([self.deviations[lobe], self._blind(int(counts[-1]), rng)])
        points = rng.standard_normal(deviations.shape) * deviations
        points[: len(lobe)] += self.means[lobe]
        return points, replace(self, shares=counts[:-1] / samples)

    def log_weights(self, points: Floats) -> Floats:
        """Logarithm of the standard normal's density over the mixture's, shape (n,)."""
        used = np.flatnonzero(self.shares > 0)
        squares = (points**2).sum(axis=1)
        parts = [
            0.5 * (squares - (((points - self.means[k]) / self.deviations[k]) ** 2).sum(axis=1))
            - np.log(self.deviations[k]).sum()
            for k in used
        ]
        shares = np.append(self.shares[used], max(1 - self.shares.sum(), 0.0))
        parts.append(self._blind_log_ratio(points))
        return -np.asarray(logsumexp(np.array(parts), axis=0, b=shares[:, None]))

    def joined(self, parts: "Sequence[tuple[Mixture, float]]") -> "Mixture":
        """One of several, each with its share; the rest is blind."""
        return replace(
            self,
            means=np.concatenate([m.means for m, _ in parts]),
            deviations=np.concatenate([m.deviations for m, _ in parts]),
            shares=np.concatenate([m.shares * share for m, share in parts]),
        )

    def _blind(self, samples: int, rng: np.random.Generator) -> Floats:
        """The deviations of blind points."""
        deviations = np.ones((samples, self.means.shape[1]))
        wide = rng.random((samples, self.devices)) < 0.5
        deviations[:, : self.devices] = np.where(wide, _WIDE, 1.0)
        varied = rng.random((samples, len(self.groups))) < self._chance
        varied &= rng.random((samples, 1)) < 0.5
        for number, group in enumerate(self.groups):
            columns = deviations[:, list(group)]
            columns[varied[:, number]] = self.wider
            deviations[:, list(group)] = columns
        return deviations

    def _blind_log_ratio(self, points: Floats) -> Floats:
        """Logarithm of the blind part's density over the normal's."""
        devices = _log_ratio(points[:, : self.devices], _WIDE)
        ratio = (np.logaddexp(0, devices) - math.log(2)).sum(axis=1)
        varied = np.zeros(len(points))
        for group in self.groups:
            each = _log_ratio(points[:, list(group)], self.wider).sum(axis=1)
            varied += np.log1p(self._chance * np.expm1(np.minimum(each, 300)))
        return np.asarray(ratio + np.logaddexp(0, varied) - math.log(2))

    @property
    def _chance(self) -> float:
        """Of a transistor to be one of those that vary more widely."""
        return min(0.5, _AT_ONCE / max(len(self.groups), 1))


def _log_ratio(scores: Floats, wide: float) -> Floats:
    """Logarithm of the widened normal's density over the normal's."""
    return np.asarray(0.5 * scores**2 * (1 - wide**-2) - math.log(wide))


def blind(failure: Failure, *, lines: bool) -> Mixture:
    """The mixture without lobes, for points or for lines, which have no coordinate 0."""
    none = np.zeros((0, failure.dimension - lines))
    return Mixture(
        devices=2 - lines,
        groups=tuple(tuple(index - lines for index in group) for group in failure.groups),
        wider=_WIDER if lines else _WIDE,
        means=none,
        deviations=none,
        shares=np.zeros(0),
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
        precise = deviations**-2
        squares = precise @ squared.T - 2 * (means * precise) @ points.T
        offsets = np.log(masses) - np.log(deviations).sum(axis=1)
        offsets -= 0.5 * (means**2 * precise).sum(axis=1)
        near = offsets[:, None] - 0.5 * squares
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
    return replace(
        base,
        means=means,
        deviations=np.minimum(deviations, _WIDE),
        shares=_FITTED_SHARE * masses / masses.sum(),
    )
