"""The same network in ngspice, settled by its operating-point analysis."""

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError
from rramsim.learning.resistive.network import ResistiveNetwork
from rramsim.processes.process import netlists_folder

__all__ = ["SpiceNetwork", "deck"]

Array = NDArray[np.float64]

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
        """As `rramsim.learning.resistive.solve`, by ngspice."""
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
