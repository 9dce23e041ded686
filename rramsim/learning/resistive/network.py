"""A resistive network that computes by settling: sources, resistors, neurons of diodes.

Kirchhoff's laws minimise the co-content P(v) = 1/2 sum G (dV)^2 + sum of the diodes' own over the
node voltages, so equilibrium propagation applies with P for the energy (Kendall et al. 2020,
arXiv 2006.01981): nudged by a resistor of conductance beta from each output to its target,
dL/dG = d/dbeta of 1/2 (dV)^2, with L = 1/2 sum (v_out - target)^2. Each resistor needs the voltage
across itself alone.

The solver is damped Newton on Kirchhoff's current law, for a whole batch at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge, zero_Celsius

from rramsim.exceptions import InputError

__all__ = ["Diode", "ResistiveNetwork", "ResistiveSpec", "solve", "source_voltages"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Diode:
    """I = saturation_a * (e^(V / (ideality * kT/q)) - 1); the defaults are a small Schottky diode.

    An assumption: of the order of data sheets' small-signal Schottky diodes, fitted to none.
    """

    saturation_a: float = 1e-7
    ideality: float = 1.05

    def __post_init__(self) -> None:
        for name in ("saturation_a", "ideality"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} = {value!r}: must be above 0")


@dataclass(frozen=True, kw_only=True)
class ResistiveSpec:
    """`features` inputs drive 2 * (features + 1) sources: each value, a constant, and both negated
    (a conductance has no sign). `hidden` neurons, `outputs` plain nodes.

    `clip_v` is the bias in series with each neuron's diodes; conductances stay between `low_s` and
    `high_s` (defaults: 1/630 kOhm and 1/10 kOhm, the medians of HRS and LRS in
    experiments/demo.toml). Raises `InputError` for a value out of range.
    """

    features: int
    hidden: int = 6
    outputs: int = 2
    clip_v: float = 0.05
    diode: Diode = Diode()
    temperature_c: float = 27.0
    low_s: float = 1.0 / 630e3
    high_s: float = 1.0 / 10e3

    def __post_init__(self) -> None:
        for name in ("features", "hidden", "outputs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
                raise InputError(f"{name} = {value!r}: must be a whole number from 1 to 4096")
        if not math.isfinite(self.clip_v):
            raise InputError(f"clip_v = {self.clip_v!r}: must be a finite voltage")
        if not (0 < self.low_s < self.high_s < math.inf):
            raise InputError(
                f"low_s = {self.low_s!r}, high_s = {self.high_s!r}: must be above 0 and ascending"
            )

    @property
    def sources(self) -> int:
        """Number of voltage sources."""
        return 2 * (self.features + 1)

    def build(self, *, seed: int) -> "ResistiveNetwork":
        """Draw conductances log-uniformly within the range."""
        rng = np.random.default_rng(seed)

        def drawn(*shape: int) -> Array:
            low, high = math.log(self.low_s), math.log(self.high_s)
            return np.exp(rng.uniform(low, high, shape))

        return ResistiveNetwork(
            spec=self,
            input_s=drawn(self.sources, self.hidden),
            output_s=drawn(self.hidden, self.outputs),
        )


@dataclass(frozen=True, kw_only=True)
class ResistiveNetwork:
    """Conductances (S): `input_s` (sources, hidden) and `output_s` (hidden, outputs)."""

    spec: ResistiveSpec
    input_s: Array
    output_s: Array

    def drops(self, sources_v: Array, nodes_v: Array) -> tuple[Array, Array]:
        """Voltages across all resistors, of every sample: (B, sources, hidden), (B, hidden, out).

        `nodes_v` (B, hidden + outputs) are the settled nodes, hidden ones first.
        """
        hidden, outputs = np.split(nodes_v, [self.spec.hidden], axis=1)
        return (
            sources_v[:, :, None] - hidden[:, None, :],
            hidden[:, :, None] - outputs[:, None, :],
        )

    def moved(self, input_step_s: Array, output_step_s: Array) -> "ResistiveNetwork":
        """The network with changed conductances, held within the range."""
        low, high = self.spec.low_s, self.spec.high_s
        return ResistiveNetwork(
            spec=self.spec,
            input_s=np.clip(self.input_s + input_step_s, low, high),
            output_s=np.clip(self.output_s + output_step_s, low, high),
        )


def source_voltages(features: Array, *, full_scale_v: float = 1.0) -> Array:
    """Source voltages (B, 2 (F + 1)) of features (B, F) that run from -1 to 1."""
    constant = np.ones((len(features), 1))
    positive = full_scale_v * np.concatenate([features, constant], axis=1)
    return np.concatenate([positive, -positive], axis=1)


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
