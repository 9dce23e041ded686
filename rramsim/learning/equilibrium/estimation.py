"""Estimate a batch's gradient by equilibrium propagation, in closed form: no autograd.

What it is held against is below it: back-propagation through time, and through the fixed point.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.network import Clamped, EquilibriumNetwork
from rramsim.learning.equilibrium.relaxation import (
    Nudge,
    Order,
    Relaxation,
    loss_values,
    one_hot,
    readout_error,
    relax,
)
from rramsim.learning.equilibrium.settings import EstimatorSettings


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


@dataclass(frozen=True, kw_only=True)
class GradientEstimate:
    """The mean gradient of a batch, by parameter name, and how it came about.

    `loss` is the mean loss and `correct` the number of right answers at the free equilibrium (for
    "continuous", at the mean over a turn). `dropped` samples did not settle and are left out;
    `fell_back` samples did not settle at complex points and were estimated from two real ones.
    """

    gradients: dict[str, Tensor]
    loss: Tensor
    correct: Tensor
    samples: int
    dropped: int = 0
    fell_back: int = 0


def estimate_gradient(
    network: EquilibriumNetwork,
    images: Tensor,
    labels: Tensor,
    settings: EstimatorSettings,
    *,
    generator: torch.Generator | None = None,
) -> GradientEstimate:
    """Estimate the gradient of the mean loss of images (B, C, H, W) with labels (B,).

    Images are floats of the network's type. `generator` draws the noise and the random sign.
    Raises `InputError` if no sample settles, or for complex points on a network that is not
    holomorphic.
    """
    targets = one_hot(labels, network.spec.classes, network.dtype)
    clamped = network.clamp(images)
    if settings.estimator == "continuous":
        return _continuous(network, clamped, targets, settings, generator)
    free = relax(
        network,
        clamped.drive,
        network.initial_states(len(images)),
        steps=settings.free_steps,
        noise=settings.noise,
        generator=generator,
        order=settings.order,
    )
    loss = loss_values(network, free.states, targets)
    correct = (network.scores(free.states).argmax(dim=1) == labels).sum()
    if settings.estimator == "bptt":
        gradients = bptt_gradient(
            network, images, free.states, targets, steps=settings.nudged_steps, order=settings.order
        )
        return GradientEstimate(
            gradients=gradients, loss=loss.mean(), correct=correct, samples=len(images)
        )
    nudged, coefficients = _nudged(network, clamped, free, targets, settings, generator)
    points = len(nudged.residual) // len(images)
    came_to_rest = free.settled(settings.motion_allowed)
    kept = came_to_rest & nudged.settled(settings.motion_allowed).view(points, -1).all(dim=0)
    gradients = _gradients(network, clamped, free, nudged, targets, coefficients, kept, settings)
    count = int(kept.sum())
    fell_back = 0
    if settings.is_complex and not bool(kept.all()):
        # What does not settle in complex numbers may settle in real ones.
        simpler = replace(settings, points=2)
        real, real_coefficients = _nudged(network, clamped, free, targets, simpler, generator)
        settled = real.settled(settings.motion_allowed).view(2, -1).all(dim=0)
        rest = ~kept & came_to_rest & settled
        more = _gradients(network, clamped, free, real, targets, real_coefficients, rest, simpler)
        gradients = {name: value + more[name] for name, value in gradients.items()}
        fell_back = int(rest.sum())
        count += fell_back
    if count == 0:
        raise InputError(_diverged(free, nudged, settings))
    return GradientEstimate(
        gradients={name: value / count for name, value in gradients.items()},
        loss=loss.mean(),
        correct=correct,
        samples=len(images),
        dropped=len(images) - count,
        fell_back=fell_back,
    )


def _diverged(free: Relaxation, nudged: Relaxation, settings: EstimatorSettings) -> str:
    which = nudged if bool(free.settled(settings.motion_allowed).any()) else free
    phase = "nudged" if which is nudged else "free"
    return (
        f"the dynamics do not settle ({phase} phase: {which.report(settings.motion_allowed)}); "
        "lower beta, gain or learning_rate, or raise the steps"
    )


def _nudged(
    network: EquilibriumNetwork,
    clamped: Clamped,
    free: Relaxation,
    targets: Tensor,
    settings: EstimatorSettings,
    generator: torch.Generator | None,
) -> tuple[Relaxation, Tensor]:
    """Relax at every nudge from the free equilibrium, all points in one batch.

    Returns the relaxation (points * B) and the coefficients, one a point and then the free one.
    """
    sign = 1.0
    if settings.estimator == "random-sign":
        sign = 1.0 if float(torch.rand((), generator=generator)) < 0.5 else -1.0
    dtype = network.dtype
    if settings.is_complex:
        dtype = torch.complex128 if dtype == torch.float64 else torch.complex64

    def numbers(values: list[complex]) -> Tensor:
        chosen = values if settings.is_complex else [value.real for value in values]
        return torch.tensor(chosen, dtype=dtype, device=network.device)

    betas = numbers([sign * beta for beta in settings.nudges()])
    points, samples = len(betas), len(targets)
    relaxation = relax(
        network,
        _repeated(clamped.drive, points),
        [_repeated(state.to(dtype), points) for state in free.states],
        steps=settings.nudged_steps,
        nudge=Nudge(
            beta=betas.repeat_interleave(samples)[:, None], targets=_repeated(targets, points)
        ),
        noise=settings.noise,
        generator=generator,
        order=settings.order,
    )
    every = [sign * c for c in (*settings.coefficients(), complex(settings.free_coefficient))]
    return relaxation, numbers(every)


def _repeated(values: Tensor, times: int) -> Tensor:
    return values.repeat(times, *(1,) * (values.dim() - 1)) if times > 1 else values


def _gradients(
    network: EquilibriumNetwork,
    clamped: Clamped,
    free: Relaxation,
    nudged: Relaxation,
    targets: Tensor,
    coefficients: Tensor,
    kept: Tensor,
    settings: EstimatorSettings,
) -> dict[str, Tensor]:
    """Gradient summed over the samples that are kept."""
    samples = len(kept)
    keep = kept.to(network.dtype)
    points = len(coefficients) - 1
    each = coefficients[:-1].repeat_interleave(samples) * keep.repeat(points)
    at_rest = _real(coefficients[-1]) * keep
    # A state that is not finite would still spoil a sum in which it counts zero times.
    states = [torch.where(_like(keep.repeat(points) > 0, s), s, 0.0) for s in nudged.states]
    free_states = [torch.where(_like(kept, s), s, 0.0) for s in free.states]
    if network.spec.wiring == "asymmetric":
        gradients = vector_field_gradient(
            network,
            clamped,
            free_states,
            states,
            each,
            at_rest,
            shared=settings.shared_update,
        )
    else:
        gradients = primitive_gradient(network, clamped, states, each)
        if settings.free_coefficient:
            rest = primitive_gradient(network, clamped, free_states, at_rest)
            gradients = {name: value + rest[name] for name, value in gradients.items()}
    return gradients | readout_gradient(network, free_states, targets, keep)


def _continuous(
    network: EquilibriumNetwork,
    clamped: Clamped,
    targets: Tensor,
    settings: EstimatorSettings,
    generator: torch.Generator | None,
) -> GradientEstimate:
    """Let beta turn; collect the first Fourier coefficient over every turn but the first."""
    samples = len(targets)
    dtype = torch.complex128 if network.dtype == torch.float64 else torch.complex64
    states = network.initial_states(samples, dtype=dtype)
    mean = [torch.zeros_like(state.real) for state in states]
    settled = torch.ones(samples, dtype=torch.bool, device=network.device)
    turns = settings.periods - 1
    collected: list[tuple[list[Tensor], complex]] = []
    for turn in range(settings.periods):
        for beta, coefficient in zip(settings.nudges(), settings.coefficients(), strict=True):
            strength = torch.full((samples, 1), beta, dtype=dtype, device=network.device)
            relaxation = relax(
                network,
                clamped.drive,
                states,
                steps=settings.nudged_steps,
                nudge=Nudge(beta=strength, targets=targets),
                noise=settings.noise,
                generator=generator,
                order=settings.order,
            )
            states = relaxation.states
            if turn == 0:
                continue
            settled &= relaxation.settled(settings.motion_allowed)
            collected.append((states, coefficient / turns))
            mean = [m + s.real for m, s in zip(mean, states, strict=True)]
    count = int(settled.sum())
    if count == 0:
        raise InputError(
            f"the dynamics do not settle ({relaxation.report(settings.motion_allowed)}); "
            "lower beta, gain or learning_rate, or raise the steps"
        )
    keep = settled.to(network.dtype)
    mean = [torch.where(_like(settled, m), m / (turns * settings.points), 0.0) for m in mean]
    gradients: dict[str, Tensor] = readout_gradient(network, mean, targets, keep)
    for states, coefficient in collected:
        finite = [torch.where(_like(settled, s), s, 0.0) for s in states]
        if network.spec.wiring == "asymmetric":
            part = vector_field_gradient(
                network,
                clamped,
                mean,
                finite,
                coefficient * keep.to(dtype),
                torch.zeros_like(keep),
                shared=settings.shared_update,
            )
        else:
            part = primitive_gradient(network, clamped, finite, coefficient * keep.to(dtype))
        for name, value in part.items():
            gradients[name] = gradients[name] + value if name in gradients else value
    right = network.scores(mean).argmax(dim=1) == targets.argmax(dim=1)
    return GradientEstimate(
        gradients={name: value / count for name, value in gradients.items()},
        loss=loss_values(network, mean, targets)[settled].mean(),
        correct=(right & settled).sum(),
        samples=samples,
        dropped=samples - count,
    )


def _like(mask: Tensor, state: Tensor) -> Tensor:
    return mask.view(-1, *(1,) * (state.dim() - 1))


def _real(value: Tensor) -> Tensor:
    return value.real if value.is_complex() else value


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
        return _autograd(loss, parameters)


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
            increments.append(_autograd(loss, inside))
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


def _autograd(loss: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(parameters.items(), found, strict=True)
    }
