"""Netlists made into sense circuits, and the conditions of a read."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.circuits.conditions import Column, SenseConditions
    from rramsim.circuits.readouts import READ_OUTS, ReadOut
    from rramsim.circuits.sense import MismatchSite, SenseCircuit, sense_circuit
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "READ_OUTS",
    "Column",
    "MismatchSite",
    "ReadOut",
    "SenseCircuit",
    "SenseConditions",
    "sense_circuit",
]
