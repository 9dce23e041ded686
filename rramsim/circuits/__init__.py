"""Netlists made into sense circuits, and the conditions of a read."""

from rramsim.circuits.column import Column
from rramsim.circuits.conditions import SenseConditions
from rramsim.circuits.netlist import Netlist, read_netlist
from rramsim.circuits.readouts import READ_OUTS, ReadOut
from rramsim.circuits.sense import MismatchSite, SenseCircuit, sense_circuit

__all__ = [
    "READ_OUTS",
    "Column",
    "MismatchSite",
    "Netlist",
    "ReadOut",
    "SenseCircuit",
    "SenseConditions",
    "read_netlist",
    "sense_circuit",
]
