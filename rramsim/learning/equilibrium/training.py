"""Train an energy-based network by equilibrium propagation, resumable to the same bits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.estimation import estimate_gradient
from rramsim.learning.equilibrium.network import EquilibriumNetwork, Pixels
from rramsim.learning.equilibrium.relaxation import relax
from rramsim.learning.equilibrium.settings import (
    EquilibriumSpec,
    EquilibriumTraining,
    EstimatorSettings,
)
from rramsim.learning.equilibrium.updates import (
    RealWeights,
    TernaryWeights,
    Wear,
    Weights,
)
from rramsim.learning.evaluation import Accuracy
from rramsim.learning.image_data import ImageData
from rramsim.learning.progress import (
    BatchSource,
    EpochMetrics,
    Progress,
    batch_source,
    followed,
    read_progress,
    require_images,
    run_identity,
    torch_device,
    within_thread_limit,
    write_progress,
)
from rramsim.networks import WeightErrors

_FORMAT = "rramsim equilibrium training 1"


@dataclass(frozen=True, kw_only=True)
class EquilibriumResult:
    """A trained network as it was written (without read errors).

    `test` is measured after the last epoch with the read errors and the noise of training acting.
    `wear` counts writes, by weight name, of ternary or binary weights. `dropped` and `fell_back`
    are shares of training samples: did not settle at all, or only at real points.
    """

    spec: EquilibriumSpec
    settings: EquilibriumTraining
    network: EquilibriumNetwork
    pixels: Pixels
    rows: tuple[EpochMetrics, ...]
    test: Accuracy
    wear: dict[str, Wear]
    dropped: float
    fell_back: float
    label: str

    @property
    def total_wear(self) -> Wear | None:
        """The writes of all layers together."""
        total: Wear | None = None
        for wear in self.wear.values():
            total = wear if total is None else total + wear
        return total


@within_thread_limit()
def train_equilibrium(
    spec: EquilibriumSpec,
    data: ImageData,
    settings: EquilibriumTraining,
    *,
    errors: WeightErrors | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[EpochMetrics], None] | None = None,
    under_way: Callable[[float], None] | None = None,
) -> EquilibriumResult:
    """Train a network on `data`; with `errors` every batch reads its ternary weights anew.

    One read serves all phases of a batch. With `checkpoint` the state after each epoch is written
    there and a run that finds it goes on from it, to the same bits on the CPU. `progress` is called
    after each epoch, `under_way` within it with the number of epochs done, as 1.4. Raises
    `InputError` if the network does not take these images, if the checkpoint belongs to another
    run, if the dynamics of a whole batch do not settle, or if a weight stops being finite (nothing
    is written then).
    """
    require_images(spec, data)
    if errors is not None and settings.flips is None:
        raise InputError("read errors are defined for ternary or binary weights: give flips")
    device = torch_device(settings.device)
    network = spec.build(seed=settings.seed).to(device)
    weights: Weights
    if settings.flips is None:
        weights = RealWeights(network, settings.descent)
    else:
        weights = TernaryWeights(network, settings.descent, settings.flips, errors)
    pixels = Pixels.of(data, settings.pixels)
    source = batch_source(data, augment=settings.augment, device=device)
    test_images = torch.from_numpy(data.test_images).to(device)
    test_labels = torch.from_numpy(data.test_labels).to(device)
    identity = run_identity(spec, data, settings, errors)
    rows: list[EpochMetrics] = []
    counts = torch.zeros(3, dtype=torch.int64)
    test: Accuracy | None = None
    if checkpoint is not None and Path(checkpoint).exists():
        found = read_progress(Path(checkpoint), kind=_FORMAT, identity=identity)
        _resume(Path(checkpoint), found.state, weights, counts)
        rows, test = list(found.rows), found.test
    for epoch in range(len(rows) + 1, settings.epochs + 1):
        started = time.perf_counter()
        loss, share, rate = _epoch(weights, source, pixels, settings, epoch, counts, under_way)
        generator = torch.Generator(device=device).manual_seed(_seeds(settings, epoch)[2])
        test = equilibrium_accuracy(
            weights.read(),
            pixels,
            test_images,
            test_labels,
            settings=settings.estimator,
            generator=generator,
        )
        row = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=share,
            test_accuracy=test.value,
            seconds=time.perf_counter() - started,
            learning_rate=rate,
        )
        rows.append(row)
        if checkpoint is not None:
            tensors = {name: value.cpu() for name, value in weights.state().items()}
            state = {"state": tensors, "counts": counts}
            done = Progress(rows=tuple(rows), test=test, state=state)
            write_progress(Path(checkpoint), done, kind=_FORMAT, identity=identity)
        if progress is not None:
            progress(row)
    assert test is not None
    seen = max(1, int(counts[0]))
    return EquilibriumResult(
        spec=spec,
        settings=settings,
        network=weights.network,
        pixels=pixels,
        rows=tuple(rows),
        test=test,
        wear={n: m.wear() for n, m in weights.memories.items()}
        if isinstance(weights, TernaryWeights)
        else {},
        dropped=int(counts[1]) / seen,
        fell_back=int(counts[2]) / seen,
        label=data.label,
    )


def equilibrium_accuracy(
    network: EquilibriumNetwork,
    pixels: Pixels,
    images: Tensor,
    labels: Tensor,
    *,
    settings: EstimatorSettings,
    generator: torch.Generator | None = None,
    batch: int = 500,
) -> Accuracy:
    """Let uint8 images (N, C, H, W) settle freely and count those classified right."""
    correct = 0
    for start in range(0, len(labels), batch):
        prepared = pixels.prepare(images[start : start + batch], network.dtype)
        free = relax(
            network,
            network.clamp(prepared).drive,
            network.initial_states(len(prepared)),
            steps=settings.free_steps,
            noise=settings.noise,
            generator=generator,
            order=settings.order,
        )
        answers = network.scores(free.states).argmax(dim=1)
        correct += int((answers == labels[start : start + batch]).sum())
    return Accuracy(correct=correct, total=len(labels))


def _seeds(settings: EquilibriumTraining, epoch: int) -> tuple[int, int, int, int]:
    state = np.random.SeedSequence([settings.seed, epoch, 0xE9]).generate_state(4, np.uint32)
    return int(state[0]), int(state[1]), int(state[2]), int(state[3])


def _epoch(
    weights: Weights,
    source: BatchSource,
    pixels: Pixels,
    settings: EquilibriumTraining,
    epoch: int,
    counts: Tensor,
    under_way: Callable[[float], None] | None,
) -> tuple[float, float, float]:
    """Train for one epoch; return the mean loss, the share of right answers, the last rate."""
    # Every generator starts anew from (seed, epoch): an epoch is the same resumed or not.
    order, noise, _, reads = _seeds(settings, epoch)
    network = weights.network
    generator = torch.Generator(device=network.device).manual_seed(noise)
    weights.start_epoch(reads)
    per_epoch = -(-len(source) // settings.batch)
    losses: list[Tensor] = []
    right: list[Tensor] = []
    seen = 0
    batches = source.epoch(settings.batch, generator=torch.Generator().manual_seed(order))
    batches = followed(batches, under_way, epoch=epoch, steps=per_epoch)
    share = 1.0
    for step, (images, labels) in enumerate(batches):
        share = settings.descent.rate_at(
            (epoch - 1) * per_epoch + step, settings.epochs * per_epoch
        )
        try:
            estimate = estimate_gradient(
                weights.read(),
                pixels.prepare(images, network.dtype),
                labels,
                settings.estimator,
                generator=generator,
            )
        except InputError as error:
            raise InputError(f"epoch {epoch}, batch {step + 1}: {error}") from error
        weights.update(estimate.gradients, share=share)
        losses.append(estimate.loss)
        right.append(estimate.correct)
        seen += len(labels)
        counts += torch.tensor([len(labels), estimate.dropped, estimate.fell_back])
    loss = torch.stack(losses).mean()
    checks = [loss, *(p.sum() for p in weights.network.parameters.values())]
    if not all(bool(torch.isfinite(value)) for value in checks):
        raise InputError(
            f"training diverged in epoch {epoch} (the loss is {float(loss)}): learning_rate = "
            f"{settings.descent.learning_rate} is too high; nothing was saved from it"
        )
    rate = settings.descent.learning_rate[0] * share
    return float(loss), float(torch.stack(right).sum()) / seen, rate


def _resume(path: Path, state: dict[str, Any], weights: Weights, counts: Tensor) -> None:
    try:
        weights.load(state["state"])
        counts.copy_(state["counts"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a whole rramsim checkpoint ({error})") from error
