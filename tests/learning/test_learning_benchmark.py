import numpy as np
import pandas as pd
import pytest
import torch

from rramsim.exceptions import InputError
from rramsim.figures import width_figure
from rramsim.learning import ImageData, load_images
from rramsim.networks import RECIPES, NetworkSpec, ScalarErrors, quantised_layers

plain = pytest.importorskip("benchmarks._plain_scheme")
training = pytest.importorskip("benchmarks.training")
adaptation = pytest.importorskip("benchmarks.adaptation")
steps = pytest.importorskip("benchmarks._steps")
jpeg_copy = pytest.importorskip("benchmarks.jpeg_copy")


def test_the_plain_opponent_draws_the_same_distribution():
    network = plain.PlainNetwork(16, rate=0.1)
    layer = list(network)[-4]
    latent = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], layer.weight.numel())
    written = torch.tensor(latent, dtype=torch.float32).view_as(layer.weight)
    layer.weight.data.copy_(written)
    shares = []
    for read in (
        layer.read().detach(),
        ScalarErrors(0.1).apply(written, generator=torch.Generator().manual_seed(1)),
    ):
        shares.append(
            [
                float(((written == w) & (read == r)).float().mean())
                for w in (-1, 0, 1)
                for r in (-1, 0, 1)
            ]
        )
    assert np.allclose(*shares, atol=0.003)


def test_the_plain_opponent_is_the_same_network():
    """From the same weights, without errors, it computes the same scores."""
    spec = NetworkSpec(weights="ternary", activations="ternary", width=4, **RECIPES["published"])
    ours = spec.build(seed=0).eval()
    theirs = plain.PlainNetwork(4, rate=0.0).eval()
    latent = [layer.weight for layer in quantised_layers(ours).values()]
    for layer, weight in zip([m for m in theirs if hasattr(m, "rate")], latent, strict=True):
        layer.weight.data.copy_(weight)
    images = torch.randint(0, 256, (5, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # Standardise starts at mean 0 and deviation 1.
        assert torch.allclose(ours(images.to(torch.uint8)), theirs(images.float()), atol=1e-3)


def test_step_times_compare_every_rate_with_none_and_the_plain_scheme():
    result = steps.step_times(width=2, batch=4, repeats=1)
    assert result["ratio"]["no errors"] == 1.0
    assert {"rate 0.0001", "rate 0.1", steps.OPPONENT} <= set(result["step_s"])
    assert result["speedup"] > 0.0


def test_the_tuned_recipe_gains_four_points():
    """The published result file, and the paired interval recomputed by hand."""
    rows = pd.read_csv(training.RESULTS.with_name("recipe_cifar10.csv"))
    (gain,) = training.gains(rows).itertuples()
    each = np.array([64.95 - 59.99, 65.72 - 61.51, 63.40 - 60.24, 64.55 - 60.50, 65.22 - 60.68])
    assert gain.seeds == 5 and gain.gain == pytest.approx(each.mean()) and gain.gain > 4
    half = 2.776445 * each.std(ddof=1) / 5**0.5  # Student, four degrees of freedom
    assert (gain.low, gain.high) == pytest.approx((each.mean() - half, each.mean() + half))


def test_adaptations_are_tested_on_the_same_draws(monkeypatch):
    monkeypatch.setattr(adaptation, "SUPPLIES_V", (0.96, 1.1))
    table = adaptation.run(
        data=load_images("digits"), samples=200, images=100, draws=2, epochs=1, width=1
    )
    assert table.adaptation.tolist() == [n for n in adaptation.ADAPTATIONS for _ in range(2)]
    assert table.adaptation_images.tolist() == [0, 0, 1000, 1000, 4200, 4200]
    assert table.accuracy_without_errors.nunique() == 1
    assert table.groupby("vdd_v").type2.nunique().tolist() == [1, 1]
    found = adaptation.lowest(table.assign(loss=[0.5, 0.0] * 3, loss_deviation=0.0))
    assert len(found) == 6 and set(found.vdd_v.dropna()) <= {0.96, 1.1}


def test_recipes_are_trained_on_the_same_batches_and_not_twice(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    data = ImageData(
        train_images=rng.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), train_labels=labels,
        test_images=rng.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), test_labels=labels,
        classes=tuple("0123456789"), label="noise",
    )  # fmt: skip
    out = tmp_path / "rows.csv"
    given = {
        "data": data, "epochs": 1, "width": 1, "out": out, "progress": False, "images": 40,
        "kinds": ["ternary-ternary", "binary-binary"], "recipes": ["tuned", "published"],
    }  # fmt: skip
    training.run([0], **given)
    rows = pd.read_csv(out)
    assert len(rows) == 4 and set(rows.recipe) == {"tuned", "published"}
    assert set(rows.data) == {"noise, 40 + 60 images"}
    binary = rows[rows.network == "vgg1-binary-binary"]
    assert binary.test_accuracy.nunique() == 1  # it has no threshold
    training.run([0], **given)
    assert len(pd.read_csv(out)) == 4
    training.run([0], **given, more={"cutout_pixels": 2})
    assert len(pd.read_csv(out)) == 8


def test_the_figure_of_widths_shows_every_training():
    table = pd.read_csv(training.RESULTS)
    (panel,) = width_figure(table).panels
    heights = [point.y for series in panel.series for point in series.points]
    means = 100 * table.groupby(["network", "epochs"]).test_accuracy.mean()
    assert sorted(heights) == pytest.approx(sorted(means))


def test_both_schemes_are_trained_with_one_recipe(tmp_path):
    digits = load_images("digits").subset(train=64, test=32)
    images = [
        np.pad(np.repeat(a, 3, axis=1), ((0, 0), (0, 0), (12, 12), (12, 12)))
        for a in (digits.train_images, digits.test_images)
    ]
    data = type(digits)(
        train_images=images[0],
        test_images=images[1],
        train_labels=digits.train_labels,
        test_labels=digits.test_labels,
        classes=digits.classes,
        label="padded digits",
    )
    rows = steps.accuracies(data, width=2, epochs=1, seeds=[0], bfloat16=False)
    assert [row["scheme"] for row in rows] == ["rramsim, rate 0.01", steps.OPPONENT]
    assert all(0 <= row["percent"][0] <= 100 for row in rows)


@pytest.fixture
def official_and_copy(monkeypatch):
    """Smooth images in mixed order, and a noisy copy of them sorted by class."""
    rng = np.random.default_rng(4)
    sets = {}
    for part, count in (("train", 64), ("test", 32)):
        labels = rng.permutation(np.arange(count) % 4).astype(np.int64)
        coarse = rng.integers(20, 230, (count, 3, 4, 4))
        images = np.kron(coarse, np.ones((8, 8), dtype=int)).astype(np.uint8)
        order = np.argsort(labels, kind="stable")
        noisy = (images + rng.integers(-5, 6, images.shape)).astype(np.uint8)
        sets[part] = images, labels, noisy[order], labels[order]
    (a, b, c, d), (e, f, g, h) = sets["train"], sets["test"]
    official = ImageData(
        train_images=a, train_labels=b, test_images=e, test_labels=f,
        classes=tuple("abcd"), label="lossless",
    )  # fmt: skip
    copy = ImageData(
        train_images=c, train_labels=d, test_images=g, test_labels=h,
        classes=tuple("abcd"), label="copy",
    )  # fmt: skip
    monkeypatch.setattr(jpeg_copy, "_CHANNEL_MEANS", tuple(a.mean(axis=(0, 2, 3))))
    return official, copy


def test_a_copy_is_brought_into_the_order_of_its_originals(official_and_copy):
    official, copy = official_and_copy
    found = jpeg_copy.aligned(copy, official)
    assert np.array_equal(found.train_labels, official.train_labels)
    apart = found.train_images.astype(int) - official.train_images
    assert 1 <= np.abs(apart).max() <= 5
    # Uniform over 11 values: a mean square of 10.
    decibels = jpeg_copy.psnr_db(found.test_images, official.test_images)
    assert decibels == pytest.approx(10 * np.log10(255**2 / 10), abs=0.3)


def test_a_copy_of_other_images_is_refused(official_and_copy):
    official, copy = official_and_copy
    copy.test_images[[0, 1]] = copy.test_images[[1, 0]]
    with pytest.raises(InputError, match="2 such images"):
        jpeg_copy.aligned(copy, official)
    with pytest.raises(InputError, match="those of CIFAR-10 are"):
        jpeg_copy.aligned(official, copy)


def test_networks_are_trained_on_both_sets_and_tested_on_both(official_and_copy, tmp_path):
    official, copy = official_and_copy
    asked = {
        "official": official, "copy": copy, "epochs": 2, "width": 2,
        "kinds": ["ternary-ternary"], "out": tmp_path / "rows.csv", "progress": False,
    }  # fmt: skip
    first = jpeg_copy.run([0, 1], **asked)
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert [*rows["trained_on"]] == ["official", "copy"] * 2
    (row,) = first["summary"]
    own = rows.set_index(["seed", "trained_on"])
    cost = [
        100
        * (own.loc[(s, "official"), "tested_on_official"] - own.loc[(s, "copy"), "tested_on_copy"])
        for s in (0, 1)
    ]
    assert row["cost_points"] == pytest.approx(np.mean(cost))
    assert row["cost_error"] == pytest.approx(np.std(cost, ddof=1) / 2**0.5)
    # What the file has is not trained again.
    again = jpeg_copy.run([0, 1], **asked)
    assert again["summary"] == first["summary"] and len(pd.read_csv(tmp_path / "rows.csv")) == 4
