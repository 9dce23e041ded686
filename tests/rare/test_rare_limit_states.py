"""The analytic states' probabilities, and the densities that importance sampling weights by."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binomtest, chi2, multivariate_normal, norm

from rramsim.exceptions import InputError
from rramsim.rare import curved_state, linear_state, two_lobed_state
from rramsim.rare.limit_states import CountedState
from rramsim.rare.proposals import Lobe, Mixture, Ring, log_normal_density

STATES = (
    linear_state, curved_state, two_lobed_state, lambda p: curved_state(p, curvature=-0.1)
)  # fmt: skip


@pytest.mark.parametrize("make", STATES)
def test_stated_probability_is_that_of_plain_sampling(make):
    state = make(1e-2)
    points = np.random.default_rng(5).standard_normal((400_000, state.dimension))
    fails, known = state.fails(points)
    assert known.all()
    interval = binomtest(int(fails.sum()), len(points)).proportion_ci(0.999)
    assert interval.low < state.probability < interval.high


def test_curved_probability_at_1e_9_by_another_quadrature():
    state = curved_state(1e-9)
    beta = float(state.margin(np.zeros((1, 6)))[0])
    value, _ = quad(
        lambda x: chi2.pdf(x, 5) * norm.cdf(-beta - 0.13 / 2 * x), 0, 200, epsabs=0, epsrel=1e-9
    )
    assert value == pytest.approx(1e-9, rel=1e-6)


def test_probability_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"probability = 0\.7"):
        linear_state(0.7)


def test_calls_are_counted_for_both_questions():
    state = CountedState(linear_state(1e-3))
    state.margin(np.zeros((5, 6)))
    state.fails(np.zeros((7, 6)))
    assert state.calls == 12


def test_lobe_density_is_that_of_the_full_covariance():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((5, 2)))[0].T
    lobe = Lobe(mean=rng.standard_normal(5), axes=axes, deviations=np.array([0.3, 2.0]))
    covariance = np.eye(5) + (axes.T * (lobe.deviations**2 - 1)) @ axes
    points = lobe.draw(200_000, rng)
    assert np.cov(points.T) == pytest.approx(covariance, abs=0.04)
    expected = multivariate_normal(lobe.mean, covariance).logpdf(points[:50])
    assert lobe.log_density(points[:50]) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ring_density_integrates_to_one(k):
    rng = np.random.default_rng(k)
    axes = np.linalg.qr(rng.standard_normal((4, k)))[0].T
    ring = Ring(axes=axes, inner=1.0, outer=2.0)
    points = rng.standard_normal((400_000, 4))
    ratio = np.exp(ring.log_density(points) - log_normal_density(points))
    assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / np.sqrt(len(ratio)))
    radius = np.linalg.norm(ring.draw(1000, rng) @ axes.T, axis=1)
    assert radius.min() >= 1 and radius.max() <= 2


def test_mixture_weights_average_to_one():
    rng = np.random.default_rng(3)
    lobes = (Lobe.at(np.array([2.0, 0.0])), Lobe.at(np.array([0.0, -1.0]), deviation=1.5))
    mixture = Mixture(components=lobes, shares=(0.3, 0.7))
    points, _, counts = mixture.draw(200_000, rng)
    assert counts.tolist() == [60_000, 140_000]
    weights = np.exp(mixture.log_weights(points, counts))
    assert weights.mean() == pytest.approx(1.0, abs=5 * weights.std() / np.sqrt(len(weights)))
