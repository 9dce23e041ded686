"""Adapt a network to the chip that reads it: batch-norm's statistics, measured on that chip.

Read errors shift and narrow the sums that a batch-norm standardises with statistics of training.
Measured anew on unlabelled inputs with the chip's own weights, they take most of the shift out
(Joshi et al. 2020, Nat. Commun. 11:2473, do so for analogue arrays). It costs one inference for
each input, and nothing is written to the devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rramsim.exceptions import InputError

__all__ = ["recalibrate", "recalibrated"]

_Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


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
    norms = _norms(network)
    saved = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    try:
        yield recalibrate(network, inputs, batch=batch)
    finally:
        for norm, state in zip(norms, saved, strict=True):
            norm.load_state_dict(state)


def _norms(network: nn.Module) -> list[_Norm]:
    found = [m for m in network.modules() if isinstance(m, _Norm) and m.track_running_stats]
    if not found:
        raise InputError("the network has no batch-norm to recalibrate")
    return found
