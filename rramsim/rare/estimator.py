"""A rate too small to count, by lines drawn where failures were found, checked by widened points.

1. Small runs of subset sampling find failing points (`find_failures`), which show in what
   directions to draw lines (`families_of`).
2. Gaussians are fitted to them and, round after round, to weighted lines drawn from them and from
   parts that no search has a hand in (`unfitted`): adaptive multiple importance sampling (Cornuet,
   Marin, Mira and Robert 2012), with the balance heuristic over all rounds.
3. Fresh lines from the final mixtures give the rate: the mean of weight times probability.
4. Points that no search has a hand in (`widened`) look for failures of their own. The rate is
   doubted where theirs is higher, or where a line through one of their failures would carry more
   than a tenth of the rate: a part that the lines met by luck only. Then the search goes on with
   those failures in hand, and fresh lines are drawn. What was found stays as evidence to the end.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student_t

from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.families import Families, families_of
from rramsim.rare.lines import COARSE, FINE, FailingLines
from rramsim.rare.mixture_fit import fit_mixture
from rramsim.rare.proposals import Mixture, unfitted, widened
from rramsim.rare.splitting import find_failures

__all__ = ["FailingPoints", "LineEstimate", "estimate_rate"]

_FITTED_SHARE = 0.6
_ROUND_LINES, _MOST_ROUNDS, _ENOUGH = 240, 4, 100
"""Lines of a round; rounds end when weighted lines are worth `_ENOUGH` equal ones."""
_FIRST_LINES, _MOST_LINES, _LEAST_BATCH = 300, 2400, 20
_CHECK_POINTS, _CHECK_LINES, _CHECKED_FAILURES, _FEW = 8000, 150, 48, 10
_HEAVY, _DISAGREE, _ATTEMPTS = 0.1, 3.3, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class LineEstimate:
    """What lines say of a rate.

    `deviation`: standard error over value. `missed_high`: 95 % upper bound of what the lines
    missed, from the failures of the widened check. `doubts`: what speaks against the value, so
    much that it is `refuted` where estimates contradict each other. `known`: failing points with
    weights.
    """

    value: float
    low: float
    high: float
    deviation: float
    missed_high: float
    doubts: tuple[str, ...]
    refuted: bool
    known: "FailingPoints"


@dataclass(frozen=True, kw_only=True, eq=False)
class FailingPoints:
    """Failing points (n, dimension), their variants, and weights; worth `effective` equal ones."""

    points: Floats
    variants: NDArray[np.int64]
    weights: Floats
    effective: float

    def of(self, variant: int) -> "FailingPoints":
        """Those of one variant, with their part of what all are worth."""
        mine = self.variants == variant
        total = max(float(self.weights.sum()), 1e-300)
        return FailingPoints(
            points=self.points[mine],
            variants=self.variants[mine],
            weights=self.weights[mine],
            effective=self.effective * float(self.weights[mine].sum()) / total,
        )


@dataclass
class _Lines:
    """Weighted lines of one family, drawn from one mixture after another."""

    families: Families
    number: int
    mixtures: list[tuple[Mixture, int]] = field(default_factory=list)
    rest: list[Floats] = field(default_factory=list)
    chances: list[Floats] = field(default_factory=list)
    found: list[FailingLines] = field(default_factory=list)

    def draw(
        self,
        state: CountedFailure,
        mixture: Mixture,
        count: int,
        rng: np.random.Generator,
        precision: float,
    ) -> None:
        rest, drawn = mixture.draw(count, rng)
        lines, chances = self.families.lines(state, self.number, rest, precision=precision)
        self.mixtures.append((drawn, count))
        self.rest.append(rest)
        self.chances.append(chances)
        self.found.append(lines)

    @property
    def count(self) -> int:
        return sum(count for _, count in self.mixtures)

    def values(self) -> Floats:
        """Weight times probability of every line, by the balance heuristic."""
        return np.exp(self.log_weights(np.concatenate(self.rest))) * np.concatenate(self.chances)

    def log_weights(self, rest: Floats) -> Floats:
        lobes = tuple(lobe for mixture, _ in self.mixtures for lobe in mixture.lobes)
        shares = np.concatenate([m.shares * (count / self.count) for m, count in self.mixtures])
        return Mixture(lobes=lobes, shares=shares).log_weights(rest)

    def turned(self, points: Floats) -> Floats:
        """What lines of this family through points (n, dimension) hold fixed."""
        return self.families.directions[self.number].turned(points)[:, 1:]


@dataclass
class _Aside:
    """What the widened check found: rates with errors, and failing points with weights."""

    rates: list[tuple[str, float, float]] = field(default_factory=list)
    failures: list[FailingPoints] = field(default_factory=list)


def estimate_rate(
    state: CountedFailure,
    rng: np.random.Generator,
    *,
    relative_error: float,
    max_senses: int,
) -> LineEstimate | None:
    """The rate by lines; None if neither the search nor any line met a failure."""
    variants = state.failure.variants
    base = unfitted(state.failure)
    found = find_failures(state, rng)
    # A chain's points hang together: ten are worth one.
    known = [
        FailingPoints(
            points=found.points,
            variants=found.variants,
            weights=found.weights,
            effective=0.1 * len(found.points),
        )
    ]
    aside = _Aside()
    answer = None
    for _ in range(_ATTEMPTS):
        families = {v: _families(known, v, state.failure.dimension, rng) for v in variants}
        rounds = _rounds(state, base, families, known, rng)
        if rounds is None:
            return answer
        final = _final(state, base, rounds, known, rng, relative_error, max_senses)
        if not _estimated(final)[0] > 0:
            return answer
        _look_aside(state, base, aside, rng)
        answer = _judged(state, final, aside, rng)
        if not answer.doubts or state.senses > 0.7 * max_senses:
            break
        # The next lines are fresh; these, and what was found from aside, show where to draw them.
        aside.rates.append(("lines drawn before gave", answer.value, answer.deviation))
        known = [known[0], *aside.failures, answer.known]
    return answer


def _families(
    known: list[FailingPoints], variant: int, dimension: int, rng: np.random.Generator
) -> Families:
    mine = [part.of(variant) for part in known]
    points = np.concatenate([np.zeros((0, dimension)), *(part.points for part in mine)])
    weights = np.concatenate(
        [part.weights / max(part.weights.sum(), 1e-300) * part.effective for part in mine]
    )
    return families_of(points, weights, sum(part.effective for part in mine), variant, rng)


def _worth(values: Floats) -> float:
    """How many equal values weighted ones are worth (Kish)."""
    return float(values.sum() ** 2 / (values**2).sum()) if values.any() else 0.0


def _rounds(
    state: CountedFailure,
    base: Mixture,
    families: dict[int, Families],
    known: list[FailingPoints],
    rng: np.random.Generator,
) -> list[_Lines] | None:
    """Coarse lines of every family, in rounds; None if none of them fails."""
    rounds = [
        _Lines(families=each, number=number)
        for each in families.values()
        for number in range(len(each.directions))
    ]
    for number in range(_MOST_ROUNDS):
        for lines in rounds:
            mixture = _fitted(base, lines, known, rng)
            lines.draw(state, mixture, _ROUND_LINES // len(rounds), rng, COARSE)
        worth = _worth(np.concatenate([lines.values() / lines.count for lines in rounds]))
        if number and worth >= _ENOUGH:
            break
    return rounds if worth else None


def _fitted(
    base: Mixture, lines: _Lines, known: list[FailingPoints], rng: np.random.Generator
) -> Mixture:
    """The mixture of a family, fitted to all that is known to fail and to the lines so far."""
    parts: list[tuple[Floats, Floats, float]] = []
    for part in known:
        mine = part.of(lines.families.variant)
        if len(mine.points):
            weights = mine.weights * lines.families.shares(mine.points)[:, lines.number]
            kept = float(weights.sum() / mine.weights.sum())
            parts.append((lines.turned(mine.points), weights, mine.effective * kept))
    if lines.rest:
        values = lines.values()
        met = values > 0
        if met.sum() >= 5:
            # A few heavy lines would make a lobe of their own: clipped, as in truncated
            # importance sampling.
            clipped = values[met]
            for _ in range(3):
                clipped = np.minimum(clipped, clipped.sum() / math.sqrt(len(clipped)))
            parts.append((np.concatenate(lines.rest)[met], clipped, _worth(clipped)))
    effective = sum(effective for *_, effective in parts)
    if effective < 2:
        return base
    fit = fit_mixture(
        np.concatenate([points for points, *_ in parts]),
        np.concatenate([w / max(w.sum(), 1e-300) * each for _, w, each in parts]),
        effective=effective,
        rng=rng,
    )
    return base.with_lobes(fit.lobes, fit.masses, _FITTED_SHARE)


def _final(
    state: CountedFailure,
    base: Mixture,
    rounds: list[_Lines],
    known: list[FailingPoints],
    rng: np.random.Generator,
    relative_error: float,
    max_senses: int,
) -> list[_Lines]:
    """Fresh lines: a first batch, and a second that is sized by it and drawn whole."""
    mixtures = [_fitted(base, lines, known, rng) for lines in rounds]
    final = [_Lines(families=lines.families, number=lines.number) for lines in rounds]
    before = state.senses
    for lines, mixture in zip(final, mixtures, strict=True):
        lines.draw(state, mixture, _FIRST_LINES // len(final), rng, FINE)
    each = (state.senses - before) / _FIRST_LINES
    value, deviation, _ = _estimated(final)
    if not value > 0:
        return final
    affordable = min(_MOST_LINES, max(max_senses - state.senses, 0) / each)
    wanted = 1.1 * _FIRST_LINES * (deviation / relative_error) ** 2 - _FIRST_LINES
    # More for those whose lines differ more (Neyman), sized by what the rounds and these show.
    spreads = np.array([lines.values().std() + 1e-300 for lines in final])
    for lines, mixture, share in zip(final, mixtures, spreads / spreads.sum(), strict=True):
        count = int(min(wanted, affordable) * share)
        if count >= _LEAST_BATCH:
            lines.draw(state, mixture, count, rng, FINE)
    return final


def _estimated(final: list[_Lines]) -> tuple[float, float, float]:
    """Value, its standard error over it, and the largest line's share of it."""
    kinds = len({lines.families.variant for lines in final})
    values = [lines.values() for lines in final]
    value = float(sum(v.mean() for v in values)) / kinds
    if not value > 0:
        return 0.0, math.inf, 1.0
    variance = sum(float(v.var(ddof=1)) / len(v) for v in values) / kinds**2
    largest = max(float(v.max()) / len(v) for v in values) / kinds / value
    return value, math.sqrt(variance) / value, largest


def _look_aside(
    state: CountedFailure, base: Mixture, aside: _Aside, rng: np.random.Generator
) -> None:
    """Failures from points that no search has a hand in; where they meet few, from such lines."""
    variants = state.failure.variants
    points, log_weights = widened(state.failure, _CHECK_POINTS, rng)
    kinds = np.resize(np.array(variants), len(points))
    fails = np.zeros(len(points), bool)
    for variant in variants:
        mine = kinds == variant
        fails[mine] = state.failing(points[mine], variant)
    weights = np.exp(log_weights) * fails
    worth = _worth(weights)
    if worth >= _FEW:
        mean = float(weights.mean())
        error = float(weights.std(ddof=1)) / math.sqrt(len(weights)) / mean
        aside.rates.append(("widened points give", mean, error))
        chosen = rng.choice(
            len(points), min(_CHECKED_FAILURES, round(worth)), p=weights / weights.sum()
        )
        aside.failures.append(
            FailingPoints(
                points=points[chosen],
                variants=kinds[chosen],
                weights=np.ones(len(chosen)),
                effective=float(len(chosen)),
            )
        )
        return
    # A thin slab: lines from the same parts cross it where points do not fall into it.
    lines = [
        _Lines(families=families_of(points[:0], weights[:0], 0, variant, rng), number=0)
        for variant in variants
    ]
    for one in lines:
        one.draw(state, base, _CHECK_LINES // len(variants), rng, COARSE)
    described = _described(lines, rng) if any(one.values().any() for one in lines) else None
    if described is None or described.effective < _FEW:
        # A deep part that is out of their reach: another search, one failure of each of its runs.
        found = find_failures(state, rng)
        first = np.unique(found.runs, return_index=True)[1]
        if len(first):
            aside.failures.append(
                FailingPoints(
                    points=found.points[first],
                    variants=found.variants[first],
                    weights=np.ones(len(first)),
                    effective=float(len(first)),
                )
            )
    else:
        count = max(1, min(_CHECKED_FAILURES, round(described.effective)))
        chosen = rng.choice(
            len(described.points), count, p=described.weights / described.weights.sum()
        )
        aside.failures.append(
            FailingPoints(
                points=described.points[chosen],
                variants=described.variants[chosen],
                weights=np.ones(count),
                effective=float(count),
            )
        )


def _judged(
    state: CountedFailure, final: list[_Lines], aside: _Aside, rng: np.random.Generator
) -> LineEstimate:
    """The rate with its interval, and what the widened check found against it."""
    value, deviation, largest = _estimated(final)
    doubts = []
    heavy, looked = _heavy(state, final, aside, value)
    missed = float(beta.ppf(0.95, heavy + 1, max(looked - heavy, 1e-9))) if looked else 1.0
    if heavy >= 2 and heavy > 0.04 * looked:
        doubts.append(
            f"{heavy} of {looked} failures of the widened check lie where the lines hardly look"
        )
    if largest > 2 * _HEAVY:
        doubts.append(f"{100 * largest:.0f} % of it hang on one line")
    refuted = False
    for what, other, error in aside.rates:
        if math.log(other / value) > _DISAGREE * math.hypot(error, deviation):
            doubts.append(f"{what} {other:.2g}, the last lines {value:.2g}")
            refuted = True
    freedom = max(sum(lines.count for lines in final) - len(final), 1)
    width = math.exp(min(float(student_t.ppf(0.975, freedom)) * deviation, 50.0))
    return LineEstimate(
        value=value,
        low=value / width,
        high=min(1.0, value * width),
        deviation=deviation,
        missed_high=min(1.0, value * missed / max(1 - missed, 1e-9)),
        doubts=tuple(dict.fromkeys(doubts)),
        refuted=refuted,
        known=_described(final, rng),
    )


def _heavy(
    state: CountedFailure, final: list[_Lines], aside: _Aside, value: float
) -> tuple[int, int]:
    """Of the widened check's failures, those whose line would carry too much; and all."""
    kinds = len({lines.families.variant for lines in final})
    heavy = looked = 0
    for part in aside.failures:
        for lines in final:
            mine = part.of(lines.families.variant)
            if not len(mine.points):
                continue
            own = lines.families.shares(mine.points).argmax(axis=1) == lines.number
            if not own.any():
                continue
            rest = lines.turned(mine.points[own])
            _, chances = lines.families.lines(state, lines.number, rest, precision=COARSE)
            carried = np.exp(lines.log_weights(rest)) * chances / lines.count / kinds
            # A line that does not see the failure which it goes through is as bad.
            heavy += int(((carried > _HEAVY * value) | (chances == 0)).sum())
            looked += len(rest)
    return heavy, looked


def _described(final: list[_Lines], rng: np.random.Generator) -> FailingPoints:
    """A failing point of every line that fails, weighted by the line's share of the rate."""
    points, variants, weights = [], [], []
    for lines in final:
        values = lines.values() / lines.count
        rest = np.concatenate(lines.rest)
        direction = lines.families.directions[lines.number]
        before = 0
        for found in lines.found:
            numbers = np.flatnonzero(values[before : before + len(found.probability)] > 0)
            scores = np.array([found.point(int(k), rng) for k in numbers])
            at = before + numbers
            points.append(direction.turned(np.column_stack([scores, rest[at]])))
            variants.append(np.full(len(at), lines.families.variant))
            weights.append(values[at])
            before += len(found.probability)
    share = np.concatenate(weights)
    return FailingPoints(
        points=np.concatenate(points),
        variants=np.concatenate(variants),
        weights=share / share.sum(),
        effective=_worth(share),
    )
