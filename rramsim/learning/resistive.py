"""A resistive network that computes by settling: sources, resistors, neurons of diodes. It learns
by equilibrium propagation.

Kirchhoff's laws minimise the co-content P(v) = 1/2 sum G (dV)^2 + sum of the diodes' own over the
node voltages, so equilibrium propagation applies with P for the energy (Kendall et al. 2020,
arXiv 2006.01981): nudged by a resistor of conductance beta from each output to its target,
dL/dG = d/dbeta of 1/2 (dV)^2, with L = 1/2 sum (v_out - target)^2. Each resistor needs the voltage
across itself alone.

What settles it is `solve`, damped Newton on Kirchhoff's current law for a whole batch at once, or
ngspice's operating-point analysis (`SpiceNetwork`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge, zero_Celsius

from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError
from rramsim.learning.image_data import ImageData
from rramsim.numbers import check_limits, limited
from rramsim.processes.process import netlists_folder

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Diode:
    """I = saturation_a * (e^(V / (ideality * kT/q)) - 1); the defaults are a small Schottky diode.

    An assumption: of the order of data sheets' small-signal Schottky diodes, fitted to none.
    """

    saturation_a: float = limited(1e-7, low=0, above=True)
    ideality: float = limited(1.05, low=0, above=True)

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class ResistiveSpec:
    """`features` inputs drive 2 * (features + 1) sources: each value, a constant, and both negated
    (a conductance has no sign). `hidden` neurons, `outputs` plain nodes.

    `clip_v` is the bias in series with each neuron's diodes; conductances stay between `low_s` and
    `high_s` (defaults: 1/630 kOhm and 1/10 kOhm, the medians of HRS and LRS in
    experiments/demo.toml). Raises `InputError` for a value out of range.
    """

    features: int = limited(low=1, high=4096)
    hidden: int = limited(6, low=1, high=4096)
    outputs: int = limited(2, low=1, high=4096)
    clip_v: float = limited(0.05, low=-100, high=100)
    diode: Diode = Diode()
    temperature_c: float = 27.0
    low_s: float = 1.0 / 630e3
    high_s: float = 1.0 / 10e3

    def __post_init__(self) -> None:
        check_limits(self)
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


_NETLIST = "resistive_neuron.spice"
_OPEN_OHM = 1e15


def deck(network: ResistiveNetwork) -> str:
    """The circuit as text: sources s*, hidden nodes h*, outputs o*, their targets t*."""
    spec = network.spec
    path = netlists_folder() / _NETLIST
    lines = [
        "* resistive network",
        f".model dclip d(is={spec.diode.saturation_a!r} n={spec.diode.ideality!r})",
        path.read_text(encoding="utf-8"),
    ]
    lines += [f"vs{i} s{i} 0 0" for i in range(spec.sources)]
    lines += [
        f"rs{i}h{j} s{i} h{j} {1.0 / network.input_s[i, j]:.17g}"
        for i in range(spec.sources)
        for j in range(spec.hidden)
    ]
    lines += [
        f"rh{j}o{k} h{j} o{k} {1.0 / network.output_s[j, k]:.17g}"
        for j in range(spec.hidden)
        for k in range(spec.outputs)
    ]
    lines += [f"xh{j} h{j} 0 resistive_neuron v_clip_v={spec.clip_v!r}" for j in range(spec.hidden)]
    for k in range(spec.outputs):
        lines += [f"vt{k} t{k} 0 0", f"rt{k} o{k} t{k} {_OPEN_OHM:g}"]
    lines += [
        f".options reltol=1e-7 vntol=1e-10 abstol=1e-16 temp={spec.temperature_c!r}",
        ".op",
        ".end",
    ]
    return "\n".join(lines)


class SpiceNetwork:
    """A network loaded into ngspice, altered from sample to sample and update to update.

    One at a time: ngspice's library holds one circuit, and loading another puts this one out.
    Raises `InputError` if ngspice refuses the circuit or an operating point.
    """

    def __init__(self, network: ResistiveNetwork) -> None:
        self._session = ngspice_session()
        self._network = network
        try:
            self._session.load(deck(network))
        except CircuitError as error:
            raise InputError(f"{_NETLIST}: {error}") from error

    def solve(
        self,
        network: ResistiveNetwork,
        sources_v: Array,
        *,
        targets_v: Array | None = None,
        beta_s: float = 0.0,
    ) -> Array:
        """As the function `solve`, by ngspice."""
        spec = network.spec
        if spec != self._network.spec:
            raise InputError("the network loaded into ngspice is of another kind")
        self._write(network)
        nudged = targets_v is not None and beta_s != 0.0
        for k in range(spec.outputs):
            self._alter(f"rt{k}", 1.0 / beta_s if nudged else _OPEN_OHM)
        nodes = [f"h{j}" for j in range(spec.hidden)] + [f"o{k}" for k in range(spec.outputs)]
        voltages = np.empty((len(sources_v), len(nodes)))
        for index, sample in enumerate(sources_v):
            for i, value in enumerate(sample):
                self._alter(f"vs{i}", value)
            if targets_v is not None:
                for k, value in enumerate(targets_v[index]):
                    self._alter(f"vt{k}", value)
            faults = self._session.run()
            found = [self._session.vector(node) for node in nodes]
            if faults or not all(v.size and np.isfinite(v[-1]) for v in found):
                raise InputError(
                    f"ngspice finds no operating point with beta_s = {beta_s:g}: "
                    f"{faults[0].strip() if faults else 'no result'}"
                )
            voltages[index] = [v[-1] for v in found]
            self._session.discard_results()
        return voltages

    def _write(self, network: ResistiveNetwork) -> None:
        """Alter the resistors that differ from those loaded."""
        for letter, other, old, new in (
            ("s", "h", self._network.input_s, network.input_s),
            ("h", "o", self._network.output_s, network.output_s),
        ):
            for i, j in np.argwhere(old != new):
                self._alter(f"r{letter}{i}{other}{j}", 1.0 / new[i, j])
        self._network = network

    def _alter(self, element: str, value: float) -> None:
        self._session.command(f"alter {element} = {value:.17g}")


class Settle(Protocol):
    """What settles a network: `solve`, or the `solve` of a `SpiceNetwork`."""

    def __call__(
        self,
        network: ResistiveNetwork,
        sources_v: Array,
        *,
        targets_v: Array | None = None,
        beta_s: float = 0.0,
    ) -> Array:
        """Node voltages (B, hidden + outputs)."""


@dataclass(frozen=True, kw_only=True)
class ResistiveTask:
    """Source voltages (N, sources) and target voltages (N, outputs) of training and test samples.

    An image belongs to the class whose output is highest.
    """

    train_v: Array
    train_targets_v: Array
    test_v: Array
    test_targets_v: Array

    @staticmethod
    def of(
        data: ImageData, classes: tuple[int, int], *, side: int = 4, target_v: float = 0.1
    ) -> "ResistiveTask":
        """Two classes of images, averaged down to side x side pixels from -1 to 1.

        The output of an image's class shall be at +target_v, the other at -target_v.
        """
        if classes[0] == classes[1]:
            raise InputError(f"classes = {classes}: must be two")
        parts: list[Array] = []
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        ):
            chosen = np.isin(labels, classes)
            picked = images[chosen].mean(axis=1) / 127.5 - 1.0
            step = picked.shape[1] // side
            if step * side != picked.shape[1] or picked.shape[1] != picked.shape[2]:
                raise InputError(f"side = {side}: must divide the images' {picked.shape[1:]}")
            small = picked.reshape(-1, side, step, side, step).mean(axis=(2, 4))
            first = (labels[chosen] == classes[0])[:, None]
            parts += [
                source_voltages(small.reshape(len(small), -1)),
                target_v * np.where(np.concatenate([first, ~first], axis=1), 1.0, -1.0),
            ]
        return ResistiveTask(
            train_v=parts[0], train_targets_v=parts[1], test_v=parts[2], test_targets_v=parts[3]
        )


@dataclass(frozen=True, kw_only=True)
class ResistiveEpoch:
    """Mean loss (V^2) in training, and the share of test samples classified right, after it."""

    epoch: int
    train_loss_v2: float
    test_accuracy: float


def resistive_gradient(
    network: ResistiveNetwork, settle: Settle, sources_v: Array, targets_v: Array, *, beta_s: float
) -> tuple[Array, Array, float]:
    """dL/dG (V^2/S) of both layers, and the mean loss, by symmetric nudges of `beta_s`.

    Raises `InputError` for a nudge of nothing.
    """
    if not beta_s > 0:
        raise InputError(f"beta_s = {beta_s!r}: must be above 0")
    free = settle(network, sources_v)
    pulled = network.drops(
        sources_v, settle(network, sources_v, targets_v=targets_v, beta_s=beta_s)
    )
    pushed = network.drops(
        sources_v, settle(network, sources_v, targets_v=targets_v, beta_s=-beta_s)
    )
    inputs, outputs = (
        (np.square(plus) - np.square(minus)).mean(axis=0) / (4.0 * beta_s)
        for plus, minus in zip(pulled, pushed, strict=True)
    )
    error = free[:, network.spec.hidden :] - targets_v
    return inputs, outputs, 0.5 * float(np.square(error).sum(axis=1).mean())


def train_resistive(
    network: ResistiveNetwork,
    task: ResistiveTask,
    settle: Settle,
    *,
    epochs: int,
    batch: int = 16,
    beta_s: float = 10e-6,
    learning_rate_s2_per_v2: float = 2e-8,
    seed: int = 0,
    progress: Callable[[ResistiveEpoch], None] = lambda row: None,
) -> tuple[ResistiveNetwork, tuple[ResistiveEpoch, ...]]:
    """Descend the estimated gradient; conductances stay within the range of the specification.

    Row 0 is the untrained network. `learning_rate_s2_per_v2` times a gradient in V^2/S is a step
    in S.
    """
    rows = [_row(0, float("nan"), network, task, settle)]
    progress(rows[0])
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(task.train_v))
        losses = []
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            inputs, outputs, loss = resistive_gradient(
                network, settle, task.train_v[chosen], task.train_targets_v[chosen], beta_s=beta_s
            )
            network = network.moved(
                -learning_rate_s2_per_v2 * inputs, -learning_rate_s2_per_v2 * outputs
            )
            losses.append(loss)
        rows.append(_row(epoch, float(np.mean(losses)), network, task, settle))
        progress(rows[-1])
    return network, tuple(rows)


def _row(
    epoch: int, loss: float, network: ResistiveNetwork, task: ResistiveTask, settle: Settle
) -> ResistiveEpoch:
    outputs = settle(network, task.test_v)[:, network.spec.hidden :]
    right = outputs.argmax(axis=1) == task.test_targets_v.argmax(axis=1)
    return ResistiveEpoch(epoch=epoch, train_loss_v2=loss, test_accuracy=float(right.mean()))
