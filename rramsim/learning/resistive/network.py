"""A resistive network that computes by settling: sources, resistors, neurons of diodes.

Kirchhoff's laws minimise the co-content P(v) = 1/2 sum G (dV)^2 + sum of the diodes' own over the
node voltages, so equilibrium propagation applies with P for the energy (Kendall et al. 2020,
arXiv 2006.01981): nudged by a resistor of conductance beta from each output to its target,
dL/dG = d/dbeta of 1/2 (dV)^2, with L = 1/2 sum (v_out - target)^2. Each resistor needs the voltage
across itself alone.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError

__all__ = ["Diode", "ResistiveNetwork", "ResistiveSpec", "source_voltages"]

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
