"""Resistive networks that settle and learn in the circuit."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.learning.resistive.learning import (
        ResistiveEpoch,
        ResistiveTask,
        Settle,
        resistive_gradient,
        train_resistive,
    )
    from rramsim.learning.resistive.network import (
        Diode,
        ResistiveNetwork,
        ResistiveSpec,
        solve,
        source_voltages,
    )
    from rramsim.learning.resistive.spice import SpiceNetwork, deck
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Diode",
    "ResistiveEpoch",
    "ResistiveNetwork",
    "ResistiveSpec",
    "ResistiveTask",
    "Settle",
    "SpiceNetwork",
    "deck",
    "resistive_gradient",
    "solve",
    "source_voltages",
    "train_resistive",
]
