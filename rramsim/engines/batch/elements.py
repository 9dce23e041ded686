"""What the batch engine solves of an elaborated circuit: elements by kind, driven and unknown
nodes.
"""

from dataclasses import dataclass
from functools import cached_property

from rramsim.exceptions import InputError
from rramsim.spice import Circuit, Element

Pulse = tuple[float, float, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class FlatCircuit:
    """Elements by kind, and the voltages that `.ic` holds."""

    resistors: tuple[Element, ...]
    capacitors: tuple[Element, ...]
    sources: tuple[Element, ...]
    mosfets: tuple[Element, ...]
    initial_v: dict[str, float]


def flat_circuit(circuit: Circuit) -> FlatCircuit:
    """Sort a circuit's elements.

    Raises `InputError`, naming file and line, for an element that the batch engine does not know;
    ngspice may know it.
    """
    by_kind: dict[str, list[Element]] = {"r": [], "c": [], "v": [], "m": []}
    for element in circuit.elements:
        if element.kind not in by_kind:
            raise _unknown(element, "knows R, C, V (DC or PULSE) and M")
        by_kind[element.kind].append(element)
    return FlatCircuit(
        resistors=tuple(by_kind["r"]),
        capacitors=tuple(by_kind["c"]),
        sources=tuple(by_kind["v"]),
        mosfets=tuple(by_kind["m"]),
        initial_v=circuit.initial,
    )


def pulse_of(source: Element) -> Pulse:
    """A source as PULSE's numbers (v1, v2, delay, rise, fall, width, period); DC has v1 = v2.

    Raises `InputError` for other functions, and for edges that take no time.
    """
    kind, numbers = source.wave
    if kind == "dc":
        return (numbers[0], numbers[0], 0.0, 1.0, 1.0, 1.0, 1e9)
    if kind != "pulse":
        raise _unknown(source, f"does not know {kind.upper()}")
    if len(numbers) != 7:
        raise _unknown(source, "wants all seven numbers of a PULSE")
    low, high, delay, rise, fall, width, period = numbers
    if min(rise, fall, width) < 0 or rise == 0 or fall == 0:
        raise InputError(
            f"{source.where}: {source.name}: a PULSE's edges are longer than 0 s, and its width is "
            "not below 0 s (is the window shorter than the edge?)"
        )
    if period < rise + fall + width:
        raise InputError(
            f"{source.where}: {source.name}: the PULSE's period is shorter than the pulse"
        )
    return (low, high, delay, rise, fall, width, period)


def _unknown(element: Element, knows: str) -> InputError:
    return InputError(
        f"{element.where}: {element.name}: the batch engine {knows}; "
        'use ngspice (--engine ngspice, or engine = "ngspice")'
    )


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
