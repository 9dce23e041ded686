"""Gaussians fitted to failing points by expectation-maximisation, for a proposal to draw from.

Each differs from the standard normal by its mean and along those directions in which the points
are told, from noise, to spread wider. None is narrower than the normal in any direction: a
proposal that cuts off a tail is a bias that nobody sees, and what narrowing would save is little.
"""

import math
from dataclasses import dataclass

import numpy as np

from rramsim.rare.failures import Floats
from rramsim.rare.proposals import Lobe, round_lobe

__all__ = ["MixtureFit", "fit_mixture"]

_ENOUGH = 1
"""Independent failing points for each dimension with which a lobe can be fitted."""
_MOST_LOBES = 4
_STEPS = 30
_WIDEST = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureFit:
    """Lobes and each one's share of the points, which sum to 1."""

    lobes: tuple[Lobe, ...]
    masses: Floats


def fit_mixture(
    points: Floats, weights: Floats, *, effective: float, rng: np.random.Generator
) -> MixtureFit:
    """Fit one to four lobes to weighted points (n, dimension) by expectation-maximisation.

    `effective` is the number of independent points that they are worth. Directions are told from
    noise by the edges of the Marchenko-Pastur law: inside them a spread is 1.
    """
    dimension = points.shape[1]
    count = int(effective / (2 * _ENOUGH * dimension))
    count = min(max(count, 1), _MOST_LOBES)
    centres = _spread_centres(points, weights, count, effective, rng)
    lobes = tuple(round_lobe(centre) for centre in centres)
    masses = np.full(count, 1 / count)
    for _ in range(_STEPS):
        densities = np.array([lobe.log_density(points) for lobe in lobes])
        densities += np.log(masses)[:, None]
        belongs = np.exp(densities - densities.max(axis=0))
        belongs *= weights / belongs.sum(axis=0)
        new = belongs.sum(axis=1) / weights.sum()
        # A lobe that has lost its points would fit noise: it stays out.
        kept = new * effective >= _ENOUGH * dimension
        if not kept.any():
            kept[int(np.argmax(new))] = True
        lobes = tuple(
            _fitted(points, part, share * effective)
            for part, share, keep in zip(belongs, new, kept, strict=True)
            if keep
        )
        masses, before = new[kept] / new[kept].sum(), masses
        if len(before) == len(masses) and np.abs(before - masses).max() < 1e-3:
            break
    return MixtureFit(lobes=lobes, masses=masses)


def _spread_centres(
    points: Floats, weights: Floats, count: int, effective: float, rng: np.random.Generator
) -> Floats:
    """Starting points far from each other (k-means++) along what is not standard normal."""
    moments = (points * (weights / weights.sum())[:, None]).T @ points
    values, vectors = np.linalg.eigh(moments)
    stands_out = values > (1 + math.sqrt(len(values) / effective)) ** 2
    stands_out[-1] = True
    seen = points @ vectors[:, stands_out]
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    while len(chosen) < count:
        distance = np.min([((seen - seen[k]) ** 2).sum(axis=1) for k in chosen], axis=0) * weights
        if not distance.sum() > 0:
            break
        chosen.append(int(rng.choice(len(points), p=distance / distance.sum())))
    return np.resize(points[chosen], (count, points.shape[1]))


def _fitted(points: Floats, weights: Floats, effective: float) -> Lobe:
    """A lobe with the points' mean and, where they stand out of the noise, their spreads."""
    weights = weights / weights.sum()
    effective = max(effective, 2.0)
    mean = weights @ points
    noise = np.sqrt(weights @ (points - mean) ** 2 / effective)
    mean = np.where(np.abs(mean) > 2 * noise, mean, 0.0)
    away = points - mean
    variances, vectors = np.linalg.eigh((away * weights[:, None]).T @ away)
    edge = math.sqrt(len(variances) / effective)
    wide = variances > (1 + edge) ** 2
    if not wide.any():
        return round_lobe(mean)
    deviations = np.minimum(np.sqrt(variances[wide]), _WIDEST)
    return Lobe(mean=mean, axes=vectors[:, wide].T, deviations=deviations)
