"""A resistive network learns by equilibrium propagation, in ngspice or with the fast solver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.learning.image_data import ImageData
from rramsim.learning.resistive.network import ResistiveNetwork, source_voltages

__all__ = ["ResistiveEpoch", "ResistiveTask", "Settle", "resistive_gradient", "train_resistive"]

Array = NDArray[np.float64]


class Settle(Protocol):
    """What settles a network: `solve`, or the `solve` of a `SpiceNetwork`."""

    def __call__(
        self,
        network: ResistiveNetwork,
        sources_v: Array,
        *,
        targets_v: Array | None = None,
        beta_s: float = 0.0,
    ) -> Array:
        """Node voltages (B, hidden + outputs)."""


@dataclass(frozen=True, kw_only=True)
class ResistiveTask:
    """Source voltages (N, sources) and target voltages (N, outputs) of training and test samples.

    An image belongs to the class whose output is highest.
    """

    train_v: Array
    train_targets_v: Array
    test_v: Array
    test_targets_v: Array

    @staticmethod
    def of(
        data: ImageData, classes: tuple[int, int], *, side: int = 4, target_v: float = 0.1
    ) -> "ResistiveTask":
        """Two classes of images, averaged down to side x side pixels from -1 to 1.

        The output of an image's class shall be at +target_v, the other at -target_v.
        """
        if classes[0] == classes[1]:
            raise InputError(f"classes = {classes}: must be two")
        parts: list[Array] = []
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        ):
            chosen = np.isin(labels, classes)
            picked = images[chosen].mean(axis=1) / 127.5 - 1.0
            step = picked.shape[1] // side
            if step * side != picked.shape[1] or picked.shape[1] != picked.shape[2]:
                raise InputError(f"side = {side}: must divide the images' {picked.shape[1:]}")
            small = picked.reshape(-1, side, step, side, step).mean(axis=(2, 4))
            first = (labels[chosen] == classes[0])[:, None]
            parts += [
                source_voltages(small.reshape(len(small), -1)),
                target_v * np.where(np.concatenate([first, ~first], axis=1), 1.0, -1.0),
            ]
        return ResistiveTask(
            train_v=parts[0], train_targets_v=parts[1], test_v=parts[2], test_targets_v=parts[3]
        )


@dataclass(frozen=True, kw_only=True)
class ResistiveEpoch:
    """Mean loss (V^2) in training, and the share of test samples classified right, after it."""

    epoch: int
    train_loss_v2: float
    test_accuracy: float


def resistive_gradient(
    network: ResistiveNetwork, settle: Settle, sources_v: Array, targets_v: Array, *, beta_s: float
) -> tuple[Array, Array, float]:
    """dL/dG (V^2/S) of both layers, and the mean loss, by symmetric nudges of `beta_s`.

    Raises `InputError` for a nudge of nothing.
    """
    if not beta_s > 0:
        raise InputError(f"beta_s = {beta_s!r}: must be above 0")
    free = settle(network, sources_v)
    pulled = network.drops(
        sources_v, settle(network, sources_v, targets_v=targets_v, beta_s=beta_s)
    )
    pushed = network.drops(
        sources_v, settle(network, sources_v, targets_v=targets_v, beta_s=-beta_s)
    )
    inputs, outputs = (
        (np.square(plus) - np.square(minus)).mean(axis=0) / (4.0 * beta_s)
        for plus, minus in zip(pulled, pushed, strict=True)
    )
    error = free[:, network.spec.hidden :] - targets_v
    return inputs, outputs, 0.5 * float(np.square(error).sum(axis=1).mean())


def train_resistive(
    network: ResistiveNetwork,
    task: ResistiveTask,
    settle: Settle,
    *,
    epochs: int,
    batch: int = 16,
    beta_s: float = 10e-6,
    learning_rate_s2_per_v2: float = 2e-8,
    seed: int = 0,
    progress: Callable[[ResistiveEpoch], None] = lambda row: None,
) -> tuple[ResistiveNetwork, tuple[ResistiveEpoch, ...]]:
    """Descend the estimated gradient; conductances stay within the range of the specification.

    Row 0 is the untrained network. `learning_rate_s2_per_v2` times a gradient in V^2/S is a step
    in S.
    """
    rows = [_row(0, float("nan"), network, task, settle)]
    progress(rows[0])
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(task.train_v))
        losses = []
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            inputs, outputs, loss = resistive_gradient(
                network, settle, task.train_v[chosen], task.train_targets_v[chosen], beta_s=beta_s
            )
            network = network.moved(
                -learning_rate_s2_per_v2 * inputs, -learning_rate_s2_per_v2 * outputs
            )
            losses.append(loss)
        rows.append(_row(epoch, float(np.mean(losses)), network, task, settle))
        progress(rows[-1])
    return network, tuple(rows)


def _row(
    epoch: int, loss: float, network: ResistiveNetwork, task: ResistiveTask, settle: Settle
) -> ResistiveEpoch:
    outputs = settle(network, task.test_v)[:, network.spec.hidden :]
    right = outputs.argmax(axis=1) == task.test_targets_v.argmax(axis=1)
    return ResistiveEpoch(epoch=epoch, train_loss_v2=loss, test_accuracy=float(right.mean()))
