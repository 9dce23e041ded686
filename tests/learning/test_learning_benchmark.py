import numpy as np
import pandas as pd
import pytest
import torch

from rramsim.figures import width_figure
from rramsim.learning import load_images
from rramsim.networks import NetworkSpec, ScalarErrors, quantised_layers

plain = pytest.importorskip("benchmarks._plain_scheme")
training = pytest.importorskip("benchmarks.training")
steps = pytest.importorskip("benchmarks._steps")


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
    ours = NetworkSpec(weights="ternary", activations="ternary", width=4).build(seed=0).eval()
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


def test_the_figure_of_widths_shows_every_training():
    table = pd.read_csv(training.RESULTS)
    (ax,) = width_figure(table).axes
    joined = [line for line in ax.lines if line.get_linestyle() in ("-", "None")]
    points = sum(len(line.get_xdata()) for line in joined)
    trained = table.groupby(["network", "epochs"]).ngroups
    assert points >= trained
    heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines])
    best = 100 * table.groupby(["network", "epochs"]).test_accuracy.mean().max()
    assert heights.max() >= best


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
