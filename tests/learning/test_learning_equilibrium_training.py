"""Training by equilibrium propagation: the digits, noise, resuming, devices that are written."""

import dataclasses
import re

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from rramsim.cli.app import app
from rramsim.exceptions import InputError
from rramsim.learning import load_images
from rramsim.learning.equilibrium import (
    DescentSettings,
    EquilibriumSpec,
    EquilibriumTraining,
    EstimatorSettings,
    FlipRule,
    RealWeights,
    TernaryMemory,
    load_equilibrium,
    save_equilibrium,
    train_equilibrium,
)
from rramsim.networks import BinaryFlips, ScalarErrors, TransitionErrors

SPEC = EquilibriumSpec(
    input_shape=(1, 8, 8), hidden=(64,), activation="smooth-clip", loss="cross-entropy"
)
QUICK = EstimatorSettings(beta=0.2, free_steps=10, nudged_steps=5, order="asynchronous")


def training(**changes):
    values = {
        "estimator": QUICK,
        "descent": DescentSettings(learning_rate=(0.3,)),
        "epochs": 2,
        "batch": 32,
    }
    return EquilibriumTraining(**values | changes)


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(train=128, test=64)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"estimator": "holomorphic", "points": 4, "beta": 0.4},
        {"estimator": "bptt"},
    ],
    ids=["ep", "holomorphic", "bptt"],
)
def test_the_digits_are_learned(digits, change):
    settings = training(estimator=dataclasses.replace(QUICK, **change), epochs=8)
    result = train_equilibrium(SPEC, digits, settings)
    assert result.test.value > 0.93
    assert result.rows[-1].train_loss < 0.3 * result.rows[0].train_loss
    assert result.rows[-1].test_accuracy == result.test.value


def test_noise_drowns_a_small_nudge_but_not_a_large_circle(digits):
    spec = dataclasses.replace(SPEC, loss="squared")
    noisy = dataclasses.replace(QUICK, noise=0.04, free_steps=15)
    descent = DescentSettings(learning_rate=(0.15,))
    classic = dataclasses.replace(noisy, estimator="one-sided", beta=0.05)
    circle = dataclasses.replace(noisy, estimator="holomorphic", points=6, beta=0.4)
    reached = {
        name: train_equilibrium(
            spec, digits, training(estimator=estimator, descent=descent, epochs=4)
        ).test.value
        for name, estimator in {"classic": classic, "circle": circle}.items()
    }
    assert reached["circle"] > 0.85
    assert reached["classic"] < 0.5


def test_an_interrupted_training_goes_on_to_the_same_bits(small, tmp_path):
    class Stop(Exception):
        pass

    def stop(row):
        raise Stop

    for flips, errors in ((None, None), (FlipRule(), ScalarErrors(0.05))):
        settings = training(epochs=3, flips=flips)
        whole = train_equilibrium(SPEC, small, settings, errors=errors)
        checkpoint = tmp_path / f"{flips is None}.pt"
        for _ in range(2):
            with pytest.raises(Stop):
                train_equilibrium(
                    SPEC, small, settings, errors=errors, checkpoint=checkpoint, progress=stop
                )
        resumed = train_equilibrium(SPEC, small, settings, errors=errors, checkpoint=checkpoint)
        assert len(resumed.rows) == 3
        assert same(resumed.network.parameters, whole.network.parameters)
        assert [r.test_accuracy for r in resumed.rows] == [r.test_accuracy for r in whole.rows]
        assert resumed.wear == whole.wear
        with pytest.raises(InputError, match="the checkpoint of another run"):
            train_equilibrium(
                SPEC, small, training(epochs=3, flips=flips, seed=1), errors=errors,
                checkpoint=checkpoint,
            )  # fmt: skip


def test_a_saved_network_is_the_network(small, tmp_path):
    result = train_equilibrium(SPEC, small, training(epochs=1, pixels="standardised"))
    path = tmp_path / "network.pt"
    save_equilibrium(path, result.network, result.pixels)
    network, pixels = load_equilibrium(path)
    assert network.spec == SPEC and pixels == result.pixels
    assert same(network.parameters, result.network.parameters)
    before = path.read_bytes()
    network.parameters["forward1.weight"][0, 0] = float("nan")
    with pytest.raises(InputError, match=r"forward1\.weight holds values that are not finite"):
        save_equilibrium(path, network, pixels)
    assert path.read_bytes() == before
    torch.save({"format": "rramsim equilibrium 1", "spec": "{}"}, path)
    with pytest.raises(InputError, match="not a whole rramsim network"):
        load_equilibrium(path)


def test_a_training_that_diverges_saves_nothing(small, tmp_path):
    checkpoint = tmp_path / "training.pt"
    descent = DescentSettings(learning_rate=(10.0,), momentum=0.99, weight_decay=1.0)
    with pytest.raises(InputError, match=r"diverged|do not settle") as caught:
        train_equilibrium(
            SPEC, small, training(epochs=30, descent=descent, batch=4), checkpoint=checkpoint
        )
    assert "\n" not in str(caught.value)
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)["state"]
        assert all(bool(torch.isfinite(value).all()) for value in state.values())


def memory(start, **rule):
    chosen = {"averaging": 1.0, "threshold": 0.5, "most_moves": 1.0, "zero_share": 0.0} | rule
    return TernaryMemory(torch.tensor(start), torch.tensor(0.5), FlipRule(**chosen))


def test_a_move_is_one_write_of_one_device():
    """All moves of one level, up and down, with the device that is written worked out by hand."""
    device = memory([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    # A negative gradient asks for a larger weight.
    assert device.update(torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])) == 4
    assert device.levels.tolist() == [0.0, 1.0, 1.0, -1.0, -1.0, 0.0]
    # -1 -> 0 resets BLB; 0 -> +1 sets BL; 0 -> -1 sets BLB; +1 -> 0 resets BL.
    assert device.sets.tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
    assert device.resets.tolist() == [[0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]]
    wear = device.wear()
    assert (wear.devices, wear.sets, wear.resets, wear.most) == (12, 2, 2, 1)
    assert wear.mean_writes == pytest.approx(4 / 12)
    assert wear.most_of_endurance == pytest.approx(1e-6)
    assert device.written().tolist() == [0.0, 0.5, 0.5, -0.5, -0.5, 0.0]


def test_a_binary_flip_writes_both_devices():
    device = memory([-1.0, 1.0], levels="binary")
    assert device.update(torch.tensor([-1.0, -1.0])) == 1
    assert device.levels.tolist() == [1.0, 1.0]
    assert device.sets.tolist() == [[1, 0], [0, 0]] and device.resets.tolist() == [[0, 0], [1, 0]]


def test_what_is_below_the_threshold_is_not_written_and_a_write_starts_the_average_anew():
    device = memory([0.0, 0.0], averaging=0.25, threshold=0.5)
    gradient = torch.tensor([-1.0, -0.1])
    # m = 0.25 * gradient; the limit 0.5 * sqrt(0.25) * rms(gradient) = 0.25 * 0.7106.
    assert device.update(gradient) == 1
    assert device.levels.tolist() == [1.0, 0.0]
    assert device.average.tolist() == pytest.approx([0.0, -0.025])
    # A falling share raises the limit.
    assert memory([0.0, 0.0], averaging=0.25).update(gradient, share=0.5) == 0


def test_at_most_a_share_of_the_weights_moves_the_strongest_first():
    device = memory([0.0] * 10, most_moves=0.2)
    gradient = -torch.arange(1.0, 11.0)
    assert device.update(gradient) == 2
    assert device.levels.tolist() == [0.0] * 8 + [1.0, 1.0]


@pytest.mark.parametrize("levels", ["binary", "ternary"])
def test_programming_keeps_the_size_of_a_layer(levels):
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    rule = FlipRule(levels=levels, zero_share=0.3)
    device = TernaryMemory.programmed(weight, rule)
    values = set(device.levels.unique().tolist())
    assert values == ({-1.0, 1.0} if levels == "binary" else {-1.0, 0.0, 1.0})
    rms = device.written().square().mean().sqrt()
    assert float(rms) == pytest.approx(float(weight.square().mean().sqrt()), rel=1e-5)
    if levels == "ternary":
        assert float((device.levels == 0).float().mean()) == pytest.approx(0.3, abs=0.002)
    assert device.wear().sets == device.wear().resets == 0


def test_ternary_devices_learn_the_digits_with_and_without_read_errors(digits):
    spec = dataclasses.replace(SPEC, hidden=(256,), gain=2.5)
    settings = training(
        flips=FlipRule(threshold=0.6, most_moves=3e-3),
        descent=DescentSettings(learning_rate=(0.02,)),
        epochs=4,
    )
    clean = train_equilibrium(spec, digits, settings)
    assert clean.test.value > 0.85
    for name, value in clean.network.parameters.items():
        if name.endswith("weight"):
            assert len(value.unique()) <= 3
    wear = clean.total_wear
    devices = 2 * (64 * 256 + 256 * 10)
    assert wear.devices == devices and wear.sets > 0 and wear.resets > 0
    assert wear.most >= 1 and wear.mean_writes < 2.0
    noisy = train_equilibrium(spec, digits, settings, errors=ScalarErrors(0.05))
    assert not same(noisy.network.parameters, clean.network.parameters)
    assert noisy.test.value > 0.7


def test_reads_come_from_the_error_statistics():
    """Always read as 0: the network computes with nothing but its biases."""
    from rramsim.learning.equilibrium import TernaryWeights

    network = SPEC.build(seed=0)
    vanish = TransitionErrors([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    weights = TernaryWeights(network, DescentSettings(), FlipRule(), vanish)
    read = weights.read().parameters
    assert all(not v.any() for n, v in read.items() if n.endswith("weight"))
    assert weights.network.parameters["forward1.weight"].any()
    with pytest.raises(InputError, match="a binary"):
        TernaryWeights(network, DescentSettings(), FlipRule(levels="binary"), vanish)
    TernaryWeights(network, DescentSettings(), FlipRule(levels="binary"), BinaryFlips(0.1))


def test_momentum_and_decay_are_those_of_sgd():
    network = SPEC.build(seed=0)
    expected = {n: p.clone().requires_grad_() for n, p in network.parameters.items()}
    groups = [
        {"params": [p], "weight_decay": 1e-3 if n.endswith("weight") else 0.0}
        for n, p in expected.items()
    ]
    optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    weights = RealWeights(network, DescentSettings(learning_rate=(0.1,), weight_decay=1e-3))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        gradients = {n: torch.randn(p.shape, generator=generator) for n, p in expected.items()}
        for name, parameter in expected.items():
            parameter.grad = gradients[name].clone()
        optimiser.step()
        weights.update(gradients, share=1.0)
    for name, parameter in expected.items():
        assert torch.allclose(network.parameters[name], parameter, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DescentSettings(learning_rate=()), "^learning_rate = "),
        (lambda: DescentSettings(learning_rate=(0.0,)), r"^learning_rate = 0\.0: must be above 0"),
        (lambda: DescentSettings(momentum=1.0), "^momentum = 1: "),
        (lambda: FlipRule(levels="quaternary"), "^levels = 'quaternary'"),
        (lambda: FlipRule(threshold=0.0), "^threshold = 0: must be above 0"),
        (lambda: FlipRule(zero_share=1.0), "^zero_share = 1: "),
        (lambda: training(epochs=0), "^epochs = 0: must be a whole number"),
        (lambda: training(pixels="raw"), "^pixels = 'raw'"),
        (
            lambda: DescentSettings(learning_rate=(0.1, 0.2, 0.3)).rates(SPEC.build(seed=0)),
            "must be one, or 2 for the connections and the read-out",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_data_devices_and_errors_that_do_not_fit_are_refused(small):
    with pytest.raises(InputError, match=r"takes images \(3, 32, 32\)"):
        train_equilibrium(dataclasses.replace(SPEC, input_shape=(3, 32, 32)), small, training())
    with pytest.raises(InputError, match="read errors are defined for ternary"):
        train_equilibrium(SPEC, small, training(), errors=ScalarErrors(0.1))
    with pytest.raises(InputError, match="device = 'nonsense': PyTorch has no such device"):
        train_equilibrium(SPEC, small, training(device="nonsense"))


EXPERIMENT = """
[equilibrium]
hidden = 16
activation = "smooth-clip"
loss = "cross-entropy"
free_steps = 4
nudged_steps = 3
{equilibrium}
[training]
rule = "{rule}"
data = "digits"
epochs = 1
batch = 256
{training}
"""


def invoke(tmp_path, *, rule="ep", equilibrium="", training="", stage="train"):
    path = tmp_path / "experiment.toml"
    path.write_text(EXPERIMENT.format(rule=rule, equilibrium=equilibrium, training=training))
    return CliRunner().invoke(
        app, ["run", str(path), "--stage", stage, "--out", str(tmp_path / "out")]
    )


@pytest.mark.parametrize("rule", ["ep", "holomorphic-ep", "ternary-ep"])
def test_every_rule_trains_from_the_command_line(rule, tmp_path):
    result = invoke(tmp_path, rule=rule)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    table = pd.read_csv(out / "training.csv")
    assert list(table.columns) == [
        "network", "trained_with_errors", "data", "seed", "epoch", "train_loss", "train_accuracy",
        "test_accuracy", "seconds", "learning_rate",
    ]  # fmt: skip
    assert len(table) == 1 and table.network[0].endswith(f", {rule}")
    (path,) = (p for p in (out / "networks").glob("*.pt") if ".checkpoint." not in p.name)
    network, _ = load_equilibrium(path)
    assert network.spec.hidden == (16,)
    if rule == "ternary-ep":
        wear = pd.read_csv(out / "wear.csv")
        assert list(wear.weight) == ["forward1.weight", "readout.weight"]
        assert list(wear.devices) == [2 * 64 * 16, 2 * 16 * 10]
        assert "Writes by layer" in result.output
    else:
        assert not (out / "wear.csv").exists()
    again = CliRunner().invoke(app, ["tradeoff", str(out)])
    assert isinstance(again.exception, InputError) and "rule = " in str(again.exception)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"equilibrium": "beta = 0.0"}, r"\[equilibrium\] beta = 0.0: must be above 0"),
        (
            {"equilibrium": "threshold = 1.0"},
            "threshold = 1.0: does nothing here; it needs .* rule = 'ternary-ep'",
        ),
        ({"equilibrium": "estimator = 'holomorphic'"}, "does not go with .* rule = 'ep'"),
        ({"equilibrium": "nudge = 1.0"}, r"\[equilibrium\] nudge: unknown; known are channels"),
        ({"rule": "backprop"}, r"\[equilibrium\] hidden = .* it needs a \[training\] rule other"),
        ({"rule": "feedback"}, r"\[training\] rule = 'feedback'"),
        ({"training": "errors_vdd_v = 1.2"}, "read errors are defined for ternary weights"),
        ({"training": "[network]\nwidth = 4"}, r"\[network\]: goes with"),
        (
            {"rule": "holomorphic-ep", "equilibrium": "channels = [4]\npooling = 'max'"},
            "not holomorphic; use 'sigmoid' or 'smooth-clip'",
        ),
        ({"stage": "tradeoff"}, "--stage tradeoff: .* networks of rule 'backprop' only"),
    ],
)
def test_a_file_at_fault_is_refused_in_one_line(given, message, tmp_path):
    result = invoke(tmp_path, **given)
    assert isinstance(result.exception, InputError), result.output
    text = str(result.exception)
    assert "\n" not in text and str(tmp_path / "experiment.toml") in text
    assert re.search(message, text), text
