"""The Pareto front: designs that no other one beats in cost and in value."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.exceptions import InputError

__all__ = ["FrontPlace", "front_places", "pareto_front"]

Floats = NDArray[np.float64]

FrontPlace = Literal["front", "within error", "behind"]
"""`front`: no design is at once as cheap and as good, and better in one. `within error`: some is,
but none by more than the 95 % intervals on both axes. `behind`: some is by more than that."""


def pareto_front(cost: ArrayLike, value: ArrayLike) -> NDArray[np.bool_]:
    """Which designs no other one beats: True, shape (designs,); equal ones are all on the front.

    Raises `InputError` for numbers that are not finite, or not as many of both.

    >>> pareto_front(np.array([1.0, 2.0, 3.0, 2.0]), np.array([0.5, 0.7, 0.6, 0.6])).tolist()
    [True, True, False, False]
    """
    cost, value = np.asarray(cost, dtype=float), np.asarray(value, dtype=float)
    if cost.shape != value.shape or cost.ndim != 1:
        raise InputError(f"a front needs as many costs, {cost.shape}, as values, {value.shape}")
    if not (np.isfinite(cost).all() and np.isfinite(value).all()):
        raise InputError("a front needs finite costs and values")
    no_worse = (cost[None] <= cost[:, None]) & (value[None] >= value[:, None])
    better = (cost[None] < cost[:, None]) | (value[None] > value[:, None])
    return np.asarray(~(no_worse & better).any(axis=1), dtype=bool)


def front_places(
    *, cost: Floats, cost_low: Floats, cost_high: Floats,
    value: Floats, value_low: Floats, value_high: Floats,
) -> list[FrontPlace]:  # fmt: skip
    """Where each design stands, its intervals counted; see `FrontPlace`.

    >>> at = np.array([1.0, 1.1])
    >>> front_places(
    ...     cost=at, cost_low=at - 0.01, cost_high=at + 0.01,
    ...     value=np.array([0.7, 0.69]), value_low=np.array([0.68, 0.67]),
    ...     value_high=np.array([0.72, 0.71]),
    ... )
    ['front', 'within error']
    """
    on_front = pareto_front(cost, value)
    places: list[FrontPlace] = []
    for index, best in enumerate(on_front):
        clearly = (cost_high < cost_low[index]) & (value_low > value_high[index])
        places.append("front" if best else "behind" if clearly.any() else "within error")
    return places
