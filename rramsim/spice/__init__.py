"""SPICE text read as data and elaborated; what every netlist, card and PDK file goes through.

    read_deck(path)  ->  Deck of statements  ->  elaborate(...)  ->  Circuit of elements  ->  text

Nothing a file says is run, and nothing in it is skipped: what is not known is refused by file, line
and word (docs/netlists.md).
"""

from rramsim.spice.elaboration import Circuit, Element, Library, elaborate
from rramsim.spice.lines import Where, decoded, logical_lines, read_text
from rramsim.spice.measures import Measure, measure
from rramsim.spice.parser import Body, Deck, Subcircuit, canonical, merged, parse_deck, read_deck
from rramsim.spice.scope import ModelCard, Scope
from rramsim.spice.writer import Names, circuit_lines

__all__ = [
    "Body",
    "Circuit",
    "Deck",
    "Element",
    "Library",
    "Measure",
    "ModelCard",
    "Names",
    "Scope",
    "Subcircuit",
    "Where",
    "canonical",
    "circuit_lines",
    "decoded",
    "elaborate",
    "logical_lines",
    "measure",
    "merged",
    "parse_deck",
    "read_deck",
    "read_text",
]
