"""The resistive network in ngspice: its gradient, its learning, and the fast solver beside it."""

import numpy as np
import pytest

from rramsim.exceptions import InputError
from rramsim.learning import load_images
from rramsim.learning.resistive import (
    Diode,
    ResistiveSpec,
    ResistiveTask,
    SpiceNetwork,
    deck,
    resistive_gradient,
    solve,
    source_voltages,
    train_resistive,
)


@pytest.fixture(scope="module")
def task():
    return ResistiveTask.of(load_images("digits"), (4, 9))


@pytest.fixture(scope="module")
def network(task):
    spec = ResistiveSpec(features=(task.train_v.shape[1] - 2) // 2, hidden=5)
    return spec.build(seed=3)


def test_a_divider_and_a_clipped_node_follow_from_kirchhoff():
    """Without diodes a node is the mean of its sources weighted by conductance."""
    spec = ResistiveSpec(
        features=1, hidden=1, outputs=1, diode=Diode(saturation_a=1e-30, ideality=1.0)
    )
    network = spec.build(seed=0)
    sources = source_voltages(np.array([[0.3], [-1.0]]))
    assert sources.tolist() == [[0.3, 1.0, -0.3, -1.0], [-1.0, 1.0, 1.0, -1.0]]
    weights = network.input_s[:, 0] / network.input_s.sum()
    expected = sources @ weights
    found = solve(network, sources)
    # The output hangs on the hidden node alone and carries no current.
    assert found == pytest.approx(np.stack([expected, expected], axis=1), rel=1e-9)
    # A diode that carries the whole current: V = clip + n kT/q ln(1 + I / Is), by hand.
    clipped = ResistiveSpec(features=1, hidden=1, outputs=1).build(seed=0)
    strong = source_voltages(np.array([[1.0]]), full_scale_v=50.0)
    node = solve(clipped, strong)[0, 0]
    current = float(((strong[0] - node) * clipped.input_s[:, 0]).sum())
    diode = clipped.spec.diode
    thermal = diode.ideality * 1.380649e-23 * 300.15 / 1.602176634e-19
    reverse = diode.saturation_a * np.exp(-(abs(node) + clipped.spec.clip_v) / thermal)
    expected_v = clipped.spec.clip_v + thermal * np.log(
        (abs(current) + reverse) / diode.saturation_a
    )
    assert abs(node) == pytest.approx(expected_v, rel=1e-9)


def test_the_fast_solver_agrees_with_ngspice_on_every_node(network, task):
    spice = SpiceNetwork(network)
    for nudge in ({}, {"beta_s": 10e-6}, {"beta_s": -10e-6}):
        if nudge:
            nudge = nudge | {"targets_v": task.train_targets_v[:6]}
        one = spice.solve(network, task.train_v[:6], **nudge)
        other = solve(network, task.train_v[:6], **nudge)
        assert np.abs(other).min() > 1e-4 and np.abs(other).max() > 0.1
        assert np.abs(one / other - 1).max() < 1e-3
        assert np.abs(one - other).max() < 2e-6


def test_the_gradient_in_ngspice_is_that_of_finite_differences_of_the_circuit(network, task):
    sources, targets = task.train_v[:3], task.train_targets_v[:3]
    spice = SpiceNetwork(network)
    inputs, outputs, _ = resistive_gradient(network, spice.solve, sources, targets, beta_s=2e-6)

    def loss(changed):
        found = spice.solve(changed, sources)[:, changed.spec.hidden :]
        return 0.5 * np.square(found - targets).sum(axis=1).mean()

    checked = 0
    scale = np.abs(inputs).mean()
    for layer, gradient in (("input_s", inputs), ("output_s", outputs)):
        for i, j in [(0, 0), (3, 2), (1, 1), (4, 0), (9, 4), (20, 3)]:
            if i >= gradient.shape[0] or j >= gradient.shape[1]:
                continue
            step = 0.03 * getattr(network, layer)[i, j]
            change = {"input_s": np.zeros_like(inputs), "output_s": np.zeros_like(outputs)}
            change[layer][i, j] = step
            up = network.moved(change["input_s"], change["output_s"])
            down = network.moved(-change["input_s"], -change["output_s"])
            # Next to the end of its range a conductance moves less than it was asked to.
            moved = getattr(up, layer)[i, j] - getattr(down, layer)[i, j]
            difference = (loss(up) - loss(down)) / moved
            assert gradient[i, j] == pytest.approx(difference, rel=0.01, abs=0.005 * scale)
            checked += 1
    assert checked >= 9


def test_the_bias_of_the_symmetric_nudge_falls_as_its_square(network, task):
    sources, targets = task.train_v[:20], task.train_targets_v[:20]

    def gradient(beta_s):
        return resistive_gradient(network, solve, sources, targets, beta_s=beta_s)[0]

    exact = gradient(1e-8)
    errors = [np.linalg.norm(gradient(beta_s) - exact) for beta_s in (4e-6, 8e-6)]
    assert np.log2(errors[1] / errors[0]) == pytest.approx(2.0, abs=0.1)


def test_two_classes_of_digits_are_learned_in_ngspice():
    task = ResistiveTask.of(load_images("digits"), (1, 7))
    few = ResistiveTask(
        train_v=task.train_v[:96],
        train_targets_v=task.train_targets_v[:96],
        test_v=task.test_v,
        test_targets_v=task.test_targets_v,
    )
    network = ResistiveSpec(features=16).build(seed=0)
    settings = {"epochs": 3, "batch": 8, "learning_rate_s2_per_v2": 1e-7}
    learned, rows = train_resistive(network, few, SpiceNetwork(network).solve, **settings)
    assert rows[0].test_accuracy < 0.7 and rows[-1].test_accuracy > 0.9
    assert rows[-1].train_loss_v2 < 0.5 * rows[1].train_loss_v2
    fast, fast_rows = train_resistive(network, few, solve, **settings)
    assert np.abs(learned.input_s / fast.input_s - 1).max() < 0.01
    assert fast_rows[-1].test_accuracy == pytest.approx(rows[-1].test_accuracy, abs=0.03)
    low, high = network.spec.low_s, network.spec.high_s
    assert learned.input_s.min() >= low and learned.input_s.max() <= high


def test_what_cannot_be_is_refused(network, task):
    with pytest.raises(InputError, match=r"^beta_s = 0\.0: must be above 0"):
        resistive_gradient(network, solve, task.train_v, task.train_targets_v, beta_s=0.0)
    with pytest.raises(InputError, match=r"^beta_s = -1: the outputs run away"):
        solve(network, task.train_v[:2], targets_v=task.train_targets_v[:2], beta_s=-1.0)
    with pytest.raises(InputError, match=r"^hidden = 0: must be a whole number"):
        ResistiveSpec(features=3, hidden=0)
    with pytest.raises(InputError, match="must be above 0 and ascending"):
        ResistiveSpec(features=3, low_s=1e-3)
    with pytest.raises(InputError, match=r"^side = 3: must divide"):
        ResistiveTask.of(load_images("digits"), (0, 1), side=3)
    with pytest.raises(InputError, match="must be two"):
        ResistiveTask.of(load_images("digits"), (1, 1))
    with pytest.raises(InputError, match=r"^saturation_a = 0: must be above 0 A"):
        Diode(saturation_a=0.0)
    assert deck(network).count("resistive_neuron v_clip_v=0.05") == 5
