"""A rate too small to count, by lines drawn where failures were found, and checked from aside.

1. Small runs of subset sampling find failing points (`find_failures`).
2. Gaussians are fitted to them and, round after round, to weighted lines drawn from them and from
   parts that no search has a hand in (`unfitted`): adaptive multiple importance sampling (Cornuet,
   Marin, Mira and Robert 2012), with the balance heuristic over all rounds.
3. Fresh lines from the final mixture give the rate: the mean of weight times probability.
4. Points that no search has a hand in (`widened`) look for failures of their own. The rate is
   doubted where theirs is higher, or where a line through one of their failures would carry more
   than a tenth of the rate: a part that the lines met by luck only. Then the search goes on with
   those failures in hand, and fresh lines are drawn. What was found stays as evidence to the end.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student_t

from rramsim.rare.failures import CountedFailure, Floats
from rramsim.rare.lines import COARSE, FINE, FailingLines, failing_lines
from rramsim.rare.mixture_fit import fit_mixture
from rramsim.rare.proposals import Mixture, unfitted, widened
from rramsim.rare.splitting import FoundFailures, find_failures

__all__ = ["LineEstimate", "estimate_rate"]

_FITTED_SHARE = 0.6
_ROUND_LINES, _MOST_ROUNDS, _ENOUGH = 240, 4, 100
"""Lines of a round; rounds end when weighted lines are worth `_ENOUGH` equal ones."""
_FIRST_LINES, _MOST_LINES = 300, 2400
_CHECK_POINTS, _CHECK_LINES, _CHECKED_FAILURES = 8000, 150, 48
_HEAVY, _DISAGREE, _ATTEMPTS = 0.1, 3.3, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class LineEstimate:
    """What lines say of a rate.

    `deviation`: standard error over value. `missed_high`: 95 % upper bound of what the lines
    missed, as the failures found from aside show. `doubts`: what speaks against the value.
    `points`, `variants`, `weights`: failing points by which the failure is described.
    """

    value: float
    low: float
    high: float
    deviation: float
    missed_high: float
    doubts: tuple[str, ...]
    refuted: bool
    lines: int
    points: Floats
    variants: Floats
    weights: Floats
    found: FoundFailures


@dataclass
class _Lines:
    """Weighted lines of one variant, drawn from one mixture after another."""

    mixtures: list[tuple[Mixture, int]] = field(default_factory=list)
    rest: list[Floats] = field(default_factory=list)
    chances: list[Floats] = field(default_factory=list)

    def add(self, mixture: Mixture, rest: Floats, chances: Floats) -> None:
        self.mixtures.append((mixture, len(rest)))
        self.rest.append(rest)
        self.chances.append(chances)

    @property
    def points(self) -> Floats:
        return np.concatenate(self.rest)

    def values(self) -> Floats:
        """Weight times probability of every line, by the balance heuristic."""
        return np.exp(self.log_weights(self.points)) * np.concatenate(self.chances)

    def log_weights(self, rest: Floats) -> Floats:
        total = sum(count for _, count in self.mixtures)
        lobes = tuple(lobe for mixture, _ in self.mixtures for lobe in mixture.lobes)
        shares = np.concatenate([m.shares * (count / total) for m, count in self.mixtures])
        return Mixture(lobes=lobes, shares=shares).log_weights(rest)


@dataclass
class _Evidence:
    """Failing points found from aside: rest, variant, weight, and their lines' probability."""

    rest: list[Floats] = field(default_factory=list)
    variants: list[Floats] = field(default_factory=list)
    chances: list[Floats] = field(default_factory=list)
    effective: float = 0.0
    values: list[tuple[float, float, float]] = field(default_factory=list)


def estimate_rate(
    state: CountedFailure,
    rng: np.random.Generator,
    *,
    relative_error: float,
    max_senses: int,
) -> LineEstimate | None:
    """The rate by lines; None if neither the search nor any line met a failure."""
    found = find_failures(state, rng)
    variants = state.failure.variants
    base = unfitted(state.failure)
    history = {variant: _Lines() for variant in variants}
    evidence = _Evidence()
    earlier: list[tuple[float, float]] = []
    for attempt in range(_ATTEMPTS):
        for number in range(_MOST_ROUNDS):
            mixtures = _fitted(base, found, evidence, history, rng)
            for variant in variants:
                rest, drawn = mixtures[variant].draw(_ROUND_LINES // len(variants), rng)
                lines = failing_lines(state, rest, variant, precision=COARSE)
                history[variant].add(drawn, rest, lines.probability)
            worth = _worth(np.concatenate([history[v].values() for v in variants]))
            if number and worth >= _ENOUGH * (attempt + 1):
                break
        if not worth:
            return None
        mixtures = _fitted(base, found, evidence, history, rng)
        final = _final(state, mixtures, rng, relative_error, max_senses)
        if final is None:
            return None
        _look_aside(state, base, evidence, rng)
        answer = _judged(final, evidence, found, earlier, rng)
        earlier.append((answer.value, answer.deviation))
        if not answer.doubts or state.senses > 0.7 * max_senses:
            break
        for variant in variants:
            # What was drawn stays, as evidence to fit to; the next rate is from fresh lines.
            for mixture, rest, lines in final[variant]:
                history[variant].add(mixture, rest, lines.probability)
    return answer


def _worth(values: Floats) -> float:
    """How many equal lines weighted ones are worth (Kish)."""
    return float(values.sum() ** 2 / (values**2).sum()) if values.any() else 0.0


def _fitted(
    base: Mixture,
    found: FoundFailures,
    evidence: _Evidence,
    history: dict[int, _Lines],
    rng: np.random.Generator,
) -> dict[int, Mixture]:
    """The mixture of each variant, fitted to all that is known to fail."""
    mixtures = {}
    for variant, lines in history.items():
        parts: list[tuple[Floats, Floats, float]] = []
        mine = found.variants == variant
        if mine.any():
            # A chain's points hang together: it is worth one.
            parts.append((found.points[mine, 1:], found.weights[mine], 0.1 * mine.sum()))
        if lines.rest:
            values = lines.values()
            met = values > 0
            if met.sum() >= 5:
                # A few heavy lines would make a lobe of their own: clipped, as in truncated
                # importance sampling.
                clipped = values[met]
                for _ in range(3):
                    clipped = np.minimum(clipped, clipped.sum() / math.sqrt(len(clipped)))
                parts.append((lines.points[met], clipped, _worth(clipped)))
        for rest, kinds in zip(evidence.rest, evidence.variants, strict=True):
            mine = kinds == variant
            if mine.any():
                parts.append((rest[mine], np.ones(mine.sum()), 0.5 * mine.sum()))
        if not parts:
            mixtures[variant] = base
            continue
        points = np.concatenate([points for points, *_ in parts])
        weights = np.concatenate([w / w.sum() * effective for _, w, effective in parts])
        effective = sum(effective for *_, effective in parts)
        fit = fit_mixture(points, weights, effective=effective, rng=rng)
        mixtures[variant] = base.with_lobes(fit.lobes, fit.masses, _FITTED_SHARE)
    return mixtures


_Final = dict[int, list[tuple[Mixture, Floats, FailingLines]]]


def _final(
    state: CountedFailure,
    mixtures: dict[int, Mixture],
    rng: np.random.Generator,
    relative_error: float,
    max_senses: int,
) -> _Final | None:
    """Fresh lines: a first batch, and a second that is sized by it and drawn whole."""
    final: _Final = {variant: [] for variant in mixtures}

    def draw(count: int) -> None:
        for variant, mixture in mixtures.items():
            rest, drawn = mixture.draw(max(count // len(mixtures), 2), rng)
            lines = failing_lines(state, rest, variant, precision=FINE)
            final[variant].append((drawn, rest, lines))

    before = state.senses
    draw(_FIRST_LINES)
    each = (state.senses - before) / _FIRST_LINES
    value, deviation, *_ = _estimated(final)
    if not value > 0:
        return None
    wanted = 1.1 * _FIRST_LINES * (deviation / relative_error) ** 2 - _FIRST_LINES
    affordable = min(_MOST_LINES, max(max_senses - state.senses, 0) / each)
    more = int(min(wanted, affordable))
    if more > 20:
        draw(more)
    return final


def _values(final: _Final) -> dict[int, Floats]:
    """Weight times probability of every line; the batches of a variant are of one mixture."""
    return {
        variant: np.concatenate(
            [np.exp(m.log_weights(rest)) * lines.probability for m, rest, lines in batches]
        )
        for variant, batches in final.items()
    }


def _estimated(final: _Final) -> tuple[float, float, float, float]:
    """Value, its standard error over it, the largest line's share, the number of lines."""
    values = _values(final)
    kinds = len(values)
    means = np.array([v.mean() for v in values.values()])
    value = float(means.mean())
    if not value > 0:
        return 0.0, math.inf, 1.0, 0.0
    variance = sum(v.var(ddof=1) / len(v) for v in values.values()) / kinds**2
    largest = max(v.max() / len(v) / kinds for v in values.values()) / value
    return value, math.sqrt(variance) / value, largest, float(sum(map(len, values.values())))


def _look_aside(
    state: CountedFailure, base: Mixture, evidence: _Evidence, rng: np.random.Generator
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
    if worth >= 10:
        mean = float(weights.mean())
        error = float(weights.std(ddof=1)) / math.sqrt(len(weights)) / mean
        evidence.values.append((mean, error, worth))
        rest, met = points[:, 1:], weights
    else:
        # A thin slab: lines from the same parts cross it where points do not fall into it.
        drawn = [base.draw(_CHECK_LINES // len(variants), rng) for _ in variants]
        chances = [
            failing_lines(state, rest, variant, precision=COARSE).probability
            for variant, (rest, _) in zip(variants, drawn, strict=True)
        ]
        rest = np.concatenate([rest for rest, _ in drawn])
        kinds = np.repeat(np.array(variants), [len(rest) for rest, _ in drawn])
        met = np.concatenate(
            [np.exp(m.log_weights(r)) * c for (r, m), c in zip(drawn, chances, strict=True)]
        )
        worth = _worth(met)
    if not worth:
        return
    chosen = rng.choice(len(met), _CHECKED_FAILURES, p=met / met.sum())
    chosen = chosen[: max(1, min(_CHECKED_FAILURES, round(worth)))]
    found, of = rest[chosen], kinds[chosen]
    chance = np.zeros(len(chosen))
    for variant in variants:
        mine = of == variant
        if mine.any():
            chance[mine] = failing_lines(state, found[mine], variant, precision=COARSE).probability
    evidence.rest.append(found)
    evidence.variants.append(of)
    evidence.chances.append(chance)
    evidence.effective += min(worth, _CHECKED_FAILURES)


def _judged(
    final: _Final,
    evidence: _Evidence,
    found: FoundFailures,
    earlier: list[tuple[float, float]],
    rng: np.random.Generator,
) -> LineEstimate:
    """The rate with its interval, and what the failures found from aside have against it."""
    value, deviation, largest, lines = _estimated(final)
    doubts = []
    refuted = False
    heavy, looked = 0.0, 0
    for rest, kinds, chances in zip(
        evidence.rest, evidence.variants, evidence.chances, strict=True
    ):
        for variant, batches in final.items():
            mine = kinds == variant
            if not mine.any():
                continue
            count = sum(len(r) for _, r, _ in batches)
            carried = np.exp(batches[0][0].log_weights(rest[mine])) * chances[mine]
            heavy += float((carried / count / len(final) > _HEAVY * value).sum())
            looked += int(mine.sum())
    missed = 1.0
    if looked:
        events = heavy / looked * evidence.effective
        missed = float(beta.ppf(0.95, events + 1, max(evidence.effective - events, 1e-9)))
    if heavy >= 2 and heavy > 0.04 * looked:
        doubts.append(
            f"{heavy:.0f} of {looked} failures found from aside lie where the lines hardly look"
        )
    if largest > 2 * _HEAVY:
        doubts.append(f"{100 * largest:.0f} % of it hang on one line")
    for other, error, _ in evidence.values:
        apart = math.log(other / value)
        if apart > _DISAGREE * math.hypot(error, deviation):
            doubts.append(f"points drawn from aside give {other:.2g}, lines {value:.2g}")
            refuted = True
    for other, error in earlier:
        if math.log(other / value) > _DISAGREE * math.hypot(error, deviation):
            doubts.append(f"lines drawn before gave {other:.2g}, the last ones {value:.2g}")
            refuted = True
    width = math.exp(min(float(student_t.ppf(0.975, max(lines - 2, 1))) * deviation, 50.0))
    points, variants, weights = _described(final, rng)
    return LineEstimate(
        value=value,
        low=value / width,
        high=min(1.0, value * width),
        deviation=deviation,
        missed_high=min(1.0, value * missed / max(1 - missed, 1e-9)),
        doubts=tuple(dict.fromkeys(doubts)),
        refuted=refuted,
        lines=int(lines),
        points=points,
        variants=variants,
        weights=weights,
        found=found,
    )


def _described(final: _Final, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """A failing point of every line that fails, its variant, and its share of the rate."""
    points, variants, weights = [], [], []
    for variant, batches in final.items():
        for mixture, rest, lines in batches:
            values = np.exp(mixture.log_weights(rest)) * lines.probability
            for number in np.flatnonzero(values > 0):
                points.append([lines.point(int(number), rng), *rest[number]])
                variants.append(variant)
                weights.append(values[number])
    share = np.array(weights)
    return np.array(points), np.array(variants), share / share.sum()
