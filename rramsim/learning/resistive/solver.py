"""The fast solver: damped Newton on Kirchhoff's current law, for a whole batch at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge, zero_Celsius

from rramsim.exceptions import InputError
from rramsim.learning.resistive.network import ResistiveNetwork, ResistiveSpec

__all__ = ["solve"]

Array = NDArray[np.float64]

_MOST_STEPS = 200
_LARGEST_STEP_V = 0.1
"""A longer Newton step could throw a diode's exponential out of range."""


def solve(
    network: ResistiveNetwork,
    sources_v: Array,
    *,
    targets_v: Array | None = None,
    beta_s: float = 0.0,
    tolerance_v: float = 1e-13,
) -> Array:
    """Node voltages (B, hidden + outputs), hidden ones first, for source voltages (B, sources).

    With `targets_v` (B, outputs), a conductance `beta_s` (negative allowed) hangs between each
    output and its target. Raises `InputError` for a negative nudge under which the solution of
    Kirchhoff's laws is no minimum of the co-content: a circuit would run away from it.
    """
    spec = network.spec
    hidden, outputs = spec.hidden, spec.outputs
    conductance = np.zeros((hidden + outputs, hidden + outputs))
    conductance[:hidden, hidden:] = -network.output_s
    conductance[hidden:, :hidden] = -network.output_s.T
    own = np.concatenate(
        [network.input_s.sum(axis=0) + network.output_s.sum(axis=1), network.output_s.sum(axis=0)]
    )
    if targets_v is not None:
        own[hidden:] += beta_s
    conductance[np.diag_indices_from(conductance)] += own
    injected = np.zeros((len(sources_v), hidden + outputs))
    injected[:, :hidden] = sources_v @ network.input_s
    if targets_v is not None:
        injected[:, hidden:] += beta_s * targets_v
    voltages = np.zeros_like(injected)
    for _ in range(_MOST_STEPS):
        current, slope = _neuron(spec, voltages[:, :hidden])
        excess = voltages @ conductance - injected
        excess[:, :hidden] += current
        jacobian = np.repeat(conductance[None], len(voltages), axis=0)
        diagonal = np.arange(hidden)
        jacobian[:, diagonal, diagonal] += slope
        step = -np.linalg.solve(jacobian, excess[..., None])[..., 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        voltages += step * np.minimum(1.0, _LARGEST_STEP_V / np.maximum(largest, 1e-300))
        if float(largest.max()) < tolerance_v:
            break
    else:
        raise InputError(f"the resistive network does not settle in {_MOST_STEPS} Newton steps")
    if beta_s < 0.0:
        try:
            np.linalg.cholesky(jacobian)
        except np.linalg.LinAlgError:
            raise InputError(
                f"beta_s = {beta_s:g}: the outputs run away, since the negative conductance "
                "outweighs the network's own; nudge less"
            ) from None
    return voltages


def _neuron(spec: ResistiveSpec, voltage: Array) -> tuple[Array, Array]:
    """Current (A) into a neuron's two diodes and its slope (S), at its node's voltage."""
    thermal = spec.diode.ideality * Boltzmann * (zero_Celsius + spec.temperature_c)
    thermal /= elementary_charge
    up = spec.diode.saturation_a * np.exp((voltage - spec.clip_v) / thermal)
    down = spec.diode.saturation_a * np.exp((-voltage - spec.clip_v) / thermal)
    return up - down, (up + down) / thermal
