"""Directions in which lines are drawn, and how the failure is shared out among them.

Most failures hang on the HRS device, along whose score lines are drawn. Some have a part that it
has little say in, such as a precharge that does not finish because of two transistors; there lines
towards that part differ least from each other. Every failing point belongs to the families in
shares that sum to 1,

    h_k(u) proportional to exp(m_k . u - |m_k|^2 / 2),   m_k the mean of the k-th part,

so that the rate is the sum over families of the integral of h_k along lines in their direction,
whatever the directions are.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.lines import Direction, FailingLines, failing_lines
from rramsim.rare.mixture_fit import fit_mixture

__all__ = ["Families", "families_of"]

_MOST, _LEAST_MASS, _LEAST_DISTANCE = 3, 0.03, 2.0
_OWN, _SAME = 0.6, 0.85
"""Cosines: below the first with the device's axis a part gets lines of its own; above the second
with another part's it shares them."""
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Families:
    """The directions of one variant's lines; the first is the device's axis.

    `means`: shape (families, dimension).
    """

    variant: int
    directions: tuple[Direction, ...]
    means: Floats

    def shares(self, points: Floats) -> Floats:
        """To which family points (n, dimension) belong, shape (n, families)."""
        squares = 0.5 * (self.means**2).sum(axis=1)
        return np.asarray(softmax(points @ self.means.T - squares, axis=1))

    def lines(
        self, state: CountedFailure, number: int, rest: Floats, *, precision: float
    ) -> tuple[FailingLines, Floats]:
        """Lines of a family through `rest`, and what of each line's failure belongs to it."""
        direction = self.directions[number]
        lines = failing_lines(state, rest, self.variant, direction=direction, precision=precision)
        if len(self.directions) == 1:
            return lines, lines.probability
        owned = np.zeros(len(lines.line))
        for node, weight in zip(_NODES, _NODE_WEIGHTS, strict=True):
            scores = lines.scores(0.5 * (1 + float(node)))
            points = direction.turned(np.column_stack([scores, rest[lines.line]]))
            owned += (
                0.5 * weight * self.shares(np.nan_to_num(points, posinf=9, neginf=-9))[:, number]
            )
        chances = np.bincount(lines.line, weights=lines.masses * owned, minlength=len(rest))
        return lines, np.asarray(chances, float)


def families_of(
    points: Floats, weights: Floats, effective: float, variant: int, rng: np.random.Generator
) -> Families:
    """The families for failing points (n, dimension) that are worth `effective` equal ones."""
    dimension = points.shape[1]
    axis = np.eye(dimension)[0]
    directions, means = [Direction(along=axis)], [np.zeros(dimension)]
    if len(points):
        fit = fit_mixture(points, weights, effective=effective, rng=rng)
        rest, mass = np.zeros(dimension), 0.0
        for lobe, share in sorted(
            zip(fit.lobes, fit.masses, strict=True), key=lambda pair: -pair[1]
        ):
            length = float(np.linalg.norm(lobe.mean))
            own = abs(lobe.mean[0]) < _OWN * length
            if not own or length < _LEAST_DISTANCE or share < _LEAST_MASS:
                rest, mass = rest + share * lobe.mean, mass + share
            elif len(directions) <= _MOST and not any(
                lobe.mean @ d.along > _SAME * length for d in directions[1:]
            ):
                directions.append(Direction(along=lobe.mean / length))
                means.append(lobe.mean)
        if mass > 0:
            means[0] = rest / mass
    return Families(variant=variant, directions=tuple(directions), means=np.array(means))
