"""What equilibrium propagation is held against: back-propagation through time, and through the
fixed point."""

import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.network import EquilibriumNetwork
from rramsim.learning.equilibrium.relaxation import Order, loss_values, relax

__all__ = ["bptt_gradient", "bptt_increments", "fixed_point_gradient"]


def bptt_gradient(
    network: EquilibriumNetwork,
    images: Tensor,
    states: list[Tensor],
    targets: Tensor,
    *,
    steps: int,
    order: Order = "synchronous",
) -> dict[str, Tensor]:
    """Gradient of the mean loss through `steps` more free steps from `states`, by autograd.

    From an equilibrium this is back-propagation through time cut off after `steps`.
    """
    with torch.enable_grad():
        parameters = {n: p.detach().requires_grad_() for n, p in network.parameters.items()}
        moving = network.with_parameters(parameters)
        start = [state.detach() for state in states]
        relaxation = relax(moving, moving.clamp(images).drive, start, steps=steps, order=order)
        loss = loss_values(moving, relaxation.states, targets).mean()
        return _gradients(loss, parameters)


def bptt_increments(
    network: EquilibriumNetwork,
    images: Tensor,
    states: list[Tensor],
    targets: Tensor,
    *,
    steps: int,
) -> list[dict[str, Tensor]]:
    """Gradient by the parameters of each step alone: entry t is that of t steps before the end.

    Ernoult et al. 2019 (arXiv 1905.13633): from an equilibrium, entry t equals what step t of the
    nudged phase adds to the estimate of equilibrium propagation, as beta goes to 0. Read-out
    parameters, which are outside of the dynamics, are left out.
    """
    copies: list[dict[str, Tensor]] = []
    moved = [state.detach() for state in states]
    with torch.enable_grad():
        for _ in range(steps):
            copy = {n: p.detach().clone().requires_grad_() for n, p in network.parameters.items()}
            at_step = network.with_parameters(copy)
            moved = relax(at_step, at_step.clamp(images).drive, moved, steps=1).states
            copies.append(copy)
        loss = loss_values(network, moved, targets).mean()
        increments = []
        for copy in reversed(copies):
            inside = {n: p for n, p in copy.items() if not n.startswith("readout")}
            increments.append(_gradients(loss, inside))
    return increments


def fixed_point_gradient(
    network: EquilibriumNetwork,
    images: Tensor,
    states: list[Tensor],
    targets: Tensor,
    *,
    tolerance: float = 1e-12,
    max_steps: int = 10_000,
) -> dict[str, Tensor]:
    """Exact gradient of the mean loss at the equilibrium `states` (recurrent back-propagation).

    Solves lambda = J^T lambda + dL/ds by iteration, J the Jacobian of a step. Raises `InputError`
    if that does not converge.
    """
    with torch.enable_grad():
        parameters = {n: p.detach().requires_grad_() for n, p in network.parameters.items()}
        moving = network.with_parameters(parameters)
        start = [state.detach().requires_grad_() for state in states]
        stepped = relax(moving, moving.clamp(images).drive, start, steps=1).states
        loss = loss_values(moving, start, targets).mean()
        source = torch.autograd.grad(loss, start, retain_graph=True, allow_unused=True)
        force = [
            torch.zeros_like(s) if g is None else g for s, g in zip(start, source, strict=True)
        ]
        adjoint = list(force)
        for _ in range(max_steps):
            back = torch.autograd.grad(
                stepped, start, adjoint, retain_graph=True, allow_unused=True
            )
            renewed = [f if b is None else f + b for f, b in zip(force, back, strict=True)]
            change = max(
                float((new - old).abs().max()) for new, old in zip(renewed, adjoint, strict=True)
            )
            adjoint = renewed
            if change <= tolerance * max(float(a.abs().max()) for a in adjoint):
                break
        else:
            raise InputError(
                f"back-propagation through the fixed point does not converge in {max_steps} steps "
                f"(last change {change:.2g}); the states are not at a stable equilibrium"
            )
        through = torch.autograd.grad(
            stepped, list(parameters.values()), adjoint, retain_graph=True, allow_unused=True
        )
        direct = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: sum((g for g in parts if g is not None), torch.zeros_like(network.parameters[name]))
        for name, *parts in zip(parameters, through, direct, strict=True)
    }


def _gradients(loss: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(parameters.items(), found, strict=True)
    }
