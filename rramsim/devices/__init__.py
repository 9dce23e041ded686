"""RRAM resistance statistics and transistor processes."""

from rramsim.devices.cards import ModelCard, read_cards, spice_number
from rramsim.devices.process import (
    CORNERS,
    MismatchCoefficient,
    Process,
    load_process,
    process_from_cards,
)
from rramsim.devices.resistances import WRITTEN, LogNormal, ResistanceModel

__all__ = [
    "CORNERS",
    "WRITTEN",
    "LogNormal",
    "MismatchCoefficient",
    "ModelCard",
    "Process",
    "ResistanceModel",
    "load_process",
    "process_from_cards",
    "read_cards",
    "spice_number",
]
