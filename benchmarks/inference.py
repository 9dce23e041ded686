"""Time bit-true inference against float32 in torch on one core: the kernel, and whole networks.

`python -m benchmarks inference` times (a) the products of one 3 x 3 convolution, patches and
padding included, for each pair of binary and ternary weights and inputs, against torch's float32
convolution of the same size, and (b) whole networks, images in and scores out, against the trained
network's own forward pass. Opponents run in turn; times are those
the one thread spent on the processor, and a ratio is that of the shortest.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import torch

from rramsim.networks import IntegerNetwork, NetworkSpec
from rramsim.networks.bit_kernels import dot_products, gather_patches, pack_weights, remove_padding
from rramsim.networks.bit_vectors import VECTOR_POPCOUNT

__all__ = ["kernel_times", "main", "network_times"]

_KINDS: tuple[Literal["binary", "ternary"], ...] = ("binary", "ternary")
PAIRS = tuple(product(_KINDS, repeat=2))


def kernel_times(
    *, channels: int, outputs: int, side: int, images: int = 4, repeats: int = 15
) -> list[dict[str, Any]]:
    """Time one convolution (s, shortest) for each pair of kinds, and torch's beside each."""
    rng = np.random.default_rng(0)
    rows = images * side * side
    float_input = torch.randn(images, channels, side, side).to(memory_format=torch.channels_last)
    float_weight = torch.randn(outputs, channels, 3, 3).to(memory_format=torch.channels_last)
    found = []
    for weight_kind, input_kind in PAIRS:
        levels = np.array([-1, 1] if weight_kind == "binary" else [-1, 0, 1], dtype=np.int8)
        weights = rng.choice(levels, (outputs, 9 * channels))
        packed = pack_weights(weights)
        tap_sums = weights.reshape(outputs, 9, channels).sum(axis=2, dtype=np.int32).T.copy()
        words = -(-channels // 64)
        planes = rng.integers(0, 2**63, (2, images, side, side, words), dtype=np.uint64)
        if channels % 64:
            planes[..., -1] &= np.uint64((1 << channels % 64) - 1)
        some = None if input_kind == "binary" else planes[0] | planes[1]
        patches = np.empty((2, rows, packed.words), dtype=np.uint64)
        sums = np.empty((rows, packed.width), dtype=np.int32)

        def bits(
            packed: Any = packed,
            planes: Any = planes,
            some: Any = some,
            patches: Any = patches,
            sums: Any = sums,
            tap_sums: Any = tap_sums,
        ) -> None:
            gather_patches(planes[0], channels, patches[0])
            if some is not None:
                gather_patches(some, channels, patches[1])
            dot_products(
                patches[0], None if some is None else patches[1], packed.sign, packed.some,
                bits=packed.bits, nonzero=packed.nonzero, sums=sums,
            )  # fmt: skip
            if some is None:
                remove_padding(tap_sums, images, side, side, sums)

        def floats() -> None:
            with torch.inference_mode():
                torch.nn.functional.conv2d(float_input, float_weight, padding=1)

        bit_s, float_s = _interleaved((bits, floats), repeats)
        operations = 2 * rows * outputs * 9 * channels
        found.append(
            {
                "convolution": f"{channels} to {outputs} channels, {side} x {side}",
                "weights": weight_kind,
                "inputs": input_kind,
                "bit_s": bit_s,
                "float32_s": float_s,
                "ratio": float_s / bit_s,
                "bit_top_per_s": operations / bit_s / 1e12,
                "float32_top_per_s": operations / float_s / 1e12,
            }
        )
    return found


def network_times(*, width: int, images: int = 64, repeats: int = 7) -> list[dict[str, Any]]:
    """Time the VGG of a width (s per image, shortest) for each pair of kinds, against torch."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (images, 3, 32, 32), dtype=np.uint8)
    tensor = torch.from_numpy(pictures)
    found = []
    for weight_kind, input_kind in PAIRS:
        spec = NetworkSpec(weights=weight_kind, activations=input_kind, width=width)
        network = spec.build(seed=0).eval()
        standardise: Any = network.get_submodule("standardise")
        standardise.mean[:], standardise.deviation[:] = 120.0, 64.0
        packed = IntegerNetwork.of(network)

        def floats(network: Any = network) -> None:
            with torch.inference_mode():
                network(tensor)

        def bits(packed: Any = packed) -> None:
            packed.scores(pictures)

        bit_s, float_s = _interleaved((bits, floats), repeats)
        found.append(
            {
                "network": spec.name,
                "bit_s_per_image": bit_s / images,
                "float32_s_per_image": float_s / images,
                "ratio": float_s / bit_s,
            }
        )
    return found


def _interleaved(functions: Sequence[Callable[[], None]], repeats: int) -> tuple[float, ...]:
    times: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats + 2):
        for function, kept in zip(functions, times, strict=True):
            started = time.thread_time()
            function()
            if repeat >= 2:
                kept.append(time.thread_time() - started)
    return tuple(min(kept) for kept in times)


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks inference", description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    result: dict[str, Any] = {"vector_popcount": VECTOR_POPCOUNT, "kernels": [], "networks": []}
    for width in options.width:
        result["kernels"] += kernel_times(
            channels=2 * width, outputs=2 * width, side=16, repeats=2 * options.repeats
        )
        result["networks"] += network_times(
            width=width, images=options.images, repeats=options.repeats
        )
    for part in ("kernels", "networks"):
        ratios = [row["ratio"] for row in result[part]]
        result[f"{part}_lowest_ratio"] = min(ratios)
        result[f"{part}_median_ratio"] = statistics.median(ratios)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"vector popcount (AVX-512 VPOPCNTDQ): {'yes' if VECTOR_POPCOUNT else 'no'}; one core")
    for row in result["kernels"]:
        print(
            f"{row['convolution']:36} {row['weights']:>8} x {row['inputs']:8} "
            f"{row['bit_top_per_s']:6.3f} TOP/s, float32 {row['float32_top_per_s']:6.3f}: "
            f"{row['ratio']:5.2f} x"
        )
    for row in result["networks"]:
        print(
            f"{row['network']:36} {1e3 * row['bit_s_per_image']:8.3f} ms an image, float32 "
            f"{1e3 * row['float32_s_per_image']:8.3f}: {row['ratio']:5.2f} x"
        )
    return 0
