"""The packed integer network against the float network, score by score."""

import os
import subprocess
import sys
from itertools import product

import llvmlite.binding as binding
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks import (
    BinaryFlips,
    IntegerNetwork,
    NetworkSpec,
    ScalarErrors,
    quantise_activation,
    quantised_layers,
    set_read_weights,
    set_weight_errors,
    written_weights,
)
from rramsim.networks.bit_kernels import (
    dot_products,
    gather_patches,
    pack_bits,
    pack_weights,
    remove_padding,
)
from rramsim.networks.integer import activation_thresholds

PAIRS = list(product(("binary", "ternary"), repeat=2))
SHAPES = [
    ("vgg", 8, (3, 16, 12)),
    ("vgg", 21, (1, 8, 8)),  # 21 channels: bit strings that straddle words
    ("vgg", 70, (2, 4, 4)),  # more than one word a pixel, side below the last pool
    ("mlp", 70, (1, 8, 8)),
]


def trained_looking(architecture, width, shape, weights, activations, seed=1):
    """A network whose batch-norms have every kind of channel, negative and zero gamma included."""
    spec = NetworkSpec(
        architecture=architecture,
        width=width,
        weights=weights,
        activations=activations,
        input_shape=shape,
    )
    network = spec.build(seed=seed).eval()
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            n = module.num_features
            module.weight.data = torch.randn(n, generator=draw)
            module.bias.data = 0.3 * torch.randn(n, generator=draw)
            module.weight.data[0] = 0.0
            module.running_mean = 3.0 * torch.randn(n, generator=draw)
            module.running_var = 1.0 + 60.0 * torch.rand(n, generator=draw)
            if n > 3:  # a tie: the sum 2 gives exactly 0 before the quantiser
                module.running_mean[1], module.bias.data[1] = 2.0, 0.0
    for layer in quantised_layers(network).values():
        layer.weight.data *= 2.5
    network.standardise.mean[:], network.standardise.deviation[:] = 120.7, 64.3
    return network


def float_scores(network, images):
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}{s[1]}")
def test_every_score_equals_the_float_networks_with_and_without_errors(shape, pair):
    weights, activations = pair
    network = trained_looking(*shape, weights, activations)
    images = np.random.default_rng(0).integers(0, 256, (70, *shape[2]), dtype=np.uint8)
    errors = BinaryFlips(0.05) if weights == "binary" else ScalarErrors(0.1)
    clean = None
    for attached in (None, errors):
        set_weight_errors(network, attached, seed=3, mode="frozen")
        wanted = float_scores(network, images)
        assert len(np.unique(wanted.argmax(axis=1))) > 1
        exact = IntegerNetwork.of(network, first="float32")
        assert np.array_equal(exact.scores(images), wanted)
        fixed = IntegerNetwork.of(network)
        assert np.array_equal(fixed.predict(images, threads=2), wanted.argmax(axis=1))
        assert clean is None or not np.array_equal(clean, wanted)
        clean = wanted


def test_errors_drawn_at_each_pass_are_frozen_by_the_conversion():
    network = trained_looking("mlp", 40, (1, 8, 8), "ternary", "ternary")
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    set_weight_errors(network, ScalarErrors(0.2), seed=5)
    packed = IntegerNetwork.of(network, first="float32")
    assert np.array_equal(packed.scores(images), packed.scores(images))
    assert not np.array_equal(packed.scores(images), float_scores(network, images))


def test_binary_weights_that_read_as_zero_are_packed_as_they_are():
    network = trained_looking("vgg", 8, (1, 8, 8), "binary", "binary")
    read = written_weights(network)
    for values in read.values():
        values[::3] = 0
    set_read_weights(network, read)
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    scores = IntegerNetwork.of(network, first="float32").scores(images)
    assert np.array_equal(scores, float_scores(network, images))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(
        st.floats(-3, 3, width=32), st.floats(-2, 2, width=32),
        st.floats(-40, 40, width=32), st.floats(0, 900, width=32),
    ),
    st.sampled_from(["binary", "ternary"]),
    st.sampled_from([nn.BatchNorm1d, nn.BatchNorm2d]),
)  # fmt: skip
def test_thresholds_are_the_float_staircase_at_every_sum(values, kind, norm_class):
    norm = norm_class(9).eval()
    for parameter, value in zip(
        (norm.weight, norm.bias, norm.running_mean, norm.running_var), values, strict=True
    ):
        parameter.data[3:] = value
    norm.weight.data[1], norm.weight.data[2] = 0.0, -1.0
    norm.bias.data[4] = 0.05  # sits on the ternary threshold where gamma or the sum is 0
    limit = 300
    folded = activation_thresholds(norm, kind, limit=limit)
    sums = np.arange(-limit, limit + 1)
    floats = torch.from_numpy(sums.astype(np.float32))[:, None].repeat(1, 9)
    if norm_class is nn.BatchNorm2d:
        floats = floats.T.reshape(1, 9, -1, 1).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        wanted = quantise_activation(norm(floats), kind).numpy()
    if norm_class is nn.BatchNorm2d:
        wanted = wanted[0, :, :, 0].T
    assert np.array_equal(folded.apply(np.repeat(sums[:, None], 9, axis=1)), wanted)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 20), st.integers(1, 9), st.sampled_from(PAIRS),
    st.integers(0, 2**31),
)  # fmt: skip
def test_packed_products_are_matrix_products(bits, outputs, rows, pair, seed):
    rng = np.random.default_rng(seed)
    weights, inputs = (
        rng.choice([-1, 1] if kind == "binary" else [-1, 0, 1], shape).astype(np.int8)
        for kind, shape in zip(pair, ((outputs, bits), (rows, bits)), strict=True)
    )
    packed = pack_weights(weights)
    laid = np.zeros((-(-rows // 4) * 4, bits), dtype=np.int8)
    laid[:rows] = inputs
    sums = np.empty((len(laid), packed.width), dtype=np.int32)
    some = None if pair[1] == "binary" else pack_bits(laid != 0)
    dot_products(
        pack_bits(laid < 0), some, packed.sign, packed.some,
        bits=bits, nonzero=packed.nonzero, sums=sums,
    )  # fmt: skip
    wanted = inputs.astype(int) @ weights.T.astype(int)
    assert np.array_equal(sums[:rows, :outputs], wanted)


def test_a_row_longer_than_the_byte_counters_hold():
    weights = np.ones((3, 64 * 40), dtype=np.int8)
    packed = pack_weights(weights)
    sums = np.empty((4, packed.width), dtype=np.int32)
    laid = pack_bits(np.ones((4, weights.shape[1]), dtype=bool))
    dot_products(laid, None, packed.sign, packed.some, bits=2560, nonzero=packed.nonzero, sums=sums)
    assert (sums[:, :3] == -2560).all()


@pytest.mark.parametrize("channels", [1, 21, 32, 64, 70, 128])
def test_patches_and_padding_are_those_of_a_convolution(channels):
    rng = np.random.default_rng(channels)
    values = rng.choice([-1, 1], (2, 5, 3, channels)).astype(np.int8)
    weights = rng.choice([-1, 1], (6, channels, 3, 3)).astype(np.int8)
    packed = pack_weights(weights.transpose(0, 2, 3, 1).reshape(6, -1))
    planes = pack_bits(values.reshape(-1, channels) < 0).reshape(2, 5, 3, -1)
    patches = np.empty((32, packed.words), dtype=np.uint64)
    gather_patches(planes, channels, patches)
    sums = np.empty((32, packed.width), dtype=np.int32)
    dot_products(
        patches, None, packed.sign, packed.some,
        bits=packed.bits, nonzero=packed.nonzero, sums=sums,
    )  # fmt: skip
    remove_padding(weights.sum(axis=1, dtype=np.int32).reshape(6, 9).T.copy(), 2, 5, 3, sums)
    wanted = nn.functional.conv2d(
        torch.from_numpy(values).permute(0, 3, 1, 2).double(),
        torch.from_numpy(weights).double(),
        padding=1,
    )
    found = sums[:30, :6].reshape(2, 5, 3, 6).transpose(0, 3, 1, 2)
    assert np.array_equal(found, wanted.numpy())


@pytest.mark.slow
def test_the_kernels_of_processors_with_a_vector_popcount_agree(tmp_path):
    """Sixteen lanes and word counts, as AVX-512 VPOPCNTDQ runs them; any processor can emulate."""
    program = """
import llvmlite.binding as binding
real = binding.get_host_cpu_features
features = real()
features["avx512vpopcntdq"] = True
binding.get_host_cpu_features = lambda: features
import numpy as np
from rramsim.networks import bit_vectors
binding.get_host_cpu_features = real
from rramsim.networks.bit_kernels import dot_products
from rramsim.networks.bit_kernels import pack_bits, pack_weights
assert bit_vectors.LANES == 16
rng = np.random.default_rng(0)
w = rng.choice([-1, 0, 1], (19, 2500)).astype(np.int8)
x = rng.choice([-1, 0, 1], (4, 2500)).astype(np.int8)
p = pack_weights(w)
sums = np.empty((4, p.width), dtype=np.int32)
dot_products(pack_bits(x < 0), pack_bits(x != 0), p.sign, p.some, bits=2500, nonzero=p.nonzero,
             sums=sums)
assert np.array_equal(sums[:, :19], x.astype(int) @ w.T.astype(int))
"""
    # A cache of its own: the kernels of this processor may have eight lanes. And numba is to
    # compile for the processor that there is; only the module is told otherwise.
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": binding.get_host_cpu_name(),
        "NUMBA_CPU_FEATURES": binding.get_host_cpu_features().flatten(),
    }
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_what_cannot_be_packed_is_refused():
    full = NetworkSpec(weights="full", activations="binary", width=2, input_shape=(1, 8, 8))
    with pytest.raises(InputError, match="weights = 'full'"):
        IntegerNetwork.of(full.build(seed=0))
    real = NetworkSpec(weights="binary", activations="full", width=2, input_shape=(1, 8, 8))
    with pytest.raises(InputError, match="activations = 'full'"):
        IntegerNetwork.of(real.build(seed=0))
    spec = NetworkSpec(weights="binary", activations="binary", width=2, input_shape=(1, 8, 8))
    with pytest.raises(InputError, match="first = 'int8'"):
        IntegerNetwork.of(spec.build(seed=0), first="int8")
    packed = IntegerNetwork.of(spec.build(seed=0))
    with pytest.raises(InputError, match="must be uint8"):
        packed.scores(np.zeros((1, 1, 8, 8), dtype=np.float32))
    with pytest.raises(InputError, match="does not start by standardising"):
        IntegerNetwork.of(nn.Sequential(nn.Linear(2, 2)))
    broken = spec.build(seed=0)
    broken.norm2.weight.data[0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        IntegerNetwork.of(broken)
    with pytest.raises(InputError, match="must be -1, 0 or"):
        pack_weights(np.array([[2]], dtype=np.int8))
