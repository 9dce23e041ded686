"""The two losses, and the force with which each nudges the last layer."""

import torch
from torch import Tensor
from torch.nn import functional

from rramsim.learning.equilibrium.connections import complex_softmax
from rramsim.learning.equilibrium.network import EquilibriumNetwork

__all__ = ["loss_force", "loss_values", "readout_error"]


def loss_values(network: EquilibriumNetwork, states: list[Tensor], targets: Tensor) -> Tensor:
    """Loss of each sample, (B,): half the squared distance to the one-hot `targets` (B, classes),
    or their cross-entropy with the read-out."""
    scores = network.scores(states)
    if network.spec.loss == "squared":
        return 0.5 * (scores - targets).square().sum(dim=1)
    return -(targets * functional.log_softmax(scores, dim=1)).sum(dim=1)


def readout_error(network: EquilibriumNetwork, states: list[Tensor], targets: Tensor) -> Tensor:
    """softmax(read-out) - target, (B, classes); holomorphic in the states."""
    return complex_softmax(network.scores(states)) - targets


def loss_force(network: EquilibriumNetwork, states: list[Tensor], targets: Tensor) -> Tensor:
    """-dL/ds of the last layer, of its shape; holomorphic in the states."""
    if network.spec.loss == "squared":
        return targets - states[-1]
    error = readout_error(network, states, targets)
    weight = network.parameters["readout.weight"].to(error.dtype)
    return -(error @ weight).view(states[-1].shape)


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Labels (B,) as rows of zeros with a one."""
    return functional.one_hot(labels, classes).to(dtype)
