"""Relaxation to equilibrium, free or nudged by a loss, with a check that it arrived."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.connections import complex_softmax
from rramsim.learning.equilibrium.network import EquilibriumNetwork
from rramsim.learning.equilibrium.settings import Order


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


"""Synchronous: all layers step at once. Asynchronous: first the odd layers, then the even ones
with what the odd ones have become; as many operations a step, about half as many steps."""


@dataclass(frozen=True, kw_only=True)
class Nudge:
    """`beta` (B, 1), real or complex, one a sample; one-hot `targets` (B, classes)."""

    beta: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """Where the neurons went.

    `residual` (B,): the largest |change| of any neuron of the sample in the last step.
    """

    states: list[Tensor]
    residual: Tensor
    steps: int

    def settled(self, tolerance: float) -> Tensor:
        """Whether each sample (B,) came to rest: finite, and moving less than `tolerance`."""
        return torch.isfinite(self.residual) & (self.residual < tolerance)

    def report(self, tolerance: float) -> str:
        """One line: how many samples settled, and how far the worst still moved."""
        settled = self.settled(tolerance)
        lost = int((~torch.isfinite(self.residual)).sum())
        finite = self.residual[torch.isfinite(self.residual)]
        worst = f"{float(finite.max()):.2g}" if finite.numel() else "none"
        return (
            f"{int(settled.sum())} of {len(settled)} samples settled within {tolerance:g} in "
            f"{self.steps} steps; {lost} not finite; largest finite last change {worst}"
        )


def relax(
    network: EquilibriumNetwork,
    input_drive: Tensor,
    states: list[Tensor],
    *,
    steps: int,
    nudge: Nudge | None = None,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    order: Order = "synchronous",
) -> Relaxation:
    """Take `steps` steps s <- sigma(dPhi/ds - beta dL/ds) from `states` (left as they are).

    `input_drive` is that of `network.clamp(images)`, constant while the image is held. `noise` is
    the deviation of normal noise added to every neuron's input in every step; complex states get
    as much in each part. Differentiable, when the parameters ask for it. Raises `InputError` for a
    complex nudge on a network that is not holomorphic.
    """
    if steps < 1:
        raise InputError(f"steps = {steps}: must be 1 or above")
    is_complex = states[0].is_complex() or (nudge is not None and nudge.beta.is_complex())
    if is_complex and not network.spec.holomorphic:
        raise InputError(
            f"complex beta with activation = {network.spec.activation!r} and pooling = "
            f"{network.spec.pooling!r}: not holomorphic; use 'sigmoid' or 'smooth-clip' with "
            "'softmax' or 'none', or points = 2"
        )
    states = list(states)
    layers = network.layers
    if order == "synchronous":
        groups = [list(range(layers))]
    else:
        groups = [list(range(start, layers, 2)) for start in (0, 1) if start < layers]
    upward: list[tuple[Tensor, Tensor | None] | None] = [None] * layers
    residual = torch.zeros(len(states[0]), device=states[0].device)
    for step in range(steps):
        last = step == steps - 1
        changes: list[Tensor] = []
        for group in groups:
            # A drive is worked out again only if the layer below has moved since.
            for index in {n for layer in group for n in (layer, layer + 1) if 0 < n < layers}:
                if upward[index] is None:
                    upward[index] = network.upward(index, states[index - 1])
            moved = {
                layer: _stepped(
                    network, layer, input_drive, states, upward, nudge, noise, generator
                )
                for layer in group
            }
            for layer, state in moved.items():
                if last:
                    changes.append((state - states[layer]).detach().abs().flatten(1).amax(dim=1))
                states[layer] = state
                if layer + 1 < layers:
                    upward[layer + 1] = None
        if last:
            residual = torch.stack(changes).amax(dim=0)
    return Relaxation(states=states, residual=residual, steps=steps)


def _stepped(
    network: EquilibriumNetwork,
    layer: int,
    input_drive: Tensor,
    states: list[Tensor],
    upward: list[tuple[Tensor, Tensor | None] | None],
    nudge: Nudge | None,
    noise: float,
    generator: torch.Generator | None,
) -> Tensor:
    """The next state of one layer."""
    if layer == 0:
        drive = input_drive
    else:
        below = upward[layer]
        assert below is not None
        drive = below[0]
    if layer + 1 < network.layers:
        above = upward[layer + 1]
        assert above is not None
        drive = drive + network.downward(layer + 1, states[layer + 1], above[1])
    elif nudge is not None:
        force = loss_force(network, states, nudge.targets)
        drive = drive + nudge.beta.view(-1, *(1,) * (force.dim() - 1)) * force
    if noise > 0.0:
        dtype = states[layer].dtype
        drawn = torch.randn(
            states[layer].shape, generator=generator, dtype=dtype, device=states[layer].device
        )
        # A complex normal number shares its unit variance between its parts.
        drive = drive + drawn * (noise * 2.0**0.5 if dtype.is_complex else noise)
    return network.activation.value(drive)
