"""Importance sampling on known regions: fit the proposal, then estimate with an interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from rramsim.rare.limit_states import CountedState, LimitState
from rramsim.rare.proposals import Lobe, Mixture

__all__ = [
    "DISAGREE",
    "MOST_UNKNOWN",
    "ROUND",
    "Draws",
    "WeightedRate",
    "draw_until",
    "draw_weighted",
    "first_lobe",
    "fit_lobes",
    "objection",
    "weighted_rate",
]

Floats = NDArray[np.float64]

ROUND = 100
"""Draws of a first batch at least."""
DISAGREE = 3.3
"""Standard errors between two estimates at which they disagree: by chance once in 1,000."""
MOST_UNKNOWN = 0.05
"""The share of runs that may fail to converge: they are left out, as a campaign does."""
_HEAVIEST = 0.25
"""The share of an estimate that may hang on one draw."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Points drawn from a mixture and what became of them.

    `points` (n, dimension); `component` and `fails` (n,); `counts`, how many points each
    component drew; `unknown`, how many points nothing could be said of (they count as not
    failing, as a campaign leaves them out).
    """

    points: Floats
    component: NDArray[np.int64]
    fails: NDArray[np.bool_]
    counts: NDArray[np.int64]
    unknown: int

    def __add__(self, other: "Draws") -> "Draws":
        """Draws of the same mixture, or `other`'s of one that has more components behind."""
        more = np.zeros(len(other.counts) - len(self.counts), dtype=np.int64)
        return Draws(
            points=np.concatenate([self.points, other.points]),
            component=np.concatenate([self.component, other.component]),
            fails=np.concatenate([self.fails, other.fails]),
            counts=np.concatenate([self.counts, more]) + other.counts,
            unknown=self.unknown + other.unknown,
        )


@dataclass(frozen=True, kw_only=True)
class WeightedRate:
    """A probability from weighted draws with its standard error and 95 % interval.

    The interval is Student's on the logarithm, with the failing draws' effective number as
    degrees of freedom: weights are skewed upwards, and a rate is above 0. `largest_share` is the
    part of the value that hangs on a single draw.
    """

    value: float
    deviation: float
    effective: float
    largest_share: float
    draws: int

    @property
    def surprising(self) -> bool:
        """Whether a single draw decides: a region is covered too thinly."""
        return self.largest_share > _HEAVIEST

    @property
    def coefficient_of_variation(self) -> float:
        """Standard error over value; infinite without a failure."""
        return self.deviation / self.value if self.value > 0 else math.inf

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval (0 without a failure)."""
        return self.value / self._factor if self.value > 0 else 0.0

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval (1 without a failure)."""
        return min(1.0, self.value * self._factor) if self.value > 0 else 1.0

    @property
    def _factor(self) -> float:
        width = float(student_t.ppf(0.975, max(1.0, self.effective - 1)))
        return math.exp(min(width * self.coefficient_of_variation, 50.0))


def draw_weighted(
    state: LimitState, mixture: Mixture, samples: int, rng: np.random.Generator
) -> Draws:
    """Draw from a mixture and ask for each point whether it fails."""
    points, component, counts = mixture.draw(samples, rng)
    fails, known = state.fails(points)
    return Draws(
        points=points,
        component=component,
        fails=fails & known,
        counts=counts,
        unknown=int((~known).sum()),
    )


def weighted_rate(
    mixture: Mixture, draws: Draws, *, only: NDArray[np.bool_] | None = None
) -> WeightedRate:
    """The failure probability, all components' draws weighted by the whole mixture.

    Veach and Guibas' balance heuristic (1995): unbiased, and no draw's weight exceeds that of
    the component which covers it best. The numbers drawn from each component are fixed, so the
    variance is that within the components.

    With `only`, the estimate of those components alone, from their draws. Its standard error is
    computed from the draws of all: what the part's own draws do not reach is then still seen.
    """
    counts = draws.counts if only is None else np.where(only, draws.counts, 0)
    mine = counts[draws.component] > 0
    total = int(counts.sum())
    values = np.zeros(len(draws.points))
    if draws.fails.any():
        with np.errstate(over="ignore"):
            values[draws.fails] = np.exp(mixture.log_weights(draws.points[draws.fails], counts))
    own = np.where(mine, values, 0.0)
    value = float(own.sum()) / total
    variance = 0.0
    if only is None:
        for index, count in enumerate(counts):
            if count > 1:
                drawn = values[draws.component == index]
                variance += float(drawn.var(ddof=1)) * count / total**2
    else:
        whole = np.zeros(len(values))
        if draws.fails.any():
            failing = draws.points[draws.fails]
            whole[draws.fails] = np.exp(mixture.log_weights(failing, draws.counts))
        rate = float(whole.mean())
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float((values * whole).mean()) - rate**2
        # Where the part hardly reaches what fails, its weights overflow: it says nothing then.
        variance = max(0.0, spread) / total if math.isfinite(spread) else math.inf
    known = own if only is None else whole
    squares = float((known**2).sum())
    return WeightedRate(
        value=value,
        deviation=math.sqrt(variance),
        effective=float(known.sum()) ** 2 / squares if squares > 0 else 0.0,
        largest_share=float(own.max()) / (value * total) if value > 0 else 0.0,
        draws=total,
    )


def draw_until(
    state: CountedState,
    mixture: Mixture,
    rng: np.random.Generator,
    *,
    relative_error: float,
    max_calls: int,
) -> tuple[Draws, WeightedRate]:
    """Draw a first batch, then as many as it says are needed, or as the calls allow.

    Stopping as soon as the error looks small enough would favour runs whose error is
    underestimated; so the second batch is sized by the first and drawn whole.
    """
    first = max(ROUND, min(2 * ROUND, max_calls - state.calls))
    draws = draw_weighted(state, mixture, first, rng)
    while True:
        rate = weighted_rate(mixture, draws)
        rest = max_calls - state.calls
        if rate.value == 0 or rest < ROUND // 2:
            return draws, rate
        excess = (rate.coefficient_of_variation / (0.85 * relative_error)) ** 2
        missing = math.ceil(rate.draws * (excess - 1))
        if rate.coefficient_of_variation <= relative_error and (
            missing <= 0 or rate.draws > 2 * ROUND
        ):
            return draws, rate
        more = min(max(missing, ROUND // 2), rest)
        draws = draws + draw_weighted(state, mixture, more, rng)


def objection(rate: WeightedRate, one: WeightedRate, other: WeightedRate, draws: Draws) -> str:
    """Why there is no answer, or an empty text."""
    if rate.value == 0:
        return (
            "the search's margin met a failure, but none of the draws there counts as one; "
            "the margin and the read disagree"
        )
    if draws.unknown > MOST_UNKNOWN * rate.draws:
        return f"{draws.unknown} of {rate.draws} runs near the failure did not converge"
    if rate.surprising:
        return (
            f"{100 * rate.largest_share:.0f} % of the estimate {rate.value:.3g} hang on one draw: "
            "a region of failure is not covered"
        )
    if one.value == 0 or other.value == 0:
        return "one of the two proposals met no failure"
    apart = abs(math.log(one.value / other.value))
    if apart > DISAGREE * math.hypot(one.coefficient_of_variation, other.coefficient_of_variation):
        return (
            f"two proposals disagree: {one.value:.3g} ({one.low:.3g} to {one.high:.3g}) and "
            f"{other.value:.3g} ({other.low:.3g} to {other.high:.3g})"
        )
    return ""


def first_lobe(point: Floats, normal: Floats) -> Lobe:
    """The lobe that is best for a plane through `point`: beyond it, narrow along its normal.

    Beyond a plane at distance beta the normal's tail has the mean beta + 1/beta and the
    deviation 1/beta, to leading order.
    """
    beyond = 1 / max(float(np.linalg.norm(point)), 1.0)
    return Lobe(
        mean=point + beyond * normal,
        axes=normal[None],
        deviations=np.array([min(1.0, 1.5 * beyond)]),
    )


def fit_lobes(
    lobes: tuple[Lobe, ...], mixture: Mixture, draws: Draws
) -> tuple[tuple[Lobe, ...], Floats]:
    """Fit each lobe to the failing draws near it (one step of the cross-entropy method).

    `draws` are of `mixture`, whatever it is made of; every failing one belongs to each of
    `lobes` in part, by its density. A lobe's mean moves only by those coordinates that stand out
    of the noise; its deviation along its first axis is fitted, and across it only those
    directions that the draws can tell to be wider than 1 (beyond the edge of the
    Marchenko-Pastur law): in tens of dimensions a full fit to a hundred draws would be noise, and
    a lobe that is too narrow by chance makes weights that no interval warns of. A lobe near which
    too few draws fail stays as it is. Also returns each lobe's share of the failures.
    """
    failing = draws.points[draws.fails]
    if not len(failing):
        return lobes, np.full(len(lobes), 1 / len(lobes))
    log_weights = mixture.log_weights(failing, draws.counts)
    weights = np.exp(log_weights - log_weights.max())
    # A few heavy draws would make a lobe of their own: clipped, as in truncated sampling.
    weights = np.minimum(weights, weights.sum() / np.sqrt(len(weights)))
    densities = np.array([lobe.log_density(failing) for lobe in lobes])
    belongs = np.exp(densities - densities.max(axis=0))
    belongs /= belongs.sum(axis=0)
    fitted = []
    for lobe, part in zip(lobes, belongs, strict=True):
        mine = weights * part
        squares = float((mine**2).sum())
        effective = float(mine.sum()) ** 2 / squares if squares > 0 else 0.0
        fitted.append(lobe if effective < 10 else _fitted(lobe, failing, mine, effective))
    return tuple(fitted), belongs @ weights / weights.sum()


def _fitted(lobe: Lobe, points: Floats, weights: Floats, effective: float) -> Lobe:
    weights = weights / weights.sum()
    unbiased = effective / (effective - 1)
    outwards = lobe.axes[0]
    move = weights @ points - lobe.mean
    noise = np.sqrt(weights @ (points - lobe.mean - move) ** 2 * unbiased / effective)
    along = float(move @ outwards)
    rest = move - along * outwards
    mean = lobe.mean + along * outwards + np.where(np.abs(rest) > 2 * noise, rest, 0.0)
    away = points - mean
    inward = away @ outwards
    across = away - inward[:, None] * outwards
    covariance = (across * weights[:, None]).T @ across * unbiased
    variances, vectors = np.linalg.eigh(covariance)
    wide = variances > (1 + math.sqrt(len(covariance) / effective)) ** 2
    # Wider than fitted, never narrower: a tail cut off is a bias that nobody sees.
    deviation = math.sqrt(float(weights @ inward**2) * unbiased)
    return Lobe(
        mean=mean,
        axes=np.concatenate([outwards[None], vectors[:, wide].T]),
        deviations=np.concatenate(
            [[min(max(1.25 * deviation, 0.05), 2.0)], np.clip(np.sqrt(variances[wide]), 1.0, 3.0)]
        ),
    )
