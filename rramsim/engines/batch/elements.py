"""What the batch engine solves of an elaborated circuit, by kind of element."""

from dataclasses import dataclass

from rramsim.exceptions import InputError
from rramsim.spice import Circuit, Element

__all__ = ["FlatCircuit", "flat_circuit", "pulse_of"]

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
