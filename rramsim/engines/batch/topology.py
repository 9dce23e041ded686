"""Which nodes are driven and which are unknown; refuses circuits that cannot be solved."""

from dataclasses import dataclass
from functools import cached_property

from rramsim.engines.batch.elements import FlatCircuit
from rramsim.exceptions import InputError

__all__ = ["MAX_NODES", "Topology", "build_topology"]

MAX_NODES = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Topology:
    """A circuit's nodes: `unknown` are solved for, `driven` hang on a source or are ground.

    `driven[0]` is ground "0"; `driven[i]` belongs to `circuit.sources[i - 1]`.
    """

    circuit: FlatCircuit
    unknown: tuple[str, ...]
    driven: tuple[str, ...]

    @cached_property
    def index(self) -> dict[str, tuple[bool, int]]:
        """Node name to (is unknown, number among its kind)."""
        return {n: (True, k) for k, n in enumerate(self.unknown)} | {
            n: (False, k) for k, n in enumerate(self.driven)
        }


def build_topology(circuit: FlatCircuit) -> Topology:
    """Sort a circuit's nodes; raises `InputError` for loops of sources."""
    driven = ["0"]
    for source in circuit.sources:
        plus, minus = source.nodes
        if minus != "0":
            raise InputError(
                f"{source.where}: {source.name}: the batch engine wants a source's second node to "
                "be ground; use ngspice for this circuit"
            )
        if plus in driven:
            raise InputError(
                f"{source.where}: {source.name}: node {plus!r} is driven already (loop of sources)"
            )
        driven.append(plus)
    seen = dict.fromkeys(
        node
        for element in (*circuit.resistors, *circuit.capacitors, *circuit.mosfets)
        for node in element.nodes
    )
    unknown = tuple(node for node in seen if node not in driven)
    if not unknown:
        raise InputError("the circuit has no node to solve for")
    if len(unknown) > MAX_NODES:
        raise InputError(
            f"the circuit has {len(unknown)} unknown nodes; the batch engine takes up to "
            f"{MAX_NODES}; use ngspice"
        )
    for node in circuit.initial_v:
        if node not in seen:
            raise InputError(f".ic v({node}): the circuit has no node {node!r}")
    return Topology(circuit=circuit, unknown=unknown, driven=tuple(driven))
