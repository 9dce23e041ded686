import dataclasses

import numpy as np
import pytest
import torch

from rramsim.exceptions import InputError
from rramsim.learning import (
    Accuracy,
    NetworkSpec,
    TrainingSettings,
    accuracy,
    load_images,
    load_network,
    save_network,
    train,
    training_step,
)
from rramsim.learning.progress import BatchSource
from rramsim.learning.settings import deciding
from rramsim.networks import (
    RECIPES,
    BinaryFlips,
    ScalarErrors,
    TransitionErrors,
    layer_census,
    quantised_layers,
    set_weight_errors,
)


def digit_net(**changes):
    values = {
        "architecture": "mlp",
        "weights": "ternary",
        "activations": "ternary",
        "width": 16,
        "input_shape": (1, 8, 8),
    } | changes
    return NetworkSpec(**values)


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(train=256, test=64)


def same(one, other):
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_ternary_perceptron_learns_the_digits(digits):
    spec = digit_net(width=256)
    result = train(spec, digits, TrainingSettings(epochs=30, batch=64, augment=False))
    assert result.test.value > 0.92
    assert result.rows[-1].test_accuracy == result.test.value
    assert result.rows[-1].train_loss < result.rows[0].train_loss
    for layer in layer_census(result.network, (1, 8, 8)):
        assert layer.minus + layer.zero + layer.plus == layer.weights
        assert min(layer.minus, layer.zero, layer.plus) > 0
    assert not result.network.training


def test_a_ternary_vgg_learns_the_digits(digits):
    spec = digit_net(architecture="vgg", width=8)
    result = train(spec, digits, TrainingSettings(epochs=25, batch=64))
    # Eight channels are a coarse network: of seeds 0 to 3 three end above 91 %, one at 87 %.
    assert result.test.value > 0.90


def test_training_with_errors_makes_a_network_that_bears_them(digits):
    errors = BinaryFlips(0.1)
    spec = digit_net(weights="binary", activations="binary", width=64)
    settings = TrainingSettings(epochs=15, batch=64, augment=False)
    bearing, plain = (train(spec, digits, settings, errors=e) for e in (errors, None))
    scores = []
    for result in (bearing, plain):
        right = 0
        for seed in range(20):
            set_weight_errors(result.network, errors, seed=seed)
            right += accuracy(result.network, digits.test_images, digits.test_labels).correct
        scores.append(right / (20 * 450))
    assert scores[0] > scores[1] + 0.02
    # After training the errors are off.
    again = train(spec, digits, dataclasses.replace(settings, epochs=1), errors=errors)
    layer = quantised_layers(again.network)["linear1"]
    assert torch.equal(layer.read_weight(), layer.quantised_weight())


@pytest.mark.parametrize("errors", [None, ScalarErrors(0.05)])
@pytest.mark.parametrize("architecture", ["mlp", "vgg"])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, small, errors, architecture):
    spec = digit_net(architecture=architecture, width=4)
    settings = TrainingSettings(epochs=4, batch=32, seed=7)
    whole = train(spec, small, settings, errors=errors)
    checkpoint = tmp_path / "training.pt"

    class StopError(Exception):
        pass

    def stop(row):
        if row.epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        train(spec, small, settings, errors=errors, checkpoint=checkpoint, progress=stop)
    seen = []
    resumed = train(
        spec,
        small,
        settings,
        errors=errors,
        checkpoint=checkpoint,
        progress=lambda row: seen.append(row.epoch),
    )
    assert seen == [3, 4]
    assert same(whole.network, resumed.network)
    untimed = [
        [dataclasses.replace(row, seconds=0.0) for row in result.rows]
        for result in (whole, resumed)
    ]
    assert untimed[0] == untimed[1]
    assert [row.epoch for row in resumed.rows] == [1, 2, 3, 4]
    # A finished run is not trained again.
    finished = train(spec, small, settings, errors=errors, checkpoint=checkpoint)
    assert same(whole.network, finished.network) and finished.test == whole.test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"width": 5}}, "its width = 4, here 5"),
        ({"spec": {"weights": "binary"}}, "its weights = 'ternary', here 'binary'"),
        ({"settings": {"learning_rate": 0.5}}, "its learning_rate = 0.01, here 0.5"),
        ({"settings": {"epochs": 9}}, "its epochs = 1, here 9"),
        ({"errors": ScalarErrors(0.1)}, "its read errors differ"),
        ({"errors": TransitionErrors(np.eye(3))}, "its read errors differ"),
        ({"data": True}, "its data set differs"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path, small, change, message):
    path = tmp_path / "training.pt"
    settings = TrainingSettings(epochs=1, batch=64)
    train(digit_net(width=4), small, settings, checkpoint=path)
    before = path.read_bytes()
    data = small
    if "data" in change:
        data = dataclasses.replace(small, test_images=small.test_images ^ 1)
    with pytest.raises(InputError, match=message) as caught:
        train(
            digit_net(**({"width": 4} | change.get("spec", {}))),
            data,
            dataclasses.replace(settings, **change.get("settings", {})),
            errors=change.get("errors"),
            checkpoint=path,
        )
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, small, share):
    training, network = tmp_path / "training.pt", tmp_path / "network.pt"
    spec, settings = digit_net(width=4), TrainingSettings(epochs=1, batch=64)
    result = train(spec, small, settings, checkpoint=training)
    save_network(network, spec, result.network)
    for path in (training, network):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a whole rramsim checkpoint") as caught:
        train(spec, small, settings, checkpoint=training)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="not a whole rramsim checkpoint") as caught:
        load_network(network)
    assert "\n" not in str(caught.value)


def test_networks_are_saved_and_loaded_whole(tmp_path, small):
    spec = digit_net(architecture="vgg", width=3)
    result = train(spec, small, TrainingSettings(epochs=1, batch=64))
    path = tmp_path / "network.pt"
    save_network(path, spec, result.network)
    found, network = load_network(path, expected=spec)
    assert found == spec and same(network, result.network)
    assert accuracy(network, small.test_images, small.test_labels) == result.test
    assert [p.name for p in tmp_path.iterdir()] == ["network.pt"]
    with pytest.raises(InputError, match=r"holds another network \(width = 3, wanted 4\)"):
        load_network(path, expected=dataclasses.replace(spec, width=4))


def test_files_that_hold_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_network(tmp_path / "none.pt")
    path = tmp_path / "network.pt"
    torch.save({"format": "other"}, path)
    with pytest.raises(InputError, match="its format is 'other'"):
        load_network(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="its format is None"):
        load_network(path)
    # An arbitrary object would need pickle to run code; it is refused.
    torch.save({"format": "rramsim network 1", "spec": torch.nn.Linear(1, 1)}, path)
    with pytest.raises(InputError, match="not a whole rramsim checkpoint"):
        load_network(path)
    torch.save({"format": "rramsim network 1", "spec": "{}", "state": {}}, path)
    with pytest.raises(InputError, match="does not say which network"):
        load_network(path)


def test_a_network_that_is_not_finite_is_neither_saved_nor_loaded(tmp_path):
    spec = digit_net(width=4)
    network = spec.build(seed=0)
    path = tmp_path / "network.pt"
    save_network(path, spec, network)
    before = path.read_bytes()
    with torch.no_grad():
        quantised_layers(network)["linear2"].weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"linear2\.weight holds values that are not finite"):
        save_network(path, spec, network)
    assert path.read_bytes() == before
    state = torch.load(path, weights_only=True)
    state["state"]["linear1.weight"][0, 0] = float("inf")
    torch.save(state, path)
    with pytest.raises(InputError, match=r"linear1\.weight holds values that are not finite"):
        load_network(path)


def test_a_training_that_diverges_says_so_and_saves_nothing(tmp_path, small, monkeypatch):
    monkeypatch.setattr(
        torch.nn.functional, "cross_entropy", lambda scores, *_, **__: scores.sum() * float("nan")
    )
    path = tmp_path / "training.pt"
    with pytest.raises(InputError, match=r"training diverged in epoch 1 .* is too high") as caught:
        train(digit_net(), small, TrainingSettings(epochs=2), checkpoint=path)
    assert "\n" not in str(caught.value) and not path.exists()


def test_data_of_another_shape_and_devices_that_are_not_there(small):
    with pytest.raises(InputError, match=r"takes images \(3, 32, 32\) of 10 classes"):
        train(digit_net(input_shape=(3, 32, 32)), small, TrainingSettings(epochs=1))
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(InputError, match=f"device = '{device}': PyTorch has no such device"):
            train(digit_net(), small, TrainingSettings(epochs=1, device=device))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warmup", 1.1),
        ("weight_decay", -1.0),
        ("label_smoothing", 1.0),
        ("norm_momentum", 0.0),
        ("schedule", "step"),
        ("cutout_pixels", -1),
        ("average", 1.0),
        ("distillation", 1.5),
        ("distillation_temperature", 0.0),
        ("seed", -1),
    ],
)
def test_settings_out_of_range_are_refused(key, value):
    shown = f"{key} = {value!r}".removesuffix(".0")
    with pytest.raises(InputError, match=f"^{shown}: must be"):
        TrainingSettings(**{key: value})


def test_the_decay_is_normalised_as_in_the_authors_code():
    """2.0 * sqrt(128 / (50,000 * T_max)) at T_max = 100."""
    settings = TrainingSettings(epochs=100, batch=128, weight_decay=2.0)
    assert settings.adamw_decay(50_000) == pytest.approx(2.0 * (128 / 5_000_000) ** 0.5)


def test_the_learning_rate_rises_then_falls_to_zero():
    settings = TrainingSettings(learning_rate=0.01, warmup=0.25)
    rates = [settings.learning_rate_at(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.01) and rates.index(max(rates)) == 25
    assert rates[:26] == sorted(rates[:26]) and rates[25:] == sorted(rates[25:], reverse=True)
    assert 0 < rates[0] < 0.001 and 0 < rates[-1] < 1e-4
    flat = TrainingSettings(learning_rate=0.01, warmup=1.0)
    assert all(0 < flat.learning_rate_at(step, 10) <= 0.01 for step in range(10))
    falls = dataclasses.replace(settings, schedule="linear")
    assert falls.learning_rate_at(62, 100) == pytest.approx(0.01 * 38 / 75)
    assert [falls.learning_rate_at(s, 100) for s in range(25)] == rates[:25]
    held = dataclasses.replace(settings, schedule="constant")
    assert {held.learning_rate_at(step, 100) for step in range(25, 100)} == {0.01}


def test_cutout_gives_one_square_of_each_image_the_mean_colour():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (300, 2, 9, 11), dtype=np.uint8))
    mean = images.double().mean(dim=(0, 2, 3)).round()
    source = BatchSource(images, torch.arange(300), crop_pixels=0, flip=False, cutout_pixels=4)
    seen, rows = [], []
    for batch, labels in source.epoch(64, generator=torch.Generator().manual_seed(3)):
        for one, label in zip(batch, labels, strict=True):
            hole = (one == mean[:, None, None]).all(dim=0)
            changed = (one != images[label]).any(dim=0)
            assert not (changed & ~hole).any()
            row, column = np.flatnonzero(changed.any(dim=1)), np.flatnonzero(changed.any(dim=0))
            # A square of 4 x 4, cut by the edge; a pixel of the mean colour itself cannot be told.
            assert np.ptp(row) < 4 and np.ptp(column) < 4
            seen.append(hole)
            rows.append(int(row.min()))
    share = torch.stack(seen).float().mean(dim=0)
    assert share.min() > 0.02 and 0.1 < share[4, 5] < 0.25  # 16 of 99 centres reach the middle
    assert len(set(rows)) > 5
    # The order and the shifts are those of the same seed without cutout.
    plain = BatchSource(images, torch.arange(300), crop_pixels=0, flip=False)
    order = [
        torch.cat([labels for _, labels in s.epoch(64, generator=torch.Generator().manual_seed(3))])
        for s in (source, plain)
    ]
    assert torch.equal(*order)


def test_the_saved_network_is_the_running_mean_of_the_weights(small, monkeypatch):
    """Recomputed in float64 from the weights after every step."""
    steps = []

    def noted(network, *arguments, **named):
        found = training_step(network, *arguments, **named)
        steps.append({k: v.clone() for k, v in network.state_dict().items()})
        return found

    monkeypatch.setattr("rramsim.learning.training.training_step", noted)
    settings = TrainingSettings(epochs=3, batch=64, average=0.8, augment=False)
    network = train(digit_net(width=4), small, settings).network
    start = digit_net(width=4).build(seed=0).state_dict()
    for name, value in network.state_dict().items():
        if not value.is_floating_point() or name.startswith("standardise"):
            continue
        mean = start[name].double()
        for index, state in enumerate(steps):
            past = min(0.8, (1 + index) / (10 + index))
            mean = past * mean + (1 - past) * state[name].double()
        assert torch.allclose(value.double(), mean, atol=1e-5), name
        assert not torch.allclose(value, steps[-1][name], atol=1e-4)
    assert len(steps) == 12


def test_distillation_has_the_gradient_of_its_formula():
    """(1 - a)(softmax(s) - y) + a T (softmax(s / T) - softmax(t / T)), over the batch."""
    torch.manual_seed(0)
    scores, taught = torch.randn(7, 5, dtype=torch.double), torch.randn(7, 5, dtype=torch.double)
    labels = torch.randint(0, 5, (7,))
    student = torch.nn.Linear(7, 5, bias=False).double()
    with torch.no_grad():
        student.weight.copy_(scores.T)

    class Teacher(torch.nn.Module):
        def forward(self, images):
            return taught

    optimiser = torch.optim.SGD(student.parameters(), lr=1.0)
    before = student.weight.detach().clone()
    images = torch.eye(7, dtype=torch.double)  # each image asks for its own scores
    training_step(
        student, optimiser, images, labels, teacher=Teacher(), distillation=0.3, temperature=2.5
    )
    found = (before - student.weight.detach()).T
    wanted = 0.7 * (scores.softmax(1) - torch.nn.functional.one_hot(labels, 5)) + 0.3 * 2.5 * (
        (scores / 2.5).softmax(1) - (taught / 2.5).softmax(1)
    )
    assert torch.allclose(found, wanted / 7, atol=1e-12)


def test_a_distilled_training_resumes_and_follows_its_teacher(tmp_path, small):
    settings = TrainingSettings(epochs=3, batch=64, distillation=1.0, average=0.5, cutout_pixels=2)
    spec, path = digit_net(width=8), tmp_path / "a.pt"
    whole = train(spec, small, settings)

    class StopError(Exception):
        pass

    def stop(row):
        raise StopError

    with pytest.raises(StopError):
        train(spec, small, settings, checkpoint=path, progress=stop)
    assert (tmp_path / "a.pt.teacher").exists()
    assert same(whole.network, train(spec, small, settings, checkpoint=path).network)
    hotter = dataclasses.replace(settings, distillation_temperature=1.0)
    assert not same(whole.network, train(spec, small, hotter).network)


def test_settings_that_came_later_leave_older_runs_what_they_were():
    """The names of networks and checkpoints of runs before 2027 stay."""
    assert set(deciding(TrainingSettings())) == {
        "epochs", "batch", "learning_rate", "warmup", "weight_decay", "label_smoothing",
        "second_moment", "norm_momentum", "augment", "bfloat16", "seed",
    }  # fmt: skip
    assert deciding(TrainingSettings(cutout_pixels=3))["cutout_pixels"] == 3


def test_recipes_are_one_recipe_for_binary_networks():
    """No threshold of either recipe touches binary weights and activations: same network."""
    one, other = (
        digit_net(weights="binary", activations="binary", **recipe) for recipe in RECIPES.values()
    )
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(one.build(seed=1)(images), other.build(seed=1)(images))


def test_batches_hold_every_image_once_shifted_with_its_edge_and_mirrored():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 3, 6, 5), dtype=np.uint8)
    source = BatchSource(torch.from_numpy(images), torch.arange(30), crop_pixels=2, flip=True)
    generator = torch.Generator().manual_seed(1)
    seen, moved, mirrored = [], set(), 0
    for batch, labels in source.epoch(8, generator=generator):
        assert batch.dtype == torch.uint8 and batch.is_contiguous(memory_format=torch.channels_last)
        for image, label in zip(batch.numpy(), labels.tolist(), strict=True):
            seen.append(label)
            padded = np.pad(images[label], ((0, 0), (2, 2), (2, 2)), mode="edge")
            places = [
                (row, column, flip)
                for row in range(5)
                for column in range(5)
                for flip in (False, True)
                if np.array_equal(
                    padded[:, row : row + 6, column : column + 5][:, :, :: -1 if flip else 1],
                    image,
                )
            ]
            assert len(places) == 1
            moved.add(places[0][:2])
            mirrored += places[0][2]
    assert sorted(seen) == list(range(30)) and seen != sorted(seen)
    assert len(moved) > 10 and 5 < mirrored < 25


def test_without_augmentation_batches_are_the_images():
    images = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8)
    source = BatchSource(images, torch.arange(10), crop_pixels=0, flip=False)
    for batch, labels in source.epoch(3, generator=torch.Generator().manual_seed(0)):
        assert torch.equal(batch, images[labels])
        assert len(labels) == 3  # the last batch, of one image, is left out


def test_accuracy_counts_and_gives_wilsons_interval():
    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return torch.nn.functional.one_hot(images.flatten().long(), 3).float()

    images = np.array([0, 1, 2, 2, 1], np.uint8).reshape(5, 1, 1, 1)
    labels = np.array([0, 1, 2, 0, 1])
    for batch in (1, 2, 100):
        assert accuracy(Fixed(), images, labels, batch=batch) == Accuracy(correct=4, total=5)
    # Wilson 1927: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), here 90 of 100.
    z, p, n = 1.959963984540054, 0.9, 100
    centre, root = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    expected = ((centre - root) / (1 + z * z / n), (centre + root) / (1 + z * z / n))
    assert Accuracy(correct=90, total=100).interval() == pytest.approx(expected)
    with pytest.raises(InputError, match="5 images with 4 labels"):
        accuracy(Fixed(), images, labels[:4])
    with pytest.raises(InputError):
        Accuracy(correct=2, total=1)
