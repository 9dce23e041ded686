"""Rare rates on states with known answers: coverage, calls, lobes, refusals, bounds."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from rramsim.exceptions import InputError
from rramsim.rare import (
    AnalyticState,
    RareSettings,
    curved_state,
    linear_state,
    rare_rate,
    sensitivities,
    two_lobed_state,
)
from rramsim.rare import rare as rare_module
from rramsim.rare.limit_states import CountedState
from rramsim.rare.scouting import Scouting, scout
from rramsim.rare.subset import subset_sampling

STATES = {"linear": linear_state, "curved": curved_state, "two-lobed": two_lobed_state}


def coverage(make, probability, seeds):
    state = make(probability)
    answers = [
        rare_rate(state, settings=RareSettings(method="importance", seed=seed))
        for seed in range(seeds)
    ]
    assert all(a.status == "estimated" for a in answers)
    assert max(a.calls for a in answers) <= 2000
    assert max(a.coefficient_of_variation for a in answers) <= 0.1
    return sum(a.low <= probability <= a.high for a in answers), answers


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("probability", [1e-6, 1e-9])
def test_interval_covers_the_truth(name, probability):
    covered, answers = coverage(STATES[name], probability, 20)
    # 95 % each: 16 of 20 or fewer have a chance of 0.3 % if the coverage is right.
    assert covered >= 17
    mean = np.mean([a.value for a in answers])
    assert mean == pytest.approx(probability, rel=0.07)  # 3 standard errors of the mean


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("probability", [1e-6, 1e-9])
def test_interval_covers_the_truth_in_90_of_100_seeds(name, probability):
    covered, _ = coverage(STATES[name], probability, 100)
    assert covered >= 90


def test_both_lobes_are_found_and_neither_twice():
    for cosine in (-1.0, -0.3, 0.0, 0.5):
        found = scout(two_lobed_state(1e-9, cosine=cosine), np.random.default_rng(0))
        assert len(found.regions) == 2
        radii = [region.radius for region in found.regions]
        assert radii[1] - radii[0] == pytest.approx(0.1, abs=0.03)


def test_design_point_is_that_of_openturns():
    ot = pytest.importorskip("openturns")
    state = curved_state(1e-6)
    function = ot.PythonFunction(
        state.dimension, 1, func_sample=lambda x: state.margin(np.asarray(x))[:, None]
    )
    vector = ot.CompositeRandomVector(function, ot.RandomVector(ot.Normal(state.dimension)))
    solver = ot.AbdoRackwitz()
    solver.setStartingPoint([0.1] * state.dimension)
    form = ot.FORM(solver, ot.ThresholdEvent(vector, ot.LessOrEqual(), 0.0))
    form.run()
    expected = np.array(form.getResult().getStandardSpaceDesignPoint())
    (region,) = scout(state, np.random.default_rng(0)).regions
    assert region.point == pytest.approx(expected, abs=0.05)
    # FORM's own answer is several times off here: what importance sampling is for.
    assert form.getResult().getEventProbability() > 2.5e-6


def lame_scout(count):
    """A search that stops at the first `count` regions."""

    def search(state, rng):
        found = scout(state, rng)
        return Scouting(
            regions=found.regions[:count], gradients=found.gradients, nearest_margin=0.0
        )

    return search


def test_subset_check_refuses_when_a_lobe_was_missed(monkeypatch):
    monkeypatch.setattr(rare_module, "scout", lame_scout(1))
    for seed in range(3):
        settings = RareSettings(method="importance", cross_check="subset", seed=seed)
        answer = rare_rate(two_lobed_state(1e-6), settings=settings)
        assert answer.status == "refused"
        assert answer.value is None
        assert answer.low < 1e-6 < answer.high


def test_subset_check_agrees_when_nothing_was_missed():
    settings = RareSettings(method="importance", cross_check="subset")
    answer = rare_rate(two_lobed_state(1e-6), settings=settings)
    assert answer.status == "estimated"
    assert answer.check_calls > 5000
    _, low, high = answer.checks["subset sampling"]
    assert low < 1e-6 < high


def test_subset_sampling_is_unbiased():
    state = linear_state(1e-4)
    found = [
        subset_sampling(state, np.random.default_rng(seed), population=500) for seed in range(30)
    ]
    ratios = np.array([np.exp(result.log_probability) / 1e-4 for result in found])
    assert ratios.mean() == pytest.approx(1.0, abs=3 * ratios.std() / np.sqrt(30))
    # The stated deviation is that of the logarithm, within the noise of 30 runs.
    assert 0.5 < np.log(ratios).std() / np.mean([r.log_deviation for r in found]) < 1.5


def test_subset_sampling_of_pass_and_fail_tells_how_deep_it_came():
    state = linear_state(1e-6)
    flat = replace(state, function=lambda points: np.where(state.function(points) <= 0, -1.0, 1.0))
    result = subset_sampling(flat, np.random.default_rng(0), population=200)
    assert result.log_probability == -np.inf
    assert not len(result.failing)
    assert result.reached > np.log(1e-3)


def test_auto_counts_where_the_rate_is_not_rare():
    answer = rare_rate(linear_state(0.2))
    assert answer.method == "monte-carlo"
    assert answer.low < 0.2 < answer.high
    assert rare_rate(linear_state(1e-4)).method == "importance"


def test_same_seed_same_answer():
    one, other = (rare_rate(two_lobed_state(1e-6), settings=RareSettings(seed=4)) for _ in "ab")
    assert one.as_dict() == other.as_dict()


def test_no_failure_gives_a_bound_and_says_so():
    state = AnalyticState(
        label="never", dimension=3, probability=0.0, function=lambda u: 1 + (u**2).sum(axis=1)
    )
    answer = rare_rate(state)
    assert answer.status == "bounded"
    assert answer.value is None
    assert 0 < answer.high < 0.01
    assert "no failure" in answer.note


def test_no_failure_counted_plainly_gives_a_bound_too():
    answer = rare_rate(linear_state(1e-9), settings=RareSettings(method="monte-carlo"))
    assert (answer.status, answer.value) == ("bounded", None)
    assert answer.high == pytest.approx(3.69 / 2000, rel=0.01)


@dataclass(frozen=True)
class Broken:
    """A linear state some of whose runs do not converge."""

    share: float
    dimension: int = 6
    label: str = "broken"

    def margin(self, points):
        return np.where(self._lost(points), np.nan, linear_state(1e-6).margin(points))

    def fails(self, points):
        fails, _ = linear_state(1e-6).fails(points)
        return fails, ~self._lost(points)

    def _lost(self, points):
        # Pseudo-random, but the same for the same point.
        return np.modf(np.abs(points[:, 3]) * 1e4)[0] < self.share


def test_runs_that_do_not_converge_are_no_silent_zero():
    answer = rare_rate(Broken(0.5))
    assert answer.status == "refused"
    assert "did not converge" in answer.note
    nothing = rare_rate(Broken(1.1), settings=RareSettings(method="monte-carlo"))
    assert (nothing.status, nothing.value) == ("refused", None)
    few = rare_rate(Broken(0.01))
    assert few.low < 1e-6 < few.high


def test_margin_that_promises_too_much_is_refused():
    state = linear_state(1e-3)

    class Liar:
        dimension, label = 6, "liar"

        def margin(self, points):
            return state.margin(points)

        def fails(self, points):
            return np.zeros(len(points), bool), np.ones(len(points), bool)

    answer = rare_rate(Liar())
    assert answer.status == "refused"
    assert answer.value is None
    assert "disagree" in answer.note


def test_calls_are_reported_while_they_are_made():
    told = []
    answer = rare_rate(linear_state(1e-6), report=told.append)
    assert told[-1] == answer.calls
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "magic"}, "method = 'magic'"),
        ({"relative_error": 0.0}, "relative_error = 0"),
        ({"max_calls": 10}, "max_calls = 10"),
        ({"seed": -1}, "seed = -1"),
        ({"cross_check": "none"}, "cross_check = 'none'"),
        ({"monte_carlo_calls": 0}, "monte_carlo_calls = 0"),
    ],
)
def test_settings_refuse(changes, message):
    with pytest.raises(InputError, match=message):
        RareSettings(**changes)


def test_importance_factors_are_the_squared_direction():
    answer = rare_rate(linear_state(1e-6))
    names = tuple((f"part {i // 2}", f"u{i}") for i in range(6))
    parts = sensitivities(answer, names)
    # g = beta - a.u with a proportional to 1, -2, 3, -4, 5, -6.
    expected = {"part 2": 61 / 91, "part 1": 25 / 91, "part 0": 5 / 91}
    assert [part.part for part in parts] == list(expected)
    for part in parts:
        assert part.importance == pytest.approx(expected[part.part], abs=0.01)
        for name, design, mean, error in part.parameters:
            index = int(name[1:])
            exact = (-1) ** index * (index + 1) / np.sqrt(91) * 4.753
            assert design == pytest.approx(exact, abs=0.1)
            # The failures' mean lies E[u | u > beta] / beta = 1.04 times as far out.
            assert mean == pytest.approx(1.04 * exact, abs=4 * error + 0.01)


def test_sensitivities_need_a_design_point():
    answer = rare_rate(linear_state(0.2))
    with pytest.raises(InputError, match="method importance"):
        sensitivities(answer, (("a", "b"),) * 6)


def test_counted_state_keeps_the_state_open():
    counted = CountedState(linear_state(1e-3))
    assert counted.dimension == 6
    assert "linear" in counted.label
