"""An elaborated circuit as SPICE text, under names of our own or under the user's.

ngspice reads what is written here from numbers; no word of a user's file reaches it. `Names` goes
both ways, so that messages and waveforms speak of the user's elements and nodes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rramsim.spice.elaboration import Circuit, Element


@dataclass(frozen=True, kw_only=True)
class Names:
    """What elements, their cards and nodes are called in a deck, by the user's names."""

    elements: dict[str, str]
    nodes: dict[str, str]
    cards: dict[str, str]

    @staticmethod
    def own(circuit: Circuit) -> "Names":
        """`m3`, `card3`, `n7`: letter and number, nothing of the user's."""
        nodes: dict[str, str] = {"0": "0"}
        elements: dict[str, str] = {}
        for number, element in enumerate(circuit.elements, start=1):
            elements[element.name] = f"{element.kind}{number}"
            for node in element.nodes:
                nodes.setdefault(node, f"n{len(nodes)}")
        cards = {name: f"card{own[1:]}" for name, own in elements.items()}
        return Names(elements=elements, nodes=nodes, cards=cards)

    @staticmethod
    def users(circuit: Circuit) -> "Names":
        """The user's own, an inner element with its letter before its path, as ngspice does."""
        elements = {
            e.name: e.name if e.name[0] == e.kind and "." not in e.name else f"{e.kind}.{e.name}"
            for e in circuit.elements
        }
        return Names(
            elements=elements,
            nodes={node: node for e in circuit.elements for node in e.nodes},
            cards={name: f"card_{number}" for number, name in enumerate(elements, start=1)},
        )

    def translated(self, message: str) -> str:
        """A message of ngspice's with the user's names for ours."""
        return re.sub(r"\b(?:[a-z]|card)\d+\b", lambda m: self._back.get(m[0], m[0]), message)

    @cached_property
    def _back(self) -> dict[str, str]:
        return {
            own: name for held in (self.elements, self.nodes, self.cards)
            for name, own in held.items()
        }  # fmt: skip


def as_ngspice_writes(value: float) -> str:
    """A number as ngspice writes what it evaluated, so that it computes from the same digits."""
    return f"{value:.15e}"


def circuit_lines(
    circuit: Circuit, names: Names, number: Callable[[float], str] = as_ngspice_writes
) -> list[str]:
    """Cards, elements and initial voltages; each transistor and diode has a card of its own."""
    lines = [e.card.renamed(names.cards[e.name]) for e in circuit.elements if e.card]
    lines += [_line(element, names, number) for element in circuit.elements]
    for word, held in ((".ic", circuit.initial), (".nodeset", circuit.guesses)):
        known = [(names.nodes[node], v) for node, v in held.items() if node in names.nodes]
        if known:
            lines.append(f"{word} {' '.join(f'v({node})={number(v)}' for node, v in known)}")
    return lines


def _line(element: Element, names: Names, number: Callable[[float], str]) -> str:
    nodes = " ".join(names.nodes[node] for node in element.nodes)
    head = f"{names.elements[element.name]} {nodes}"
    if element.card:
        sizes = " ".join(f"{name}={value!r}" for name, value in element.parameters)
        return f"{head} {names.cards[element.name]} {sizes}"
    if element.kind in "vi":
        kind, values = element.wave
        numbers = " ".join(map(number, values))
        return f"{head} {numbers}" if kind == "dc" else f"{head} {kind}({numbers})"
    return f"{head} {number(element.value)}"
