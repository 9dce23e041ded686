import numpy as np
import pytest
import torch
from scipy import stats

from rramsim.exceptions import InputError
from rramsim.learning import EnsembleAccuracy, ensemble_accuracy
from rramsim.networks import NetworkSpec, set_read_weights, written_weights


def test_the_mean_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        chips = EnsembleAccuracy(correct=rng.binomial(10_000, 0.9, 20), images=10_000)
        low, high = chips.mean_interval()
        hits += low <= 0.9 <= high
    assert stats.binomtest(hits, 1000, 0.95).pvalue > 1e-4


@pytest.mark.parametrize(("count", "bounded"), [(100, False), (367, False), (368, True)])
def test_the_first_percentile_is_bounded_below_from_368_chips_on(count, bounded):
    low, high = EnsembleAccuracy(correct=np.arange(count), images=1000).percentile_interval()
    assert (low is not None) == bounded
    assert high is not None


def test_percentile_intervals_cover_whatever_the_distribution():
    rng = np.random.default_rng(1)
    truth = round(1e6 * stats.expon.ppf(0.05))
    hits = 0
    for _ in range(500):
        drawn = np.minimum(1e6 * rng.exponential(size=400), 1e7).astype(np.int64)
        low, high = EnsembleAccuracy(correct=drawn, images=10**7).percentile_interval(0.05)
        hits += low <= truth / 1e7 <= high
    assert hits / 500 > 0.93


def test_yield_counts_chips_at_the_target():
    chips = EnsembleAccuracy(correct=np.array([89, 90, 91, 95]), images=100)
    share, low, high = chips.chip_yield(0.90)
    assert share == 0.75 and low < 0.75 < high
    with pytest.raises(InputError, match="1 chips"):
        EnsembleAccuracy(correct=np.array([1]), images=2)
    with pytest.raises(InputError, match="of 10 images"):
        EnsembleAccuracy(correct=np.array([1, 11]), images=10)


def test_each_chip_is_tested_with_what_it_read_as_the_float_network_would_be():
    spec = NetworkSpec(
        weights="ternary", activations="ternary", width=24, architecture="mlp",
        input_shape=(1, 8, 8),
    )  # fmt: skip
    network = spec.build(seed=0).eval()
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    with torch.inference_mode():
        clean = network(torch.from_numpy(images)).argmax(dim=1).numpy()
    written = written_weights(network)
    turned = {name: -values for name, values in written.items()}
    found = list(ensemble_accuracy(network, [written, turned], images, clean))
    assert found[0] == 40 and found[1] < 40
    set_read_weights(network, turned)
    with torch.inference_mode():
        scores = network(torch.from_numpy(images)).argmax(dim=1).numpy()
    assert int((scores == clean).sum()) == found[1]
    with pytest.raises(InputError, match="the network has linear1"):
        list(ensemble_accuracy(network, [{}], images, clean))
    with pytest.raises(InputError, match=r"linear1: weights of shape \(1, 1\)"):
        bad = {**written, "linear1": np.zeros((1, 1), np.int8)}
        list(ensemble_accuracy(network, [bad], images, clean))
    with pytest.raises(InputError, match="the network has linear1"):
        set_read_weights(network, {})
    with pytest.raises(InputError, match=r"linear1: weights read of shape \(1, 1\)"):
        set_read_weights(network, {**written, "linear1": np.zeros((1, 1), np.int8)})
    with pytest.raises(InputError, match="linear2: weights read must be"):
        set_read_weights(network, {**written, "linear2": 3 * np.ones_like(written["linear2"])})
