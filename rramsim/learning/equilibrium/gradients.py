"""Parameter gradients from states and coefficients, in closed form: no autograd."""

import torch
from torch import Tensor

from rramsim.learning.equilibrium.losses import readout_error
from rramsim.learning.equilibrium.network import Clamped, EquilibriumNetwork

__all__ = ["primitive_gradient", "readout_gradient", "vector_field_gradient"]


def _scaled(state: Tensor, coefficients: Tensor) -> Tensor:
    return state * coefficients.view(-1, *(1,) * (state.dim() - 1))


def _summed_points(state: Tensor, samples: int) -> Tensor:
    """Re of the sum over points of a state (points * samples, ...)."""
    total = state.view(-1, samples, *state.shape[1:]).sum(dim=0)
    return total.real if total.is_complex() else total


def _bias_gradient(upper: Tensor) -> Tensor:
    return upper.flatten(2).sum(dim=(0, 2)) if upper.dim() > 2 else upper.sum(dim=0)


def primitive_gradient(
    network: EquilibriumNetwork, clamped: Clamped, states: list[Tensor], coefficients: Tensor
) -> dict[str, Tensor]:
    """-sum Re(c dPhi/dw), summed over the samples, for a symmetric network.

    `states` hold one or more points of every sample, (points * B, ...), `coefficients` (points * B)
    their c.
    """
    samples = len(clamped.images)
    gradients: dict[str, Tensor] = {}
    for index, connection in enumerate(network.connections):
        upper = _scaled(states[index], coefficients)
        total = _summed_points(upper, samples)
        if index == 0:
            # The image is the same at every point: sum the points first.
            weight = connection.weight_gradient(total, clamped.images, clamped.kept)  # type: ignore[arg-type]
        else:
            lower = states[index - 1]
            kept = network.upward(index, lower)[1] if lower.dim() > 2 else None
            weight = connection.weight_gradient(upper, lower, kept)  # type: ignore[arg-type]
        gradients[f"forward{index + 1}.weight"] = -weight
        gradients[f"forward{index + 1}.bias"] = -_bias_gradient(total)
    return gradients


def vector_field_gradient(
    network: EquilibriumNetwork,
    clamped: Clamped,
    free: list[Tensor],
    states: list[Tensor],
    coefficients: Tensor,
    free_coefficients: Tensor,
    *,
    shared: bool,
) -> dict[str, Tensor]:
    """-(dF/dw at the free equilibrium) . ds/dbeta, summed over samples, for asymmetric networks.

    F is the drive of the neurons; ds/dbeta is sum Re(c s). With `shared`, a connection's forward
    and backward weights get the mean of their gradients.
    """
    samples = len(clamped.images)
    slopes = [
        _summed_points(_scaled(state, coefficients), samples) + _scaled(rest, free_coefficients)
        for state, rest in zip(states, free, strict=True)
    ]
    gradients: dict[str, Tensor] = {}
    for index, connection in enumerate(network.connections):
        name = f"forward{index + 1}"
        gradients[f"{name}.bias"] = -_bias_gradient(slopes[index])
        if index == 0:
            weight = connection.weight_gradient(slopes[0], clamped.images, clamped.kept)  # type: ignore[arg-type]
            gradients[f"{name}.weight"] = -weight
            continue
        lower = free[index - 1]
        forward_kept = backward_kept = None
        if lower.dim() > 2:
            forward_kept = connection.forward(lower, network.weight(index))[1]
            backward_kept = connection.forward(lower, network.weight(index, backward=True))[1]
        forward = -connection.weight_gradient(slopes[index], lower, forward_kept)  # type: ignore[arg-type]
        backward = -connection.weight_gradient(free[index], slopes[index - 1], backward_kept)  # type: ignore[arg-type]
        if shared:
            forward = backward = 0.5 * (forward + backward)
        gradients[f"{name}.weight"] = forward
        gradients[f"backward{index + 1}.weight"] = backward
    return gradients


def readout_gradient(
    network: EquilibriumNetwork, states: list[Tensor], targets: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Gradient of the cross-entropy by the read-out, over samples weighted by `weights` (B,)."""
    if network.spec.loss != "cross-entropy":
        return {}
    error = _scaled(readout_error(network, states, targets), weights)
    last = states[-1].flatten(1).to(error.dtype)
    weight, bias = error.t() @ last, error.sum(dim=0)
    if torch.is_complex(weight):
        weight, bias = weight.real, bias.real
    return {"readout.weight": weight, "readout.bias": bias}
