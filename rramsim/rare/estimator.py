"""A rate too small to count, by lines drawn where failures were found, and checked.

1. Small runs of subset sampling find failing points (`find_failures`); each run starts a lobe.
2. Lobes follow, round after round, weighted lines drawn from them and from parts that no search has
   a hand in (`adapted`): adaptive multiple importance sampling (Cornuet, Marin, Mira and Robert
   2012), with the balance heuristic over all rounds.
3. Fresh lines from the final mixtures give the rate: the mean of weight times probability.
4. Points that no search has a hand in (`widened`) look for failures of their own; where they meet
   few, another search does. The rate is doubted where theirs is higher, or where a line through one
   of their failures would carry more than a tenth of the rate: a part that the lines met by luck
   only. Then lobes start there too, and fresh lines are drawn. What was found stays as evidence to
   the end.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student_t

from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.lines import COARSE, FINE, FailingLines, failing_lines
from rramsim.rare.proposals import Mixture, adapted, unfitted, widened
from rramsim.rare.splitting import find_failures, nearest, seen_blindly

_ROUND_LINES, _MOST_ROUNDS, _ENOUGH = 240, 12, 100
"""Lines of a round; rounds end when weighted lines are worth `_ENOUGH` equal ones."""
_FIRST_LINES, _MOST_LINES = 300, 4000
_CHECK_POINTS, _CHECKED_FAILURES, _FEW = 5000, 48, 10
_HEAVY, _DISAGREE, _ATTEMPTS = 0.1, 3.3, 3
_SAME = 2.0
"""Lobes that start nearer to each other are one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FailingPoints:
    """Failing points (n, dimension), their variants, and weights that sum to 1."""

    points: Floats
    variants: NDArray[np.int64]
    weights: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class LineEstimate:
    """What lines say of a rate.

    `deviation`: standard error over value. `missed_high`: 95 % upper bound of what the lines
    missed, from the failures of the check. `doubts`: what speaks against the value, so much
    that it is `refuted` where estimates contradict each other. `known`: failing points with
    weights.
    """

    value: float
    low: float
    high: float
    deviation: float
    missed_high: float
    doubts: tuple[str, ...]
    refuted: bool
    known: FailingPoints


@dataclass
class _Lines:
    """Weighted lines of one variant, drawn from one mixture after another."""

    variant: int
    mixtures: list[tuple[Mixture, int]] = field(default_factory=list)
    rests: list[Floats] = field(default_factory=list)
    found: list[FailingLines] = field(default_factory=list)

    def draw(
        self,
        state: CountedFailure,
        mixture: Mixture,
        count: int,
        rng: np.random.Generator,
        precision: float,
    ) -> None:
        if count < 1:
            return
        rest, drawn = mixture.draw(count, rng)
        self.mixtures.append((drawn, count))
        self.rests.append(rest)
        self.found.append(failing_lines(state, rest, self.variant, precision=precision))

    @property
    def count(self) -> int:
        return sum(count for _, count in self.mixtures)

    @property
    def rest(self) -> Floats:
        return np.concatenate(self.rests)

    def log_weights(self, rest: Floats) -> Floats:
        parts = [(mixture, count / self.count) for mixture, count in self.mixtures]
        return Mixture.joined(parts).log_weights(rest)

    def values(self) -> Floats:
        """Weight times probability of every line, by the balance heuristic."""
        chances = np.concatenate([lines.probability for lines in self.found])
        return np.asarray(np.exp(self.log_weights(self.rest)) * chances)

    def add(self, other: "_Lines") -> None:
        self.mixtures += other.mixtures
        self.rests += other.rests
        self.found += other.found

    def heaviest(self, rng: np.random.Generator) -> Floats:
        """Points of the last lines that each hold more than `_HEAVY` of the failure."""
        values, last = self.values(), len(self.rests[-1])
        chosen = np.flatnonzero(values[-last:] > _HEAVY * values.sum())
        scores = np.array([self.found[-1].point(int(k), rng) for k in chosen])
        return np.column_stack([scores, self.rests[-1][chosen]])

    def proposal(self, base: Mixture, found: list[tuple[int, Floats]]) -> Mixture:
        """`base` with lobes that start where failures were found and follow the lines so far."""
        starts: list[Floats] = []
        for variant, points in found:
            start = _start(points)
            if variant == self.variant and not any(
                np.linalg.norm(start - other) < _SAME for other in starts
            ):
                starts.append(start)
        none = np.zeros((0, base.means.shape[1]))
        rest, values = (self.rest, self.values()) if self.rests else (none, np.zeros(0))
        return adapted(base, np.array(starts).reshape(-1, none.shape[1]), rest, values)


def _start(points: Floats) -> Floats:
    """Where a lobe starts: the points' mean, where it stands out of their noise."""
    mean = points[:, 1:].mean(axis=0)
    # A chain's points hang together: ten are worth one. A single point was moved out of the noise.
    noise = 1 / math.sqrt(max(0.1 * len(points), 1)) if len(points) > 1 else 0.0
    return np.where(np.abs(mean) > 2 * noise, mean, 0.0)


def estimate_rate(
    state: CountedFailure,
    rng: np.random.Generator,
    *,
    relative_error: float,
    max_senses: int,
) -> LineEstimate | None:
    """The rate by lines; None if neither the search nor any line met a failure."""
    base = unfitted(state.failure)
    found = find_failures(state, base, rng)
    rounds = [_Lines(variant) for variant in state.failure.variants]
    others: list[tuple[int, Floats]] = []
    rates: list[tuple[str, float, float]] = []
    answer = None
    for _ in range(_ATTEMPTS):
        for _ in range(_MOST_ROUNDS):
            for lines in rounds:
                share = _ROUND_LINES // len(rounds)
                lines.draw(state, lines.proposal(base, found), share, rng, COARSE)
            worth = _worth(np.concatenate([lines.values() / lines.count for lines in rounds]))
            if worth >= _ENOUGH:
                break
            for lines in rounds:
                moved = nearest(state, lines.variant, lines.heaviest(rng), rng)
                found += [(lines.variant, point[None]) for point in moved]
        if not worth:
            return answer
        mixtures = [lines.proposal(base, found) for lines in rounds]
        final = _final(state, mixtures, rng, relative_error, max_senses)
        value, deviation, _ = _estimated(final)
        if not value > 0:
            return answer
        _check(state, base, others, rates, rng)
        answer, heavy = _judged(state, final, others, rates, rng)
        if not answer.doubts or state.senses > 0.7 * max_senses:
            break
        # The next lines are fresh; these, and what the check found, show where to draw them.
        rates.append(("lines drawn before gave", value, deviation))
        for variant, point in heavy:
            found.append((variant, nearest(state, variant, point, rng)))
        for lines, more in zip(rounds, final, strict=True):
            lines.add(more)
    return answer


def _worth(values: Floats) -> float:
    """How many equal values weighted ones are worth (Kish)."""
    return float(values.sum() ** 2 / (values**2).sum()) if values.any() else 0.0


def _final(
    state: CountedFailure,
    mixtures: list[Mixture],
    rng: np.random.Generator,
    relative_error: float,
    max_senses: int,
) -> list[_Lines]:
    """Fresh lines: a first batch, and a second that is sized by it and drawn whole."""
    final = [_Lines(variant) for variant in state.failure.variants]
    before = state.senses
    for lines, mixture in zip(final, mixtures, strict=True):
        lines.draw(state, mixture, _FIRST_LINES // len(final), rng, FINE)
    each = (state.senses - before) / _FIRST_LINES
    value, deviation, _ = _estimated(final)
    if not value > 0:
        return final
    affordable = min(_MOST_LINES, max(max_senses - state.senses, 0) / each)
    wanted = 1.1 * _FIRST_LINES * (deviation / relative_error) ** 2 - _FIRST_LINES
    # More for those whose lines differ more (Neyman).
    spreads = np.array([lines.values().std() + 1e-300 for lines in final])
    for lines, mixture, share in zip(final, mixtures, spreads / spreads.sum(), strict=True):
        lines.draw(state, mixture, int(min(wanted, affordable) * share), rng, FINE)
    return final


def _estimated(final: list[_Lines]) -> tuple[float, float, float]:
    """Value, its standard error over it, and the largest line's share of it."""
    values = [lines.values() for lines in final]
    value = float(sum(v.mean() for v in values)) / len(final)
    if not value > 0:
        return 0.0, math.inf, 1.0
    variance = sum(float(v.var(ddof=1)) / len(v) for v in values) / len(final) ** 2
    largest = max(float(v.max()) / len(v) for v in values) / len(final) / value
    return value, math.sqrt(variance) / value, largest


def _check(
    state: CountedFailure,
    base: Mixture,
    others: list[tuple[int, Floats]],
    rates: list[tuple[str, float, float]],
    rng: np.random.Generator,
) -> None:
    """Failures from points that no search has a hand in; where they meet few, another search's."""
    variants = state.failure.variants
    points, log_weights = widened(state.failure, _CHECK_POINTS, rng)
    kinds = np.resize(np.array(variants), len(points))
    weights = np.exp(log_weights)
    for variant in variants:
        mine = kinds == variant
        weights[mine] *= state.failing(points[mine], variant)
    worth = _worth(weights)
    if worth >= _FEW:
        others += seen_blindly(state, base, rng)
    else:
        # Two of each run: its chains hang together.
        others += [
            (kind, found[[0, -1][: len(found)]]) for kind, found in find_failures(state, base, rng)
        ]
        return
    mean = float(weights.mean())
    error = float(weights.std(ddof=1)) / math.sqrt(len(weights)) / mean
    rates.append(("widened points give", mean, error))
    count = min(_CHECKED_FAILURES, round(worth))
    for chosen in rng.choice(len(points), count, p=weights / weights.sum()):
        others.append((int(kinds[chosen]), points[chosen : chosen + 1]))


def _judged(
    state: CountedFailure,
    final: list[_Lines],
    others: list[tuple[int, Floats]],
    rates: list[tuple[str, float, float]],
    rng: np.random.Generator,
) -> tuple[LineEstimate, list[tuple[int, Floats]]]:
    """The rate with its interval and what speaks against it; where lines hardly look."""
    value, deviation, largest = _estimated(final)
    doubts: list[str] = []
    heavy: list[tuple[int, Floats]] = []
    looked = 0
    for lines in final:
        mine = [points for variant, points in others if variant == lines.variant]
        if not mine:
            continue
        points = np.concatenate(mine)
        looked += len(points)
        rest = points[:, 1:]
        chances = failing_lines(state, rest, lines.variant, precision=COARSE).probability
        carried = np.exp(lines.log_weights(rest)) * chances / lines.count / len(final)
        # A line that does not see the failure which it goes through is as bad.
        unseen = (carried > _HEAVY * value) | (chances == 0)
        heavy += [(lines.variant, point[None]) for point in points[unseen]]
    missed = float(beta.ppf(0.95, len(heavy) + 1, max(looked - len(heavy), 1e-9))) if looked else 1
    if len(heavy) >= 2 and len(heavy) > 0.04 * looked:
        doubts.append(
            f"{len(heavy)} of {looked} failures of the check lie where the lines hardly look"
        )
    if largest > 2 * _HEAVY:
        doubts.append(f"{100 * largest:.0f} % of it hang on one line")
    against = [
        f"{what} {other:.2g}, the last lines {value:.2g}"
        for what, other, error in rates
        if math.log(other / value) > _DISAGREE * math.hypot(error, deviation)
    ]
    freedom = max(sum(lines.count for lines in final) - len(final), 1)
    width = math.exp(min(float(student_t.ppf(0.975, freedom)) * deviation, 50.0))
    answer = LineEstimate(
        value=value,
        low=value / width,
        high=min(1.0, value * width),
        deviation=deviation,
        missed_high=min(1.0, value * missed / max(1 - missed, 1e-9)),
        doubts=tuple(dict.fromkeys(doubts + against)),
        refuted=bool(against),
        known=_described(final, rng),
    )
    return answer, heavy


def _described(final: list[_Lines], rng: np.random.Generator) -> FailingPoints:
    """A failing point of every line that fails, weighted by the line's share of the rate."""
    points, variants, weights = [], [], []
    for lines in final:
        values, first = lines.values() / lines.count, 0
        for rest, found in zip(lines.rests, lines.found, strict=True):
            mine = values[first : first + len(rest)]
            first += len(rest)
            numbers = np.flatnonzero(mine > 0)
            scores = np.array([found.point(int(k), rng) for k in numbers])
            points.append(np.column_stack([scores, rest[numbers]]))
            variants.append(np.full(len(numbers), lines.variant))
            weights.append(mine[numbers])
    share = np.concatenate(weights)
    return FailingPoints(
        points=np.concatenate(points),
        variants=np.concatenate(variants),
        weights=share / share.sum(),
    )
