"""The time of a training step with read errors, beside the plain scheme's, and what both reach."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._plain_scheme import PlainNetwork, plain_optimiser
from rramsim.learning import (
    ImageData,
    NetworkSpec,
    TrainingSettings,
    accuracy,
    train,
    training_step,
)
from rramsim.learning.progress import BatchSource
from rramsim.networks import RECIPES, ScalarErrors, quantised_layers, set_weight_errors

__all__ = ["accuracies", "step_times"]

RATES = (1e-4, 1e-3, 1e-2, 1e-1)
OPPONENT = "plain scheme, rate 0.01"


def step_times(
    *, width: int = 16, batch: int = 128, repeats: int = 61, bfloat16: bool = False
) -> dict[str, Any]:
    """Time a training step (s, median) without errors, with them, and by the plain scheme.

    All variants are interleaved, so that a disturbance of the machine hits them alike, and ratios
    are medians over rounds of the ratio within the round. The plain scheme stays in float32.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    spec = NetworkSpec(
        weights="ternary", activations="ternary", width=width, **RECIPES["published"]
    )  # as the plain scheme
    network = spec.build(seed=0).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    floats = (images.float() / 64.0 - 2.0).contiguous()
    plain = PlainNetwork(width, rate=0.01).train()
    plain_adam = plain_optimiser(plain, learning_rate=1e-4, decay=0.01)

    def ours() -> None:
        training_step(network, optimiser, images, labels, bfloat16=bfloat16)

    def theirs() -> None:
        training_step(plain, plain_adam, floats, labels)

    variants: dict[str, tuple[ScalarErrors | None, Callable[[], None]]] = {
        "no errors": (None, ours),
        **{f"rate {rate:g}": (ScalarErrors(rate), ours) for rate in RATES},
        OPPONENT: (None, theirs),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    draws: dict[str, list[float]] = {name: [] for name in variants if name != OPPONENT}
    # Drawn in place over and over, which costs the same whatever the weights have become.
    written = [layer.quantised_weight() for layer in quantised_layers(network).values()]
    for repeat in range(repeats + 2):
        for name, (errors, step) in variants.items():
            set_weight_errors(network, errors, seed=repeat)
            started = time.perf_counter()
            step()
            taken = time.perf_counter() - started
            started = time.perf_counter()
            for weights in written if errors is not None else ():
                assert errors is not None
                errors.draw(weights, generator=generator, in_place=True)
            if repeat >= 2:  # the first rounds warm up
                times[name].append(taken)
                if name in draws:
                    draws[name].append(time.perf_counter() - started)
    table = {name: np.array(values) for name, values in times.items()}
    speedup = table[OPPONENT] / table["rate 0.01"]
    return {
        "network": spec.name,
        "batch": batch,
        "precision": "bfloat16" if bfloat16 else "float32",
        "rounds": repeats,
        "step_s": {name: float(np.median(values)) for name, values in table.items()},
        "ratio": {
            name: float(np.median(values / table["no errors"])) for name, values in table.items()
        },
        "draw_s": {name: statistics.median(values) for name, values in draws.items()},
        "speedup": float(np.median(speedup)),
        "speedup_quartiles": [float(value) for value in np.quantile(speedup, [0.25, 0.75])],
    }


def accuracies(
    data: ImageData, *, width: int, epochs: int, seeds: Sequence[int], bfloat16: bool
) -> list[dict[str, Any]]:
    """Train both with the same recipe at rate 0.01; test accuracy in %, errors acting, per seed."""
    rows = []
    spec = NetworkSpec(
        weights="ternary", activations="ternary", width=width, **RECIPES["published"]
    )  # as the plain scheme
    ours = []
    theirs = []
    for seed in seeds:
        settings = TrainingSettings(epochs=epochs, batch=128, seed=seed, bfloat16=bfloat16)
        ours.append(train(spec, data, settings, errors=ScalarErrors(0.01)).test.value)
        theirs.append(_train_plainly(data, settings, width))
    for scheme, values in (("rramsim, rate 0.01", ours), (OPPONENT, theirs)):
        percent = [round(100 * value, 2) for value in values]
        rows.append({"scheme": scheme, "epochs": epochs, "percent": percent})
    return rows


def _train_plainly(data: ImageData, settings: TrainingSettings, width: int) -> float:
    torch.manual_seed(settings.seed)
    network = _Scaled(PlainNetwork(width, rate=0.01), data).train()
    optimiser = plain_optimiser(
        network,
        learning_rate=settings.learning_rate,
        decay=settings.adamw_decay(len(data.train_labels)),
    )
    source = BatchSource(
        torch.from_numpy(data.train_images),
        torch.from_numpy(data.train_labels),
        crop_pixels=data.crop_pixels,
        flip=data.flip,
    )
    steps = settings.epochs * -(-len(source) // settings.batch)
    taken = 0
    for epoch in range(settings.epochs):
        generator = torch.Generator().manual_seed(1000 * settings.seed + epoch)
        for images, labels in source.epoch(settings.batch, generator=generator):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate_at(taken, steps)
            training_step(
                network, optimiser, images, labels, label_smoothing=settings.label_smoothing
            )
            taken += 1
    return accuracy(network, data.test_images, data.test_labels).value


class _Scaled(nn.Module):
    """Standardises images, then applies a network; the layout is torch's default."""

    def __init__(self, network: nn.Module, data: ImageData) -> None:
        super().__init__()
        self.network = network
        pixels = data.train_images
        self.mean = torch.from_numpy(pixels.mean(axis=(0, 2, 3))).float()[:, None, None]
        self.deviation = torch.from_numpy(pixels.std(axis=(0, 2, 3))).float()[:, None, None]

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(((images.float() - self.mean) / self.deviation).contiguous())
        return scores
