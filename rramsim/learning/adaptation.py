"""Adapt a network to the chip that reads it, by what lies outside the arrays: batch-norm.

Read errors shift and narrow the sums that a batch-norm standardises with statistics of training.
Measured anew on unlabelled inputs with the chip's own weights, they take most of the shift out
(Joshi et al. 2020, Nat. Commun. 11:2473, do so for analogue arrays). Fine-tuning with the chip in
the loop then moves batch-norm's scales and shifts (in hardware the thresholds) down the gradient of
the loss on labelled inputs, the weights as the chip reads them. Either costs inferences on the
chip; nothing is written to the devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.learning.settings import TUNING_BATCH, Adaptation

_Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_LEARNING_RATE = 0.01


@contextmanager
def adapted(
    network: nn.Module, adaptation: Adaptation, images: NDArray[np.uint8],
    labels: NDArray[np.int64], *, seed: int,
) -> Iterator[None]:  # fmt: skip
    """Inside the block a network is adapted to the reads attached to it; then it is as before.

    `images`, `labels`: training images, of which some are drawn, the same ones every time. `seed`:
    of the order in which fine-tuning sees them. Raises `InputError` for fewer than recalibration
    takes.
    """
    if adaptation.recalibrate > len(images):
        raise InputError(
            f"recalibrate = {adaptation.recalibrate}: there are {len(images)} training images"
        )
    # The first ones would be of one class alone in a set that is sorted by class.
    some = np.random.default_rng(0x2CA1).permutation(len(images))[: adaptation.images]
    with _kept(network) if adaptation else nullcontext():
        if adaptation.recalibrate:
            recalibrate(network, images[some[: adaptation.recalibrate]])
        if adaptation.fine_tune:
            fine_tune(network, images[some], labels[some], steps=adaptation.fine_tune, seed=seed)
        yield


def labelled(
    inputs: NDArray[Any] | Tensor, labels: NDArray[np.int64] | Tensor
) -> tuple[Tensor, Tensor, int]:
    """Inputs (N, ...) and labels (N,) as tensors, and the highest label, or `InputError`."""
    values, wanted = torch.as_tensor(inputs), torch.as_tensor(labels)
    if len(values) == 0 or len(values) != len(wanted):
        raise InputError(
            f"{len(values)} images with {len(wanted)} labels: must be as many, and at least 1"
        )
    if wanted.dim() != 1 or wanted.is_floating_point() or wanted.is_complex():
        raise InputError(
            f"labels are {wanted.dtype} of shape {tuple(wanted.shape)}: must be the numbers of "
            f"classes, one for each of {len(values)} inputs"
        )
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        raise InputError("inputs hold NaN or infinite values")
    if int(wanted.min()) < 0:
        raise InputError(f"label {int(wanted.min())}: must be 0 or above")
    return values, wanted, int(wanted.max())


def scores_of(network: nn.Module, values: Tensor, highest: int) -> Tensor:
    """The scores (N, classes) of a batch; `InputError` for others, or with no class `highest`."""
    scores = network(values)
    if not isinstance(scores, Tensor) or scores.dim() != 2 or len(scores) != len(values):
        shape = f" of shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else ""
        raise InputError(
            f"the network gives a {type(scores).__name__}{shape} for {len(values)} inputs: must be "
            "scores (inputs, classes)"
        )
    if highest >= scores.shape[1]:
        raise InputError(
            f"label {highest}: the network gives scores of {scores.shape[1]} classes, from 0"
        )
    return scores


def fine_tune(
    network: nn.Module,
    inputs: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor,
    *,
    steps: int,
    learning_rate: float = _LEARNING_RATE,
    seed: int = 0,
) -> int:
    """Learn every batch-norm's scale and shift on inputs (N, ...) and labels (N,), errors acting.

    `steps` of Adam (Kingma and Ba 2015, arXiv 1412.6980) on the cross-entropy, 64 inputs each, the
    learning rate falling to zero along a cosine. Statistics and weights stay: a weight that moves
    would have to be written to the devices. Returns the inferences that it cost. Raises
    `InputError` without a batch-norm that has scale and shift.
    """
    norms = _norms(network)
    learned = [p for norm in norms for p in (norm.weight, norm.bias) if p is not None]
    if not learned:
        raise InputError("the network's batch-norms have no scale and shift to fine-tune")
    values, wanted, highest = labelled(inputs, labels)
    device = learned[0].device
    held = {p: p.requires_grad for p in network.parameters()}
    training = network.training
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(learned, lr=learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    order = torch.empty(0, dtype=torch.int64)
    network.eval()
    try:
        for parameter in held:
            parameter.requires_grad_(False)
        for parameter in learned:
            parameter.requires_grad_(True)
        for _ in range(steps):
            if len(order) < TUNING_BATCH:
                order = torch.cat((order, torch.randperm(len(values), generator=generator)))
            chosen, order = order[:TUNING_BATCH], order[TUNING_BATCH:]
            scores = scores_of(network, values[chosen].to(device), highest).float()
            loss = nn.functional.cross_entropy(scores, wanted[chosen].to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
    finally:
        network.train(training)
        for parameter, needed in held.items():
            parameter.requires_grad_(needed)
            parameter.grad = None
    return TUNING_BATCH * steps


def recalibrate(network: nn.Module, inputs: NDArray[np.uint8] | Tensor, *, batch: int = 250) -> int:
    """Measure every batch-norm's mean and variance on inputs (N, ...), read errors acting.

    Errors that are attached act as they are: frozen, from a chip, or redrawn for each batch.
    Weights and everything else stay. Returns the inferences that it cost, N. Raises `InputError`
    without a batch-norm or with fewer than two inputs.
    """
    norms = _norms(network)
    values = torch.as_tensor(inputs)
    if len(values) < 2:
        raise InputError(f"{len(values)} inputs to recalibrate on: must be 2 or more")
    device = next(network.parameters()).device
    training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
            norm.train()
        with torch.no_grad():
            # Batches of one size: each then counts alike.
            for part in values.tensor_split(max(1, -(-len(values) // batch))):
                network(part.to(device))
    finally:
        network.train(training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return len(values)


@contextmanager
def recalibrated(
    network: nn.Module, inputs: NDArray[np.uint8] | Tensor, *, batch: int = 250
) -> Iterator[int]:
    """As `recalibrate` inside the block; afterwards the statistics are what they were before."""
    with _kept(network):
        yield recalibrate(network, inputs, batch=batch)


@contextmanager
def _kept(network: nn.Module) -> Iterator[None]:
    norms = _norms(network)
    saved = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    try:
        yield
    finally:
        for norm, state in zip(norms, saved, strict=True):
            norm.load_state_dict(state)


def _norms(network: nn.Module) -> list[_Norm]:
    found = [m for m in network.modules() if isinstance(m, _Norm) and m.track_running_stats]
    if not found:
        raise InputError("the network has no batch-norm to recalibrate")
    return found
