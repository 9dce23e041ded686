"""The Pareto front of energy and accuracy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["pareto_front"]


def pareto_front(cost: ArrayLike, gain: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other one beats: none costs no more and gains no less, and one of them less.

    Of points that are equal in both, all or none are on the front; NaN never is.

    >>> pareto_front([1.0, 2.0, 3.0, 3.0], [0.5, 0.9, 0.8, 0.9]).tolist()
    [True, True, False, False]
    """
    cost, gain = np.asarray(cost, dtype=float), np.asarray(gain, dtype=float)
    known = np.isfinite(cost) & np.isfinite(gain)
    no_worse = (cost[None] <= cost[:, None]) & (gain[None] >= gain[:, None]) & known[None]
    better = (cost[None] < cost[:, None]) | (gain[None] > gain[:, None])
    return known & ~(no_worse & better).any(axis=1)
