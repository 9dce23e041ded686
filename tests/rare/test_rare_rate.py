"""The authority on failures whose rate is known in closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, multivariate_normal, norm

from rramsim.exceptions import InputError
from rramsim.rare import (
    AnalyticFailure,
    CountedFailure,
    linear_failure,
    rate,
    widened,
)
from rramsim.rare.lines import failing_lines
from rramsim.rare.proposals import unfitted


def curved_failure(
    probability: float, *, dimension: int = 6, curvature: float = 0.13
) -> AnalyticFailure:
    """beta + curvature/2 (u_2^2 + ... + u_n^2) - u_1.

    P = E[Phi(-beta - curvature/2 X)] with X chi-squared of dimension - 1 degrees of freedom, by
    quadrature over its quantiles; `beta` is solved for the wanted probability.
    """
    nodes, weights = np.polynomial.legendre.leggauss(300)
    degrees = dimension - 1
    # The integrand is smooth in sqrt(X), whose mass lies below sqrt(degrees) + 12.
    radius = (nodes + 1) / 2 * (np.sqrt(degrees) + 12)
    density = chi2.pdf(radius**2, degrees) * 2 * radius * weights * (np.sqrt(degrees) + 12) / 2

    def chance(beta: float) -> float:
        return float(density @ norm.cdf(-beta - curvature / 2 * radius**2))

    wanted = np.log(probability)
    beta = float(brentq(lambda beta: np.log(chance(beta)) - wanted, -5.0, 30.0, xtol=1e-12))
    return AnalyticFailure(
        label=f"curved, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: (
            beta + curvature / 2 * (points[:, 1:] ** 2).sum(axis=1) - points[:, 0]
        ),
    )


def two_lobed_failure(
    probability: float, *, dimension: int = 12, cosine: float = -0.3, further: float = 0.1
) -> AnalyticFailure:
    """min(beta - a.u, beta + further - b.u), unit a and b at the given cosine.

    P = Phi(-beta) + Phi(-beta - further) - Phi2(-beta, -beta - further; cosine). At the default
    the second lobe holds a third of the failures: a method that misses it is a third too low.
    """
    first = np.resize([1.0, 1.0, -1.0], dimension) / np.sqrt(dimension)
    other = np.resize([1.0, -1.0], dimension)
    other -= (other @ first) * first
    other /= np.linalg.norm(other)
    second = cosine * first + np.sqrt(1 - cosine**2) * other

    def chance(beta: float) -> float:
        both = multivariate_normal(cov=[[1.0, cosine], [cosine, 1.0]], allow_singular=True).cdf(
            [-beta, -beta - further]
        )
        return float(norm.cdf(-beta) + norm.cdf(-beta - further) - both)

    wanted = np.log(probability)
    beta = float(brentq(lambda beta: np.log(chance(beta)) - wanted, 0.0, 30.0, xtol=1e-12))
    return AnalyticFailure(
        label=f"two-lobed, {dimension}-D",
        dimension=dimension,
        probability=probability,
        function=lambda points: np.minimum(beta - points @ first, beta + further - points @ second),
    )


STATES = [
    linear_failure(1e-6),
    linear_failure(1e-9, dimension=29),
    curved_failure(1e-6),
    curved_failure(1e-6, curvature=-0.1),
    two_lobed_failure(1e-6),
    two_lobed_failure(1e-9),
]


@pytest.mark.parametrize("state", STATES, ids=lambda s: f"{s.label} {s.probability:g}")
def test_interval_covers_a_known_rate(state):
    answers = [rate(state, seed=seed) for seed in range(2)]
    assert all(a.status == "estimated" and a.method == "lines" for a in answers)
    covered = sum(a.low <= state.probability <= a.high for a in answers)
    assert covered >= 1
    apart = [math.log(a.value / state.probability) / a.deviation for a in answers]
    assert max(map(abs, apart)) < 4
    assert all(a.deviation < 0.2 and a.missed_high > 0 for a in answers)


def test_frequent_failures_are_counted():
    answer = rate(linear_failure(0.02))
    assert answer.status == "counted" and answer.low < 0.02 < answer.high
    assert answer.missed_high == 0 and answer.events >= 90
    always = rate(AnalyticFailure(
        label="always", dimension=4, probability=1.0, function=lambda p: -np.ones(len(p))
    ))  # fmt: skip
    assert always.value == 1 and "every time" in always.note


def test_a_failure_that_is_never_met_is_bounded():
    never = AnalyticFailure(
        label="never", dimension=6, probability=0.0, function=lambda p: np.ones(len(p))
    )
    answer = rate(never)
    assert answer.status == "bounded" and answer.value is None and 0 < answer.high < 1e-3
    assert "no failure met" in str(answer)


def test_variants_are_pooled():
    """Two written values of which one alone fails: half of its rate."""

    class OneOfTwo(AnalyticFailure):
        def seen(self, points, variant):
            found = super().seen(points, variant)
            if variant == 1:
                return found
            return replace(found, codes=np.zeros(len(points), np.int8), margin=np.ones(len(points)))

    base = linear_failure(2e-5)
    state = OneOfTwo(
        label="one of two", dimension=6, probability=1e-5, function=base.function, variants=(1, -1)
    )
    answer = rate(state)
    assert answer.low < 1e-5 < answer.high
    assert set(answer.variants) == {1}


def test_a_thin_slab_is_measured():
    """Between two signs lies a zone a thousandth wide that no point falls into."""
    edge, width = -4.2, 1e-3

    class Slab(AnalyticFailure):
        def seen(self, points, variant):
            found = super().seen(points, variant)
            place = points[:, 0] - 0.2 * points[:, 2]
            codes = np.where(place < edge, -1, np.where(place < edge + width, 0, 1))
            return replace(found, codes=codes.astype(np.int8))

        def fails(self, codes, variant):
            return codes == 0

    scale = math.hypot(1, 0.2)
    truth = norm.cdf((edge + width) / scale) - norm.cdf(edge / scale)
    state = Slab(
        label="slab", dimension=20, probability=truth,
        function=lambda p: np.abs(p[:, 0] - 0.2 * p[:, 2] - edge),
    )  # fmt: skip
    answer = rate(state)
    assert answer.low < truth < answer.high and answer.deviation < 0.1


@pytest.mark.parametrize("announced", [True, False])
def test_a_part_that_only_two_wide_transistors_reach_is_not_missed(announced):
    """A second mechanism that the first device has no say in holds 40 % of the rate."""

    def function(p):
        second = np.maximum(3.3 - p[:, 5], 1.6 - p[:, 9])
        return np.minimum(p[:, 0] + 4.0, second if announced else np.where(second < 0, -1.0, 9.0))

    truth = norm.cdf(-4) + norm.sf(3.3) * norm.sf(1.6) * (1 - norm.cdf(-4))
    state = AnalyticFailure(label="two parts", dimension=29, probability=truth, function=function)
    for seed in range(2):
        answer = rate(state, seed=seed)
        assert abs(math.log(answer.value / truth)) < 3.5 * answer.deviation
        assert answer.deviation < 0.25


def test_weights_are_bounded_and_densities_are_right():
    state = linear_failure(1e-3, dimension=8)
    points, log_weights = widened(state, 200_000, np.random.default_rng(3))
    weights = np.exp(log_weights)
    assert weights.max() <= 8 + 1e-9
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert (weights * (state.function(points) <= 0)).mean() == pytest.approx(1e-3, rel=0.4)
    rest, drawn = unfitted(state).draw(100_000, np.random.default_rng(4))
    weights = np.exp(drawn.log_weights(rest))
    assert weights.max() <= 2.5 + 1e-9 and weights.mean() == pytest.approx(1, abs=0.02)


def test_lines_hold_the_exact_probability():
    state = CountedFailure(linear_failure(1e-4, dimension=3))
    rest = np.random.default_rng(5).standard_normal((50, 2))
    lines = failing_lines(state, rest, 0, precision=1e-4)
    direction = np.array([1.0, -2.0, 3.0]) / math.sqrt(14)
    beta = norm.isf(1e-4)
    exact = norm.sf((beta - rest @ direction[1:]) / direction[0])
    np.testing.assert_allclose(lines.probability, exact, rtol=2e-3, atol=1e-15)
    number = int(np.argmax(exact))
    score = lines.point(number, np.random.default_rng(6))
    assert state.failing(np.array([[score, *rest[number]]]), 0)[0]


def test_the_same_question_has_the_same_answer_and_others_draw_for_themselves():
    one, same = rate(linear_failure(1e-5)), rate(linear_failure(1e-5))
    assert one.value == same.value and one.senses == same.senses
    assert rate(linear_failure(1e-5, dimension=7)).value != one.value


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, math.nan])
def test_a_relative_error_outside_its_range_is_refused(wrong):
    with pytest.raises(InputError, match="relative_error"):
        rate(linear_failure(1e-3), relative_error=wrong)


@pytest.mark.parametrize("probability", [1e-5, 1e-2])
def test_runs_of_which_nothing_is_known_are_no_answer(probability):
    class Lost(AnalyticFailure):
        def seen(self, points, variant):
            found = super().seen(points, variant)
            return replace(found, known=points[:, 1] > -1)

    base = linear_failure(probability)
    answer = rate(Lost(label="lost", dimension=6, probability=probability, function=base.function))
    assert answer.status == "refused" and "did not converge" in answer.note
    assert (answer.low, answer.high, answer.events) == (0.0, 1.0, None)


def test_what_lines_cannot_tell_is_counted_after_all():
    """A slab across the transistors' plane: a line lies in it or does not, and few do."""
    least, width = 2.5, 0.04
    truth = float(norm.sf(least) - norm.sf(least + width))
    slab = AnalyticFailure(
        label="slab",
        dimension=8,
        probability=truth,
        function=lambda points: (
            np.abs(points[:, 2:].sum(axis=1) / 6**0.5 - least - width / 2) - width / 2
        ),
    )
    answer = rate(slab, seed=3)  # its pilot meets too few
    assert answer.status == "counted" and answer.low < truth < answer.high
    assert answer.senses > 150_000 and answer.events > 50

    # Far out nothing is known: plain senses, which hardly come there, do not make up for it.
    class Lost(AnalyticFailure):
        def seen(self, points, variant):
            found = super().seen(points, variant)
            return replace(found, known=np.abs(points[:, 2:]).max(axis=1) < 3)

    lost = rate(Lost(label="slab", dimension=8, probability=truth, function=slab.function), seed=3)
    assert lost.status == "refused" and "did not converge" in lost.note
    assert lost.senses < 150_000


def test_one_plain_failure_by_chance_is_looked_at_again():
    """Of 4,000 plain samples one fails with a probability of 1.6 %; it stays in the count."""
    truth, seed = 4e-6, 22
    answer = rate(linear_failure(truth), seed=seed)
    assert answer.status == "estimated" and answer.low < truth < answer.high
    assert answer.senses > 44_000


def test_what_no_search_finds_but_plain_samples_see_is_not_passed_over():
    """Failures strewn over the whole space, which no margin announces, 400 times as many.

    The pilot of 4,000 sees them with these seeds (with every fifth it does not).
    """

    class Strewn(AnalyticFailure):
        def seen(self, points, variant):
            found = super().seen(points, variant)
            strewn = (1e4 * points[:, 2:].sum(axis=1)) % 1 < self.probability
            return replace(found, codes=np.where(strewn, -1, found.codes).astype(np.int8))

        def fails(self, codes, variant):
            return (codes == -1) | super().fails(codes, variant)

    base = linear_failure(1e-6, dimension=8)
    state = Strewn(label="strewn", dimension=8, probability=4e-4, function=base.function)
    for seed in range(2):
        answer = rate(state, seed=seed)
        assert answer.status == "refused" and "of 44000 plain samples failed" in answer.note
        assert answer.low < 4e-4 < answer.high
