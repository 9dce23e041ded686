"""Search for every region of failure: descents to the points of the boundary nearest to 0.

A descent keeps a direction and the radius at which it first meets the boundary, and turns the
direction towards the margin's gradient there until the two agree (the fixed point of Hasofer,
Lind, Rackwitz and Fiessler; the design point of FORM). Differences are taken over half a standard
deviation: wide enough to see over the noise of a circuit simulator.

Starts: the origin's steepest descent, and the direction opposite to every region found; then the
points at which the margin is lower than the regions found explain. The last is what finds a second
lobe: where another lobe is the nearer one, the margin lies below the planes of the known ones.
Where the failure has a mirror (a 0 is read as +1 or as -1), each region's image is one as well.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rramsim.rare.limit_states import LimitState, MirroredState

__all__ = ["Region", "Scouting", "refine", "scout"]

Floats = NDArray[np.float64]

_STEP = 0.5
_INSIDE = 0.3
_MATTERS = 0.01
"""A part of a gradient below this share of its length is not looked at again in a descent."""
_FURTHEST = 10.0
"""Radius at which a search gives up: the normal's mass beyond is 1e-23 along a direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """A region of failure: its design point is `radius` * `direction`.

    `slope`: how fast the margin falls along `direction` at the boundary, per sigma. `normal`: the
    unit vector along which it falls fastest there; at the very design point it is `direction`.
    """

    direction: Floats
    radius: float
    slope: float
    normal: Floats

    @property
    def point(self) -> Floats:
        """The point of the boundary nearest to the origin, as far as the descent went."""
        return self.radius * self.direction


@dataclass(frozen=True, kw_only=True, eq=False)
class Scouting:
    """What a search found, and every gradient that it saw, shape (n, dimension)."""

    regions: tuple[Region, ...]
    gradients: Floats
    nearest_margin: float


class _Search:
    """The margin with its failures to evaluate taken as no failure; remembers gradients."""

    def __init__(self, state: LimitState) -> None:
        self.state = state
        self.gradients: list[Floats] = []
        self.lowest = math.inf

    def margin(self, points: Floats) -> Floats:
        margin = np.asarray(self.state.margin(points), dtype=float)
        known = margin[np.isfinite(margin)]
        ceiling = float(known.max()) if known.size else 1.0
        if known.size:
            self.lowest = min(self.lowest, float(known.min()))
        return np.where(np.isfinite(margin), margin, ceiling)

    def gradient(self, point: Floats, known: Floats | None = None) -> Floats:
        """Central differences over `_STEP` to both sides.

        With `known`, an earlier gradient of the same descent, only along what mattered there: of a
        PCSA's 29 numbers a dozen do.
        """
        which = np.arange(len(point))
        if known is not None:
            which = np.flatnonzero(np.abs(known) > _MATTERS * np.linalg.norm(known))
        steps = _STEP * np.eye(len(point))[which]
        margins = self.margin(np.concatenate([point + steps, point - steps]))
        gradient = np.zeros(len(point)) if known is None else known.copy()
        gradient[which] = (margins[: len(which)] - margins[len(which) :]) / (2 * _STEP)
        self.gradients.append(gradient)
        return gradient

    def crossing(self, direction: Floats, radii: Floats, at_origin: float) -> tuple[float, float]:
        """First radius at which the margin reaches 0 along a direction, and the slope there.

        `radii` are looked at together; infinite, with the margin's lowest radius in place of the
        slope, if none of them fails.
        """
        margins = self.margin(radii[:, None] * direction)
        failing = np.flatnonzero(margins <= 0)
        if not failing.size:
            return math.inf, float(radii[int(np.argmin(margins))])
        first = int(failing[0])
        low, at_low = (radii[first - 1], margins[first - 1]) if first else (0.0, at_origin)
        high, at_high = radii[first], margins[first]
        for _ in range(6):
            if high - low < 0.1:
                break
            # Illinois' false position, kept away from the ends.
            share = min(max(at_low / (at_low - at_high), 0.15), 0.85) if at_low > 0 else 0.5
            middle = low + share * (high - low)
            at_middle = float(self.margin(middle * direction[None])[0])
            if at_middle <= 0:
                high, at_high = middle, at_middle
            else:
                low, at_low = middle, at_middle
        slope = (at_low - at_high) / max(high - low, 1e-9)
        radius = high - (high - low) * (-at_high / max(at_low - at_high, 1e-12))
        return float(min(max(radius, low), high)), float(slope)


def scout(
    state: LimitState,
    rng: np.random.Generator,
    *,
    most_regions: int = 4,
    probes: int = 40,
    most_starts: int = 4,
) -> Scouting:
    """Look for the regions of failure of a limit state.

    Costs about 2 dimension + probes calls, and 4 to 8 dimension for each descent.
    """
    search = _Search(state)
    dimension = state.dimension
    star = np.concatenate([np.zeros((1, dimension)), 2 * np.eye(dimension), -2 * np.eye(dimension)])
    margins = search.margin(star)
    at_origin, up, down = float(margins[0]), margins[1 : 1 + dimension], margins[1 + dimension :]
    centre = (up - down) / 4
    search.gradients.append(centre)
    spread = rng.standard_normal((probes, dimension)) * 1.5
    # What was looked at and is not yet explained: the star's points and points spread at random.
    seen = np.concatenate([star, spread])
    seen_margins = np.concatenate([margins, search.margin(spread)])
    if at_origin <= 0:
        # The middle of everything fails: no region to look for, plain sampling is the method.
        return Scouting(regions=(), gradients=np.array(search.gradients), nearest_margin=at_origin)

    regions: list[Region] = []
    images = 0
    if np.linalg.norm(centre) > 0:
        _descend(search, -_unit(centre), at_origin, regions)
        images += _add_images(search, regions, 0)
    opposite = 0
    for _ in range(most_starts):
        if len(regions) - images >= most_regions:
            break
        if opposite < len(regions):
            start = -regions[opposite].direction
            opposite += 1
            if not _promising(search, start, regions, at_origin):
                continue
        else:
            found = _unexplained(seen, seen_margins, regions, at_origin)
            if found is None:
                break
            start = _unit(seen[found])
            seen_margins[found] = math.inf
        known = len(regions)
        _descend(search, start, at_origin, regions)
        images += _add_images(search, regions, known)
    return Scouting(
        regions=_that_matter(regions),
        gradients=np.array(search.gradients),
        nearest_margin=search.lowest,
    )


def refine(state: LimitState, point: Floats, known: tuple[Region, ...]) -> tuple[Region, ...]:
    """The regions with one more, descended to from a failing point that they do not explain.

    With its mirror image, if there is one.
    """
    search = _Search(state)
    regions = list(known)
    at_origin = float(search.margin(np.zeros((1, state.dimension)))[0])
    _descend(search, _unit(point), at_origin, regions)
    _add_images(search, regions, len(known))
    return _that_matter(regions)


def _that_matter(regions: list[Region]) -> tuple[Region, ...]:
    """Sorted by radius, without those at which the normal density is below e^-7 of the best's."""
    regions = sorted(regions, key=lambda region: region.radius)
    return tuple(r for r in regions if r.radius**2 - regions[0].radius ** 2 < 14)


def _promising(search: _Search, direction: Floats, regions: list[Region], at_origin: float) -> bool:
    """Tell whether the margin falls along a direction, seen from two points of it."""
    radius = regions[0].radius
    near, far = search.margin(np.array([[0.5 * radius], [1.1 * radius]]) * direction)
    return bool(far <= 0 or (far < 0.9 * at_origin and far < near))


def _unexplained(
    points: Floats, margins: Floats, regions: list[Region], at_origin: float
) -> int | None:
    """The point whose margin lies furthest below the planes of the regions, if far enough."""
    if not regions:
        lowest = int(np.argmin(margins))
        return lowest if margins[lowest] < at_origin else None
    expected = np.full(len(points), at_origin)
    for region in regions:
        along = points @ region.direction
        expected = np.minimum(expected, at_origin * (1 - along / region.radius))
    below = expected - margins
    # Only a fall from the origin's margin leads anywhere.
    below[margins >= 0.98 * at_origin] = -math.inf
    lowest = int(np.argmax(below))
    return lowest if below[lowest] > 0.05 * at_origin else None


def _descend(search: _Search, direction: Floats, at_origin: float, regions: list[Region]) -> None:
    """Follow one start to its design point; adds a region unless it is a known one."""
    radii = np.arange(1.0, _FURTHEST + 0.5)
    best: Region | None = None
    seen: Floats | None = None
    target = direction
    turn = 1.0
    for _ in range(8):
        radius, slope = search.crossing(direction, radii, at_origin)
        if math.isinf(radius):
            if best is not None:
                # Turned too far: halfway back.
                turn /= 2
                if turn < 0.2:
                    break
                direction = _unit(best.direction + turn * (target - best.direction))
                continue
            point = slope * direction
        else:
            if best is not None and radius > best.radius + 0.02:
                turn /= 2
                if turn < 0.2:
                    break
                direction = _unit(best.direction + turn * (target - best.direction))
                continue
            settled = best is not None and best.radius - radius < 0.01
            normal = target if settled else direction
            best = Region(direction=direction, radius=radius, slope=slope, normal=normal)
            if settled or any(_same(best, region) for region in regions):
                break
            # A little inside: on the boundary itself a margin may have spikes (metastability).
            point = max(radius - _INSIDE, radius / 2) * direction
        gradient = search.gradient(point, seen)
        if not np.linalg.norm(gradient) > 0:
            break
        seen = gradient
        target = -_unit(gradient)
        if any(float(target @ region.normal) > 0.95 for region in regions):
            break
        if best is not None:
            best = replace(best, normal=target)
            if float(target @ direction) > 0.997:
                break
        turn = 1.0 if math.isinf(radius) else turn
        direction = _unit(direction + turn * (target - direction))
        if best is not None:
            radii = best.radius * np.array([0.8, 1.0, 1.25])
    if best is None or any(_same(best, region) for region in regions):
        return
    if any(float(best.normal @ region.normal) > 0.95 for region in regions):
        return
    regions.append(best)


def _add_images(search: _Search, regions: list[Region], known: int) -> int:
    """Add the mirror images of the regions from `known` on, those that fail and are not there.

    Returns how many.
    """
    before = len(regions)
    if not isinstance(search.state, MirroredState):
        return 0
    for region in regions[known:]:
        direction, normal = search.state.mirrored(np.stack([region.direction, region.normal]))
        image = replace(region, direction=direction, normal=normal)
        if any(_same(image, other) for other in regions):
            continue
        inside = (region.radius + _INSIDE) * direction
        if float(search.margin(inside[None])[0]) <= 0:
            regions.append(image)
    return len(regions) - before


def _same(one: Region, other: Region) -> bool:
    """Two design points less than 1.5 sigma apart are served by one lobe."""
    return bool(np.linalg.norm(one.point - other.point) < 1.5)


def _unit(vector: Floats) -> Floats:
    return vector / np.linalg.norm(vector)
