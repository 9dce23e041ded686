import numpy as np
import pytest
import torch

from rramsim.networks import ScalarErrors

training = pytest.importorskip("benchmarks.training")


def test_the_dense_opponent_draws_the_same_distribution():
    written = torch.tensor(np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 300_000))
    shares = []
    for errors in (ScalarErrors(0.1), training.DenseScalarErrors(0.1)):
        read = errors.apply(written, generator=torch.Generator().manual_seed(1))
        shares.append(
            [
                float(((written == w) & (read == r)).float().mean())
                for w in (-1, 0, 1)
                for r in (-1, 0, 1)
            ]
        )
    assert np.allclose(*shares, atol=0.004)


def test_step_times_compare_every_rate_with_none():
    result = training.step_times(width=2, batch=4, repeats=1, size=8)
    assert result["ratio"]["no errors"] == 1.0
    assert {"rate 0.0001", "rate 0.1", "dense, rate 0.01"} <= set(result["step_s"])
