import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from rramsim.exceptions import InputError
from rramsim.networks import (
    BinaryFlips,
    NetworkSpec,
    ScalarErrors,
    TransitionErrors,
    quantised_layers,
    set_weight_errors,
    without_weight_errors,
)
from rramsim.networks.weight_errors import draw_reads_densely


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ternary(count, zeros, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 0.0, 1.0], size=count, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])
    return torch.tensor(values, dtype=torch.float32)


def counts(written, read):
    """3 x 3 counts, written by read, recomputed here without the code under test."""
    table = np.zeros((3, 3), dtype=int)
    for i, w in enumerate((-1, 0, 1)):
        for j, r in enumerate((-1, 0, 1)):
            table[i, j] = int(((written == w) & (read == r)).sum())
    return table


def assert_rows_follow(table, matrix):
    """Each row against its multinomial; 1e-6 so that no fixed seed is unlucky."""
    for row, probabilities in zip(table, np.asarray(matrix), strict=True):
        possible = probabilities > 0
        assert row[~possible].sum() == 0
        if possible.sum() > 1 and row.sum():
            expected = probabilities[possible] * row.sum()
            assert chisquare(row[possible], expected).pvalue > 1e-6


rows = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda r: np.array(r) / sum(r))


@settings(max_examples=25, deadline=None)
@given(st.tuples(rows, rows, rows).map(np.array), st.integers(0, 2**31))
def test_transition_errors_follow_every_row(matrix, seed):
    written = ternary(20_000, 0.4)
    read = TransitionErrors(matrix).apply(written, generator=generator(seed))
    assert_rows_follow(counts(written, read), matrix)


@pytest.mark.parametrize("rate", [1e-3, 0.05, 0.3])
def test_transition_errors_with_one_rare_row_at_low_and_high_rates(rate):
    matrix = [[1 - rate / 10, rate / 10, 0], [rate / 4, 1 - rate, 3 * rate / 4], [0, 0, 1]]
    written = ternary(1_000_000, 0.6)
    read = TransitionErrors(matrix).apply(written, generator=generator(5))
    table = counts(written, read)
    assert_rows_follow(table, matrix)
    assert table[2, :2].sum() == 0


@pytest.mark.parametrize("shape", [(50_000,), (8, 25, 5, 50), (8, 25, 3, 3)])
def test_errors_leave_shape_layout_and_argument_alone(shape):
    written = ternary(math.prod(shape), 0.5).reshape(shape)
    if len(shape) == 4:
        written = written.to(memory_format=torch.channels_last)
    before = written.clone()
    read = ScalarErrors(0.1).apply(written, generator=generator())
    assert torch.equal(written, before)
    assert read.shape == written.shape and read.stride() == written.stride()
    assert set(read.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert not torch.equal(read, written)


@pytest.mark.parametrize("zeros", [0.1, 0.9])
@pytest.mark.parametrize("b", [1e-3, 0.02, 0.2])
def test_scalar_errors_are_the_authors_scheme(zeros, b):
    """P(0 -> +-1) = 2b/(1+p0), P(+-1 -> 0) = b/(1+p0), no sign flips."""
    written = ternary(400_000, zeros)
    p0 = float((written == 0).float().mean())
    table = counts(written, ScalarErrors(b).apply(written, generator=generator(3)))
    appear, vanish = 2 * b / (1 + p0), b / (1 + p0)
    matrix = [
        [1 - vanish, vanish, 0],
        [appear / 2, 1 - appear, appear / 2],
        [0, vanish, 1 - vanish],
    ]
    assert_rows_follow(table, matrix)
    wrong = int(table.sum() - np.trace(table))
    assert binomtest(wrong, int(table.sum()), b).pvalue > 1e-6


def test_scalar_errors_flip_binary_weights():
    written = ternary(200_000, 0.0)
    errors = ScalarErrors(0.04, weights="binary")
    table = counts(written, errors.apply(written, generator=generator(1)))
    assert_rows_follow(table, [[0.96, 0, 0.04], [0, 1, 0], [0.04, 0, 0.96]])


def test_rate_zero_changes_nothing_and_flips_of_one_change_all():
    written = ternary(1000, 0.5)
    assert torch.equal(BinaryFlips(0.0).apply(written, generator=generator()), written)
    assert torch.equal(ScalarErrors(0.0).apply(written, generator=generator()), written)
    assert torch.equal(BinaryFlips(1.0).apply(written, generator=generator()), -written)


@pytest.mark.parametrize("rate", [1e-3, 4e-3, 6e-3, 0.09, 0.5])
def test_errors_fall_anywhere_alike_and_independently(rate):
    """Binomial in number, uniform in place, and no more often beside one another than by chance."""
    repeats, count = 300, 2000
    written = torch.ones(count)
    places = np.zeros(10, dtype=int)
    neighbours = 0
    for seed in range(repeats):
        wrong = (BinaryFlips(rate).apply(written, generator=generator(seed)) < 0).numpy()
        places += wrong.reshape(10, -1).sum(axis=1)
        neighbours += int((wrong[1:] & wrong[:-1]).sum())
    assert chisquare(places).pvalue > 1e-6
    assert binomtest(int(places.sum()), repeats * count, rate).pvalue > 1e-6
    # Pairs overlap, so their number is not binomial; at these rates its deviation is less than
    # twice the binomial one.
    pairs = repeats * (count - 1)
    expected = pairs * rate**2
    assert abs(neighbours - expected) < 5 * 2 * np.sqrt(expected + 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=4),
    st.floats(0, 0.5),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_any_shape_layout_and_type_is_read(shape, rate, turned, dtype):
    written = ternary(int(np.prod(shape)), 0.5).reshape(shape).to(dtype)
    if turned and written.dim() > 1:
        written = written.transpose(0, -1)
    before = written.clone()
    read = ScalarErrors(rate).apply(written, generator=generator(3))
    assert read.shape == written.shape and read.dtype == dtype
    assert torch.equal(written, before)
    assert bool(torch.isin(read, torch.tensor([-1, 0, 1], dtype=dtype)).all())
    over = ScalarErrors(rate).draw(before, generator=generator(3), in_place=True)
    assert torch.equal(over, read)
    repeated = torch.zeros((), dtype=dtype).expand(7, 3)  # no memory of its own
    assert ScalarErrors(rate).apply(repeated, generator=generator(3)).shape == (7, 3)


def test_dense_draws_follow_the_same_matrix():
    """The way for GPUs, here on the CPU: another draw of the same distribution."""
    matrix = np.array([[0.7, 0.2, 0.1], [0.02, 0.95, 0.03], [0.0, 0.3, 0.7]])
    written = ternary(300_000, 0.5)
    read = draw_reads_densely(written, torch.from_numpy(matrix), generator=generator(5))
    assert_rows_follow(counts(written, read), matrix)


def test_tiny_rates_do_not_overflow():
    written = torch.ones(1000)
    assert torch.equal(BinaryFlips(1e-300).apply(written, generator=generator()), written)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), r"shape \(2, 2\): must be 3 x 3"),
        ([[1, 0, 0], [0, 0.5, 0.4], [0, 0, 1]], r"written \+0 .* sums to 0\.9, must sum to 1"),
        ([[1, 0, 0], [0, 1, 0], [0, -0.1, 1.1]], r"written \+1 .* between 0 and 1"),
        ([[math.nan, 0, 1], [0, 1, 0], [0, 0, 1]], r"written -1 .* between 0 and 1"),
    ],
)
def test_matrices_that_are_not_stochastic_are_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        TransitionErrors(matrix)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, math.inf])
def test_rates_that_are_not_probabilities_are_refused(rate):
    with pytest.raises(InputError, match="between 0 and 1"):
        BinaryFlips(rate)
    with pytest.raises(InputError, match=r"between 0 and 0\.5"):
        ScalarErrors(rate)


def network(weights="ternary"):
    spec = NetworkSpec(
        architecture="mlp", weights=weights, activations="full", width=32, input_shape=(1, 8, 8)
    )
    return spec.build(seed=1).eval()


IMAGES = torch.arange(2 * 64, dtype=torch.float32).reshape(2, 1, 8, 8)


def test_forward_errors_are_drawn_anew_and_repeat_with_the_seed():
    net = network()
    clean = net(IMAGES)
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    first, second = net(IMAGES), net(IMAGES)
    assert not torch.equal(first, second)
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    assert torch.equal(net(IMAGES), first)
    set_weight_errors(net, ScalarErrors(0.1), seed=5)
    assert not torch.equal(net(IMAGES), first)
    set_weight_errors(net, None, seed=0)
    assert torch.equal(net(IMAGES), clean)


def test_frozen_errors_stay_until_drawn_again():
    net = network()
    set_weight_errors(net, ScalarErrors(0.1), seed=4, mode="frozen")
    first = net(IMAGES)
    assert torch.equal(net(IMAGES), first)
    set_weight_errors(net, ScalarErrors(0.1), seed=6, mode="frozen")
    assert not torch.equal(net(IMAGES), first)


def test_layers_draw_independently_of_each_other():
    net = network()
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    weights = [layer.read_weight() for layer in quantised_layers(net).values()]
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    backwards = [layer.read_weight() for layer in reversed(quantised_layers(net).values())]
    for one, other in zip(weights, reversed(backwards), strict=True):
        assert torch.equal(one, other)


def test_the_latent_weight_gets_the_gradient_of_the_weight_as_read():
    net = network()
    layer = quantised_layers(net)["linear2"]
    set_weight_errors(net, ScalarErrors(0.3), seed=4)
    read = layer.read_weight()
    factor = torch.randn(read.shape, generator=generator())
    (read * factor).sum().backward()
    assert torch.equal(layer.weight.grad, factor)
    assert set(read.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_errors_can_be_set_aside_without_drawing():
    net = network()
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    expected = net(IMAGES)
    set_weight_errors(net, ScalarErrors(0.1), seed=4)
    with without_weight_errors(net):
        assert torch.equal(net(IMAGES), network()(IMAGES))
    assert torch.equal(net(IMAGES), expected)


def test_errors_that_do_not_fit_the_weights_are_refused():
    with pytest.raises(InputError, match="ScalarErrors for 'ternary' weights"):
        set_weight_errors(network("binary"), ScalarErrors(0.1), seed=0)
    with pytest.raises(InputError, match="weights = 'full'"):
        set_weight_errors(network("full"), BinaryFlips(0.1), seed=0)
    half = TransitionErrors([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match="without_zero_reads"):
        set_weight_errors(network("binary"), half, seed=0)
    set_weight_errors(network("binary"), half.without_zero_reads(), seed=0)
    with pytest.raises(InputError, match="mode = 'once'"):
        set_weight_errors(network(), ScalarErrors(0.1), seed=0, mode="once")
    with pytest.raises(InputError, match="no converted layer"):
        set_weight_errors(torch.nn.Linear(2, 2), None, seed=0)
