"""Equilibrium propagation against exact gradients, in float64 and complex128."""

import numpy as np
import pytest
import torch

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium import (
    EquilibriumSpec,
    EstimatorSettings,
    bptt_gradient,
    bptt_increments,
    estimate_gradient,
    fixed_point_gradient,
    one_hot,
    relax,
)

BETAS = (0.05, 0.1, 0.2, 0.4)


def problem(spec, *, samples=5, seed=1, steps=400):
    """A network at its free equilibrium, with images and labels."""
    network = spec.build(seed=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((samples, *spec.input_shape), generator=generator, dtype=torch.float64)
    for name, value in network.parameters.items():
        if name.endswith("bias"):
            # Away from zero: a neuron of a clipped activation would sit on the kink.
            value += 0.2 * torch.rand(value.shape, generator=generator, dtype=value.dtype)
    labels = torch.arange(samples) % spec.classes
    drive = network.clamp(images).drive
    free = relax(network, drive, network.initial_states(samples), steps=steps)
    assert bool(free.settled(1e-13).all()), free.report(1e-13)
    return network, images, labels, free.states


def flat(gradients):
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)])


def apart(one, other):
    """Relative distance and 1 - cosine of two gradients."""
    distance = float((flat(one) - flat(other)).norm() / flat(other).norm())
    return distance, 1.0 - float(torch.cosine_similarity(flat(one), flat(other), dim=0))


@pytest.fixture(scope="module")
def toy():
    spec = EquilibriumSpec(
        input_shape=(1, 2, 3),
        classes=3,
        hidden=(8, 6),
        activation="sigmoid",
        loss="cross-entropy",
        gain=0.8,
    )
    network, images, labels, states = problem(spec, steps=200)
    targets = one_hot(labels, 3, torch.float64)
    exact = fixed_point_gradient(network, images, states, targets, tolerance=1e-15)
    return network, images, labels, exact


def estimate(toy, **settings):
    network, images, labels, _ = toy
    chosen = EstimatorSettings(**{"free_steps": 200, "nudged_steps": 200} | settings)
    return estimate_gradient(network, images, labels, chosen).gradients


def test_the_fixed_point_gradient_is_that_of_finite_differences(toy):
    network, images, labels, exact = toy
    targets = one_hot(labels, 3, torch.float64)

    def loss(name, index, change):
        moved = {n: p.clone() for n, p in network.parameters.items()}
        moved[name].view(-1)[index] += change
        other = network.with_parameters(moved)
        states = relax(other, other.clamp(images).drive, other.initial_states(5), steps=200).states
        scores = other.scores(states)
        return float(-(targets * torch.log_softmax(scores, dim=1)).sum(dim=1).mean())

    for name in network.parameters:
        for index in (0, network.parameters[name].numel() - 1):
            difference = (loss(name, index, 1e-5) - loss(name, index, -1e-5)) / 2e-5
            assert float(exact[name].view(-1)[index]) == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize(
    ("points", "low", "high"), [(1, 0.9, 1.05), (2, 1.9, 2.1), (4, 3.9, 4.1), (8, 7.8, 8.2)]
)
def test_the_bias_falls_as_beta_to_the_number_of_points(toy, points, low, high):
    betas = BETAS[:3]
    errors = [
        apart(estimate(toy, estimator="holomorphic", points=points, beta=beta), toy[3])[0]
        for beta in betas
    ]
    slope = np.polyfit(np.log(betas), np.log(errors), 1)[0]
    assert low < slope < high, errors


def test_directions_are_right_to_the_digits_asked_for(toy):
    exact = toy[3]
    two = estimate(toy, estimator="holomorphic", points=2, beta=0.1)
    assert apart(two, exact)[1] < 1e-6
    eight = estimate(toy, estimator="holomorphic", points=8, beta=0.4)
    assert apart(eight, exact)[1] < 1e-12


def test_two_points_are_symmetric_ep_and_one_point_is_one_sided(toy):
    for points, other in ((2, "symmetric"), (1, "one-sided")):
        one = estimate(toy, estimator="holomorphic", points=points, beta=0.3)
        assert apart(one, estimate(toy, estimator=other, beta=0.3))[0] < 1e-14


@pytest.mark.parametrize("points", [3, 4, 5, 8])
def test_half_the_points_give_what_all_of_them_give(toy, points):
    half = estimate(toy, estimator="holomorphic", points=points, beta=0.4)
    whole = estimate(toy, estimator="holomorphic", points=points, beta=0.4, conjugates=False)
    assert apart(half, whole)[0] < 1e-13
    settings = EstimatorSettings(estimator="holomorphic", points=points, beta=0.4)
    assert len(settings.nudges()) == points // 2 + 1
    assert abs(sum(settings.coefficients()).real) < 1e-14


def test_the_continuous_form_needs_no_free_phase(toy):
    turning = estimate(toy, estimator="continuous", points=8, beta=0.4, nudged_steps=60, periods=2)
    still = estimate(toy, estimator="holomorphic", points=8, beta=0.4)
    dynamics = [name for name in turning if not name.startswith("readout")]
    pick = lambda gradients: {name: gradients[name] for name in dynamics}  # noqa: E731
    assert apart(pick(turning), pick(still))[0] < 1e-11
    # The read-out looks at the mean over a turn, which is the free state up to O(beta^8).
    assert apart(turning, toy[3])[0] < 1e-5


def test_random_signs_take_both_one_sided_estimates(toy):
    network, images, labels, exact = toy
    settings = EstimatorSettings(
        estimator="random-sign", beta=0.2, free_steps=200, nudged_steps=200
    )
    generator = torch.Generator().manual_seed(3)
    drawn = [
        estimate_gradient(network, images, labels, settings, generator=generator).gradients
        for _ in range(12)
    ]
    one = estimate(toy, estimator="one-sided", beta=0.2)
    same = [apart(gradients, one)[0] < 1e-14 for gradients in drawn]
    assert 0 < sum(same) < 12
    # The two signs' mean is the symmetric estimate.
    other = drawn[same.index(False)]
    mean = {name: 0.5 * (one[name] + other[name]) for name in one}
    assert apart(mean, estimate(toy, estimator="symmetric", beta=0.2))[0] < 1e-12
    assert apart(one, exact)[0] > 5 * apart(mean, exact)[0]


NETWORKS = {
    "perceptron": EquilibriumSpec(
        input_shape=(1, 4, 4), classes=3, hidden=(12, 8), activation="sigmoid", gain=0.5
    ),
    "clipped perceptron": EquilibriumSpec(input_shape=(1, 4, 4), classes=3, hidden=(12, 8)),
    "convolutional": EquilibriumSpec(
        input_shape=(2, 8, 8), classes=3, channels=(4, 6), hidden=(8,)
    ),
    "softmax pools, cross-entropy": EquilibriumSpec(
        input_shape=(2, 9, 7),
        classes=3,
        channels=(4, 6),
        paddings=(0, 1),
        activation="smooth-clip",
        pooling="softmax",
        loss="cross-entropy",
    ),
    "no pool": EquilibriumSpec(
        input_shape=(1, 5, 5), classes=3, channels=(3,), pooling="none", activation="smooth-clip"
    ),
}


@pytest.mark.parametrize("steps", [5, 10, 20])
@pytest.mark.parametrize("name", NETWORKS)
def test_nudged_steps_add_what_back_propagation_through_time_adds(name, steps):
    """Symmetric EP after T2 steps equals BPTT truncated to T2 steps, layer by layer."""
    network, images, labels, states = problem(NETWORKS[name])
    targets = one_hot(labels, 3, torch.float64)
    settings = EstimatorSettings(
        beta=1e-3, free_steps=400, nudged_steps=steps, settle_tolerance=1.0
    )
    found = estimate_gradient(network, images, labels, settings).gradients
    wanted = bptt_gradient(network, images, states, targets, steps=steps)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert float(value.norm()) > 0
        assert float((found[key] - value).norm() / value.norm()) < 1e-4, key


@pytest.mark.parametrize("name", ["perceptron", "convolutional"])
def test_each_nudged_step_is_a_step_back_in_time(name):
    network, images, labels, states = problem(NETWORKS[name])
    targets = one_hot(labels, 3, torch.float64)
    back = bptt_increments(network, images, states, targets, steps=8)
    before = None
    largest = {key: max(float(step[key].norm()) for step in back) for key in back[0]}
    for count in range(1, 9):
        settings = EstimatorSettings(
            beta=1e-3, free_steps=400, nudged_steps=count, settle_tolerance=1.0
        )
        total = estimate_gradient(network, images, labels, settings).gradients
        for key, value in back[count - 1].items():
            added = total[key] if before is None else total[key] - before[key]
            assert float((added - value).norm()) < 1e-4 * largest[key], (count, key)
        before = total


def test_asynchronous_steps_reach_the_same_equilibrium_sooner():
    network, images, labels, states = problem(NETWORKS["convolutional"])
    drive = network.clamp(images).drive
    distances = {}
    for order in ("synchronous", "asynchronous"):
        start = network.initial_states(5)
        far = relax(network, drive, start, steps=400, order=order).states
        assert all(torch.allclose(a, b, atol=1e-13) for a, b in zip(far, states, strict=True))
        soon = relax(network, drive, start, steps=8, order=order).states
        distances[order] = max(
            float((a - b).abs().max()) for a, b in zip(soon, states, strict=True)
        )
    assert distances["asynchronous"] < 0.2 * distances["synchronous"]
    settings = EstimatorSettings(beta=1e-3, free_steps=400, nudged_steps=400, order="asynchronous")
    exact = fixed_point_gradient(network, images, states, one_hot(labels, 3, torch.float64))
    assert apart(estimate_gradient(network, images, labels, settings).gradients, exact)[0] < 1e-4


def test_an_asymmetric_network_with_equal_weights_is_a_symmetric_one():
    for spec in (
        EquilibriumSpec(input_shape=(1, 4, 4), classes=3, hidden=(12, 8), wiring="asymmetric"),
        EquilibriumSpec(
            input_shape=(2, 8, 8), classes=3, channels=(4, 6), loss="cross-entropy",
            wiring="asymmetric",
        ),
    ):  # fmt: skip
        network, images, labels, _ = problem(spec)
        for name in list(network.parameters):
            if name.startswith("backward"):
                forward = network.parameters[name.replace("backward", "forward")]
                network.parameters[name].copy_(forward)
        free = relax(
            network, network.clamp(images).drive, network.initial_states(5), steps=400
        ).states
        settings = EstimatorSettings(
            beta=1e-4, free_steps=400, nudged_steps=400, shared_update=True
        )
        found = estimate_gradient(network, images, labels, settings).gradients
        exact = fixed_point_gradient(network, images, free, one_hot(labels, 3, torch.float64))
        for name in exact:
            if name.startswith("backward"):
                continue
            back = name.replace("forward", "backward")
            # Tied weights: the exact gradient by the shared weight is the sum of the two.
            tied = back != name and back in exact
            wanted = exact[name] + exact[back] if tied else exact[name]
            error = ((2.0 if tied else 1.0) * found[name] - wanted).norm() / wanted.norm()
            assert float(error) < 1e-4, name


def test_an_asymmetric_network_far_from_symmetric_is_biased():
    """Without equal weights the nudge travels back by other weights than the exact adjoint."""
    spec = EquilibriumSpec(input_shape=(1, 4, 4), classes=3, hidden=(12,), wiring="asymmetric")
    network, images, labels, states = problem(spec)
    exact = fixed_point_gradient(network, images, states, one_hot(labels, 3, torch.float64))
    settings = EstimatorSettings(beta=1e-3, free_steps=400, nudged_steps=400)
    found = estimate_gradient(network, images, labels, settings).gradients
    first = {"forward1.weight": exact["forward1.weight"]}
    assert apart({"forward1.weight": found["forward1.weight"]}, first)[0] > 0.1
    for name in found:
        assert found[name].shape == network.parameters[name].shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.0}, "^beta = 0: must be above 0"),
        ({"beta": -0.5}, "^beta = -0.5: must be above 0"),
        ({"beta": float("nan")}, "^beta = nan: must be"),
        ({"points": 0}, "^points = 0: must be a whole number between 1"),
        ({"estimator": "two-sided"}, "^estimator = 'two-sided': must be one of 'one-sided'"),
        ({"estimator": "continuous", "points": 2}, "^points = 2 with estimator = 'continuous'"),
        ({"noise": -1.0}, "^noise = -1: must be between 0"),
        ({"free_steps": 0}, "^free_steps = 0: must be a whole number between 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(InputError, match=message) as caught:
        EstimatorSettings(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "relu"}, "^activation = 'relu': must be one of"),
        ({"pooling": "mean"}, "^pooling = 'mean': must be one of"),
        ({"channels": (4, 4, 4, 4)}, "too small for convolution 4"),
        ({"channels": (4,), "paddings": (1, 1)}, "^paddings = .* one for each of channels"),
        ({"loss": "cross-entropy"}, "give channels or hidden"),
        ({"gain": 0.0}, "^gain = 0: must be above 0"),
        ({"channels": (4,), "wiring": "asymmetric", "pooling": "softmax"}, "use 'max' or 'none'"),
        ({"hidden": (0,)}, "^hidden = .* whole numbers from 1"),
    ],
)
def test_networks_that_cannot_be_are_refused(change, message):
    with pytest.raises(InputError, match=message) as caught:
        EquilibriumSpec(**{"input_shape": (1, 8, 8)} | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("estimator", ["holomorphic", "continuous"])
@pytest.mark.parametrize(
    "change", [{"activation": "hard-sigmoid"}, {"activation": "sigmoid", "channels": (4,)}]
)
def test_complex_beta_on_what_is_not_holomorphic_is_refused(estimator, change):
    network = EquilibriumSpec(**{"input_shape": (1, 8, 8), "hidden": (4,)} | change).build(seed=0)
    generator = torch.Generator().manual_seed(0)  # a sample in twenty does not settle
    images, labels = torch.rand(2, 1, 8, 8, generator=generator), torch.tensor([0, 1])
    with pytest.raises(InputError, match="not holomorphic; use 'sigmoid'"):
        estimate_gradient(network, images, labels, EstimatorSettings(estimator=estimator, points=4))
    # Two points lie on the real axis.
    settings = EstimatorSettings(estimator="holomorphic", points=2)
    assert estimate_gradient(network, images, labels, settings).dropped == 0


def test_samples_that_settle_at_no_complex_point_fall_back_to_two_real_ones():
    """A circle as large as this encloses points where the complex dynamics do not come to rest."""
    spec = EquilibriumSpec(
        input_shape=(1, 2, 3), classes=3, hidden=(8, 6), activation="sigmoid", gain=0.6
    )
    network = spec.build(seed=1, dtype=torch.float64)
    images = torch.rand(
        (16, 1, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    labels = torch.arange(16) % 3
    steps = {"free_steps": 100, "nudged_steps": 100, "settle_tolerance": 1e-3, "beta": 0.8}
    settings = EstimatorSettings(estimator="holomorphic", points=8, **steps)
    found = estimate_gradient(network, images, labels, settings)
    assert found.fell_back > 0 and found.dropped == 0
    assert all(bool(torch.isfinite(g).all()) for g in found.gradients.values())


def test_dynamics_that_do_not_settle_are_reported_in_one_line():
    """Strong equal weights between two layers switch them on and off for ever."""
    spec = EquilibriumSpec(input_shape=(1, 1, 2), classes=2, hidden=(4,), activation="clip")
    network = spec.build(seed=0)
    network.parameters["forward2.weight"].fill_(-20.0)
    network.parameters["forward1.bias"].fill_(1.0)
    network.parameters["forward2.bias"].fill_(1.0)
    images, labels = torch.rand(3, 1, 1, 2), torch.tensor([0, 1, 0])
    with pytest.raises(InputError, match=r"do not settle .free phase: 0 of 3 samples") as caught:
        estimate_gradient(network, images, labels, EstimatorSettings(free_steps=31))
    assert "\n" not in str(caught.value)
